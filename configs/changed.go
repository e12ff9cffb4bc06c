package configs

import "slices"

// Changed returns the keys of the settings that differ, in the order of config print. Of api.keys it sees the plain ones.
func Changed(before, after *Config) []string {
	var keys []string
	for _, s := range settings() {
		if !slices.Equal(s.at(before).items(), s.at(after).items()) {
			keys = append(keys, s.key)
		}
	}
	return keys
}
