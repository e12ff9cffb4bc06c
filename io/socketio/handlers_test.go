package socketio

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"crier/io/engineio"
	"crier/io/hub"
)

func TestUseEvent(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		h.Main().On("add", func(e *Event) {
			if err := e.Ack(JSON("added")); err != nil {
				t.Error(err)
			}
		})
		seen := make(chan string, 10)
		h.Main().UseEvent(func(next Handler) Handler {
			return func(e *Event) {
				seen <- fmt.Sprint(e.Name, e.Len())
				next(e)
			}
		})
		h.Main().UseEvent(func(next Handler) Handler {
			return func(e *Event) {
				if e.Binary(0); e.Name != "secret" {
					next(e)
					return
				}
				if err := e.Ack(JSON("refused")); err != nil {
					t.Error(err)
				}
			}
		})
		h.Main().On("secret", func(*Event) { t.Error("an event that was stopped was handled") })
		c := h.join(t, k)
		same(t, "seen", take(t, "event", seen), "sync0")
		c.send(`21["add",1]`, `22["secret"]`, `2["nobody",1,2]`)
		c.want(`31["added"]`, `32["refused"]`)
		for _, want := range []string{"add1", "secret0", "nobody2"} {
			same(t, "seen", take(t, "event", seen), want)
		}
	})
}

// The memory of an event of OnBrief is that of the next, with nothing of the one before in it; it is not while somebody
// wraps it, who may keep it.
func TestOnBrief(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		h.Main().On("add", func(*Event) { t.Error("a handler that was replaced has been called") })
		h.Main().OnBrief("add", func(e *Event) {
			if !e.WantsAck() {
				if err := e.Ack(); !errors.Is(err, ErrNoAck) {
					t.Errorf("acknowledging what nobody asked for: %v", err)
				}
				return
			}
			list := []Arg{JSON(e.Name), JSON(e.Len())}
			for i := range e.Len() {
				list = append(list, Raw(e.JSON(i)))
			}
			if err := e.Ack(list...); err != nil {
				t.Error(err)
			}
		})
		c := h.join(t, k)
		c.send(`21["add",1,2,3,4,5,6]`, `22["add"]`, `2["add","unheard"]`, `23["add",7]`, `24["nobody",8]`, `25["\u0061dd"]`)
		c.want(`31["add",6,1,2,3,4,5,6]`, `32["add",0]`, `33["add",1,7]`, `35["add",0]`)
		kept := make(chan *Event, 10)
		h.Main().UseEvent(func(next Handler) Handler {
			return func(e *Event) { kept <- e }
		})
		c.send(`26["add",9]`, `27["add"]`)
		first := take(t, "event", kept)
		take(t, "event", kept)
		if err := first.Ack(JSON(first.Name)); err != nil {
			t.Error(err)
		}
		c.want(`36["add"]`)
	})
}

func TestHandleAck(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		type answer struct {
			OK    bool
			Error string `json:",omitempty"`
		}
		h := serve(t, nil)
		HandleAck(h.Main(), "double", func(_ *Event, n int) int { return 2 * n }, nil)
		HandleAck(h.Main(), "strict", func(*Event, int) answer { return answer{OK: true} },
			func(_ *Event, err error) answer { return answer{Error: err.Error()} })
		HandleAck(h.Main(), "bytes", func(_ *Event, b []byte) Bytes { slices.Reverse(b); return b }, nil)
		HandleAck(h.Main(), "bad", func(*Event, int) any { return func() {} }, nil)
		c := h.join(t, k)
		c.send(`21["double",4]`, `2["double",4]`, `22["double","x"]`, `23["strict",1]`, `24["strict"]`, `25["bad",1]`)
		c.want(`31[8]`, `33[{"OK":true}]`, `34[{"OK":false,"Error":"decoding argument 0: socketio: no such argument"}]`)
		c.send(`51-6["bytes",{"_placeholder":true,"num":0}]`, []byte("abc"))
		c.want(`61-6[{"_placeholder":true,"num":0}]`, []byte("cba"))
		c.sync("")
	})
}

