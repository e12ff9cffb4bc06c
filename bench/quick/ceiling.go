//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"crier/bench/load"
	"crier/bench/proc"
)

// ceiling is a process of bench/peers/ceiling.
type ceiling struct {
	*proc.Child
	addr netip.AddrPort
	in   io.Writer
	out  *bufio.Reader
}

func (b *bench) startCeiling(ctx context.Context, args ...string) (*ceiling, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(b.dir, "ceiling"), args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the ceiling: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the ceiling: %w", err)
	}
	c, err := proc.Start(cmd, b.cpu)
	if err != nil {
		return nil, err
	}
	s := &ceiling{Child: c, in: in, out: bufio.NewReader(out)}
	line, err := s.line()
	if err == nil {
		s.addr, err = netip.ParseAddrPort(line)
	}
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (c *ceiling) line() (string, error) {
	line, err := c.out.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("hearing from the ceiling: %w", err)
	}
	return strings.TrimSpace(line), nil
}

// fill connects a fleet's n clients, which are sent what crier's are.
func (c *ceiling) fill(n int, f *load.Fleet) error {
	d := load.Dial{Addr: c.addr}
	return load.Many(n, func(int) (*load.Conn, error) { return d.Connect() }, f.Add)
}

// unicast has so many frames written to random connections, and returns when they have been.
func (c *ceiling) unicast(n int) error {
	if _, err := fmt.Fprintln(c.in, n); err != nil {
		return fmt.Errorf("telling the ceiling: %w", err)
	}
	_, err := c.line()
	return err
}

// publish has content written to all connections, in the packet that crier puts it in.
func (c *ceiling) publish(content []byte) error {
	if _, err := fmt.Fprintf(c.in, "%s%s\"]\n", load.EventPrefix, content); err != nil {
		return fmt.Errorf("telling the ceiling: %w", err)
	}
	_, err := c.line() // deliveries are counted where they arrive
	return err
}
