//go:build linux

package proc

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// AnyCPU leaves it to the kernel where a process runs.
const AnyCPU = -1

// Split returns one processor for the servers and one for the load, both [AnyCPU] where there is only one.
func Split() (server, load int, err error) {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return 0, 0, fmt.Errorf("reading which processors there are: %w", err)
	}
	var cpus []int
	for i := 0; len(cpus) < allowed.Count(); i++ {
		if allowed.IsSet(i) {
			cpus = append(cpus, i)
		}
	}
	if len(cpus) < 2 {
		return AnyCPU, AnyCPU, nil
	}
	return cpus[0], cpus[1], nil
}

// Pin keeps this process, all its threads, on one processor.
func Pin(cpu int) error {
	if cpu == AnyCPU {
		return nil
	}
	// New threads inherit it from the one that makes them, which may be one not seen in the first round.
	for range 2 {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("listing threads: %w", err)
		}
		for _, t := range tasks {
			id, err := strconv.Atoi(t.Name())
			if err == nil {
				err = setCPU(id, cpu)
			}
			if err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
	}
	return nil
}

// onCPU calls start on a thread that is pinned meanwhile: what it starts inherits that.
func onCPU(cpu int, start func() error) error {
	if cpu == AnyCPU {
		return start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("reading a thread's processors: %w", err)
	}
	if err := setCPU(0, cpu); err != nil {
		return err
	}
	err := start()
	return errors.Join(err, unix.SchedSetaffinity(0, &before))
}

func setCPU(thread, cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(thread, &set); err != nil {
		return fmt.Errorf("choosing a processor: %w", err)
	}
	return nil
}
