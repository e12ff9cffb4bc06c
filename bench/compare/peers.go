//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"crier/bench/proc"
)

// peer is a server that can be measured.
type peer struct {
	name    string
	kind    string // for crier bench --server
	silent  bool   // it has no clients, and listens to pushers only
	steady  bool   // it needs no warm-up
	version string
	command func(port, pushPort int) []string
}

func peerNames() []string {
	return []string{"crier", "ceiling", "handler", "node", "centrifuge", "go-socket.io", "web-msg-sender"}
}

// peers prepares those that are wanted and can be had, Crier first. What is missing is said.
func (c *comparison) peers(ctx context.Context) ([]peer, error) {
	flags := func(program ...string) func(int, int) []string {
		return func(port, pushPort int) []string {
			return append(program[:len(program):len(program)], "--port", strconv.Itoa(port), "--push-port", strconv.Itoa(pushPort))
		}
	}
	here, err := filepath.Abs("bench/peers")
	if err != nil {
		return nil, fmt.Errorf("finding the peers: %w", err)
	}
	php := filepath.Join(here, "php", "start.php")
	all := []struct {
		peer
		prepare func() error
		program []string // that prints the version
	}{
		{peer{name: "crier", kind: "crier", command: func(port, pushPort int) []string {
			return []string{c.crier, "--listen", fmt.Sprintf("127.0.0.1:%d", port), "--api.listen", fmt.Sprintf("127.0.0.1:%d", pushPort)}
		}}, nil, []string{c.crier, "--version"}},
		{peer{name: "ceiling", kind: "crier", steady: true, command: flags(filepath.Join(c.dir, "ceiling"))}, nil, []string{filepath.Join(c.dir, "ceiling"), "--version"}},
		{peer{name: "handler", kind: "handler", silent: true, steady: true, command: flags(filepath.Join(c.dir, "handler"))}, nil, []string{filepath.Join(c.dir, "handler"), "--version"}},
		{peer{name: "node", kind: "node", command: flags("node", filepath.Join(here, "node", "server.mjs"))}, func() error {
			return command(ctx, filepath.Join(here, "node"), "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
		}, []string{"node", filepath.Join(here, "node", "server.mjs"), "--version"}},
		{peer{name: "centrifuge", kind: "centrifuge", command: flags(filepath.Join(c.dir, "centrifuge"))}, func() error { return c.goPeer(ctx, here, "centrifuge") }, []string{filepath.Join(c.dir, "centrifuge"), "--version"}},
		{peer{name: "go-socket.io", kind: "go-socket.io", command: flags(filepath.Join(c.dir, "gosocketio"))}, func() error { return c.goPeer(ctx, here, "gosocketio") }, []string{filepath.Join(c.dir, "gosocketio"), "--version"}},
		{peer{name: "web-msg-sender", kind: "web-msg-sender", command: flags("php", php, c.php)}, c.hasPHP, []string{"php", php, c.php, "--version"}},
	}
	var list []peer
	for _, one := range all {
		if !chosen(c.servers, one.name) || c.growth && one.name != "crier" {
			continue
		}
		err := error(nil)
		if one.prepare != nil {
			err = one.prepare()
		}
		var out []byte
		if err == nil {
			out, err = exec.CommandContext(ctx, one.program[0], one.program[1:]...).Output()
		}
		if err != nil {
			c.note("%s is left out: %v", one.name, err)
			continue
		}
		one.version = strings.TrimSpace(string(out))
		if one.name == "crier" {
			one.version += c.commit(ctx)
		}
		list = append(list, one.peer)
	}
	if len(list) == 0 {
		return nil, errors.New("there is nothing to measure")
	}
	return list, nil
}

func (c *comparison) goPeer(ctx context.Context, here, name string) error {
	return command(ctx, filepath.Join(here, "golang"), "go", "build", "-trimpath", "-o", c.dir, "./"+name)
}

func (c *comparison) hasPHP() error {
	if c.php == "" {
		return errors.New("say where a checkout is, with -php or $WEB_MSG_SENDER")
	}
	return nil
}

// commit is the one that Crier has been built from here; "" if nobody knows.
func (c *comparison) commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output()
	if err != nil || filepath.Dir(c.crier) != c.dir {
		return ""
	}
	return ", commit " + strings.TrimSpace(string(out))
}

// note says something that matters for the table, now and below it.
func (c *comparison) note(format string, args ...any) {
	text := strings.TrimSpace(fmt.Sprintf(format, args...))
	fmt.Fprintln(os.Stderr, text)
	first, _, _ := strings.Cut(text, "\n")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.notes = append(c.notes, first)
}

// started is a server under way.
type started struct {
	*proc.Child
	pid          proc.Process // that does the work
	public, push string       // URLs
}

// start starts a server on its processor, and waits until it can be reached.
func (c *comparison) start(ctx context.Context, p peer) (*started, error) {
	port, pushPort, err := freePorts()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(c.dir, p.name+"-") // where it makes what it keeps
	if err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	args := p.command(port, pushPort)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	child, err := proc.Start(cmd, c.cpu)
	if err != nil {
		return nil, err
	}
	s := &started{Child: child, public: fmt.Sprintf("http://127.0.0.1:%d", port), push: fmt.Sprintf("http://127.0.0.1:%d", pushPort)}
	ports := []int{pushPort}
	if !p.silent {
		ports = append(ports, port)
	}
	for _, at := range ports {
		if err := reach(ctx, at); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", p.name, err), s.Stop())
		}
	}
	s.pid, err = child.Worker()
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// freePorts are two that nobody uses at the moment.
func freePorts() (a, b int, err error) {
	var ports [2]int
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, 0, fmt.Errorf("looking for a free port: %w", err)
		}
		defer l.Close()
		if _, port, err := net.SplitHostPort(l.Addr().String()); err == nil {
			ports[i], err = strconv.Atoi(port)
			if err != nil {
				return 0, 0, fmt.Errorf("looking for a free port: %w", err)
			}
		}
	}
	return ports[0], ports[1], nil
}

// reach waits until somebody listens on a port.
func reach(ctx context.Context, port int) error {
	for end := time.Now().Add(20 * time.Second); ; {
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
		switch {
		case err == nil:
			return conn.Close()
		case time.Now().After(end):
			return fmt.Errorf("it does not listen: %w", err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
