//go:build !linux

package doctor

// limits tells nothing on other systems than Linux.
func limits() []Finding { return nil }

// room tells nothing on other systems than Linux.
func room(string) *Finding { return nil }
