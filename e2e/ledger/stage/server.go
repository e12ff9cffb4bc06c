package stage

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
	"strconv"
	"syscall"
	"time"
)

// A Server is Crier, started and ended again and again on the same ports.
type Server struct {
	// Static.
	name   string // "" unless it is one of several
	link   *Way   // to Redis; nil if it is alone
	binary string
	dir    string   // for its logs and its store
	env    []string // of its process
	public string   // host:port
	push   string   // host:port
	diary  *Diary
	fail   func(error)
	http   *http.Client

	// Owned by the one who makes the faults.
	lives   int
	process *process // nil while there is none
}

// A process is one life of the server.
type process struct {
	cmd      *exec.Cmd
	log      *os.File
	expected chan struct{} // closed before it is ended
	exited   chan struct{} // closed when it is gone
}

// shutdownPatience is how long the server may take to stop.
const shutdownPatience = 60 * time.Second

// FreeAddress returns an address nobody listens at, and which stays free while the server is down: one that is this machine's
// but not 127.0.0.1, if the system has such, and a port that no outgoing connection is given.
func FreeAddress(pick func(int) int) (string, error) {
	// A child that is forked while the port is open has it too, until it runs its program.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	for range 100 {
		port := strconv.Itoa(20_000 + pick(12_000))
		for _, host := range []string{fmt.Sprintf("127.%d.%d.%d", 1+pick(250), pick(250), 1+pick(250)), "127.0.0.1"} {
			l, err := net.Listen("tcp", net.JoinHostPort(host, port))
			if err != nil {
				continue
			}
			if err := l.Close(); err != nil {
				return "", fmt.Errorf("looking for a free port: %w", err)
			}
			return net.JoinHostPort(host, port), nil
		}
	}
	return "", errors.New("looking for a free port: there is none between 20000 and 32000")
}

// URL is where the push port answers.
func (s *Server) URL() string { return "http://" + s.push }

// Start runs the server and waits until it answers.
func (s *Server) Start(ctx context.Context) error {
	s.lives++
	log, err := os.Create(s.logFile(s.lives))
	if err != nil {
		return fmt.Errorf("starting the server: %w", err)
	}
	p := &process{cmd: exec.Command(s.binary), log: log, expected: make(chan struct{}), exited: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = s.dir, s.env, log, log
	if err := s.diary.Note(Line{On: ServerStart, Node: s.name}); err != nil {
		return errors.Join(err, log.Close())
	}
	if err := p.cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("starting the server: %w", err), log.Close())
	}
	s.process = p
	go s.watch(p)
	for !s.answers(ctx) {
		select {
		case <-p.exited:
			return fmt.Errorf("the server ended before it answered; see %s", log.Name())
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return s.diary.Note(Line{On: ServerListen, Node: s.name})
}

// watch waits for the end of a process, and tells if nobody wanted it.
func (s *Server) watch(p *process) {
	defer close(p.exited)
	err := p.cmd.Wait()
	select {
	case <-p.expected: // it is up to who ended it what its exit code means
	default:
		s.fail(errors.Join(fmt.Errorf("the server ended by itself; see %s", p.log.Name()), err))
	}
	if err := p.log.Close(); err != nil {
		s.fail(fmt.Errorf("closing the server's log: %w", err))
	}
	if err := s.diary.Note(Line{On: ServerExit, Node: s.name}); err != nil {
		s.fail(err)
	}
}

// Kill ends the server at once.
func (s *Server) Kill() error {
	p := s.process
	s.process = nil
	close(p.expected)
	if err := s.diary.Note(Line{On: ServerKill, Node: s.name}); err != nil {
		return err
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing the server: %w", err)
	}
	<-p.exited
	return nil
}

// Stop ends the server by SIGTERM and says if it does not end well.
func (s *Server) Stop() error {
	p := s.process
	s.process = nil
	close(p.expected)
	if err := s.diary.Note(Line{On: ServerTerm, Node: s.name}); err != nil {
		return err
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("telling the server to stop: %w", err)
	}
	select {
	case <-p.exited:
	case <-time.After(shutdownPatience):
		err := p.cmd.Process.Kill()
		<-p.exited
		return errors.Join(fmt.Errorf("the server still ran %v after SIGTERM; see %s", shutdownPatience, p.log.Name()), err)
	}
	code := p.cmd.ProcessState.ExitCode()
	if code == 0 {
		return nil
	}
	text, err := os.ReadFile(p.log.Name())
	if err == nil && bytes.Contains(text, []byte(context.DeadlineExceeded.Error())) { // the machine was too slow for its patience
		return s.diary.Note(Line{On: ServerLate, Node: s.name})
	}
	return errors.Join(fmt.Errorf("after SIGTERM the server ended with %d; see %s", code, p.log.Name()), err)
}

// Pause has the server do nothing for a while.
func (s *Server) Pause(ctx context.Context, d time.Duration) error {
	if err := s.diary.Note(Line{On: ServerStop, Node: s.name}); err != nil {
		return err
	}
	if err := suspend(s.process.cmd.Process); err != nil {
		return fmt.Errorf("stopping the server: %w", err)
	}
	sleepErr := Sleep(ctx, d)
	if err := resume(s.process.cmd.Process); err != nil {
		return fmt.Errorf("continuing the server: %w", err)
	}
	return errors.Join(sleepErr, s.diary.Note(Line{On: ServerCont, Node: s.name}))
}

// answers asks the server once. That Redis is away is no answer.
func (s *Server) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.push+"/readyz", nil)
	if err != nil {
		return false
	}
	resp, err := s.http.Do(q)
	if err != nil {
		return false
	}
	text, err := io.ReadAll(resp.Body)
	return errors.Join(err, resp.Body.Close()) == nil && resp.StatusCode == http.StatusOK && !bytes.Contains(text, []byte("Redis is away"))
}

// inspect looks into the logs for what only a server that ends by itself tells by its exit code.
func (s *Server) inspect() error {
	for life := range s.lives {
		path := s.logFile(life + 1)
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("reading the server's log: %w", err)
		}
		for _, phrase := range []string{"DATA RACE", "panic: "} {
			if bytes.Contains(text, []byte(phrase)) {
				return fmt.Errorf("the server's log has %q: %s", phrase, path)
			}
		}
	}
	return nil
}

func (s *Server) logFile(life int) string {
	return filepath.Join(s.dir, fmt.Sprintf("server%s-%d.log", s.name, life))
}

// Sleep waits for d, or for the end of ctx, which is its error.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
