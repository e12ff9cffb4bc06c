package socketio

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"crier/fallback"
	"crier/io/engineio"
	"crier/io/hub"
	"crier/io/socketio/intime"
)

func TestClientDisconnect(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		came, left := arrivals(h.chat()), departures(h.chat())
		mainLeft := departures(h.Main())
		c := h.join(t, k)
		c.send("0/chat,")
		c.wantPrefix("0/chat,")
		first := take(t, "socket", came)
		c.send("1/chat,")
		same(t, "reason", take(t, "departure", left), ClientDisconnect)
		same(t, "sockets of /chat", h.chat().Hub().Stats().Sockets, 0)
		if err := first.Emit("e"); !errors.Is(err, ErrDisconnected) {
			t.Errorf("Emit after leaving: %v", err)
		}
		if err := first.Deliver(&hub.Message{Event: "e"}); !errors.Is(err, hub.ErrGone) {
			t.Errorf("Deliver after leaving: %v", err)
		}
		c.sync("")
		same(t, "sockets that left the main namespace", len(mainLeft), 0)

		c.send("0/chat,") // and back again
		c.wantPrefix("0/chat,")
		second := take(t, "socket", came)
		if k.rev == engineio.Revision4 && first.ID() == second.ID() {
			t.Error("the second socket has the id of the first")
		}
		first.Disconnect() // has nothing to do with the second
		first.Member().Gone()
		c.sync("/chat,")
		same(t, "sockets of /chat", h.chat().Hub().Stats().Sockets, 1)
	})
}

func TestServerDisconnect(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		came, left := arrivals(h.chat()), departures(h.chat())
		c := h.join(t, k)
		c.send("0/chat,")
		c.wantPrefix("0/chat,")
		s := take(t, "socket", came)
		s.Disconnect()
		s.Disconnect()
		c.want("1/chat,")
		same(t, "reason", take(t, "departure", left), ServerDisconnect)
		c.sync("")
		same(t, "sockets of /chat", h.chat().Hub().Stats().Sockets, 0)
		same(t, "departures too many", len(left), 0)
	})
}

func TestKick(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		came, left, chatLeft := arrivals(h.Main()), departures(h.Main()), departures(h.chat())
		other := h.join(t, ws5)
		take(t, "socket", came)
		c := h.join(t, k)
		c.send("0/chat,")
		c.wantPrefix("0/chat,")
		c.sync("/chat,") // OnConnect has returned
		s := take(t, "socket", came)
		kicked, err := h.Main().Hub().Disconnect(t.Context(), hub.Audience{Connections: []string{s.ID()}})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "kicked", kicked, 1)
		s.Kick()
		c.want("1", "1/chat,") // so that the client stays away
		c.wantEnd()
		same(t, "reason", take(t, "departure", left), ServerDisconnect)
		same(t, "reason in /chat", take(t, "departure", chatLeft), ServerDisconnect)
		other.sync("")
		same(t, "sockets", h.Main().Hub().Stats().Sockets, 1)
		await(t, "the end of the session", func() bool { return h.Engine().Stats().Sessions == 1 })
	})
}

func TestReason(t *testing.T) {
	few := func(o *Options) { o.Engine.Polling = fallback.Polling(1_000_000, 1<<20, 2, nil) }
	tests := []struct {
		want  Reason
		kinds []kind
		adapt func(*Options)
		do    func(c *caller, s *Socket)
	}{
		{engineio.TransportClose, kinds, nil, func(c *caller, _ *Socket) {
			if err := c.leave(); err != nil {
				c.t.Error(err)
			}
		}},
		{engineio.TransportClose, kinds, nil, func(c *caller, _ *Socket) {
			if err := c.write(engineio.Packet{Type: engineio.Close}); err != nil {
				c.t.Error(err)
			}
		}},
		{engineio.PingTimeout, kinds, nil, func(*caller, *Socket) {}},
		{engineio.ParseError, kinds, nil, func(c *caller, _ *Socket) { c.send("9") }},
		{engineio.ForcedClose, kinds, nil, func(_ *caller, s *Socket) { s.Session().Close() }},
		{engineio.SlowConsumer, []kind{polling5, polling4}, few, flood}, // no GET waits
		{engineio.SlowConsumer, []kind{ws5, ws4}, nil, flood},           // nothing is read
	}
	for i, tt := range tests {
		for _, k := range tt.kinds {
			t.Run(fmt.Sprint(i, " ", tt.want, " ", k.name), func(t *testing.T) {
				intime.Run(t, 30*time.Millisecond, func(t *intime.Test, limit time.Duration) {
					h := serve(t, func(o *Options) {
						if tt.want == engineio.PingTimeout {
							o.Engine.PingInterval, o.Engine.PingTimeout = limit, limit
							return
						}
						t.Done() // nothing else has a limit
						if tt.adapt != nil {
							tt.adapt(o)
						}
					})
					came, left := arrivals(h.Main()), departures(h.Main())
					c := h.join(t, k)
					s := take(t, "socket", came)
					t.Done()
					tt.do(c, s)
					same(t, "reason", take(t, "departure", left), tt.want)
					same(t, "sockets", h.Main().Hub().Stats().Sockets, 0)
					if s.Handshake() != nil {
						t.Error("the handshake was kept")
					}
					if err := s.Emit("e"); !errors.Is(err, ErrDisconnected) {
						t.Errorf("Emit after the end: %v", err)
					}
					if err := s.Deliver(&hub.Message{Event: "e"}); !errors.Is(err, hub.ErrGone) {
						t.Errorf("Deliver after the end: %v", err)
					}
				})
			})
		}
	}
}

