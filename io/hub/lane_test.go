package hub

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// runConn is a Taker. It keeps what it is given, with a + before what came in one piece with what was before it.
type runConn struct {
	fakeConn
	apart bool          // it takes no runs
	held  chan struct{} // it takes nothing until that is closed; nil: it does
}

func (c *runConn) Deliver(m *Message) error {
	if c.held != nil {
		<-c.held
	}
	return c.fakeConn.Deliver(m)
}

func (c *runConn) DeliverAll(r *Run) (done bool, err error) {
	if c.apart {
		return false, nil
	}
	if c.held != nil {
		<-c.held
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return true, c.err
	}
	for i, m := range r.Messages() {
		c.got = append(c.got, "+"[:min(i, 1)]+m.ID)
	}
	return true, nil
}

// throng connects one that is held until held is closed, and behind it so many that are not.
func throng(t *testing.T, h *Hub, n int, held chan struct{}) []*runConn {
	t.Helper()
	conns := make([]*runConn, 1+n)
	for i := range conns {
		conns[i] = &runConn{fakeConn: fakeConn{id: fmt.Sprintf("c%d", i)}}
		if err := connect(t, h, conns[i]).Login(fmt.Sprintf("u%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	conns[0].held = held
	return conns
}

// soon pushes to everybody without waiting.
func soon(t *testing.T, h *Hub, m *Message) Result {
	t.Helper()
	r, err := h.Push(context.Background(), Push{To: Audience{All: true}, Message: m, Soon: true})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What is pushed to everybody while something is on its way already comes in one piece, as far as it may.
func TestLaneJoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		held := make(chan struct{})
		conns := throng(t, h, many, held)
		conns[1].apart = true
		conns[2].err = ErrSlow
		if r := soon(t, h, message("a")); r.ID != "a" || r.Users != many+1 || r.Connections != many+1 || r.Delivered+r.Dropped != 0 {
			t.Errorf("Push = %+v", r)
		}
		synctest.Wait() // the first one holds up the carrier
		large, volatile := message("d"), message("f")
		large.Args = append(large.Args, make([]byte, maxRunBytes))
		volatile.Volatile = true
		for _, m := range []*Message{message("b"), message("c"), large, message("e"), volatile, message("g"), message("h")} {
			soon(t, h, m)
		}
		close(held)
		synctest.Wait()
		for i, c := range conns {
			want := "a b +c d e f g +h"
			switch i {
			case 1:
				want = strings.ReplaceAll(want, "+", "")
			case 2:
				want = ""
			}
			got := strings.Join(c.take(), " ")
			if i > 2 { // the carrier has not been there before
				got = strings.Replace(got, "a +b", "a b", 1)
			}
			if got != want {
				t.Errorf("%s got %s, want %s", c.id, got, want)
			}
		}
		if s := h.Stats(); s.Pushes != 8 || s.Delivered != 8*many || s.Slow != 8 || s.Gone+s.Failed != 0 {
			t.Errorf("Stats = %+v", s)
		}
	})
}

// Who pushes more than the lane takes waits; Close waits until everybody has got it.
func TestLaneIsBounded(t *testing.T) {
	for what, size := range map[string]int{"messages": 0, "bytes": maxLaneBytes / 4} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t, Options{})
				held := make(chan struct{})
				conns := throng(t, h, many, held)
				pushed := 0
				var pusher sync.WaitGroup
				pusher.Go(func() {
					for range maxInLane + 10 {
						m := message(fmt.Sprint(pushed))
						m.Args = append(m.Args, make([]byte, size))
						soon(t, h, m)
						pushed++
					}
				})
				synctest.Wait()
				if want := map[int]int{0: maxInLane, maxLaneBytes / 4: 3}[size]; pushed != want {
					t.Errorf("%d are pushed, want %d", pushed, want)
				}
				close(held)
				pusher.Wait()
				if err := h.Close(context.Background()); err != nil {
					t.Error(err)
				}
				for _, c := range conns {
					if got := c.take(); len(got) != maxInLane+10 {
						t.Errorf("%s got %d", c.id, len(got))
					}
				}
				if h.lane.bytes != 0 || h.lane.waiting.Load() != nil {
					t.Errorf("%d bytes are left", h.lane.bytes)
				}
			})
		})
	}
}

