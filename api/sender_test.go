package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"crier/io/hub"
)

// abroad is a Sender whose results come when the test says so, in the order of the pushes.
type abroad struct {
	*hub.Hub
	after int // pushes that must have come before there are results
	err   error

	mu     sync.Mutex
	events []string
	dones  []func(hub.Result)
}

func (a *abroad) Send(_ context.Context, p hub.Push, done func(hub.Result)) error {
	if a.err != nil {
		return a.err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.events = append(a.events, string(p.Message.Args[0]))
	if a.dones = append(a.dones, done); len(a.dones) < a.after {
		return nil
	}
	for i, done := range a.dones {
		go done(hub.Result{Users: i, Connections: 2 * i, Partial: i == 1})
	}
	a.dones = nil
	return nil
}

// TestSender answers lines, an array and an id when the results are there; nothing waits for those before it to be sent.
func TestSender(t *testing.T) {
	const n = 20
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, `{"to":{"all":true},"data":%d}`+"\n", i)
	}
	body := strings.TrimSpace(text.String())
	for name, c := range map[string]struct{ body, contentType string }{
		"lines": {body, "application/x-ndjson"},
		"array": {"[" + strings.ReplaceAll(body, "\n", ",") + "]", "application/json"},
	} {
		t.Run(name, func(t *testing.T) {
			far := &abroad{Hub: realHub(t), after: n}
			s := newServer(t, Options{Pusher: far, Sender: far})
			w := do(s, http.MethodPost, "/v1/push/batch", c.contentType, c.body)
			answers := strings.TrimSpace(w.Body.String())
			if name == "lines" {
				answers = "[" + strings.ReplaceAll(answers, "\n", ",") + "]"
			}
			var got []struct {
				Matched struct{ Users, Connections int }
				Partial bool
			}
			if err := json.Unmarshal([]byte(answers), &got); err != nil || len(got) != n {
				t.Fatalf("%v in %s", err, answers)
			}
			for i, one := range got {
				if one.Matched.Users != i || one.Matched.Connections != 2*i || one.Partial != (i == 1) || far.events[i] != fmt.Sprint(i) {
					t.Errorf("answer %d: %+v to %s", i, one, far.events[i])
				}
			}
		})
	}
}

// outpost is one of several servers: what is to be acknowledged has its place in their order a second later than it is asked for.
type outpost struct {
	abroad
	err error // of Ask

	mu     sync.Mutex
	events []string
}

func (o *outpost) note(event string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, event)
}

func (o *outpost) Ask(_ context.Context, p hub.Push, q hub.Question) (hub.Result, error) {
	if o.err != nil {
		return hub.Result{}, o.err
	}
	time.AfterFunc(time.Second, func() {
		o.note("asked " + string(p.Message.Args[0]))
		if q.Placed != nil {
			q.Placed()
		}
	})
	time.AfterFunc(q.Wait, func() { q.Done(hub.Answers{}) })
	return hub.Result{}, nil
}

func (o *outpost) Store(_ context.Context, p hub.Push, k hub.Keep) error {
	o.note("stored " + string(p.Message.Args[0]))
	k.Done(hub.Kept{})
	return nil
}

// What is stored does not overtake what was to be acknowledged before it, but does not wait for acknowledgements.
func TestStoredBehindAsked(t *testing.T) {
	const lines = `{"to":{"all":true},"data":1,"ack":"60s"}` + "\n" + `{"to":{"users":["u"]},"data":2,"store":true}` + "\n"
	for err, want := range map[error]string{nil: "asked 1, stored 2", hub.ErrBusy: "stored 2"} {
		synctest.Test(t, func(t *testing.T) {
			far := &outpost{abroad: abroad{Hub: realHub(t)}, err: err}
			s := newServer(t, Options{Pusher: far, Sender: far, Asker: far, Keeper: far})
			time.AfterFunc(2*time.Second, func() { far.note("2 s") })
			w := do(s, http.MethodPost, "/v1/push/batch", "application/x-ndjson", lines)
			if n := strings.Count(w.Body.String(), "\n"); n != 2 {
				t.Errorf("%d answers: %s", n, w.Body)
			}
			time.Sleep(3 * time.Second)
			far.mu.Lock()
			defer far.mu.Unlock()
			if got := strings.Join(far.events, ", "); got != want+", 2 s" {
				t.Errorf("%v: %s, want %s", err, got, want)
			}
		})
	}
}

