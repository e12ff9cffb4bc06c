package client_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"crier/io/engineio"
	"crier/io/socketio"
	"crier/io/socketio/client"
)

func TestEvents(t *testing.T) {
	for _, namespace := range []string{"/", "/chat"} {
		t.Run(namespace, func(t *testing.T) {
			s, url := serve(t, socketio.Options{})
			n, err := s.Of(namespace)
			if err != nil {
				t.Fatal(err)
			}
			sockets, left, acked := make(chan *socketio.Socket, 1), make(chan socketio.Reason, 1), make(chan string, 1)
			n.OnConnect(func(s *socketio.Socket) { sockets <- s })
			n.OnDisconnect(func(_ *socketio.Socket, r socketio.Reason) { left <- r })
			n.On("echo", func(e *socketio.Event) {
				if err := e.Ack(e.ForwardAll()...); err != nil {
					t.Error(err)
				}
			})
			answers := make(chan string, 1)
			l := &listener{
				connected: func(c *client.Conn) error {
					return c.Emit("echo", func(args socketio.Args) error {
						data, ok := args.Binary(1)
						answers <- string(args.JSON(0)) + string(data) + map[bool]string{true: "!"}[ok]
						return nil
					}, socketio.JSON("中<"), socketio.Binary([]byte("\x00\xff")))
				},
				event: func(e *client.Event) error {
					if e.WantsAck() {
						return e.Ack(socketio.JSON("yes"), socketio.Binary([]byte("b")))
					}
					if err := e.Ack(); !errors.Is(err, socketio.ErrNoAck) {
						t.Errorf("an ack that nobody wants: %v", err)
					}
					return nil
				},
			}
			r := run(t, client.Options{URL: url, Namespace: namespace}, l)
			socket := take(t, sockets)
			if c := r.connection(); c.ID() != socket.ID() {
				t.Errorf("the id is %q, at the server %q", c.ID(), socket.ID())
			}
			if got := take(t, answers); got != "\"中<\"\x00\xff!" {
				t.Errorf("the ack is %q", got)
			}
			if err := socket.Emit("e", socketio.JSON(1), socketio.JSON(map[string]any{"b": socketio.Bytes("x")}), socketio.Binary([]byte("y"))); err != nil {
				t.Fatal(err)
			}
			r.wants(`e 1 {"b":{"$binary":"eA=="}} {"$binary":"eQ=="}`)
			if err := socket.EmitWithAck(patience, func(args socketio.Args, err error) {
				data, _ := args.Binary(1)
				acked <- string(args.JSON(0)) + string(data)
				if err != nil {
					t.Error(err)
				}
			}, "question"); err != nil {
				t.Fatal(err)
			}
			r.wants("question")
			if got := take(t, acked); got != `"yes"b` {
				t.Errorf("the answer is %s", got)
			}
			r.stop()
			if reason := take(t, left); reason != socketio.ClientDisconnect {
				t.Errorf("the client left by %q", reason)
			}
		})
	}
}

func TestAuth(t *testing.T) {
	s, url := serve(t, socketio.Options{})
	got := make(chan string, 1)
	s.Main().Use(func(s *socketio.Socket) error {
		h := s.Handshake()
		got <- string(s.Auth()) + h.Query.Get("x") + h.Header.Get("X-Test")
		return nil
	})
	r := run(t, client.Options{URL: url + "?x=1", Auth: map[string]string{"uid": "a"}, Header: http.Header{"X-Test": {"2"}}}, &listener{})
	r.connection()
	if text := take(t, got); text != `{"uid":"a"}12` {
		t.Error(text)
	}
}

// A connection that ends comes back, as another one.
func TestReturn(t *testing.T) {
	s, url := serve(t, socketio.Options{})
	sockets := make(chan *socketio.Socket, 1)
	s.Main().OnConnect(func(s *socketio.Socket) { sockets <- s })
	r := run(t, client.Options{URL: url}, &listener{})
	seen := map[string]bool{}
	for range 3 {
		take(t, sockets).Session().Close()
		seen[r.connection().ID()] = true
		if err := r.loses(); client.Final(err) {
			t.Errorf("lost with %v", err)
		}
	}
	if len(seen) != 3 {
		t.Errorf("the ids are %v", seen)
	}
}

