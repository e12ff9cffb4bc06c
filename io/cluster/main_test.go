package cluster

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"crier/io/hub"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

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

// notebook is Sockets that write down what they are told, on a hub.
type notebook struct {
	name string
	hub  *hub.Hub

	mu    sync.Mutex
	lines []string
}

func (n *notebook) note(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, n.name+" "+fmt.Sprintf(format, args...))
}

func (n *notebook) taken() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.lines)
}

func (n *notebook) Push(ctx context.Context, p hub.Push) (hub.Result, error) {
	r, err := n.hub.Push(ctx, p)
	if err == nil {
		n.note("%s: %s", describe(p.To), describeMessage(p.Message))
	}
	return r, err
}

func (n *notebook) Members(a hub.Audience) ([]*hub.Member, error) {
	members, err := n.hub.Members(a)
	if err == nil {
		n.note("%s: members", describe(a))
	}
	return members, err
}

func (n *notebook) Disconnect(ctx context.Context, a hub.Audience) (int, error) {
	count, err := n.hub.Disconnect(ctx, a)
	if err == nil {
		n.note("%s: close", describe(a))
	}
	return count, err
}

// describe writes an audience of emitters: names, and those of the exception, which must each mean all three things.
func describe(a hub.Audience) string {
	names := "nobody"
	switch {
	case a.All:
		names = "all"
	case !slices.Equal(a.Users, a.Rooms) || !slices.Equal(a.Users, a.Connections):
		names = fmt.Sprintf("users %q rooms %q connections %q", a.Users, a.Rooms, a.Connections)
	case len(a.Users) > 0:
		names = strings.Join(slices.Sorted(slices.Values(a.Users)), "+")
	}
	if a.Except != nil {
		names += " except " + describe(*a.Except)
	}
	return names
}

func describeMessage(m *hub.Message) string {
	b := []byte(m.Event)
	for _, arg := range m.Args {
		b = append(append(b, ' '), arg...)
	}
	for i, a := range m.Attachments {
		b = fmt.Appendf(b, " #%d=%s", i, hex.EncodeToString(a))
	}
	if m.Volatile {
		b = append(b, " volatile"...)
	}
	return string(b)
}

// newHub returns a hub that the test's end closes.
func newHub(t testing.TB) *hub.Hub {
	t.Helper()
	h, err := hub.New(hub.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return h
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

// station is Emitters with two namespaces, / and /chat.
type station struct {
	*Emitters
	main, chat *notebook
	log        *logBook
}

// maxPayload is what the stations of tests allow.
const maxPayload = 100_000

// newStation makes Emitters that are not started.
func newStation(t testing.TB, redis *Redis) *station {
	t.Helper()
	s := &station{main: &notebook{name: "/", hub: newHub(t)}, chat: &notebook{name: "/chat", hub: newHub(t)}, log: &logBook{}}
	var err error
	s.Emitters, err = NewEmitters(EmitterOptions{
		Redis: redis, Sockets: map[string]Sockets{"/": s.main, "/chat": s.chat}, MaxPayload: maxPayload,
		Logger: slog.New(slog.NewTextHandler(s.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// nowhere is a Redis that nobody connects to.
func nowhere(t testing.TB) *Redis {
	t.Helper()
	r, err := NewRedis(RedisOptions{URL: "redis://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// hear has the station receive something, and returns what it has done because of it.
func (s *station) hear(channel string, body []byte) []string {
	main, chat := len(s.main.taken()), len(s.chat.taken())
	s.receive(context.Background(), channel, body)
	return slices.Concat(s.main.taken()[main:], s.chat.taken()[chat:])
}

// valid tells whether all arguments are JSON.
func valid(args []json.RawMessage) bool {
	return !slices.ContainsFunc(args, func(a json.RawMessage) bool { return !json.Valid(a) })
}
