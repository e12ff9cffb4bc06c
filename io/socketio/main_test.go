package socketio

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"crier/fallback"
	"crier/io/engineio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// kind is a way to connect.
type kind struct {
	name    string
	rev     engineio.Revision
	polling bool
}

// The revisions of Engine.IO are those of the clients: 4 comes with Socket.IO
// protocol 5, 3 with the protocols 3 and 4.
var (
	ws5      = kind{"protocol 5 websocket", engineio.Revision4, false}
	polling5 = kind{"protocol 5 polling", engineio.Revision4, true}
	ws4      = kind{"protocol 4 websocket", engineio.Revision3, false}
	polling4 = kind{"protocol 4 polling", engineio.Revision3, true}
	kinds    = []kind{ws5, polling5, ws4, polling4}
)

// eachKind runs a test for every way to connect.
func eachKind(t *testing.T, fn func(t *testing.T, k kind)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) { fn(t, k) })
	}
}

// host is a server under test.
type host struct {
	*Server
	http *httptest.Server
	log  *logBook
}

// serve starts a server, with "/" and "/chat", whose event sync is acknowledged;
// the test's end closes it.
func serve(t testing.TB, adapt func(*Options)) *host {
	t.Helper()
	log := &logBook{}
	o := Options{
		Engine: engineio.Options{Polling: fallback.Polling(1_000_000, 1<<20, 1000, nil)},
		Logger: slog.New(slog.NewTextHandler(log, nil)),
	}
	if adapt != nil {
		adapt(&o)
	}
	srv, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	chat, err := srv.Of("/chat")
	if err != nil {
		t.Fatal(err)
	}
	h := &host{Server: srv, http: httptest.NewServer(srv), log: log}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := srv.Close(ctx); err != nil {
			t.Errorf("closing the server: %v", err)
		}
		h.http.Close()
	})
	for _, n := range []*Namespace{srv.Main(), chat} {
		n.On("sync", func(e *Event) {
			if err := e.Ack(); err != nil {
				t.Errorf("acknowledging sync: %v", err)
			}
		})
	}
	return h
}

// chat is the namespace besides the main one.
func (h *host) chat() *Namespace { return h.namespace("/chat") }

// arrivals tells of the sockets that join n.
func arrivals(n *Namespace) <-chan *Socket {
	came := make(chan *Socket, 100)
	n.OnConnect(func(s *Socket) { came <- s })
	return came
}

// departures tells why sockets leave n.
func departures(n *Namespace) <-chan Reason {
	left := make(chan Reason, 100)
	n.OnDisconnect(func(_ *Socket, r Reason) { left <- r })
	return left
}

// take returns the next value of c.
func take[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: nothing within %v", what, patience)
		panic("unreachable")
	}
}

// await waits until a condition holds.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	end := time.After(patience)
	for !holds() {
		select {
		case <-ticker.C:
		case <-end:
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// same compares, and ends the test if got is not want.
func same[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

// logBook is a log that can be read while it is written.
type logBook struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// reset forgets what was logged.
func (l *logBook) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}
