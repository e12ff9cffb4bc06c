package hub

import (
	"fmt"
	"slices"
	"testing"
)

// Who is cut off again and again, each time after the first message, gets on nevertheless; and who is not gets whole portions again.
func TestPortionsShrink(t *testing.T) {
	h, b := inboxHub(t, Options{QueueMessages: 32}) // 8 in a portion
	var want []string
	for n := range 20 {
		want = append(want, fmt.Sprint(n))
		store(t, h, want[n], user1("u"))
	}
	var got []string
	for n := 0; len(b.ids("u")) > 0; n++ {
		if n == 100 {
			t.Fatalf("after %d connections %q are still to be given", n, b.ids("u"))
		}
		m, c := visit(t, h, fmt.Sprint("c", n), "u")
		until(t, func() bool { return c.waiting() >= 2 }) // a portion, and what confirms it
		for _, id := range c.read(2) {
			if !slices.Contains(got, id) {
				got = append(got, id)
			}
		}
		c.end()
		m.Gone()
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, id := range want {
		store(t, h, "again "+id, user1("u"))
	}
	_, c := visit(t, h, "patient", "u")
	until(t, func() bool {
		c.read(-1)
		return len(b.ids("u")) == 0
	})
	if part := h.portions.part("u"); part != 0 || c.max < 2 {
		t.Errorf("a portion is 1/2^%d of a whole one, after %d messages at once", part, c.max)
	}
}

// What is remembered is bounded, and several portions that break off at once are halved once.
func TestPortionsAreBounded(t *testing.T) {
	var p portions
	for range 3 {
		p.broken("u", 0)
	}
	if got := p.part("u"); got != 1 {
		t.Errorf("after three at once it is 1/2^%d", got)
	}
	for range 100 {
		p.broken("u", p.part("u"))
	}
	if got := p.part("u"); got != leastPart {
		t.Errorf("the least is 1/2^%d", got)
	}
	for p.part("u") > 0 {
		p.confirmed("u", p.part("u"))
	}
	p.confirmed("u", 0)
	if len(p.parts) != 0 {
		t.Errorf("%v is remembered", p.parts)
	}
	for n := range mostShrunk + 10 {
		p.broken(fmt.Sprint(n), 0)
	}
	if len(p.parts) != mostShrunk {
		t.Errorf("%d users are remembered", len(p.parts))
	}
}
