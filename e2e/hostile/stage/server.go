//go:build linux

// Package stage has what stands around an attack: the server that is attacked, its vital signs, and clients that have nothing to
// do with it and go on getting messages.
package stage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Server is a process that is attacked.
type Server struct {
	Name         string // "Crier", "Node"
	Public, Push string // host:port
	Secure       bool   // the public port has TLS

	cmd    *exec.Cmd
	exited chan struct{} // closed when it is gone; then err is set
	err    error
	log    *tail
	http   *http.Client
}

// Settings that have what is left of attackers end soon.
const (
	pingInterval   = 2 * time.Second
	pingTimeout    = 20 * time.Second // bystanders may be slow to answer on a busy machine
	connectTimeout = 3 * time.Second
	upgradeTimeout = 2 * time.Second
)

// Crier starts the given program, in a folder of its own, with settings besides those of every attack.
func Crier(ctx context.Context, binary, dir string, settings ...string) (*Server, error) {
	s := &Server{Name: "Crier"}
	// Crier refuses variables of that prefix that it does not know, as those of the other tests are.
	others := slices.DeleteFunc(os.Environ(), func(one string) bool { return strings.HasPrefix(one, "CRIER_") })
	env := append(others,
		"CRIER_LISTEN=127.0.0.1:0", "CRIER_API_LISTEN=127.0.0.1:0", "CRIER_STORE_PATH=memory", "CRIER_PRESENCE_COUNT_EVENT=off",
		fmt.Sprint("CRIER_SOCKETIO_PING_INTERVAL=", pingInterval), fmt.Sprint("CRIER_SOCKETIO_PING_TIMEOUT=", pingTimeout),
		fmt.Sprint("CRIER_SOCKETIO_CONNECT_TIMEOUT=", connectTimeout), fmt.Sprint("CRIER_SOCKETIO_UPGRADE_TIMEOUT=", upgradeTimeout),
		"CRIER_LIMITS_CONNECTIONS=0", "CRIER_SOCKETIO_PER_MESSAGE_DEFLATE=true", "CRIER_RECOVERY_WINDOW=2s", "CRIER_ROOMS_CLIENT_JOIN=allow",
	)
	if err := s.start(dir, append(env, settings...), binary); err != nil {
		return nil, err
	}
	var err error
	if s.Public, err = s.log.await(ctx, s.exited, regexp.MustCompile(`msg=listening port=public addr=(\S+)`)); err == nil {
		s.Push, err = s.log.await(ctx, s.exited, regexp.MustCompile(`msg=listening port=push addr=(\S+)`))
	}
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// SecureCrier is Crier with a certificate.
func SecureCrier(ctx context.Context, binary, dir string) (*Server, error) {
	cert, key, err := certificate(dir)
	if err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	s, err := Crier(ctx, binary, dir, "CRIER_TLS_CERT="+cert, "CRIER_TLS_KEY="+key)
	if err != nil {
		return nil, err
	}
	s.Secure = true
	return s, nil
}

// Node starts the official server, which is in the given folder, with its defaults but for what has attackers end, and compression.
func Node(ctx context.Context, folder string) (*Server, error) {
	s := &Server{Name: "Node"}
	options := fmt.Sprintf(`{"allowEIO3":true,"perMessageDeflate":true,"pingInterval":%d,"pingTimeout":%d,"connectTimeout":%d,"upgradeTimeout":%d}`,
		pingInterval.Milliseconds(), pingTimeout.Milliseconds(), connectTimeout.Milliseconds(), upgradeTimeout.Milliseconds())
	if err := s.start(folder, os.Environ(), "node", "--expose-gc", "server.mjs", "--port", "0", "--push-port", "0", "--options", options); err != nil {
		return nil, err
	}
	var err error
	if s.Public, err = s.log.await(ctx, s.exited, regexp.MustCompile(`port=public addr=(\S+)`)); err == nil {
		s.Push, err = s.log.await(ctx, s.exited, regexp.MustCompile(`port=push addr=(\S+)`))
	}
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Server) start(dir string, env []string, name string, args ...string) error {
	s.log = &tail{more: make(chan struct{})}
	s.exited = make(chan struct{})
	s.http = &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 1, MaxConnsPerHost: 1}}
	s.cmd = exec.Command(name, args...)
	s.cmd.Dir, s.cmd.Env = dir, env
	out, err := s.cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("starting %s: %w", s.Name, err)
	}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // whatever becomes of us
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", s.Name, err)
	}
	go func() {
		s.log.read(out)
		s.err = s.cmd.Wait()
		close(s.exited)
	}()
	return nil
}

// Gone reports whether the process has ended, and what it said at last.
func (s *Server) Gone() (gone bool, last string) {
	select {
	case <-s.exited:
		return true, s.log.text()
	default:
		return false, ""
	}
}

// Lingering is how long there may be a polling session of which its client has never joined: when the server has closed it, it
// waits for the client's next request.
const Lingering = connectTimeout + 30*time.Second

// stopPatience is how long a server may take to stop.
const stopPatience = 30 * time.Second

// Stop ends the process and waits for that.
func (s *Server) Stop() error {
	s.http.CloseIdleConnections()
	err := s.cmd.Process.Signal(syscall.SIGTERM)
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	select {
	case <-s.exited:
	case <-time.After(stopPatience):
		err = errors.Join(err, fmt.Errorf("%s did not stop", s.Name), s.cmd.Process.Kill())
		<-s.exited
	}
	return err
}

// pushTo pushes to a user as web-msg-sender's callers do.
func (s *Server) pushTo(ctx context.Context, uid, content string) error {
	body := "type=publish&to=" + uid + "&content=" + content
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.Push+"/", strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := s.http.Do(r)
	if err != nil {
		return fmt.Errorf("pushing: %w", err)
	}
	answer, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return fmt.Errorf("pushing: %w", err)
	}
	if string(answer) != "ok" {
		return fmt.Errorf("the push was answered %.100q", answer)
	}
	return nil
}

// read keeps the last lines of what a program prints.
func (t *tail) read(r io.Reader) {
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		t.add(in.Text())
	}
}