func TestSenderRemembers(t *testing.T) {
	far := &abroad{Hub: realHub(t), after: 1}
	s := newServer(t, Options{Pusher: far, Sender: far})
	const push = `{"id":"x","to":{"all":true},"data":1}`
	for i, duplicate := range []bool{false, true} {
		want := fmt.Sprintf(`{"id":"x","matched":{"users":0,"connections":0},"stored":false,"duplicate":%v}`, duplicate)
		if got := do(s, http.MethodPost, "/v1/push", "", push).Body.String(); got != want {
			t.Errorf("call %d: %s, want %s", i, got, want)
		}
	}
	if len(far.events) != 1 {
		t.Errorf("pushed %q", far.events)
	}
	for err, want := range map[error]code{hub.ErrBusy: codeRedisAway, hub.ErrAway: codeRedisAway, hub.ErrClosed: codeStopping} {
		far.err = err
		checkProblem(t, do(s, http.MethodPost, "/v1/push", "", `{"to":{"all":true},"data":1}`), want)
	}
}

// partly is a Directory that knows a part only.
type partly struct{ *hub.Hub }

var errPart = fmt.Errorf("asking: %w", hub.ErrPartial)

func (p partly) Users(hub.Page) ([]hub.Listed, string, error) {
	return []hub.Listed{{Name: "7", Connections: 1}}, "next", errPart
}
func (p partly) Rooms(hub.Page) ([]hub.Listed, string, error) { return nil, "", errPart }
func (p partly) Room(string, hub.Page) ([]hub.Occupant, string, error) {
	return []hub.Occupant{{Connection: "c"}}, "", errPart
}
func (p partly) User(string) ([]hub.Session, error)                    { return nil, errPart }
func (p partly) Disconnect(context.Context, hub.Audience) (int, error) { return 1, errPart }
func (p partly) Count(context.Context, hub.Audience) (hub.Result, error) {
	return hub.Result{Partial: true}, nil
}

func TestPartialAnswers(t *testing.T) {
	h := realHub(t)
	s := newServer(t, Options{
		Pusher: h, Directory: partly{h},
		Cluster: func(context.Context) ClusterFigures {
			return ClusterFigures{Node: "b", Nodes: []string{"a", "b"}, Partial: 1, Gaps: 2}
		},
	})
	for _, c := range []struct{ method, path, body, want string }{
		{"GET", "/v1/users", "", `{"users":[{"uid":"7","connections":1}],"next":"next","partial":true}`},
		{"GET", "/v1/users/7", "", `{"uid":"7","online":false,"rooms":[],"connections":[],"partial":true}`},
		{"DELETE", "/v1/users/7", "", `{"uid":"7","disconnected":1,"partial":true}`},
		{"GET", "/v1/rooms", "", `{"rooms":[],"partial":true}`},
		{"GET", "/v1/rooms/r", "", `{"room":"r","members":[{"connection":"c"}],"partial":true}`},
		{"POST", "/v1/push", `{"to":{"all":true},"data":1,"dry_run":true}`, `{"matched":{"users":0,"connections":0},"partial":true,"stored":false,"duplicate":false}`},
	} {
		if got := do(s, c.method, c.path, "", c.body); got.Code != http.StatusOK || got.Body.String() != c.want {
			t.Errorf("%s %s: %d %s, want %s", c.method, c.path, got.Code, got.Body, c.want)
		}
	}
	var stats struct{ Cluster ClusterFigures }
	decodeAnswer(t, do(s, "GET", "/v1/stats", "", ""), &stats)
	if c := stats.Cluster; c.Node != "b" || !slices.Equal(c.Nodes, []string{"a", "b"}) || c.Partial != 1 || c.Gaps != 2 {
		t.Errorf("%+v", c)
	}
}

// A push of the legacy form that found nobody here is none to somebody offline when it is not known who is where.
func TestLegacyPartial(t *testing.T) {
	s := newServer(t, Options{Pusher: pusherOf(func(hub.Push) hub.Result { return hub.Result{Partial: true} })})
	for query, want := range map[string]string{"type=publish&to=7&content=x": "fail", "type=publish&content=x": "ok"} {
		if got := do(s, "GET", "/?"+query, "", "").Body.String(); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

type pusherOf func(hub.Push) hub.Result

func (f pusherOf) Push(_ context.Context, p hub.Push) (hub.Result, error) { return f(p), nil }
