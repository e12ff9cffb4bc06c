package hub

import (
	"errors"
	"slices"
	"sync"
	"testing"
)

// slowShared is a [Shared] that is told when it has saved something, in which nothing is ever found.
type slowShared struct {
	mu      sync.Mutex
	saved   []Recoverable
	waiting chan func(error) // who waits for what was saved
}

func (s *slowShared) Save(r *Recoverable, saved func(error)) {
	s.mu.Lock()
	s.saved = append(s.saved, *r)
	s.mu.Unlock()
	if saved != nil {
		s.waiting <- saved
	}
}

func (s *slowShared) last() Recoverable {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saved[len(s.saved)-1]
}

func (*slowShared) Forget(string)               {}
func (*slowShared) Up() bool                    { return true }
func (*slowShared) Owner(string) (string, bool) { return "", false }
func (*slowShared) Claim(_ string, mine bool) error {
	if !mine {
		return errors.New("there is none")
	}
	return nil
}

func (*slowShared) Replay(*Recoverable, Position, Position) (*Replay, error) {
	return nil, errors.New("there is none")
}

// A client that is lost while its login, or that it is to be in a room, is being noted for other hubs has not come to be that:
// what was pushed to the user or the room meanwhile is not given to it when it comes back and is recovered, or else it would
// have that from there, and once more from the inbox when it logs in.
func TestLostBeforeWhatWasForetold(t *testing.T) {
	for name, begin := range map[string]func(m *Member) error{
		"login": func(m *Member) error { return m.Login("42") },
		"room":  func(m *Member) error { return m.Join("42") },
	} {
		t.Run(name, func(t *testing.T) {
			o := placedOptions()
			shared := &slowShared{waiting: make(chan func(error))}
			o.Recovery.Shared = shared
			h := newHub(t, o)
			m := connect(t, h, &lineConn{id: "one"})
			var b Beginning
			if err := m.Track(func(given Beginning) error { b = given; return nil }); err != nil {
				t.Fatal(err)
			}
			begun := make(chan error, 1)
			go func() { begun <- begin(m) }()
			saved := <-shared.waiting
			if s := shared.last(); !slices.ContainsFunc(s.Spans, func(one Span) bool { return one.Name == "42" && one.Until == open }) {
				t.Fatalf("it was not foretold: %+v", s)
			}
			m.Away(nil)
			saved(nil)
			if err := <-begun; !errors.Is(err, ErrGone) {
				t.Errorf("the lost client: %v", err)
			}
			if s := shared.last(); s.UID != "" || len(s.Own) > 0 || slices.ContainsFunc(s.Spans, func(one Span) bool { return one.Name == "42" }) {
				t.Errorf("others are told that it was there: %+v", s)
			}
			receive(t, h, 1000, "1", Audience{Users: []string{"42"}, Rooms: []string{"42"}}, Everyone)
			receive(t, h, 1001, "2", Audience{All: true}, Everyone)
			p := h.Claim(b.PID, b.Offset)
			if p == nil {
				t.Fatal("it cannot be recovered")
			}
			again := connect(t, h, &lineConn{id: p.ID()})
			var got []string
			if err := again.Recover(p, func(b Beginning) error {
				for _, m := range b.Missed {
					got = append(got, m.ID)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, []string{"2"}) {
				t.Errorf("it is given as missed: %q", got)
			}
		})
	}
}
