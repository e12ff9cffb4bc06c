package socketio

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

	"crier/fallback"
	"crier/io/engineio"
	"crier/io/hub"
)

// Clients come and go while everybody emits, pushes and kicks. In the end
// nobody is left in any index, and every arrival had its departure.
func TestStress(t *testing.T) {
	const clients, rounds = 24, 6
	h := serve(t, func(o *Options) {
		o.ForgetHandshake = true
		o.Engine.PingInterval, o.Engine.PingTimeout = time.Minute, time.Minute
		o.Engine.Polling = fallback.Polling(1_000_000, 1<<20, 50, nil)
	})
	var came, left, asked, answered atomic.Int64
	for _, n := range []*Namespace{h.Main(), h.chat()} {
		n.OnConnect(func(s *Socket) {
			came.Add(1)
			if err := s.Member().Login(fmt.Sprint("user", rand.IntN(5))); err != nil && !errors.Is(err, hub.ErrGone) {
				t.Error(err)
			}
			if err := s.Member().Join("room"); err != nil && !errors.Is(err, hub.ErrGone) {
				t.Error(err)
			}
		})
		n.OnDisconnect(func(*Socket, Reason) { left.Add(1) })
		n.OnOther(func(e *Event) {
			ask := func(Args, error) { answered.Add(1) }
			if e.Socket.EmitWithAck(time.Duration(rand.IntN(3))*time.Millisecond, ask, "ask") == nil {
				asked.Add(1)
			}
			if e.WantsAck() && rand.IntN(4) > 0 && e.Ack(e.Forward(0)) != nil {
				return // the client has gone
			}
			if rand.IntN(8) == 0 {
				e.Socket.Disconnect()
			}
		})
	}
	stop := make(chan struct{})
	var pushers, callers sync.WaitGroup
	for _, n := range []*Namespace{h.Main(), h.chat()} {
		pushers.Go(func() { disturb(t, n, stop) })
	}
	for i := range clients {
		callers.Go(func() {
			for range rounds {
				visit(t, h, kinds[i%len(kinds)])
			}
		})
	}
	callers.Wait()
	close(stop)
	pushers.Wait()

	await(t, "the end of all sessions", func() bool { return h.Engine().Stats().Sessions == 0 })
	await(t, "all departures", func() bool { return came.Load() == left.Load() })
	await(t, "all answers", func() bool { return asked.Load() == answered.Load() })
	same(t, "arrivals at all", came.Load() > clients, true)
	for _, n := range []*Namespace{h.Main(), h.chat()} {
		st := n.Hub().Stats()
		same(t, "left in "+n.Name(), [3]int{st.Users, st.Connections, st.Sockets}, [3]int{})
		to := hub.Audience{All: true, Rooms: []string{"room"}, Users: []string{"user0", "user1", "user2", "user3", "user4"}}
		same(t, "connections in the indexes", push(t, n, to, note(t)).Connections, 0)
	}
}

// disturb pushes to everybody and kicks now and then.
func disturb(t *testing.T, n *Namespace, stop <-chan struct{}) {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		to := []hub.Audience{{All: true}, {Rooms: []string{"room"}}, {Users: []string{"user1"}}}[i%3]
		m := &hub.Message{Event: "note", Volatile: i%2 == 0}
		if _, err := n.Hub().Push(context.Background(), hub.Push{To: to, Message: m}); err != nil {
			t.Error(err)
		}
		if i%10 == 0 {
			if _, err := n.Hub().Disconnect(context.Background(), hub.Audience{Users: []string{"user2"}}); err != nil {
				t.Error(err)
			}
		}
	}
}

// visit is one connection: it joins, talks, and goes in one way or another.
// The server may end it at any moment.
func visit(t *testing.T, h *host, k kind) {
	p, err := dial(h, k, "")
	if err != nil {
		if !errors.Is(err, errEnded) {
			t.Errorf("opening a session: %v", err)
		}
		return
	}
	reader := make(chan struct{})
	go func() {
		defer close(reader)
		for {
			if _, err := p.next(); err != nil {
				if !errors.Is(err, errEnded) {
					t.Errorf("reading: %v", err)
				}
				return
			}
		}
	}()
	packets := []string{"0", "0/chat,", `20["e",1]`, `2/chat,1["e"]`, `21["e",2]`, "30[]", "31[]", `3/chat,0[]`, "1/chat,"}
	if k.rev == engineio.Revision3 {
		packets = packets[1:]
	}
	for _, text := range packets[:2+rand.IntN(len(packets)-1)] {
		if p.write(engineio.Packet{Type: engineio.Message, Data: []byte(text)}) != nil {
			break // the server has ended it
		}
	}
	if p.polling {
		err = p.write(engineio.Packet{Type: engineio.Close})
	} else {
		err = p.socket.Close()
	}
	if err != nil {
		t.Errorf("leaving: %v", err)
	}
	<-reader
}

