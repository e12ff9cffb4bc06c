package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// placedOptions are those of a hub that is one of several.
func placedOptions() Options {
	o := recoveryOptions()
	o.Placed = true
	return Options{Recovery: o}
}

// receive delivers a push at a position, and returns "delivered/connections".
func receive(t testing.TB, h *Hub, at Position, id string, to Audience, part Part) string {
	t.Helper()
	r, err := h.Receive(at, Push{To: to, Message: message(id)}, part)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d/%d", r.Delivered, r.Connections)
}

// lies is what lies on a line, and stays there.
func (c *lineConn) lies() []arrival {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.line)
}

func (c *lineConn) idsOf() (list []string) {
	for _, a := range c.lies() {
		list = append(list, a.id)
	}
	return list
}

// A sender gives the untracked their message at once, and the tracked in its turn; each gets it once.
func TestReceive(t *testing.T) {
	h := newHub(t, placedOptions())
	_, plain := join(t, h, "plain", "42")
	m, tracked, b := track(t, h, "tracked", "42")
	to := Audience{Users: []string{"42"}}

	own, err := h.PushOwn(context.Background(), Push{To: to, Message: message("1")})
	if err != nil || !own.Waiting || own.Connections != 2 || own.Users != 1 || own.Delivered != 1 {
		t.Errorf("PushOwn = %+v, %v", own, err)
	}
	if got := plain.take(); !slices.Equal(got, []string{"1"}) || len(tracked.idsOf()) != 0 {
		t.Errorf("before the turn: %q, %q", got, tracked.idsOf())
	}
	if got := receive(t, h, 1000, "1", to, Tracked); got != "1/1" {
		t.Errorf("the turn: %s", got)
	}
	if got := receive(t, h, 1005, "2", Audience{All: true}, Everyone); got != "2/2" {
		t.Errorf("from elsewhere: %s", got)
	}
	if got := receive(t, h, 1006, "3", Audience{Users: []string{"43"}}, Everyone); got != "0/0" {
		t.Errorf("for nobody: %s", got)
	}
	if got := plain.take(); !slices.Equal(got, []string{"2"}) || !slices.Equal(tracked.idsOf(), []string{"1", "2"}) {
		t.Errorf("in the end: %q, %q", got, tracked.idsOf())
	}
	if at, known := h.recovery.log.Find(tracked.lies()[1].offset); at != 1005 || !known {
		t.Errorf("the offset is of position %d", at)
	}
	if n := h.Stats().Pushes; n != 3 {
		t.Errorf("%d pushes are counted", n)
	}

	// What was received can be replayed; what has no place ends that.
	m.Away(nil)
	receive(t, h, 1010, "4", to, Everyone)
	own, err = h.PushOwn(context.Background(), Push{To: to, Message: message("5")})
	if err != nil || !own.Waiting || own.Connections != 1 {
		t.Errorf("PushOwn for somebody who is away = %+v, %v", own, err)
	}
	receive(t, h, 1011, "5", to, Tracked)
	past := h.Claim(b.PID, tracked.lies()[1].offset)
	if past == nil {
		t.Fatal("it cannot be recovered")
	}
	next := &lineConn{id: past.ID()}
	var missed []string
	if err := connect(t, h, next).Recover(past, func(b Beginning) error {
		for _, one := range b.Missed {
			missed = append(missed, one.ID)
		}
		return nil
	}); err != nil || !slices.Equal(missed, []string{"4", "5"}) {
		t.Errorf("Recover: %q, %v", missed, err)
	}
}

