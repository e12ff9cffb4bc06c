package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// askConn is a connection that can be asked.
type askConn struct {
	fakeConn
	member *Member

	mu        sync.Mutex
	asks      []*Ask
	forgotten int
	err       error // what Deliver answers once it has asked
}

func (c *askConn) Member() *Member { return c.member }

func (c *askConn) Deliver(m *Message) error {
	a := m.Ask()
	if a == nil {
		return c.fakeConn.Deliver(m)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	a.Expect(c)
	if c.err != nil {
		a.Miss(c)
		return c.err
	}
	c.asks = append(c.asks, a)
	return nil
}

func (c *askConn) Forget(*Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgotten++
}

// next takes the question that it was asked first.
func (c *askConn) next() *Ask {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.asks[0]
	c.asks = c.asks[1:]
	return a
}

func (c *askConn) answer(text string) {
	c.next().Answer(c, []json.RawMessage{json.RawMessage(text)}, nil)
}

func joinAsker(t testing.TB, h *Hub, id, uid string) *askConn {
	t.Helper()
	c := &askConn{fakeConn: fakeConn{id: id}}
	c.member = connect(t, h, c)
	if uid != "" {
		if err := c.member.Login(uid); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// ask asks everybody, and returns where the answers will be.
func ask(t testing.TB, h *Hub, q Question) (Result, <-chan Answers) {
	t.Helper()
	got := make(chan Answers, 2)
	q.Done = func(a Answers) { got <- a }
	r, err := h.Ask(context.Background(), Push{To: Audience{All: true}, Message: message("m")}, q)
	if err != nil {
		t.Fatal(err)
	}
	return r, got
}

// texts are the answers, in their order.
func (a Answers) texts() []string {
	list := []string{}
	for _, one := range a.List {
		list = append(list, fmt.Sprintf("%s %s %s", one.Member.Conn().ID(), one.UID, one.Args[0]))
	}
	return list
}

// checkAsked makes sure that nothing is counted any more.
func checkAsked(t testing.TB, h *Hub) {
	t.Helper()
	if asked, kept := h.asked.Load(), h.kept.Load(); asked != 0 || kept != 0 {
		t.Errorf("still asked %d, kept %d", asked, kept)
	}
}

func TestAskEndsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		one, two, other := joinAsker(t, h, "1", "alice"), joinAsker(t, h, "2", "alice"), joinAsker(t, h, "3", "")
		plain := &fakeConn{id: "4"} // cannot be asked
		connect(t, h, plain)
		r, got := ask(t, h, Question{Wait: time.Hour})
		if r.ID != "m" || r.Connections != 4 || r.Users != 1 || r.Delivered != 4 {
			t.Errorf("Result = %+v", r)
		}
		if list := plain.take(); !slices.Equal(list, []string{"m"}) {
			t.Errorf("one that cannot be asked got %v", list)
		}
		two.answer("2")
		a := one.next()
		a.Answer(one, []json.RawMessage{json.RawMessage("1")}, nil)
		synctest.Wait()
		if len(got) > 0 {
			t.Fatalf("done before the last: %+v", <-got)
		}
		other.next().Miss(other) // has left
		synctest.Wait()
		answers := <-got
		if want := []string{"2 alice 2", "1 alice 1"}; !slices.Equal(answers.texts(), want) {
			t.Errorf("answers %q, want %q", answers.texts(), want)
		}
		if answers.Asked != 3 || answers.Connections != 2 || answers.Users != 1 || answers.Late || answers.Truncated {
			t.Errorf("Answers = %+v", answers)
		}
		a.Answer(one, nil, nil) // too late
		time.Sleep(2 * time.Hour)
		if len(got) > 0 || one.forgotten+two.forgotten+other.forgotten > 0 {
			t.Error("the end of the time came after the end")
		}
		checkAsked(t, h)
	})
}

func TestAskIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		quick, slow, full := joinAsker(t, h, "1", "alice"), joinAsker(t, h, "2", "bob"), joinAsker(t, h, "3", "")
		full.err = ErrSlow
		r, got := ask(t, h, Question{Wait: time.Second})
		if r.Slow != 1 || r.Delivered != 2 {
			t.Errorf("Result = %+v", r)
		}
		quick.answer("1")
		begun := time.Now()
		answers := <-got
		if took := time.Since(begun); took != time.Second {
			t.Errorf("it took %v", took)
		}
		if answers.Asked != 3 || answers.Connections != 1 || answers.Users != 1 || !answers.Late {
			t.Errorf("Answers = %+v", answers)
		}
		if slow.forgotten != 1 {
			t.Error("the one that did not answer still waits")
		}
		slow.answer("2")
		synctest.Wait()
		if len(got) > 0 {
			t.Error("done twice")
		}
		checkAsked(t, h)
	})
}

// Done is never called before Ask returns, by the one that called Ask, not even for nobody.
func TestAskNobody(t *testing.T) {
	h := newHub(t, Options{})
	free := make(chan struct{})
	got := make(chan Answers, 1)
	r, err := h.Ask(context.Background(), Push{To: Audience{Rooms: []string{"empty"}}, Message: message("m")}, Question{
		Wait: time.Hour,
		Done: func(a Answers) {
			<-free
			got <- a
		},
	})
	if err != nil || r.Connections != 0 {
		t.Errorf("Ask = %+v, %v", r, err)
	}
	close(free)
	if a := <-got; a.Asked != 0 || a.Late {
		t.Errorf("Answers = %+v", a)
	}
}

func TestAskKeepsWithinBounds(t *testing.T) {
	h := newHub(t, Options{})
	conns := make([]*askConn, 3)
	for i := range conns {
		conns[i] = joinAsker(t, h, fmt.Sprint(i), fmt.Sprint("u", i))
	}
	_, got := ask(t, h, Question{Wait: time.Hour, Keep: 1000})
	conns[0].next().Answer(conns[0], []json.RawMessage{json.RawMessage(`"0"`)}, [][]byte{make([]byte, 500)})
	conns[1].next().Answer(conns[1], []json.RawMessage{json.RawMessage(`"1"`)}, [][]byte{make([]byte, 500)})
	if kept := h.kept.Load(); kept < 500 || kept > 1000 {
		t.Errorf("kept %d bytes", kept)
	}
	conns[2].answer(`"2"`)
	a := <-got
	if want := []string{`0 u0 "0"`, `2 u2 "2"`}; !slices.Equal(a.texts(), want) || !a.Truncated || a.Connections != 3 || a.Users != 3 {
		t.Errorf("Answers = %+v", a)
	}

	h.kept.Store(maxKept - 100) // others keep that much
	_, got = ask(t, h, Question{Wait: time.Hour, Keep: 1000})
	for _, c := range conns {
		c.answer("1")
	}
	if a := <-got; len(a.List) != 0 || !a.Truncated || a.Connections != 3 {
		t.Errorf("Answers = %+v", a)
	}
	h.kept.Add(100 - maxKept)
	checkAsked(t, h)
}

func TestAskRefuses(t *testing.T) {
	h := newHub(t, Options{})
	c := joinAsker(t, h, "1", "alice")
	try := func(to Audience) error {
		_, err := h.Ask(context.Background(), Push{To: to, Message: message("m")}, Question{Wait: time.Hour, Done: func(Answers) { t.Error("done") }})
		return err
	}
	if err := try(Audience{Users: []string{""}}); !errors.Is(err, ErrBadUID) {
		t.Errorf("Ask of a bad audience: %v", err)
	}
	h.asked.Store(maxAsked)
	if err := try(Audience{All: true}); !errors.Is(err, ErrTooManyAsked) {
		t.Errorf("Ask beyond the limit: %v", err)
	}
	h.asked.Add(-maxAsked)
	checkAsked(t, h)
	if len(c.asks) > 0 {
		t.Error("somebody was asked")
	}
	if err := h.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := try(Audience{All: true}); !errors.Is(err, ErrClosed) {
		t.Errorf("Ask after Close: %v", err)
	}
}
