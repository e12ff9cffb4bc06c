package client_test

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"

	"crier/io/socketio"
	"crier/io/socketio/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// serve starts a server, with "/" and "/chat"; the test's end closes it.
func serve(t *testing.T, o socketio.Options) (*socketio.Server, string) {
	t.Helper()
	s, err := socketio.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Of("/chat"); err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Errorf("closing the server: %v", err)
		}
		h.Close()
	})
	return s, h.URL
}

// heard is what a client was told: one of these.
type heard struct {
	conn  *client.Conn
	event string // its name and arguments
	lost  error
	wait  time.Duration
}

// listener is a Handler that tells what happens to the test, and does what the test says.
type listener struct {
	what      chan heard
	over      <-chan struct{} // the test has seen enough
	connected func(*client.Conn) error
	event     func(*client.Event) error
	stay      bool // do not come back where Final says so
}

func (l *listener) tell(h heard) {
	select {
	case l.what <- h:
	case <-l.over:
	}
}

func (l *listener) Connected(c *client.Conn) error {
	l.tell(heard{conn: c})
	if l.connected != nil {
		return l.connected(c)
	}
	return nil
}

func (l *listener) Event(e *client.Event) error {
	text := e.Name
	for i := range e.Len() {
		arg, err := e.Plain(i)
		if err != nil {
			l.tell(heard{lost: err})
			return nil
		}
		text += " " + string(arg)
	}
	l.tell(heard{event: text})
	if l.event != nil {
		return l.event(e)
	}
	return nil
}

func (l *listener) Lost(err error, wait time.Duration) error {
	l.tell(heard{lost: err, wait: wait})
	if l.stay && client.Final(err) {
		return err
	}
	return nil
}

// running is a Run under way.
type running struct {
	*listener
	t      *testing.T
	cancel context.CancelFunc
	ended  chan error
}

// run runs a client until the test ends.
func run(t *testing.T, o client.Options, l *listener) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l.what, l.over = make(chan heard, 100), ctx.Done()
	r := &running{listener: l, t: t, cancel: cancel, ended: make(chan error, 1)}
	if o.Delay == 0 {
		o.Delay, o.MaxDelay = time.Millisecond, 2*time.Millisecond
	}
	go func() { r.ended <- client.Run(ctx, o, l); close(r.ended) }()
	t.Cleanup(func() {
		cancel()
		for range r.ended {
		}
	})
	return r
}

func take[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("nothing within %s", patience)
		panic("unreachable")
	}
}

// connection waits for the next connection.
func (r *running) connection() *client.Conn {
	r.t.Helper()
	for {
		if h := take(r.t, r.what); h.conn != nil {
			return h.conn
		}
	}
}

// wants waits for the next event.
func (r *running) wants(event string) {
	r.t.Helper()
	if h := take(r.t, r.what); h.event != event {
		r.t.Fatalf("got %+v, want the event %s", h, event)
	}
}

// loses waits for the next loss.
func (r *running) loses() error {
	r.t.Helper()
	h := take(r.t, r.what)
	if h.lost == nil {
		r.t.Fatalf("got %+v, want a loss", h)
	}
	return h.lost
}

// stop ends the client, and checks that it ends well.
func (r *running) stop() {
	r.t.Helper()
	r.cancel()
	if err := take(r.t, r.ended); err != nil {
		r.t.Errorf("Run: %v", err)
	}
}
