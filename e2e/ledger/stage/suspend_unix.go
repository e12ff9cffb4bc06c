//go:build unix

package stage

import (
	"os"
	"syscall"
)

// suspend has a process do nothing until resume.
func suspend(p *os.Process) error { return p.Signal(syscall.SIGSTOP) }

func resume(p *os.Process) error { return p.Signal(syscall.SIGCONT) }
