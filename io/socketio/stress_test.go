package socketio

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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
		o.Engine.Polling = fallback.Polling(1_000_000, 1<<20, 50)
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
