package stage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// A Redis is a redis-server that keeps everything it has said yes to. It is started and killed again and again.
type Redis struct {
	// Static.
	path    string
	dir     string // of its data
	address string // host:port
	log     *os.File
	diary   *Diary
	fail    func(error)

	process *process // nil while there is none
}

// newRedis returns one that still has to be started.
func (r *Run) newRedis() (*Redis, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("several servers share a redis-server: %w", err)
	}
	address, err := FreeAddress(r.Source("port of Redis", os.Getpid()).IntN)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(r.Dir, "redis")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making a folder for Redis: %w", err)
	}
	log, err := os.Create(filepath.Join(r.Dir, "redis.log"))
	if err != nil {
		return nil, fmt.Errorf("making a log for Redis: %w", err)
	}
	r.Defer(log.Close)
	return &Redis{path: path, dir: dir, address: address, log: log, diary: r.Diary, fail: r.fail}, nil
}

// start runs it and waits until it answers.
func (s *Redis) start(ctx context.Context) error {
	host, port, err := net.SplitHostPort(s.address)
	if err != nil {
		return fmt.Errorf("starting Redis: %w", err)
	}
	p := &process{log: s.log, expected: make(chan struct{}), exited: make(chan struct{})}
	p.cmd = exec.Command(s.path, "--bind", host, "--port", port, "--dir", s.dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction")
	p.cmd.Stdout, p.cmd.Stderr = s.log, s.log
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("starting Redis: %w", err)
	}
	s.process = p
	go func() {
		defer close(p.exited)
		err := p.cmd.Wait()
		select {
		case <-p.expected:
		default:
			s.fail(errors.Join(fmt.Errorf("redis-server ended by itself; see %s", s.log.Name()), err))
		}
	}()
	for !s.answers() {
		if err := Sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// answers says whether Redis is there, and has read what it kept.
func (s *Redis) answers() bool {
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		return false
	}
	defer hangUp(c)
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return false
	}
	if _, err := c.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	b := make([]byte, 64)
	n, err := c.Read(b)
	return err == nil && bytes.HasPrefix(b[:n], []byte("+PONG"))
}

// kill ends it at once.
func (s *Redis) kill() error {
	p := s.process
	if p == nil {
		return nil
	}
	s.process = nil
	close(p.expected)
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing Redis: %w", err)
	}
	<-p.exited
	return nil
}
