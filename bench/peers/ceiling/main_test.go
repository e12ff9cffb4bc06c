//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"crier/bench"
	"crier/io/cluster/redistest"
)

// TestMain makes the test program the ceiling, if it is told so.
func TestMain(m *testing.M) {
	if os.Getenv("BE_THE_CEILING") != "" {
		os.Exit(run(os.Args[1:]))
	}
	os.Exit(m.Run())
}

const patience = 30 * time.Second

// The least that a server can do is all of it: every message comes once and in order.
func TestCeiling(t *testing.T) {
	port, pushPort := redistest.FreePort(t), redistest.FreePort(t)
	cmd := exec.Command(os.Args[0], "-port", strconv.Itoa(port), "-push-port", strconv.Itoa(pushPort))
	cmd.Env, cmd.Stderr = append(os.Environ(), "BE_THE_CEILING=yes"), os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() //nolint:errcheck // it has been killed
	})
	for _, at := range []int{port, pushPort} {
		await(t, at)
	}
	for _, c := range []struct {
		name string
		mode bench.Mode
		via  bench.Via
		size int
		once int // broadcasts at once
	}{
		{"idle", bench.Idle, "", 100, 1},
		{"broadcast", bench.Broadcast, "", 100, 1},
		{"large ones", bench.Broadcast, "", 100_000, 1},
		{"in bursts", bench.Broadcast, "", 100, 16},
		{"push", bench.Push, bench.KeepAlive, 100, 1},
		{"on new connections", bench.Push, bench.Fresh, 100, 1},
		{"by a link of lines", bench.Push, bench.Lines, 100, 1},
		{"events", bench.Events, "", 100, 1},
		{"churn", bench.Churn, "", 100, 1},
		{"storm", bench.Storm, "", 100, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := bench.Options{
				Mode: c.mode, Via: c.via, URL: fmt.Sprintf("http://127.0.0.1:%d", port), PushURL: fmt.Sprintf("http://127.0.0.1:%d", pushPort),
				Server: bench.Servers()["crier"], Clients: 50, Concurrency: 8, Duration: 100 * time.Millisecond, Patience: patience,
				Size: c.size, Burst: c.once, AtOnce: 4, Batch: 1, PID: cmd.Process.Pid,
			}
			r, err := bench.Run(context.Background(), o, nil)
			for ; err == nil && c.mode != bench.Idle && r.Work.Count == 0 && o.Duration < patience; o.Duration *= 2 { // a busy machine may not come to anything at once
				r, err = bench.Run(context.Background(), o, nil)
			}
			if err != nil || !r.Complete || c.mode != bench.Idle && r.Work.Count == 0 {
				t.Errorf("%+v: %v", r, err)
			}
		})
	}
}

// await waits until somebody listens on a port.
func await(t *testing.T, port int) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-ticker.C {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
			return
		}
	}
	t.Fatalf("nobody listens on port %d", port)
}