// Who is logged in before it is tracked, as with a uid that came with the connection, is given what is pushed meanwhile in its turn
// alone: a push that has found it untracked must not find it tracked later.
func TestReceiveWhileConnecting(t *testing.T) {
	h := newHub(t, placedOptions())
	c := &fakeConn{id: "new"} // nobody else can be recovered
	m := connect(t, h, c)
	m.WillTrack()
	if err := m.Login("42"); err != nil {
		t.Fatal(err)
	}
	to := Audience{Users: []string{"42"}}
	own, err := h.PushOwn(context.Background(), Push{To: to, Message: message("1")})
	if err != nil || !own.Waiting || own.Connections != 1 || own.Delivered != 0 {
		t.Errorf("PushOwn = %+v, %v", own, err)
	}
	receive(t, h, 1000, "1", to, Tracked)
	own, err = h.PushOwn(context.Background(), Push{To: to, Message: message("2")})
	if err != nil || !own.Waiting || own.Delivered != 0 {
		t.Errorf("PushOwn = %+v, %v", own, err)
	}
	if err := m.Track(func(Beginning) error { return nil }); err != nil {
		t.Fatal(err)
	}
	receive(t, h, 1001, "2", to, Tracked)
	if got := c.take(); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("got %q", got)
	}
}

// A notebook is a Shared that remembers what was saved, and has nothing.
type notebook struct {
	mu    sync.Mutex
	saved []*Recoverable
}

func (n *notebook) Save(s *Recoverable, saved func(error)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.saved = append(n.saved, s)
	if saved != nil {
		saved(nil)
	}
}

func (n *notebook) Forget(string)               {}
func (n *notebook) Up() bool                    { return true }
func (n *notebook) Owner(string) (string, bool) { return "", false }
func (n *notebook) Claim(string, bool) error    { return ErrGone }
func (n *notebook) Replay(*Recoverable, Position, Position) (*Replay, error) {
	return nil, ErrGone
}

// A session that says that somebody is logged in says, until he has begun to get what is stored for him, that he has got nothing of it:
// so that another hub does not recover him if this one ends then.
func TestForetoldInbox(t *testing.T) {
	n := &notebook{}
	o := placedOptions()
	o.Recovery.Shared, o.Inbox = n, newMemInbox(t)
	h := newHub(t, o)
	m := connect(t, h, &lineConn{id: "c"})
	if err := errors.Join(m.Track(func(Beginning) error { return nil }), m.Login("42")); err != nil {
		t.Fatal(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.IndexFunc(n.saved, func(s *Recoverable) bool { return s.UID == "42" })
	if i < 0 || n.saved[i].Inbox != open {
		t.Fatalf("the login was foretold with %+v", n.saved[max(i, 0)])
	}
	if last := n.saved[len(n.saved)-1]; last.UID != "42" || last.Inbox == open {
		t.Errorf("in the end it is %+v", last)
	}
}

// What has no place in the common order is delivered; then nobody who got it, or should have, can be recovered.
func TestUnplaced(t *testing.T) {
	for _, tt := range []struct {
		name    string
		push    func(h *Hub, p Push) error
		message func(*Message)
		lasting bool
	}{
		{"a push", func(h *Hub, p Push) error { _, err := h.Push(context.Background(), p); return err }, nil, true},
		{"the rest of a push", func(h *Hub, p Push) error { h.PushRest(p); return nil }, nil, true},
		{"of no use later", func(h *Hub, p Push) error { _, err := h.Push(context.Background(), p); return err }, func(m *Message) { m.Transient = true }, false},
		{"volatile", func(h *Hub, p Push) error { _, err := h.Push(context.Background(), p); return err }, func(m *Message) { m.Volatile = true }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHub(t, placedOptions())
			here, tracked, b1 := track(t, h, "here", "42")
			gone, _, b2 := track(t, h, "gone", "42")
			other, _, b3 := track(t, h, "other", "43")
			gone.Away(nil)
			receive(t, h, 1000, "1", Audience{All: true}, Everyone)
			m := message("2")
			if tt.message != nil {
				tt.message(m)
			}
			if err := tt.push(h, Push{To: Audience{Users: []string{"42"}}, Message: m}); err != nil {
				t.Fatal(err)
			}
			line := tracked.lies()
			if !slices.Equal(tracked.idsOf(), []string{"1", "2"}) || line[0].offset != line[1].offset {
				t.Errorf("it got %+v", line)
			}
			here.Away(nil)
			other.Away(nil)
			for pid, want := range map[string]bool{b1.PID: !tt.lasting, b2.PID: !tt.lasting, b3.PID: true} {
				if past := h.Claim(pid, ""); (past != nil) != want {
					t.Errorf("%s can be recovered: %v", pid, past != nil)
				} else if past != nil {
					past.Release()
				}
			}
		})
	}
}

// Each part of an audience is asked for itself.
func TestAskPart(t *testing.T) {
	h := newHub(t, placedOptions())
	plain, tracked := joinAsker(t, h, "plain", "42"), joinAsker(t, h, "tracked", "43")
	if err := tracked.member.Track(func(Beginning) error { return nil }); err != nil {
		t.Fatal(err)
	}
	p := Push{To: Audience{All: true}, Message: message("1")}
	for _, tt := range []struct {
		name string
		at   Position
		part Part
		who  *askConn
	}{
		{"at once", 0, Untracked, plain},
		{"in its turn", 1000, Tracked, tracked},
		{"without a turn", 0, Tracked, tracked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := make(chan Answers, 1)
			own, err := h.AskPart(tt.at, p, tt.part, Question{Wait: time.Minute, Done: func(a Answers) { got <- a }})
			if err != nil || own.Connections != 1 || !own.Waiting {
				t.Fatalf("AskPart = %+v, %v", own, err)
			}
			tt.who.answer("yes")
			if a := <-got; a.Asked != 1 || a.Connections != 1 || a.List[0].Connection != tt.who.id {
				t.Errorf("answers: %+v", a)
			}
		})
	}
	checkAsked(t, h)
	if _, err := h.AskPart(0, Push{To: Audience{Users: []string{""}}, Message: message("2")}, Everyone, Question{}); !errors.Is(err, ErrBadUID) {
		t.Errorf("a bad uid: %v", err)
	}
}

