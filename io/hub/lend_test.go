package hub

import (
	"errors"
	"testing"
)

// borrower is a connection that borrows, while willing.
type borrower struct {
	fakeConn
	willing  bool
	err      error
	borrowed int
}

func (b *borrower) Borrow(*Message) (bool, error) {
	if b.willing {
		b.borrowed++
		return true, b.err
	}
	return false, errors.New("nothing that anybody is told")
}

// A message is free when nobody can have kept it, and only then.
func TestFree(t *testing.T) {
	h := newHub(t, Options{})
	one := &borrower{fakeConn: fakeConn{id: "one"}, willing: true}
	for _, c := range []Conn{one, &borrower{fakeConn: fakeConn{id: "both"}, willing: true}, &fakeConn{id: "beside"}, &fakeConn{id: "plain"}} {
		m := connect(t, h, c)
		err := m.Login(map[string]string{"one": "one", "both": "two", "beside": "two", "plain": "plain"}[c.ID()])
		if err == nil {
			err = m.Join("room of " + m.UID())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		what      string
		to        Audience
		unwilling bool
		err       error
		free      bool
		delivered int
		slow      int
	}{
		{"borrowed", Audience{Users: []string{"one"}}, false, nil, true, 1, 0},
		{"borrowed, and not taken", Audience{Users: []string{"one"}}, false, ErrSlow, true, 0, 1},
		{"not borrowed", Audience{Users: []string{"one"}}, true, nil, false, 1, 0},
		{"to one that never borrows", Audience{Users: []string{"plain"}}, false, nil, false, 1, 0},
		{"to two connections", Audience{Users: []string{"two"}}, false, nil, false, 2, 0},
		{"to two users", Audience{Users: []string{"one", "plain"}}, false, nil, false, 2, 0},
		{"to nobody", Audience{Users: []string{"nobody"}}, false, nil, true, 0, 0},
		{"to a room", Audience{Rooms: []string{"room of one"}}, false, nil, false, 1, 0},
		{"to all", Audience{All: true}, false, nil, false, 4, 0},
	} {
		t.Run(c.what, func(t *testing.T) {
			one.willing, one.err, one.borrowed = !c.unwilling, c.err, 0
			one.take()
			r := push(t, h, "m", c.to)
			if r.Free != c.free || r.Delivered != c.delivered || r.Slow != c.slow || r.Delivered+r.Slow != r.Connections {
				t.Errorf("%+v", r)
			}
			if given := len(one.take()); one.borrowed > 0 && given > 0 {
				t.Errorf("it has borrowed %d times, and been given %d messages", one.borrowed, given)
			}
		})
	}
}

// Who catches up with what is stored is lent nothing: it comes behind that.
func TestNothingLentWhileCatchingUp(t *testing.T) {
	h := newHub(t, Options{})
	c := &borrower{fakeConn: fakeConn{id: "c"}, willing: true}
	m := connect(t, h, c)
	if err := m.Login("u"); err != nil {
		t.Fatal(err)
	}
	if !m.mailbox("u").open("u") {
		t.Fatal("no mailbox")
	}
	if r := push(t, h, "held", Audience{Users: []string{"u"}}); r.Free || c.borrowed != 0 || len(c.take()) != 0 {
		t.Errorf("%+v, borrowed %d times", r, c.borrowed)
	}
}
