//go:build linux

// Package rig runs Crier as a process that is ended and started again, on ports that stay open meanwhile, as systemd runs it
// with sockets (sd_listen_fds(3)), and looks at what it holds.
package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Options say what server there is to be.
type Options struct {
	Binary string // may be relative to this process's folder
	Dir    string // it runs there, and its log and its store are there
	// Settings are Crier's, by their names in the documentation, such as presence.offline_delay.
	Settings map[string]string
	// Descriptors is how many the process may have; 0: as many as this one.
	Descriptors int
}

// Server is a Crier whose process can be ended and started again. Its ports are open from New to Close, so that who connects while
// there is no process waits.
type Server struct {
	Public, Push string // host:port

	o     Options
	ports []*os.File // public and push
	log   *os.File   // of all its lives
	http  *http.Client
	lives []*Life // from the first one on
}

// Life is one process of a server.
type Life struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when it is gone; then err is set
	err    error
	doomed bool // it was killed, or ends by itself as it should
}

// New opens the ports. The caller must call [Server.Close].
func New(o Options) (*Server, error) {
	var err error
	if o.Binary, err = filepath.Abs(o.Binary); err != nil { // its processes run in another folder
		return nil, fmt.Errorf("finding the program: %w", err)
	}
	s := &Server{o: o, http: &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}}
	if s.log, err = os.OpenFile(filepath.Join(o.Dir, "crier.log"), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o644); err != nil {
		return nil, fmt.Errorf("opening the server's log: %w", err)
	}
	for _, address := range []*string{&s.Public, &s.Push} {
		port, err := open()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("opening a port: %w", err), s.Close())
		}
		s.ports, *address = append(s.ports, port.file), port.address
	}
	return s, nil
}

type port struct {
	file    *os.File
	address string
}

// open opens a port that nobody accepts from here.
func open() (port, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return port{}, err
	}
	f, err := l.(*net.TCPListener).File()
	return port{f, l.Addr().String()}, errors.Join(err, l.Close())
}

// Begin starts a process, whether or not there is one, and does not wait until it is ready.
func (s *Server) Begin() (*Life, error) {
	limit := ""
	if s.o.Descriptors > 0 {
		limit = fmt.Sprintf("ulimit -n %d && ", s.o.Descriptors)
	}
	l := &Life{exited: make(chan struct{})}
	l.cmd = exec.Command("/bin/sh", "-c", limit+`LISTEN_PID=$$ exec "$0"`, s.o.Binary)
	l.cmd.Dir, l.cmd.Stdout, l.cmd.Stderr = s.o.Dir, s.log, s.log
	l.cmd.Env = append(s.environment(), "LISTEN_FDS=2", "LISTEN_FDNAMES=public:push")
	l.cmd.ExtraFiles = s.ports                                           // from descriptor 3 on
	l.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // whatever becomes of us
	if err := l.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the server: %w", err)
	}
	go func() { // whom Close waits for
		defer close(l.exited)
		l.err = l.cmd.Wait()
	}()
	s.lives = append(s.lives, l)
	return l, nil
}

// life is the process that was started last.
func (s *Server) life() *Life { return s.lives[len(s.lives)-1] }

// environment is this process's without Crier's variables, and the settings.
func (s *Server) environment() []string {
	var env []string
	for _, one := range os.Environ() {
		if !strings.HasPrefix(one, "CRIER_") {
			env = append(env, one)
		}
	}
	env = append(env, "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	env = append(env, "CRIER_LISTEN="+s.Public, "CRIER_API_LISTEN="+s.Push)
	for name, value := range s.o.Settings {
		env = append(env, "CRIER_"+strings.ToUpper(strings.ReplaceAll(name, ".", "_"))+"="+value)
	}
	return env
}

// Start starts a process and waits until it answers.
func (s *Server) Start(ctx context.Context) error {
	if _, err := s.Begin(); err != nil {
		return err
	}
	return s.Ready(ctx)
}

// ErrEnded says that the process has ended by itself before it was ready.
var ErrEnded = errors.New("it has ended")

// Ready waits until the push port answers that the server is ready. Who asks before it is there waits in the port. The error wraps
// ErrEnded if that is why.
func (s *Server) Ready(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer fail(nil)
	watch.Go(func() {
		select {
		case <-s.life().exited:
			fail(ErrEnded)
		case <-ctx.Done():
		}
	})
	for {
		_, err := s.get(ctx, "/readyz")
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the server does not get ready: %w: %w\n%s", context.Cause(ctx), err, s.Tail())
		}
		select { // the one before has answered that it stops, or has ended with the question
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// get asks the push port for something.
func (s *Server) get(ctx context.Context, path string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Push+path, nil)
	if err != nil {
		return "", err
	}
	resp, err := s.http.Do(r)
	if err != nil {
		return "", err
	}
	answer, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", path, resp.Status)
	}
	return string(answer), nil
}

// Term tells the process to stop, and does not wait for that.
func (s *Server) Term() (*Life, error) {
	if err := s.life().cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return nil, fmt.Errorf("telling the server to stop: %w", err)
	}
	return s.life(), nil
}

// Stop stops the process in order; it has to exit with 0.
func (s *Server) Stop(ctx context.Context) error {
	l, err := s.Term()
	if err != nil {
		return err
	}
	return l.Ended(ctx)
}

// Ended waits until a process has ended; it has to exit with 0.
func (l *Life) Ended(ctx context.Context) error {
	select {
	case <-l.exited:
	case <-ctx.Done():
		return fmt.Errorf("the server still runs: %w", context.Cause(ctx))
	}
	l.doomed = true
	if l.err != nil {
		return fmt.Errorf("the server ended: %w", l.err)
	}
	return nil
}

// Excuse says that a process was right to end by itself.
func (l *Life) Excuse() { l.doomed = true }

// Gone is closed when the process has ended.
func (l *Life) Gone() <-chan struct{} { return l.exited }

// Kill ends the process at once.
func (s *Server) Kill() error { return s.life().kill() }

func (l *Life) kill() error {
	l.doomed = true
	err := l.cmd.Process.Kill()
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	<-l.exited
	return err
}

// PID is the number of the process.
func (s *Server) PID() int { return s.life().cmd.Process.Pid }

// Close kills what processes still run, waits for them, and closes the ports. It says if one has ended by itself, or if the log tells
// of a panic or a race.
func (s *Server) Close() error {
	var errs []error
	for _, l := range s.lives {
		select {
		case <-l.exited:
			if !l.doomed {
				errs = append(errs, fmt.Errorf("the server ended by itself: %w\n%s", l.err, s.Tail()))
			}
		default:
			errs = append(errs, l.kill())
		}
	}
	s.http.CloseIdleConnections()
	for _, p := range s.ports {
		errs = append(errs, p.Close())
	}
	return errors.Join(append(errs, s.inspect(), s.log.Close())...)
}

// inspect looks into the log for what is wrong in any case.
func (s *Server) inspect() error {
	text, err := os.ReadFile(s.log.Name())
	if err != nil {
		return fmt.Errorf("reading the server's log: %w", err)
	}
	for _, phrase := range []string{"DATA RACE", "panic: "} {
		if i := bytes.Index(text, []byte(phrase)); i >= 0 {
			return fmt.Errorf("the server's log: %s", text[i:min(i+4000, len(text))])
		}
	}
	return nil
}

// Tail is the end of the log.
func (s *Server) Tail() string {
	text, err := os.ReadFile(s.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}
