package client_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"crier/api"
	"crier/api/client"
	"crier/io/hub"
	"crier/io/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what a test waits for.
const patience = time.Minute

// ear is a connection that keeps what it is given.
type ear struct {
	id string

	mu     sync.Mutex
	got    []*hub.Message
	kicked bool
}

func (e *ear) ID() string { return e.id }

func (e *ear) Deliver(m *hub.Message) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.got = append(e.got, m)
	return nil
}

func (e *ear) Kick() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.kicked = true
}

// take returns what has arrived since the last call.
func (e *ear) take() []*hub.Message {
	e.mu.Lock()
	defer e.mu.Unlock()
	got := e.got
	e.got = nil
	return got
}

// pushPort is a real push port without an app around it.
type pushPort struct {
	*api.Server
	hub *hub.Hub
	url string
}

// start serves a push port until the test ends.
func start(t *testing.T, access api.Access) *pushPort {
	t.Helper()
	h, err := hub.New(hub.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := api.New(api.Options{
		Pusher: h, Access: access, MaxContent: 1000,
		Store: func() api.StoreFigures {
			return api.StoreFigures{Bytes: 7, Free: 6, Commits: 5, Writes: 4, Failures: 3, Compactions: 2, Error: "full"}
		},
		Limits: func() api.LimitFigures {
			return api.LimitFigures{Connections: 1, Full: 2, TooMany: 3, TooFast: 4, TurnedAway: 5, Slow: 6, PutOff: 7, Queued: 8, QueueTotal: 9, Evicted: 10}
		},
		Redis: func() api.RedisFigures {
			return api.RedisFigures{Up: true, Since: time.Unix(7, 0).UTC(), Lost: 6, Pushes: 5, Requests: 4, Repeated: 3, Passed: 2, Dropped: 1}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		s.Close()
		server.Close()
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return &pushPort{Server: s, hub: h, url: server.URL}
}

// startStoring serves one that can store messages.
func startStoring(t *testing.T) *pushPort {
	t.Helper()
	file, err := store.Open(store.Options{Path: filepath.Join(t.TempDir(), "crier.db")})
	if err != nil {
		t.Fatal(err)
	}
	inbox, err := file.Inbox(store.InboxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := hub.New(hub.Options{Inbox: inbox})
	if err != nil {
		t.Fatal(err)
	}
	s, err := api.New(api.Options{Pusher: h, Keeper: h, Receipts: inbox})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		s.Close()
		server.Close()
		if err := errors.Join(h.Close(context.Background()), inbox.Close(), file.Close()); err != nil {
			t.Error(err)
		}
	})
	return &pushPort{Server: s, hub: h, url: server.URL}
}

// listen adds a connection, logged in unless uid is empty.
func (p *pushPort) listen(t *testing.T, id, uid string, rooms ...string) *ear {
	t.Helper()
	e := &ear{id: id}
	m, err := p.hub.Connect(e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Gone)
	if uid != "" {
		if err := m.Login(uid); err != nil {
			t.Fatal(err)
		}
	}
	for _, room := range rooms {
		if err := m.Join(room); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// client returns a client of p, whose connections end with the test.
func (p *pushPort) client(t *testing.T, o client.Options) *client.Client {
	t.Helper()
	o.URL = p.url
	return newClient(t, o)
}

func newClient(t *testing.T, o client.Options) *client.Client {
	t.Helper()
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// within returns a context for what a test waits for.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