// What is in the lane reaches a connection before anything that is pushed later, and before it is kicked; and not who comes
// later, or has left.
func TestLaneComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{LoginFirst: true})
		held := make(chan struct{})
		conns := throng(t, h, many, held)
		soon(t, h, message("a"))
		synctest.Wait()
		soon(t, h, message("b"))
		_, late := join(t, h, "late", "late")
		push(t, h, "c", Audience{Users: []string{"u60", "late"}})
		if got := strings.Join(conns[60].take(), " "); got != "a +b c" {
			t.Errorf("a connection got %s", got)
		}
		if n, err := h.Disconnect(t.Context(), Audience{Users: []string{"u61"}}); n != 1 || err != nil {
			t.Errorf("Disconnect = %d, %v", n, err)
		}
		if got := strings.Join(conns[61].take(), " "); got != "a +b" || conns[61].kicks != 1 {
			t.Errorf("who was kicked %d times got %s", conns[61].kicks, got)
		}
		left, err := h.Members(Audience{Users: []string{"u62", "u63"}})
		if err != nil {
			t.Fatal(err)
		}
		left[0].Logout()
		left[1].Gone()
		close(held)
		synctest.Wait()
		if got := append(conns[62].take(), conns[63].take()...); len(got) != 0 {
			t.Errorf("who has left got %s", got)
		}
		if got := strings.Join(late.take(), " "); got != "c" {
			t.Errorf("who came later got %s", got)
		}
		if got := strings.Join(conns[60].take(), " "); got != "" {
			t.Errorf("a connection got %s once more", got)
		}
		if s := h.Stats(); s.Delivered != 2*(many+1-2)+2 || s.Gone != 4 {
			t.Errorf("Stats = %+v", s)
		}
	})
}

// Callers that push to everybody, to users and to rooms, and wait for nothing, are heard in order by each connection, also by
// those that can recover and those that come and go.
func TestLaneKeepsOrder(t *testing.T) {
	for what, o := range map[string]Options{"plain": {}, "with recovery": {Recovery: recoveryOptions()}} {
		t.Run(what, func(t *testing.T) {
			h := newHub(t, o)
			h.helpers = make(chan struct{}, 3) // whatever the machine has
			conns := throng(t, h, 3*chunk, nil)
			members, err := h.Members(Audience{All: true})
			if err != nil {
				t.Fatal(err)
			}
			for i, m := range members {
				if err := m.Join("r"); err != nil {
					t.Fatal(err)
				}
				if i%7 == 0 && o.Recovery != nil {
					if err := m.Track(func(Beginning) error { return nil }); err != nil {
						t.Fatal(err)
					}
				}
			}
			const callers, each = 4, 40
			some := []string{"u0", "u100", "u300", "u500"}
			ways := []Push{{To: Audience{All: true}, Soon: true}, {To: Audience{Users: some}}, {To: Audience{All: true}, Soon: true}, {To: Audience{Rooms: []string{"r"}}}, {To: Audience{All: true}}}
			var wg sync.WaitGroup
			for caller := range callers {
				wg.Go(func() {
					for i := range each {
						p := ways[(i+caller)%len(ways)]
						p.Message = message(fmt.Sprintf("%d-%03d", caller, i))
						if _, err := h.Push(context.Background(), p); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Go(func() {
				for i := range 200 {
					m := connect(t, h, &runConn{fakeConn: fakeConn{id: fmt.Sprintf("guest%d", i)}})
					m.Gone()
				}
			})
			wg.Wait()
			push(t, h, "9", Audience{All: true}) // when everybody has that, all the others are there
			for i, c := range conns {
				want := callers * each
				if !slices.Contains(some, fmt.Sprintf("u%d", i)) {
					want -= callers * each / len(ways)
				}
				got := c.take()
				for i := range got {
					got[i] = strings.TrimPrefix(got[i], "+")
				}
				if last := len(got) - 1; last < 0 || got[last] != "9" {
					t.Fatalf("%s got %v last", c.id, got)
				}
				got = got[:len(got)-1]
				slices.SortStableFunc(got, func(a, b string) int { return strings.Compare(a[:1], b[:1]) })
				if len(got) != want || !slices.IsSorted(got) {
					t.Fatalf("%s got %d messages, want %d, all in order: %v", c.id, len(got), want, got)
				}
			}
			if n := len(h.helpers); n != 0 {
				t.Errorf("%d helpers' tokens were not given back", n)
			}
		})
	}
}
