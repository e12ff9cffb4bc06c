//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"

	"crier/bench"
	"crier/bench/proc"
)

// job is one way to call crier bench.
type job struct {
	name    string
	args    []string
	servers []string // that it makes sense for; nil: all; but one that is silent is only pushed to
	fifth   bool     // of the clients
}

func jobs() []job {
	sockets := []string{"crier", "ceiling", "node", "go-socket.io"} // that acknowledge
	return []job{
		{name: "idle", args: []string{"idle", "--leave", "5s"}},
		{name: "broadcast", args: []string{"broadcast"}},
		{name: "paced", args: []string{"broadcast", "--rate", "5"}},
		{name: "burst", args: []string{"broadcast", "--burst", "16"}, servers: []string{"crier", "ceiling"}},
		{name: "push", args: []string{"push", "--concurrency", "32"}},
		{name: "new", args: []string{"push", "--concurrency", "32", "--via", "new"}},
		{name: "lines", args: []string{"push", "--via", "lines"}, servers: []string{"crier", "ceiling"}},
		{name: "stream", args: []string{"push", "--via", "stream"}, servers: []string{"crier"}},
		{name: "events", args: []string{"events"}, servers: sockets},
		{name: "churn", args: []string{"churn"}},
		{name: "polling", args: []string{"polling", "--leave", "5s"}, servers: []string{"crier", "node", "go-socket.io", "web-msg-sender"}, fifth: true},
		{name: "sse", args: []string{"sse"}, servers: []string{"crier"}},
	}
}

func jobNames() []string {
	var names []string
	for _, j := range jobs() {
		names = append(names, j.name)
	}
	return names
}

// does reports whether a job makes sense for a server.
func (p peer) does(j job) bool {
	if p.silent && j.args[0] != "push" {
		return false
	}
	return j.servers == nil || slices.Contains(j.servers, p.name)
}

// once starts a server, measures it once and stops it.
func (c *comparison) once(ctx context.Context, p peer, j job, clients int) (r *bench.Result, err error) {
	s, err := c.start(ctx, p)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	if j.fifth {
		clients /= 5
	}
	args := append([]string{"bench"}, j.args...)
	args = append(args, "--json", "--server", p.kind, "--url", s.public, "--pid", strconv.Itoa(int(s.pid)),
		"--clients", strconv.Itoa(clients), "--duration", c.duration.String())
	if j.args[0] != "idle" && !p.steady {
		args = append(args, "--warm-up", c.warmUp.String())
	}
	if slices.Contains([]string{"broadcast", "push", "polling", "sse"}, j.args[0]) {
		args = append(args, "--push-url", s.push)
	}
	cmd := exec.CommandContext(ctx, c.crier, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	load, err := proc.Start(cmd, c.load)
	if err != nil {
		return nil, err
	}
	waitErr := load.Wait()
	if out.Len() > 0 {
		r = new(bench.Result)
		if err := json.Unmarshal(out.Bytes(), r); err != nil {
			return nil, fmt.Errorf("reading a result: %w", err)
		}
	}
	switch {
	case s.pid.Ended():
		return nil, fmt.Errorf("%s, %s: the server ended while it was measured", p.name, j.name)
	case r == nil || !r.Complete:
		return nil, fmt.Errorf("%s, %s: %w: %s", p.name, j.name, waitErr, bytes.TrimSpace(errs.Bytes()))
	case !r.Faultless():
		c.note("%s, %s: of %d messages %d lost, %d twice, %d out of order, %d refused; %d connections dropped", p.name, j.name, r.Sent, r.Lost, r.Duplicates, r.OutOfOrder, r.Refused, r.Dropped)
	}
	return r, nil
}
