//go:build linux

package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Child is a process that is measured.
type Child struct {
	cmd *exec.Cmd
}

// Start starts cmd on one processor; on any if cpu is [AnyCPU]. The caller must call [Child.Stop].
func Start(cmd *exec.Cmd, cpu int) (*Child, error) {
	if err := onCPU(cpu, cmd.Start); err != nil {
		return nil, fmt.Errorf("starting %s: %w", filepath.Base(cmd.Path), err)
	}
	return &Child{cmd: cmd}, nil
}

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

// Resident is how many bytes of the process are in memory.
func (c *Child) Resident() (int, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("reading a child's memory: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			if err != nil {
				return 0, fmt.Errorf("reading a child's memory: %w", err)
			}
			return kib << 10, nil
		}
	}
	return 0, errors.New("the child has no memory any more")
}

// CPUTime is processor time of all threads of a process.
type CPUTime struct {
	User, System time.Duration
}

// Total is both together.
func (t CPUTime) Total() time.Duration { return t.User + t.System }

// Since is what was used after an earlier reading.
func (t CPUTime) Since(earlier CPUTime) CPUTime {
	return CPUTime{User: t.User - earlier.User, System: t.System - earlier.System}
}

// CPU is what the process has used so far, to 10 ms.
func (c *Child) CPU() (CPUTime, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.cmd.Process.Pid))
	if err != nil {
		return CPUTime{}, fmt.Errorf("reading a child's processor time: %w", err)
	}
	// Behind the program's name, which is in brackets, the 12th and 13th field are utime and stime,
	// in ticks of 10 ms (proc_pid_stat(5)).
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	var ticks [2]time.Duration
	for i := range ticks {
		n, err := strconv.Atoi(string(fields[11+i]))
		if err != nil {
			return CPUTime{}, fmt.Errorf("reading a child's processor time: %w", err)
		}
		ticks[i] = time.Duration(n) * 10 * time.Millisecond
	}
	return CPUTime{User: ticks[0], System: ticks[1]}, nil
}

// Own is the processor time that this process has used so far.
func Own() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0 // it cannot fail: both arguments are good
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
