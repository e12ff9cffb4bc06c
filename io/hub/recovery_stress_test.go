package hub

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

// stressClient loses its connection again and again while messages are pushed. It is in a room all the time, and besides
// it goes in and out of others.
type stressClient struct {
	t           *testing.T
	h           *Hub
	rnd         *rand.Rand
	uid, room   string
	pid, offset string
	next        map[string]int // by pusher and audience, the message that must come next

	mu   sync.Mutex
	want map[string]int // likewise, how many there have been
}

func (c *stressClient) take(list []arrival) {
	for _, a := range list {
		c.offset = a.offset
		var from string
		var n int
		if _, err := fmt.Sscanf(a.id, "%s %d", &from, &n); err != nil {
			continue // of a room that it is in for a while
		}
		if n != c.next[from] {
			c.t.Errorf("user %s got message %d of %s, want %d", c.uid, n, from, c.next[from])
		}
		c.next[from] = n + 1
	}
}

// begin connects for the first time.
func (c *stressClient) begin() (*lineConn, *Member) {
	conn := &lineConn{id: "conn-" + c.uid}
	m := connect(c.t, c.h, conn)
	if err := m.Login(c.uid); err != nil {
		c.t.Error(err)
	}
	if err := m.Join(c.room); err != nil {
		c.t.Error(err)
	}
	if err := m.Track(func(b Beginning) error { c.pid = b.PID; return nil }); err != nil {
		c.t.Error(err)
	}
	return conn, m
}

// comeBack connects again; every other time it breaks off in the middle.
func (c *stressClient) comeBack() (*lineConn, *Member) {
	for {
		p := c.h.Claim(c.pid, c.offset)
		if p == nil {
			c.t.Errorf("user %s was not recovered", c.uid)
			return nil, nil
		}
		if c.rnd.IntN(4) == 0 {
			p.Release()
			continue
		}
		conn := &lineConn{id: p.ID()}
		m := connect(c.t, c.h, conn)
		err := m.Recover(p, func(b Beginning) error {
			n := len(b.Missed)
			broken := c.rnd.IntN(2) == 0
			if broken {
				n = c.rnd.IntN(n + 1)
			}
			for _, one := range b.Missed[:n] {
				c.take([]arrival{{one.ID, one.Offset()}})
			}
			if broken {
				return ErrGone
			}
			return nil
		})
		if err == nil {
			return conn, m
		}
		m.Away(nil)
	}
}

// live loses the connection again and again until done is closed.
func (c *stressClient) live(conn *lineConn, m *Member, done <-chan struct{}) {
	for last := false; m != nil; conn, m = c.comeBack() {
		for range c.rnd.IntN(4) {
			noise := fmt.Sprint("noise", c.rnd.IntN(3))
			if err := m.Join(noise); err != nil {
				c.t.Error(err)
			}
			m.Leave(noise)
		}
		if last {
			c.take(conn.cut(0))
			m.Gone()
			return
		}
		// What comes until Away, and a part of what came before, is lost.
		c.take(conn.cut(c.rnd.IntN(3)))
		m.Away(nil)
		select {
		case <-done:
			last = true
		default:
		}
	}
}

// expect notes how many messages a pusher has sent to the audiences that the client belongs to.
func (c *stressClient) expect(sent map[string]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, n := range sent {
		if _, to, _ := strings.Cut(key, "/"); to == "all" || to == c.room || to == c.uid {
			c.want[key] = n
		}
	}
}

// verify compares, when everything is over.
func (c *stressClient) verify() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !maps.Equal(c.next, c.want) {
		c.t.Errorf("user %s of %s got %v, want %v", c.uid, c.room, c.next, c.want)
	}
}

// TestRecoveryStress has clients lose and recover their connections while several goroutines push: each gets everything
// that was for it once, in the order in which each goroutine pushed it.
func TestRecoveryStress(t *testing.T) {
	const clients, pushers = 6, 3
	each := 1500
	if raceEnabled {
		each = 400
	}
	h := newHub(t, Options{Recovery: &Recovery{Window: time.Hour, MaxMessages: 1 << 20, MaxBytes: 1 << 30}})
	done := make(chan struct{})
	var pushing, living sync.WaitGroup
	all := make([]*stressClient, clients)
	var ready sync.WaitGroup
	for i := range all {
		c := &stressClient{
			t: t, h: h, rnd: rand.New(rand.NewPCG(7, uint64(i))),
			uid: fmt.Sprint("user", i), room: fmt.Sprint("room", i%2), next: make(map[string]int), want: make(map[string]int),
		}
		all[i] = c
		ready.Add(1)
		living.Go(func() {
			conn, m := c.begin()
			m.Away(nil) // everything from here on is for it
			c.take(conn.cut(0))
			ready.Done()
			if conn, m = c.comeBack(); m == nil {
				return
			}
			c.live(conn, m, done)
		})
	}
	ready.Wait()
	for p := range pushers {
		rnd := rand.New(rand.NewPCG(8, uint64(p)))
		pushing.Go(func() {
			sent := make(map[string]int)
			for range each {
				var to Audience
				key := ""
				switch n := rnd.IntN(clients); rnd.IntN(4) {
				case 0:
					to.All, key = true, "all"
				case 1:
					to.Rooms, key = []string{fmt.Sprint("room", n%2)}, fmt.Sprint("room", n%2)
				case 2:
					to.Users, key = []string{fmt.Sprint("user", n)}, fmt.Sprint("user", n)
				default:
					to.Rooms = []string{fmt.Sprint("noise", n%3)}
				}
				id := "noise"
				if key != "" {
					key = fmt.Sprintf("%d/%s", p, key)
					id = fmt.Sprintf("%s %d", key, sent[key])
					sent[key]++
				}
				if _, err := h.Push(context.Background(), Push{To: to, Message: message(id)}); err != nil {
					t.Error(err)
				}
			}
			for _, c := range all {
				c.expect(sent)
			}
		})
	}
	pushing.Wait()
	close(done)
	living.Wait()
	for _, c := range all {
		c.verify()
	}
}

// TestComeBackAtOnce has clients come back while their old connection is leaving: its id is theirs as soon as they can claim
// what it has left behind.
func TestComeBackAtOnce(t *testing.T) {
	h := newHub(t, Options{Recovery: recoveryOptions()})
	for n := range 300 {
		m, conn, b := track(t, h, fmt.Sprint("conn-", n), "u")
		for room := range 50 { // which take a while to leave
			if err := m.Join(fmt.Sprint("room ", room)); err != nil {
				t.Fatal(err)
			}
		}
		var left sync.WaitGroup
		left.Go(func() { m.Away(nil) })
		p := h.Claim(b.PID, b.Offset)
		for ; p == nil; p = h.Claim(b.PID, b.Offset) {
		}
		next, err := h.Connect(&lineConn{id: conn.id})
		if err != nil {
			t.Fatalf("client %d: %v", n, err)
		}
		p.Forget()
		left.Wait()
		next.Gone()
	}
}
