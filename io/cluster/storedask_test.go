package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"crier/io/hub"
)

// asked is a page that acknowledges what it is asked, with its id.
type asked struct {
	page
	member *hub.Member
	mute   bool // it does not
}

func (p *asked) Member() *hub.Member { return p.member }
func (p *asked) Forget(*hub.Message) {}

func (p *asked) Deliver(m *hub.Message) error {
	if err := p.page.Deliver(m); err != nil {
		return err
	}
	if a := m.Ask(); a != nil && a.Expect(p) && !p.mute {
		a.Answer(p, []json.RawMessage{json.RawMessage(`"` + p.id + `"`)}, nil)
	}
	return nil
}

// visitAsked logs a page in that acknowledges, unless it is mute.
func (o *depot) visitAsked(t *testing.T, id, uid string, mute bool, rooms ...string) *asked {
	t.Helper()
	p := &asked{page: page{id: id}, mute: mute}
	var err error
	if p.member, err = o.hub.Connect(p); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.member.Gone)
	if uid != "" {
		if err := p.member.Login(uid); err != nil {
			t.Fatal(err)
		}
	}
	for _, room := range rooms {
		if err := p.member.Join(room); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// ask stores a message, and returns what was said when it was stored, and what clients acknowledged it with.
func (o *depot) ask(t *testing.T, id string, to hub.Audience, wait time.Duration) string {
	t.Helper()
	var stored hub.Kept
	answers := make(chan hub.Answers, 1)
	err := o.hub.Store(context.Background(), hub.Push{To: to, Message: text(id)}, hub.Keep{
		Expires: time.Now().Add(time.Hour),
		Ask:     &hub.Question{Wait: wait, Keep: 1000, Done: func(a hub.Answers) { answers <- a }},
		Done: func(k hub.Kept) {
			stored = k
			if k.Known || k.Err != nil {
				close(answers)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	a, ok := <-answers
	if !ok {
		return fmt.Sprintf("known %v, %v", stored.Known, stored.Err)
	}
	if a.Pushed.Users != stored.Users || a.Pushed.Connections != stored.Connections || a.Pushed.Delivered != stored.Delivered {
		t.Errorf("pushed to %+v, it was said before: %+v", a.Pushed, stored.Result)
	}
	var list []string
	for _, one := range a.List {
		list = append(list, fmt.Sprintf("%s=%s", one.UID, one.Args[0]))
	}
	slices.Sort(list)
	return fmt.Sprintf("%d/%d: %d/%d of %d %v late %v partial %v", stored.Users, stored.Connections, a.Users, a.Connections, a.Asked, list, a.Late, a.Pushed.Partial)
}

// TestStoredAsk has clients of three servers acknowledge what is stored at one of them.
func TestStoredAsk(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	a, b, c := newDepot(t, server, "a", nil), newDepot(t, server, "b", nil), newDepot(t, server, "c", nil)
	a.visitAsked(t, "a1", "u", false)
	b.visitAsked(t, "b1", "u", false, "r")
	b.visitAsked(t, "b2", "v", true)
	c.visitAsked(t, "c1", "w", false)
	c.visitAsked(t, "c2", "", false, "r") // nobody
	await(t, "the directory has them", func() bool { return listed(t, a, "u") == 2 && listed(t, a, "v") == 1 && listed(t, a, "w") == 1 })
	for _, tc := range []struct {
		what string
		at   *depot
		id   string
		to   hub.Audience
		wait time.Duration
		want string
	}{
		{"here and elsewhere", a, "1", users("u"), patience, `1/2: 1/2 of 2 [u="a1" u="b1"] late false partial false`},
		{"elsewhere only", c, "2", users("u"), patience, `1/2: 1/2 of 2 [u="a1" u="b1"] late false partial false`},
		{"here only", c, "3", users("w"), patience, `1/1: 1/1 of 1 [w="c1"] late false partial false`},
		{"nobody is there", a, "5", users("x"), patience, `0/0: 0/0 of 0 [] late false partial false`},
		{"a room, and who is a stranger in it", a, "6", hub.Audience{Rooms: []string{"r"}}, patience, `1/3: 1/3 of 3 [="c2" u="a1" u="b1"] late false partial false`},
		{"known", b, "6", hub.Audience{Rooms: []string{"r"}}, patience, `known true, <nil>`},
	} {
		if got := tc.at.ask(t, tc.id, tc.to, tc.wait); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.what, got, tc.want)
		}
	}
	// One does not. The others may take longer than a short while on a busy machine.
	asked := 1
	for wait := 100 * time.Millisecond; ; wait *= 2 {
		const want = `3/4: 2/3 of 4 [u="a1" u="b1" w="c1"] late true partial false`
		got := a.ask(t, fmt.Sprint("4.", asked), users("u", "v", "w"), wait)
		if got == want {
			break
		}
		if wait > patience {
			t.Fatalf("one who does not: %s, want %s", got, want)
		}
		asked++
	}
	// An acknowledgement confirms, on every server.
	for uid, want := range map[string]int{"u": 0, "v": asked, "w": 0, "x": 1} {
		await(t, "what "+uid+" acknowledged is confirmed", func() bool { return len(waiting(t, b, uid)) == want })
	}
	for _, o := range []*depot{a, b, c} {
		o.waits.mu.Lock()
		if n := len(o.waits.open); n > 0 {
			t.Errorf("%s: %d questions are open", o.node.Name(), n)
		}
		o.waits.mu.Unlock()
	}
}

// TestStoredAskSilent asks clients of a server that has just been cut off, and stores while Redis is away.
func TestStoredAskSilent(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	away := make(chan struct{})
	slow := make(chan bool, 1)
	a := newDepot(t, server, "a", nil)
	b := newDepot(t, server, "b", func() {
		select {
		case <-slow:
			<-away
		default:
		}
	})
	a.visitAsked(t, "a1", "u", false)
	b.visitAsked(t, "b1", "u", false)
	await(t, "the directory has both", func() bool { return listed(t, a, "u") == 2 })
	slow <- true // b reads one entry more
	b.store(t, "1", users("nobody"))
	if _, err := b.node.Append(context.Background(), "s:b", KindMark, 0, nil); err != nil {
		t.Fatal(err)
	}
	await(t, "b reads nothing more", func() bool { return len(slow) == 0 })
	if got, want := a.ask(t, "2", users("u"), 10*time.Millisecond), `1/2: 1/1 of 1 [u="a1"] late false partial true`; got != want {
		t.Errorf("b is silent: %s, want %s", got, want)
	}
	close(away)
	server.Kill(t)
	await(t, "Redis is away", func() bool { return !a.node.Client().Up() })
	if got := a.ask(t, "3", users("u"), patience); !strings.Contains(got, "known false") || !strings.Contains(got, hub.ErrAway.Error()) {
		t.Errorf("without Redis: %s", got)
	}
	if len(a.waits.open) > 0 {
		t.Errorf("%d questions are open", len(a.waits.open))
	}
}
