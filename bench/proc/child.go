//go:build linux

package proc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Child is a process that is measured.
type Child struct {
	Process
	cmd *exec.Cmd
}

// Start starts cmd on one processor; on any if cpu is [AnyCPU]. The caller must call [Child.Stop].
func Start(cmd *exec.Cmd, cpu int) (*Child, error) {
	if err := onCPU(cpu, cmd.Start); err != nil {
		return nil, fmt.Errorf("starting %s: %w", filepath.Base(cmd.Path), err)
	}
	return &Child{Process: Process(cmd.Process.Pid), cmd: cmd}, nil
}

// Wait waits for the process to end by itself.
func (c *Child) Wait() error { return c.cmd.Wait() }

// Stop ends the process, after five seconds by force.
func (c *Child) Stop() error {
	err := c.cmd.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(5*time.Second, func() {
		if err := c.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			fmt.Fprintln(os.Stderr, "killing a child:", err)
		}
	})
	defer kill.Stop()
	var exit *exec.ExitError
	if werr := c.cmd.Wait(); werr != nil && !errors.As(werr, &exit) {
		err = errors.Join(err, werr)
	}
	return err
}
