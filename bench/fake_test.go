//go:build linux

package bench_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"crier/bench"
	"crier/bench/load"
)

// fake is a Socket.IO server over WebSocket, or polling of Engine.IO 3, with a push port of the legacy form. Its messages go
// as the test says.
type fake struct {
	eio          int
	pingInterval int  // milliseconds
	closes       bool // connections of pushers, with each answer
	// deliver is which packets a client gets instead of the n-th message to it, counted from 1, and whether it
	// loses its connection.
	deliver func(n int, packet string) (packets []string, cut bool)
	// answer is what a pusher gets instead of ok for its n-th push.
	answer func(n int) string

	mu      sync.Mutex
	from    map[string]int // connections of clients by their address
	users   map[string]*fakeClient
	pushed  int
	waiting sync.WaitGroup
}

type fakeClient struct {
	conn  net.Conn
	count int
	held  []string // packets for a poll
}

// startFake starts one, and returns the options of a short run against it.
func startFake(t *testing.T, mode bench.Mode, s *fake) bench.Options {
	t.Helper()
	s.users, s.from = make(map[string]*fakeClient), make(map[string]int)
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		server.Close()
		s.mu.Lock()
		for _, c := range s.users {
			if c.conn != nil {
				_ = c.conn.Close() //nolint:errcheck // the client may have closed it
			}
		}
		s.mu.Unlock()
		s.waiting.Wait()
	})
	o := options(mode)
	o.URL, o.PushURL = server.URL, server.URL
	o.Server = bench.Servers()["node"]
	return o
}

func (s *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/":
		s.push(w, r)
	case r.URL.Query().Get("transport") == "polling":
		s.poll(w, r)
	default:
		conn, in, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		s.waiting.Add(1)
		defer s.waiting.Done()
		defer conn.Close()
		host, _, _ := net.SplitHostPort(r.RemoteAddr) //nolint:errcheck // net/http has made it
		s.mu.Lock()
		s.from[host]++
		s.mu.Unlock()
		s.socket(conn, in.Reader)
	}
}

func (s *fake) open(sid string) string {
	return fmt.Sprintf(`0{"sid":"%s","upgrades":[],"pingInterval":%d,"pingTimeout":20000,"maxPayload":1000000}`, sid, max(s.pingInterval, 1)+25000*(1-min(s.pingInterval, 1)))
}

// socket serves a WebSocket.
func (s *fake) socket(conn net.Conn, in *bufio.Reader) {
	say := func(packets ...string) {
		var frames []byte
		for _, p := range packets {
			frames = load.AppendServerFrame(frames, p)
		}
		_, _ = conn.Write(frames) //nolint:errcheck // the next read fails too
	}
	fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
	say(s.open("a"))
	if s.eio == 3 {
		say("40")
	}
	for {
		var head [6]byte // a short frame, and its mask of zeros
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return
		}
		payload := make([]byte, head[1]&0x7f)
		if _, err := io.ReadFull(in, payload); err != nil {
			return
		}
		switch packet := string(payload); {
		case packet == "40":
			say(`40{"sid":"a"}`)
		case packet == "2":
			say("3")
		case strings.HasPrefix(packet, `420["login","`):
			uid := strings.TrimSuffix(strings.TrimPrefix(packet, `420["login","`), `"]`)
			s.mu.Lock()
			s.users[uid] = &fakeClient{conn: conn}
			s.mu.Unlock()
			say(`430[{"ok":true}]`)
		case strings.HasPrefix(packet, "42"):
			id, _, _ := strings.Cut(packet[2:], "[")
			s.acknowledge(conn, id)
		}
	}
}

// acknowledge treats acknowledgements like messages.
func (s *fake) acknowledge(conn net.Conn, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.users {
		if c.conn == conn {
			s.give(c, "43"+id+`[{"ok":true}]`)
		}
	}
}

// poll serves what there is at once, or nothing.
func (s *fake) poll(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sid := r.URL.Query().Get("sid")
	if sid == "" {
		sid = fmt.Sprint("s", len(s.users))
		s.users[sid] = &fakeClient{held: []string{s.open(sid), "40"}}
	}
	c := s.users[sid]
	if r.Method == http.MethodPost {
		body, _ := io.ReadAll(r.Body) //nolint:errcheck // an empty one means nothing
		switch {
		case bytes.Contains(body, []byte(`:420["login"`)):
			c.held = append(c.held, `430[{"ok":true}]`)
		case string(body) == "1:2":
			c.held = append(c.held, "3")
		}
		fmt.Fprint(w, "ok")
		return
	}
	if len(c.held) == 0 {
		c.held = []string{"6"}
	}
	for _, p := range c.held {
		fmt.Fprintf(w, "%d:%s", len(p), p)
	}
	c.held = nil
}

// push takes a push of the legacy form.
func (s *fake) push(w http.ResponseWriter, r *http.Request) {
	to, content := r.PostFormValue("to"), r.PostFormValue("content")
	if s.closes {
		w.Header().Set("Connection", "close")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pushed++
	for uid, c := range s.users {
		if to == "" || to == uid {
			s.give(c, `42["new_msg","`+content+`"]`)
		}
	}
	answer := "ok"
	if s.answer != nil {
		answer = s.answer(s.pushed)
	}
	fmt.Fprint(w, answer)
}

func (s *fake) give(c *fakeClient, packet string) {
	if c.conn == nil {
		c.held = append(c.held, packet)
		return
	}
	c.count++
	packets, cut := []string{packet}, false
	if s.deliver != nil {
		packets, cut = s.deliver(c.count, packet)
	}
	for _, p := range packets {
		_, _ = c.conn.Write(load.AppendServerFrame(nil, p)) //nolint:errcheck // it may have been cut before
	}
	if cut {
		_ = c.conn.Close() //nolint:errcheck // it may have been cut before
	}
}