// While a socket is about to leave it is still where it was; others can be told.
func TestOnDisconnecting(t *testing.T) {
	for name, leave := range map[string]func(c *caller, s *Socket){
		"client leaves namespace": func(c *caller, _ *Socket) { c.send("1") },
		"server disconnects":      func(_ *caller, s *Socket) { s.Disconnect() },
		"connection closed":       func(_ *caller, s *Socket) { s.Session().Close() },
	} {
		t.Run(name, func(t *testing.T) {
			eachKind(t, func(t *testing.T, k kind) {
				h := serve(t, nil)
				came := arrivals(h.Main())
				left := make(chan string, 10)
				tell := func(what string) func(s *Socket, r Reason) {
					return func(s *Socket, r Reason) {
						if err := s.Emit("e"); !errors.Is(err, ErrDisconnected) {
							t.Errorf("Emit to a socket that leaves: %v", err)
						}
						if list, err := h.Main().All().FetchSockets(); err != nil || slices.Contains(list, s) {
							t.Errorf("a socket that leaves can be fetched: %v, %v", list, err)
						}
						if _, err := s.To(s.Rooms()...).Emit("left", JSON(what)); err != nil {
							t.Error(err)
						}
						left <- fmt.Sprint(what, " ", r, " ", s.Rooms(), s.Member().UID(), s.Data())
					}
				}
				h.Main().OnDisconnect(tell("disconnect"))
				h.Main().OnDisconnecting(tell("disconnecting"))
				other := h.join(t, ws5)
				if err := take(t, "other", came).Join("a"); err != nil {
					t.Fatal(err)
				}
				c := h.join(t, k)
				s := take(t, "socket", came)
				if err := errors.Join(s.Join("a", "b"), s.Member().Login("u")); err != nil {
					t.Fatal(err)
				}
				s.SetData(7)
				leave(c, s)
				before, after := take(t, "disconnecting", left), take(t, "disconnect", left)
				if !strings.HasPrefix(before, "disconnecting ") || !strings.HasSuffix(before, "[a b]u7") {
					t.Errorf("before: %s", before)
				}
				if !strings.HasPrefix(after, "disconnect ") || !strings.HasSuffix(after, "[]7") {
					t.Errorf("after: %s", after)
				}
				other.want(`2["left","disconnecting"]`)
				other.sync("")
			})
		})
	}
}

// A socket that leaves while it is announced is in its rooms until it has been.
func TestDisconnectingInConnect(t *testing.T) {
	h := serve(t, nil)
	left := make(chan string, 10)
	h.chat().OnConnect(func(s *Socket) {
		if err := s.Join("a"); err != nil {
			t.Error(err)
		}
		s.Disconnect()
	})
	h.chat().OnConnect(func(s *Socket) {
		if err := s.Join("b"); err != nil {
			t.Error(err)
		}
	})
	h.chat().OnDisconnecting(func(s *Socket, r Reason) { left <- fmt.Sprint(s.Rooms(), r) })
	h.chat().OnDisconnect(func(s *Socket, r Reason) { left <- fmt.Sprint(s.Rooms(), r) })
	c := h.join(t, ws5)
	c.enter("/chat")
	c.want("1/chat,")
	same(t, "disconnecting", take(t, "disconnecting", left), "[a b]server namespace disconnect")
	same(t, "disconnect", take(t, "disconnect", left), "[]server namespace disconnect")
	same(t, "sockets", h.chat().Hub().Stats().Sockets, 0)
}

// A client may come back as soon as it hears that it is out, even while those
// are still told who registered for it. Old clients have to wait for that, since
// they come back with the same id.
func TestComeBackAtOnce(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		came := arrivals(h.chat())
		inside, free := make(chan struct{}, 1), make(chan struct{})
		h.chat().OnDisconnecting(func(*Socket, Reason) {
			inside <- struct{}{}
			<-free
		})
		c := h.join(t, k)
		c.enter("/chat")
		c.sync("/chat,") // OnConnect has returned
		s := take(t, "socket", came)
		done := make(chan struct{})
		go func() {
			s.Disconnect()
			close(done)
		}()
		c.want("1/chat,")
		take(t, "disconnecting", inside)
		if k.rev == engineio.Revision4 {
			c.enter("/chat")
			c.sync("/chat,")
			close(free)
		} else {
			sent := make(chan error, 1) // a POST is answered when it has been handled
			go func() { sent <- c.write(engineio.Packet{Type: engineio.Message, Data: []byte("0/chat,")}) }()
			await(t, "waiting", func() bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				return s.rare != nil && s.rare.end != nil && s.rare.end.gone != nil
			})
			close(free)
			if err := take(t, "sending", sent); err != nil {
				t.Fatal(err)
			}
			c.wantPrefix("0/chat,")
			c.sync("/chat,")
		}
		take(t, "the end", done)
		same(t, "sockets", h.chat().Hub().Stats().Sockets, 1)
	})
}

