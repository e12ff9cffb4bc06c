//go:build unix

package redistest

import (
	"os"
	"syscall"
	"testing"
)

// Suspend has the server do nothing until [Server.Resume] or Kill, while its connections stay.
func (s *Server) Suspend(t testing.TB) {
	t.Helper()
	s.signal(t, syscall.SIGSTOP)
}

// Resume has it go on.
func (s *Server) Resume(t testing.TB) {
	t.Helper()
	s.signal(t, syscall.SIGCONT)
}

func (s *Server) signal(t testing.TB, which os.Signal) {
	t.Helper()
	if err := s.Cmd.Process.Signal(which); err != nil {
		t.Fatal(err)
	}
}
