//go:build linux

package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a process of this machine, by its number, with all its threads but none of its children.
type Process int

// Worker is the youngest process that it has made, or that one has made; itself if there is none.
func (p Process) Worker() (Process, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", p, p))
	if err != nil {
		return 0, fmt.Errorf("listing the children of process %d: %w", p, err)
	}
	list := strings.Fields(string(data))
	if len(list) == 0 {
		return p, nil
	}
	youngest, err := strconv.Atoi(list[len(list)-1])
	if err != nil {
		return 0, fmt.Errorf("listing the children of process %d: %w", p, err)
	}
	return Process(youngest).Worker()
}

// Ended reports whether there is no such process any more, or only what its parent has not asked for yet.
func (p Process) Ended() bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
	if err != nil {
		return errors.Is(err, os.ErrNotExist)
	}
	state := bytes.TrimSpace(data[bytes.LastIndexByte(data, ')')+1:]) // it is behind the program's name, which is in brackets
	return len(state) > 0 && (state[0] == 'Z' || state[0] == 'X')
}

// Resident is how many bytes of the process are in memory.
func (p Process) Resident() (int, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p))
	if err != nil {
		return 0, fmt.Errorf("reading the memory of process %d: %w", p, err)
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			if err != nil {
				return 0, fmt.Errorf("reading the memory of process %d: %w", p, err)
			}
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("process %d has no memory any more", p)
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
func (p Process) CPU() (CPUTime, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
	if err != nil {
		return CPUTime{}, fmt.Errorf("reading the processor time of process %d: %w", p, err)
	}
	// Behind the program's name, which is in brackets, the 12th and 13th field are utime and stime,
	// in ticks of 10 ms (proc_pid_stat(5)).
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 13 {
		return CPUTime{}, fmt.Errorf("reading the processor time of process %d: %q", p, data)
	}
	var ticks [2]time.Duration
	for i := range ticks {
		n, err := strconv.Atoi(string(fields[11+i]))
		if err != nil {
			return CPUTime{}, fmt.Errorf("reading the processor time of process %d: %w", p, err)
		}
		ticks[i] = time.Duration(n) * 10 * time.Millisecond
	}
	return CPUTime{User: ticks[0], System: ticks[1]}, nil
}

// Own is the processor time that this process has used so far.
func Own() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0 // it cannot fail: both arguments are good
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
