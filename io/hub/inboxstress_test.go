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

	recovered atomic.Int64
}

// visitor is a page whose client reads all the time until it breaks.
type visitor struct {
	pageConn
	uid     string
	ledger  *ledger
	tracked bool // it can recover
	*thread
}

// thread is what a client knows that goes on where it was, with connection after connection: each message comes to it once.
// It is guarded by the mu of the connection.
type thread struct {
	pid, offset string         // of the last message that it has read
	given       string         // the offset of the last message that the connection was given
	place       uint64         // of the last stored message
	last        map[string]int // the latest number of each publisher
	seen        map[string]bool
}

func newThread() *thread { return &thread{last: make(map[string]int), seen: make(map[string]bool)} }

// Deliver refuses what has no offset, if the client can recover.
func (v *visitor) Deliver(m *Message) error {
	if v.tracked && m.Offset() == "" && !m.Late() {
		return ErrGone // it was on its way before
	}
	err := v.pageConn.Deliver(m)
	if errors.Is(err, ErrSlow) {
		v.t.Errorf("connection %s: the queue ran over", v.id)
	}
	return err
}

// offsetOf is the offset of a message, or that of the one before.
func (v *visitor) offsetOf(m *Message) string {
	if m.Offset() != "" {
		v.given = m.Offset()
	}
	return v.given
}

// take checks that nothing comes twice, and everything in its order.
func (v *visitor) take(w wire) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.seen[w.id] {
		v.t.Errorf("connection %s got %s twice", v.id, w.id)
	}
	v.seen[w.id] = true
	if w.place != 0 && w.place <= v.place {
		v.t.Errorf("connection %s got the message at %d behind that at %d", v.id, w.place, v.place)
	}
	v.place, v.offset = max(v.place, w.place), w.offset
	publisher, number, _ := strings.Cut(w.id, "-")
	n := 0
	if _, err := fmt.Sscan(number, &n); err != nil || n <= v.last[publisher] {
		v.t.Errorf("connection %s got %s behind %d (%v)", v.id, w.id, v.last[publisher], err)
	}
	v.last[publisher] = n
	v.ledger.mu.Lock()
	defer v.ledger.mu.Unlock()
	v.ledger.read[v.uid+" "+w.id] = true
}

// begin is told of where a client that can recover begins.
func (v *visitor) begin(b Beginning) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.absent, v.pid, v.given = false, b.PID, b.Offset
	for _, m := range b.Missed {
		v.queue = append(v.queue, wire{id: m.ID, offset: m.Offset()})
	}
	return nil
}

// enter logs in, so that the client can recover if the hub lets it, where it was if it can be.
func (v *visitor) enter(h *Hub, past *Past, rnd *rand.Rand) (m *Member, err error) {
	v.tracked, v.absent, v.stamp = h.Recovers(), h.Recovers() || rnd.IntN(2) == 0, v.offsetOf
	m = connect(v.t, h, v)
	if err = m.Login(v.uid); err != nil {
		return m, err
	}
	switch {
	case past != nil:
		v.ledger.recovered.Add(1)
		err = m.Recover(past, v.begin)
	case h.Recovers():
		v.thread = newThread()
		err = m.Track(v.begin)
	}
	v.mu.Lock()
	v.absent = false
	v.mu.Unlock()
	m.Ready()
	return m, err
}

// use lives one connection's life: it reads until it breaks, after so many steps, or with nothing left when all is pushed.
func (v *visitor) use(h *Hub, rnd *rand.Rand, pushed *atomic.Bool, b *memInbox) {
	var past *Past
	if v.pid != "" {
		if past = h.Claim(v.pid, v.offset); past != nil {
			v.id = past.ID()
		} else {
			v.thread = newThread()
		}
	}
	m, err := v.enter(h, past, rnd)
	defer m.Away(nil)
	if err != nil {
		v.t.Error(err)
		return
	}
	if rnd.IntN(3) == 0 {
		if err := m.Join(v.uid); err != nil { // a room of that name
			v.t.Error(err)
		}
	}
	for steps := rnd.IntN(300); steps > 0 || pushed.Load(); steps-- {
		v.readTo(1+rnd.IntN(4), v.take)
		if pushed.Load() && len(b.ids(v.uid)) == 0 {
			break
		}
		time.Sleep(time.Microsecond)
	}
	if rnd.IntN(4) == 0 && !h.Recovers() {
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
	for name, o := range map[string]Options{
		"plain":    {},
		"recovery": {Recovery: &Recovery{Window: time.Hour, MaxMessages: 100_000, MaxBytes: 1 << 30}},
	} {
		t.Run(name, func(t *testing.T) {
			o.QueueMessages = 5000
			h, b := inboxHub(t, o)
			l := &ledger{owed: make(map[string]bool), read: make(map[string]bool)}
			var pushed atomic.Bool
			var pages, publishers sync.WaitGroup
			for page := range 8 {
				pages.Go(func() {
					rnd := rand.New(rand.NewPCG(uint64(page), 3))
					uid := string(rune('a' + page%4))
					last := newThread()
					for n := 0; !pushed.Load() || len(b.ids(uid)) > 0; n++ {
						v := &visitor{
							pageConn: pageConn{t: t, id: fmt.Sprintf("%d-%d", page, n), most: 5000},
							uid:      uid, ledger: l, thread: last,
						}
						if !h.Recovers() {
							v.thread = newThread()
						}
						v.use(h, rnd, &pushed, b)
						last = v.thread
					}
				})
			}
			for publisher := range 3 {
				publishers.Go(func() {
					publish(t, h, l, rand.New(rand.NewPCG(uint64(publisher), 4)), string(rune('p'+publisher)), 500)
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
			if h.Recovers() && l.recovered.Load() == 0 {
				t.Error("nobody has recovered")
			}
			checkEmpty(t, h)
		})
	}
}
