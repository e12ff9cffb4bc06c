package hub

import (
	"fmt"
	"testing"
)

// warmable is a connection that counts how often it is warmed.
type warmable struct {
	fakeConn
	warmed int
}

func (w *warmable) Warm() { w.warmed++ }

// The first connection of each user that there is is warmed once, and nothing comes of that.
func TestWarm(t *testing.T) {
	h := newHub(t, Options{})
	var conns []*warmable
	var names []string
	for i := range 2*abreast + 1 {
		c := &warmable{fakeConn: fakeConn{id: fmt.Sprint("c", i)}}
		uid := fmt.Sprint("u", i)
		if err := connect(t, h, c).Login(uid); err != nil {
			t.Fatal(err)
		}
		conns, names = append(conns, c), append(names, "nobody", uid)
	}
	second := &warmable{fakeConn: fakeConn{id: "second"}}
	if err := connect(t, h, second).Login("u0"); err != nil {
		t.Fatal(err)
	}
	join(t, h, "plain", "p")
	h.Warm(append(names, "p", ""))
	h.Warm(nil)
	for i, c := range conns {
		if c.warmed != 1 || len(c.take()) != 0 {
			t.Errorf("connection %d has been warmed %d times", i, c.warmed)
		}
	}
	if second.warmed != 0 {
		t.Errorf("the second connection of a user has been warmed %d times", second.warmed)
	}
}