// A hub without recovery knows no parts.
func TestReceiveWithoutRecovery(t *testing.T) {
	h := newHub(t, Options{})
	_, c := join(t, h, "c", "42", "r")
	to := Audience{Rooms: []string{"r"}}
	own, err := h.PushOwn(context.Background(), Push{To: to, Message: message("1")})
	if err != nil || own.Waiting || own.Delivered != 1 {
		t.Errorf("PushOwn = %+v, %v", own, err)
	}
	if got := receive(t, h, 1, "1", to, Tracked) + " " + receive(t, h, 2, "2", to, Everyone); got != "0/0 1/1" {
		t.Errorf("received: %s", got)
	}
	if n := h.PushRest(Push{To: to, Message: message("3")}); n != 0 {
		t.Errorf("the rest: %d", n)
	}
	if got := c.take(); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("got %q", got)
	}
	if err := h.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Receive(3, Push{To: to, Message: message("4")}, Everyone); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

// The pages in the order of names are together what the lists are.
func TestPagesAfter(t *testing.T) {
	h := newHub(t, Options{})
	for _, id := range ids(50) {
		join(t, h, id, "u"+id, "r", "room"+id)
	}
	for name, page := range map[string]func(after string, limit int) ([]string, bool){
		"users": func(after string, limit int) ([]string, bool) {
			list, more := h.UsersAfter(after, "u", limit)
			return names(list), more
		},
		"rooms": func(after string, limit int) ([]string, bool) {
			list, more := h.RoomsAfter(after, "room", limit)
			return names(list), more
		},
		"occupants": func(after string, limit int) (found []string, more bool) {
			list, more := h.OccupantsAfter("r", after, limit)
			for _, one := range list {
				found = append(found, one.Connection)
			}
			return found, more
		},
	} {
		t.Run(name, func(t *testing.T) {
			var all []string
			after := ""
			for more := true; more; {
				var found []string
				if found, more = page(after, 7); len(found) == 0 || len(found) > 7 {
					t.Fatalf("a page of %d", len(found))
				}
				all = append(all, found...)
				after = found[len(found)-1]
			}
			if len(all) != 50 || !slices.IsSorted(all) || len(slices.Compact(all)) != 50 {
				t.Errorf("%d: %q", len(all), all)
			}
		})
	}
	if list, more := h.UsersAfter("", "x", 7); len(list) > 0 || more {
		t.Errorf("with another prefix: %v", list)
	}
}

func names(list []Listed) (all []string) {
	for _, one := range list {
		all = append(all, one.Name)
	}
	return all
}
