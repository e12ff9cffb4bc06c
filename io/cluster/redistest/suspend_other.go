//go:build !unix

package redistest

import "testing"

// Suspend would have the server do nothing until Resume.
func (s *Server) Suspend(t testing.TB) {
	t.Skip("processes cannot be stopped and continued on this system")
}

// Resume is for a server that Suspend has stopped.
func (s *Server) Resume(testing.TB) {}