// Namespaces come and go with their clients while programs ask, move and
// disconnect everybody in them. In the end none is left, and every broadcast has
// its outcome.
func TestStressNamespaces(t *testing.T) {
	const clients, rounds, names = 16, 6, 3
	h := serve(t, func(o *Options) {
		o.MaxDynamic = names - 1 // so that some are refused
		o.Engine.Polling = fallback.Polling(1_000_000, 1<<20, 50, nil)
	})
	p := h.OfPattern(shops)
	var came, going, left, asked, outcomes atomic.Int64
	p.Use(func(s *Socket) error {
		if rand.IntN(5) == 0 {
			return errors.New("not today")
		}
		return s.Join("room")
	})
	p.OnConnect(func(s *Socket) {
		came.Add(1)
		s.SetData(s.ID())
		if rand.IntN(6) == 0 {
			s.Disconnect()
		}
	})
	p.OnDisconnecting(func(s *Socket, _ Reason) {
		going.Add(1)
		if s.Data() != s.ID() || len(s.Rooms()) == 0 {
			t.Errorf("a socket that leaves has the data %v and is in %v", s.Data(), s.Rooms())
		}
	})
	p.OnDisconnect(func(*Socket, Reason) { left.Add(1) })
	p.On("e", func(e *Event) {
		done := func(replies []Reply, err error) {
			outcomes.Add(1)
			var missing *MissingError
			if errors.As(err, &missing) && missing.Missing+len(replies) != missing.Asked {
				t.Errorf("%d answers and %v", len(replies), err)
			}
		}
		if e.Socket.To("room").EmitWithAck(time.Duration(rand.IntN(4))*time.Millisecond, done, "ask") == nil {
			asked.Add(1)
		}
	})
	stop := make(chan struct{})
	var others, callers sync.WaitGroup
	others.Go(func() { harass(t, p, stop) })
	for i := range clients {
		callers.Go(func() {
			for range rounds {
				shop(t, h, kinds[i%len(kinds)], names)
			}
		})
	}
	callers.Wait()
	close(stop)
	others.Wait()
	await(t, "the end of all sessions", func() bool { return h.Engine().Stats().Sessions == 0 })
	await(t, "all departures", func() bool { return came.Load() == left.Load() && came.Load() == going.Load() })
	await(t, "all outcomes", func() bool { return asked.Load() == outcomes.Load() })
	await(t, "the end of all namespaces", func() bool { return len(p.Children()) == 0 })
	same(t, "namespaces that count", h.dynamic, 0)
	same(t, "arrivals at all", came.Load() > clients && asked.Load() > clients, true)
}

// harass does to all namespaces of p what programs may do at any time.
func harass(t *testing.T, p *Parent, stop <-chan struct{}) {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		for _, n := range p.Children() {
			b := n.To("room")
			_, err := b.Volatile().Emit("note", JSON(i))
			if errors.Is(err, hub.ErrClosed) {
				err = nil // its last client has left
			}
			if err := errors.Join(err, b.SocketsJoin("other"), n.To("other").SocketsLeave("other")); err != nil {
				t.Error(err)
			}
			if i%20 == 0 {
				if err := b.DisconnectSockets(); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// shop is one connection that goes in and out of namespaces and answers what it is asked.
func shop(t *testing.T, h *host, k kind, names int) {
	p, err := dial(h, k, "")
	if err != nil {
		t.Errorf("opening a session: %v", err)
		return
	}
	var mu sync.Mutex // a frame is more than one write
	send := func(text string) bool {
		mu.Lock()
		defer mu.Unlock()
		return p.write(engineio.Packet{Type: engineio.Message, Data: []byte(text)}) == nil
	}
	reader := make(chan struct{})
	go func() {
		defer close(reader)
		for {
			pkt, err := p.next()
			if err != nil {
				return
			}
			head, isAsk := strings.CutSuffix(string(pkt.Data), `["ask"]`)
			if isAsk && rand.IntN(3) > 0 && !send("3"+head[1:]+`["here"]`) {
				return
			}
		}
	}()
	for range 4 {
		name := fmt.Sprint("/shop-", rand.IntN(names))
		if !send("0"+name+",") || !send("2"+name+`,["e"]`) || rand.IntN(2) == 0 && !send("1"+name+",") {
			break // the server has ended it, for instance because it was refused and went on
		}
	}
	if p.polling {
		err = p.write(engineio.Packet{Type: engineio.Close})
	} else {
		err = p.socket.Close()
	}
	if err != nil {
		t.Errorf("leaving: %v", err)
	}
	<-reader
}