// flood sends to a client that takes nothing until its queue is full.
func flood(c *caller, s *Socket) {
	large := JSON(strings.Repeat("x", 200_000))
	for range 1000 {
		switch err := s.Emit("e", large); {
		case errors.Is(err, engineio.ErrQueueFull):
			return
		case err != nil:
			c.t.Fatalf("Emit to a full queue: %v", err)
		}
	}
	c.t.Fatal("the queue is never full")
}

// The functions of OnDisconnect come after those of OnConnect, also for a
// socket that leaves while these run, and once.
func TestLeaveWhileConnecting(t *testing.T) {
	for name, leave := range map[string]func(*Socket){
		"server disconnects": func(s *Socket) { s.Disconnect() },
		"session closes":     func(s *Socket) { s.Session().Close() },
		"server kicks":       func(s *Socket) { s.Kick() },
		"panic":              func(*Socket) {},
	} {
		t.Run(name, func(t *testing.T) {
			h := serve(t, nil)
			inside, free, left := make(chan *Socket), make(chan struct{}), make(chan string, 10)
			var order []string // written by OnConnect and then OnDisconnect
			h.chat().OnConnect(func(s *Socket) {
				inside <- s
				<-free
				order = append(order, "connect")
				if name == "panic" {
					panic("a bug")
				}
			})
			h.chat().OnDisconnect(func(_ *Socket, r Reason) {
				order = append(order, "disconnect")
				left <- fmt.Sprint(order)
			})
			c := h.join(t, ws5)
			c.send("0/chat,")
			s := take(t, "socket", inside)
			leave(s)
			if name != "panic" {
				await(t, "leaving", s.hasLeft)
			}
			same(t, "departures so far", len(left), 0)
			close(free)
			same(t, "order", take(t, "departure", left), "[connect disconnect]")
		})
	}
}

func TestClose(t *testing.T) {
	own, err := hub.New(hub.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := serve(t, func(o *Options) { o.Hub = own })
	left := departures(h.Main())
	var peers []*caller
	for _, k := range kinds {
		peers = append(peers, h.join(t, k))
	}
	ended := make(chan error, len(peers))
	for _, c := range peers {
		go func() {
			_, err := c.next() // also has a polling client ask
			ended <- err
		}()
	}
	if err := h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range peers {
		if err := take(t, "end of a session", ended); !errors.Is(err, errEnded) {
			t.Errorf("a client got %v, want the end of the session", err)
		}
		same(t, "reason", take(t, "departure", left), engineio.ServerShuttingDown)
	}
	same(t, "sessions", h.Engine().Stats().Sessions, 0)
	if _, err := own.Push(t.Context(), hub.Push{Message: &hub.Message{Event: "e"}}); err != nil {
		t.Errorf("the hub that was given to the server was closed: %v", err)
	}
	if _, err := h.chat().Hub().Push(t.Context(), hub.Push{Message: &hub.Message{Event: "e"}}); !errors.Is(err, hub.ErrClosed) {
		t.Errorf("a hub of the server's own was not closed: %v", err)
	}
	if _, err := h.Of("/late"); !errors.Is(err, engineio.ErrClosed) {
		t.Errorf("Of after Close: %v", err)
	}
	if err := h.Close(t.Context()); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if err := own.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
