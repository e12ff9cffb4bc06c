//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os/exec"
	"sync/atomic"
	"time"

	"crier/bench/load"
	"crier/bench/proc"
)

// server is a crier process with default settings, but for its addresses and the form of its log.
type server struct {
	*proc.Child
	public, push netip.AddrPort
	slow         atomic.Int64 // clients that it closed because they did not read
	logged       chan struct{}
	http         http.Client
}

func (b *bench) startServer(ctx context.Context) (*server, error) {
	cmd := exec.CommandContext(ctx, b.bin, "--listen", "127.0.0.1:0", "--api.listen", "127.0.0.1:0", "--log.format", "json")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("starting crier: %w", err)
	}
	c, err := proc.Start(cmd, b.cpu)
	if err != nil {
		return nil, err
	}
	s := &server{Child: c, logged: make(chan struct{}), http: http.Client{Timeout: 20 * time.Second}}
	found := make(chan error, 1)
	go s.readLog(stderr, found)
	if err := <-found; err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// readLog looks for the addresses, and then counts slow clients until the process ends.
func (s *server) readLog(r io.Reader, found chan<- error) {
	defer close(s.logged)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var l struct{ Msg, Port, Addr string }
		if json.Unmarshal(lines.Bytes(), &l) != nil {
			continue // a line of the runtime's
		}
		addr, err := netip.ParseAddrPort(l.Addr)
		switch {
		case l.Msg == "closed a client that reads too slowly":
			s.slow.Add(1)
		case l.Msg != "listening" || err != nil || s.ready():
		case l.Port == "public":
			s.public = addr
		default:
			s.push = addr
		}
		if l.Msg == "listening" && s.ready() {
			found <- nil
		}
	}
	if !s.ready() {
		found <- errors.New("crier ended before it listened")
	}
}

func (s *server) ready() bool { return s.public.IsValid() && s.push.IsValid() }

func (s *server) stop() error {
	err := s.Stop()
	<-s.logged
	s.http.CloseIdleConnections()
	return err
}

// login connects a fleet's n clients, as users 0 to n-1.
func (s *server) login(n int, f *load.Fleet) error {
	d := load.Dial{Addr: s.public}
	return load.Many(n, func(i int) (*load.Conn, error) { return d.Login(load.UID(i)) }, f.Add)
}

// publish pushes content to everybody, by the legacy form.
func (s *server) publish(content []byte) error {
	form := url.Values{"type": {"publish"}, "to": {""}, "content": {string(content)}}
	resp, err := s.http.PostForm("http://"+s.push.String()+"/", form)
	if err != nil {
		return fmt.Errorf("pushing: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && string(body) != "ok" {
		err = fmt.Errorf("the server answered %q", body)
	}
	if err != nil {
		return fmt.Errorf("pushing: %w", err)
	}
	return nil
}
