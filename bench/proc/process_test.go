//go:build linux

package proc

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestProcess(t *testing.T) {
	self := Process(os.Getpid())
	before, err := self.CPU()
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for used := before; used.Since(before).Total() < 20*time.Millisecond; {
		if time.Now().After(deadline) {
			t.Fatal("a loop uses no processor time")
		}
		if used, err = self.CPU(); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := self.Resident(); err != nil || n < 1<<20 {
		t.Errorf("%d bytes: %v", n, err)
	}
	if _, err := Process(1 << 30).CPU(); err == nil {
		t.Error("a process that there is not has processor time")
	}
}

// A process has ended before its parent has asked how, and after that.
func TestEnded(t *testing.T) {
	if Process(os.Getpid()).Ended() {
		t.Error("this process has ended")
	}
	cmd := exec.Command("sh", "-c", "exit 3")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := Process(cmd.Process.Pid)
	if err := unix.Waitid(unix.P_PID, int(p), nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if !p.Ended() {
		t.Error("a process has ended, and nobody has asked how: it is said to run")
	}
	if err := cmd.Wait(); err == nil || !p.Ended() {
		t.Errorf("a process is gone (%v), and said to run", err)
	}
}

// A server that serves from a process of its own is measured there.
func TestWorker(t *testing.T) {
	cmd := exec.Command("sh", "-c", "sleep 60 & echo; wait")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil { // now there is a child
		t.Fatal(err)
	}
	parent := Process(cmd.Process.Pid)
	child, err := parent.Worker()
	if err != nil || child == parent {
		t.Errorf("the worker of %d is %d: %v", parent, child, err)
	}
	if itself, err := child.Worker(); err != nil || itself != child {
		t.Errorf("the worker of %d is %d: %v", child, itself, err)
	}
	for _, p := range []Process{child, parent} {
		if one, err := os.FindProcess(int(p)); err != nil || one.Kill() != nil {
			t.Errorf("killing %d: %v", p, err)
		}
	}
	_ = cmd.Wait() //nolint:errcheck // it has been killed
}