func TestRefused(t *testing.T) {
	s, url := serve(t, socketio.Options{})
	s.Main().Use(func(*socketio.Socket) error {
		return &socketio.ConnectError{Message: "no", Data: json.RawMessage(`{"code":"refused"}`)}
	})
	r := run(t, client.Options{URL: url}, &listener{stay: true})
	var refused *socketio.ConnectError
	if err := take(t, r.ended); !errors.As(err, &refused) || refused.Message != "no" || string(refused.Data) != `{"code":"refused"}` {
		t.Errorf("%v", err)
	}
	r = run(t, client.Options{URL: url}, &listener{}) // whose handler wants to try again
	for range 3 {
		if err := r.loses(); !client.Final(err) {
			t.Error(err)
		}
	}
	r.stop()
}

func TestDisconnected(t *testing.T) {
	s, url := serve(t, socketio.Options{})
	s.Main().OnConnect(func(s *socketio.Socket) {
		s.Disconnect()
	})
	r := run(t, client.Options{URL: url}, &listener{stay: true})
	if err := take(t, r.ended); !errors.Is(err, client.ErrDisconnected) {
		t.Error(err)
	}
}

// What the handler says ends Run.
func TestHandlerErrors(t *testing.T) {
	s, url := serve(t, socketio.Options{})
	s.Main().OnConnect(func(s *socketio.Socket) {
		if err := s.Emit("e"); err != nil && !errors.Is(err, socketio.ErrDisconnected) {
			t.Error(err)
		}
	})
	s.Main().On("ask", func(e *socketio.Event) {
		if err := e.Ack(); err != nil && !errors.Is(err, socketio.ErrDisconnected) {
			t.Error(err)
		}
	})
	own := errors.New("mine")
	for name, l := range map[string]*listener{
		"Connected": {connected: func(*client.Conn) error { return own }},
		"Event":     {event: func(*client.Event) error { return own }},
		"ack":       {connected: func(c *client.Conn) error { return c.Emit("ask", func(socketio.Args) error { return own }) }},
	} {
		if err := take(t, run(t, client.Options{URL: url}, l).ended); !errors.Is(err, own) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r := run(t, client.Options{URL: url}, &listener{connected: func(c *client.Conn) error { return c.Emit("connect", nil) }})
	if err := take(t, r.ended); !errors.Is(err, socketio.ErrReserved) {
		t.Error(err)
	}
}

func TestHandshakeErrors(t *testing.T) {
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "not\nfrom \x1b there", http.StatusForbidden)
	}))
	defer h.Close()
	r := run(t, client.Options{URL: h.URL}, &listener{})
	var refused *client.HandshakeError
	if err := r.loses(); !errors.As(err, &refused) || refused.Status != 403 || refused.Text != "not from there" || client.Final(err) {
		t.Errorf("%v", err)
	}
	r.stop()

	h.Close()
	r = run(t, client.Options{URL: h.URL}, &listener{})
	if err := r.loses(); err == nil || strings.Contains(err.Error(), "EIO=4") {
		t.Errorf("%v", err)
	}
	r.stop()
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]client.Options{
		"nothing":  {},
		"no host":  {URL: "canary:2120"},
		"scheme":   {URL: "ftp://canary"},
		"user":     {URL: "http://canary:canary@h"},
		"fragment": {URL: "http://h/#canary"},
		"broken":   {URL: "http://h/%zzcanary"},
		"auth":     {URL: "http://127.0.0.1:1", Auth: "canary"},
		"bad auth": {URL: "http://127.0.0.1:1", Auth: make(chan int)},
	} {
		err := take(t, run(t, o, &listener{}).ended)
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A long wait between two attempts ends with the context.
func TestStopWhileAway(t *testing.T) {
	r := run(t, client.Options{URL: "http://127.0.0.1:1", Delay: time.Hour, MaxDelay: time.Hour}, &listener{})
	if err := r.loses(); err == nil {
		t.Error("no error")
	}
	r.stop()
}

// Heartbeats keep a connection that has nothing else to say.
func TestHeartbeat(t *testing.T) {
	pings := 20 * time.Millisecond
	s, url := serve(t, socketio.Options{Engine: engineio.Options{PingInterval: pings, PingTimeout: patience}})
	sockets := make(chan *socketio.Socket, 1)
	s.Main().OnConnect(func(s *socketio.Socket) { sockets <- s })
	r := run(t, client.Options{URL: url}, &listener{})
	socket := take(t, sockets)
	r.connection()
	ticker := time.NewTicker(10 * pings) // by then ten heartbeats were due
	defer ticker.Stop()
	<-ticker.C
	if err := socket.Emit("still"); err != nil {
		t.Fatal(err)
	}
	r.wants("still")
}
