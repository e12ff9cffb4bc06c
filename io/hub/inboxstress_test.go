package hub

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// ledger is what the stored messages of the stress test were and who has read them.
type ledger struct {
	mu   sync.Mutex
	owed map[string]bool // uid + " " + id, of what is stored
	read map[string]bool // the same, of what a client has read
}

// visitor is a page whose client reads all the time until it breaks.
type visitor struct {
	pageConn
	uid    string
	ledger *ledger
	place  uint64          // of the last stored message
	last   map[string]int  // the latest number of each publisher
	seen   map[string]bool // what was delivered
}

// Deliver makes sure that nothing comes twice, and everything in its order.
func (v *visitor) Deliver(m *Message) error {
	if err := v.pageConn.Deliver(m); err != nil {
		if errors.Is(err, ErrSlow) {
			v.t.Errorf("connection %s: the queue ran over", v.id)
		}
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.seen[m.ID] {
		v.t.Errorf("connection %s got %s twice", v.id, m.ID)
	}
	v.seen[m.ID] = true
	if m.place != 0 && m.place <= v.place {
		v.t.Errorf("connection %s got the message at %d behind that at %d", v.id, m.place, v.place)
	}
	v.place = max(v.place, m.place)
	publisher, number, _ := strings.Cut(m.ID, "-")
	n := 0
	if _, err := fmt.Sscan(number, &n); err != nil || n <= v.last[publisher] {
		v.t.Errorf("connection %s got %s behind %d (%v)", v.id, m.ID, v.last[publisher], err)
	}
	v.last[publisher] = n
	return nil
}

// use lives one connection's life: it reads until it breaks, after so many steps, or with nothing left when all is pushed.
func (v *visitor) use(h *Hub, rnd *rand.Rand, pushed *atomic.Bool, b *memInbox) {
	v.absent = rnd.IntN(2) == 0
	m := connect(v.t, h, v)
	defer m.Gone()
	if err := m.Login(v.uid); err != nil {
		v.t.Error(err)
		return
	}
	if rnd.IntN(3) == 0 {
		if err := m.Join(v.uid); err != nil { // a room of that name
			v.t.Error(err)
		}
	}
	if v.absent {
		v.mu.Lock()
		v.absent = false
		v.mu.Unlock()
		m.Ready()
	}
	for steps := rnd.IntN(300); steps > 0 || pushed.Load(); steps-- {
		got := v.read(1 + rnd.IntN(4))
		v.ledger.mu.Lock()
		for _, id := range got {
			v.ledger.read[v.uid+" "+id] = true
		}
		v.ledger.mu.Unlock()
		if pushed.Load() && len(b.ids(v.uid)) == 0 {
			break
		}
		time.Sleep(time.Microsecond)
	}
	if rnd.IntN(4) == 0 {
		m.Logout()
	}
	v.end()
}

// publish pushes so many messages, stored and others, several on their way at once.
func publish(t *testing.T, h *Hub, l *ledger, rnd *rand.Rand, name string, count int) {
	var under sync.WaitGroup
	defer under.Wait()
	for i := 1; i <= count; i++ {
		uid := string(rune('a' + rnd.IntN(4)))
		to := user1(uid)
		if rnd.IntN(4) == 0 {
			to = Audience{Users: []string{uid}, Rooms: []string{uid}}
		}
		id := fmt.Sprintf("%s-%d", name, i)
		if rnd.IntN(3) == 0 {
			under.Wait() // what was stored before is to arrive before
			if _, err := h.Push(context.Background(), Push{To: to, Message: message(id)}); err != nil {
				t.Error(err)
			}
			continue
		}
		under.Add(1)
		err := h.Store(context.Background(), Push{To: to, Message: message(id)}, Keep{Done: func(k Kept) {
			defer under.Done()
			if k.Err != nil || k.Stored != 1 {
				t.Errorf("Kept = %+v", k)
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			l.owed[uid+" "+id] = true
		}})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestStressInbox(t *testing.T) {
	h, b := inboxHub(t, Options{QueueMessages: 5000})
	l := &ledger{owed: make(map[string]bool), read: make(map[string]bool)}
	var pushed atomic.Bool
	var pages, publishers sync.WaitGroup
	for page := range 8 {
		pages.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(page), 3))
			uid := string(rune('a' + page%4))
			for n := 0; !pushed.Load() || len(b.ids(uid)) > 0; n++ {
				v := &visitor{
					pageConn: pageConn{t: t, id: fmt.Sprintf("%d-%d", page, n), most: 5000},
					uid:      uid, ledger: l, last: make(map[string]int), seen: make(map[string]bool),
				}
				v.use(h, rnd, &pushed, b)
			}
		})
	}
	for publisher := range 3 {
		publishers.Go(func() {
			publish(t, h, l, rand.New(rand.NewPCG(uint64(publisher), 4)), string(rune('p'+publisher)), 2000)
		})
	}
	publishers.Wait()
	pushed.Store(true)
	pages.Wait()
	lost := 0
	for one := range l.owed {
		if !l.read[one] {
			lost++
		}
	}
	if lost > 0 || len(l.owed) == 0 {
		t.Errorf("%d of %d stored messages are lost", lost, len(l.owed))
	}
	checkEmpty(t, h)
}