// Many times over, without anything to hold it up.
func TestComeBackOften(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		came := arrivals(h.chat())
		c := h.join(t, k)
		for range 100 {
			c.enter("/chat")
			go take(t, "socket", came).Disconnect()
			c.want("1/chat,")
		}
		c.sync("")
		await(t, "all departures", func() bool { return h.chat().Hub().Stats().Sockets == 0 })
	})
}

func TestTransportError(t *testing.T) {
	for name, tt := range map[string]struct {
		kinds []kind
		do    func(c *caller) error
	}{
		"heartbeat in the wrong direction": {kinds, func(c *caller) error {
			if c.rev == engineio.Revision4 {
				return c.write(engineio.Packet{Type: engineio.Ping})
			}
			return c.write(engineio.Packet{Type: engineio.Pong})
		}},
		"unmasked frame": {[]kind{ws5, ws4}, func(c *caller) error {
			_, err := c.socket.Write([]byte{0x81, 1, '2'})
			return err
		}},
	} {
		for _, k := range tt.kinds {
			t.Run(name+" "+k.name, func(t *testing.T) {
				h := serve(t, nil)
				left := departures(h.Main())
				c := h.join(t, k)
				if err := tt.do(c); err != nil {
					t.Fatal(err)
				}
				same(t, "reason", take(t, "departure", left), TransportError)
			})
		}
	}
}

// The reasons are the words of the Node server.
func TestReasonsAreNodes(t *testing.T) {
	for got, want := range map[Reason]string{
		ClientDisconnect: "client namespace disconnect", ServerDisconnect: "server namespace disconnect",
		TransportClose: "transport close", TransportError: "transport error", PingTimeout: "ping timeout",
		ParseError: "parse error", ForcedClose: "forced close", ServerShuttingDown: "server shutting down",
	} {
		same(t, "reason", string(got), want)
	}
}

// One error says that the client has gone, whatever noticed it first.
func TestGoneIsDisconnected(t *testing.T) {
	err := sendError(engineio.ErrClosed)
	if !errors.Is(err, ErrDisconnected) || !errors.Is(err, engineio.ErrClosed) {
		t.Errorf("a closed session: %v", err)
	}
	if err := sendError(engineio.ErrQueueFull); !errors.Is(err, ErrQueueFull) || errors.Is(err, ErrDisconnected) {
		t.Errorf("a full queue: %v", err)
	}
	if sendError(nil) != nil {
		t.Error("an error of nothing")
	}
}

func TestRoomErrors(t *testing.T) {
	h := serve(t, nil)
	came := arrivals(h.Main())
	h.join(t, ws5)
	s := take(t, "socket", came)
	if err := s.Join("a", "", "b"); !errors.Is(err, hub.ErrBadRoom) {
		t.Errorf("Join: %v", err)
	}
	same(t, "rooms", fmt.Sprint(s.Rooms()), "[a]")
	s.Session().Close()
	await(t, "leaving", func() bool { return errors.Is(s.Join("c"), hub.ErrGone) })
}

// Timers of acknowledgements must not outlive the server.
func TestCloseEndsWaiting(t *testing.T) {
	h := serve(t, nil)
	came := arrivals(h.Main())
	h.join(t, ws5)
	s := take(t, "socket", came)
	fn, got := record()
	round, outcomes := recordRound()
	if err := errors.Join(s.EmitWithAck(time.Hour, fn, "ask"), h.Main().All().EmitWithAck(time.Hour, round, "ask")); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	same(t, "answer", take(t, "answer", got), answer{"", ErrDisconnected})
	if o := take(t, "outcome", outcomes); !errors.Is(o.err, ErrDisconnected) {
		t.Errorf("outcome: %+v", o)
	}
}
