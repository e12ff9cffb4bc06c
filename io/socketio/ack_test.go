package socketio

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"crier/fallback"
	"crier/io/engineio"
)

func TestAckOfClientEvent(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		errs := make(chan error, 10)
		h.Main().On("twice", func(e *Event) {
			if !e.WantsAck() {
				t.Error("WantsAck is false")
			}
			errs <- e.Ack(JSON("ok"), JSON(1))
			errs <- e.Ack(JSON("again"))
		})
		h.Main().On("none", func(e *Event) {
			if e.WantsAck() {
				t.Error("WantsAck is true")
			}
			errs <- e.Ack()
		})
		h.Main().On("mended", func(e *Event) {
			errs <- e.Ack(JSON(func() {}))
			errs <- e.Ack(JSON("mended"))
		})
		h.Main().On("raw", func(e *Event) {
			errs <- e.AckJSON([]byte(`{"a":[1]}`))
			errs <- e.AckJSON([]byte(`2`))
		})
		held := make(chan *Event, 1)
		h.Main().On("later", func(e *Event) { held <- e })
		c := h.join(t, k)

		c.send(`20["twice"]`)
		c.want(`30["ok",1]`)
		if first, again := take(t, "ack", errs), take(t, "ack", errs); first != nil || !errors.Is(again, ErrNoAck) {
			t.Errorf("Ack: %v, again: %v; want nil and ErrNoAck", first, again)
		}
		c.send(`26["raw"]`)
		c.want(`36[{"a":[1]}]`)
		if first, again := take(t, "ack", errs), take(t, "ack", errs); first != nil || !errors.Is(again, ErrNoAck) {
			t.Errorf("AckJSON: %v, again: %v; want nil and ErrNoAck", first, again)
		}
		c.send(`2["none"]`)
		if err := take(t, "ack", errs); !errors.Is(err, ErrNoAck) {
			t.Errorf("Ack of an event that wants none: %v", err)
		}
		c.send(`212["mended"]`)
		c.want(`312["mended"]`)
		if bad, good := take(t, "ack", errs), take(t, "ack", errs); bad == nil || good != nil {
			t.Errorf("Ack with a bad argument: %v, then with a good one: %v", bad, good)
		}
		c.send(`29007199254740992["later"]`)
		e := take(t, "event", held)
		c.sync("") // the handler has returned
		if err := e.Ack(JSON("late")); err != nil {
			t.Error(err)
		}
		c.want(`39007199254740992["late"]`)

		c.send(`25["later"]`, "1")
		e = take(t, "event", held)
		await(t, "leaving", func() bool { return !e.Socket.present() })
		if err := e.Ack(); !errors.Is(err, ErrDisconnected) {
			t.Errorf("Ack to a client that left: %v", err)
		}
	})
}

// answer is what an AckFunc was called with.
type answer struct {
	args string
	err  error
}

// record returns an AckFunc and what it is called with.
func record() (AckFunc, <-chan answer) {
	got := make(chan answer, 10)
	return func(a Args, err error) {
		list := make([]string, a.Len())
		for i := range list {
			list[i] = string(a.JSON(i))
			if b, ok := a.Binary(i); ok {
				list[i] = fmt.Sprintf("bytes %q", b)
			}
		}
		got <- answer{strings.Join(list, " "), err}
	}, got
}

func TestAckByClient(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		came := arrivals(h.chat())
		c := h.join(t, k)
		c.send("0/chat,")
		c.wantPrefix("0/chat,")
		s := take(t, "socket", came)
		fn, got := record()
		for i := range 3 {
			if err := s.EmitWithAck(patience, fn, "ask", JSON(i)); err != nil {
				t.Fatal(err)
			}
			c.want(fmt.Sprintf(`2/chat,%d["ask",%d]`, i, i))
		}
		c.send(`3/chat,1["one",1]`)
		same(t, "answer", take(t, "answer", got), answer{`"one" 1`, nil})
		c.send(`3/chat,0`) // no payload at all, which Node allows
		same(t, "answer", take(t, "answer", got), answer{"", nil})
		c.send(`61-/chat,2[{"_placeholder":true,"num":0}]`, []byte{0, 1})
		same(t, "answer", take(t, "answer", got), answer{`bytes "\x00\x01"`, nil})

		// Again, in another namespace, without an id, never asked for.
		c.send(`3/chat,1["again"]`, `32["elsewhere"]`, `3/chat,["no id"]`, `3/chat,99[]`)
		c.sync("/chat,")
		same(t, "answers too many", len(got), 0)
	})
}

func TestAckTimeout(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		came := arrivals(h.Main())
		c := h.join(t, k)
		s := take(t, "socket", came)
		fn, got := record()
		if err := s.EmitWithAck(time.Millisecond, fn, "ask"); err != nil {
			t.Fatal(err)
		}
		c.want(`20["ask"]`)
		same(t, "answer", take(t, "answer", got), answer{"", ErrAckTimeout})
		if err := s.EmitWithAck(patience, fn, "ask"); err != nil {
			t.Fatal(err)
		}
		c.want(`21["ask"]`)
		c.send(`30["late"]`)
		c.sync("")
		same(t, "answers to the late one", len(got), 0)
		c.send(`31["in time"]`)
		same(t, "answer", take(t, "answer", got), answer{`"in time"`, nil})
	})
}

func TestAckDisconnect(t *testing.T) {
	for name, leave := range map[string]func(c *caller, s *Socket){
		"client leaves namespace": func(c *caller, _ *Socket) { c.send("1") },
		"server disconnects":      func(_ *caller, s *Socket) { s.Disconnect() },
		"server kicks":            func(_ *caller, s *Socket) { s.Kick() },
		"server closes session":   func(_ *caller, s *Socket) { s.Session().Close() },
		"client goes": func(c *caller, _ *Socket) {
			if err := c.leave(); err != nil {
				c.t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachKind(t, func(t *testing.T, k kind) {
				h := serve(t, nil)
				came, left := arrivals(h.Main()), departures(h.Main())
				c := h.join(t, k)
				s := take(t, "socket", came)
				fn, got := record()
				for range 2 {
					if err := s.EmitWithAck(patience, fn, "ask"); err != nil {
						t.Fatal(err)
					}
				}
				c.want(`20["ask"]`, `21["ask"]`)
				leave(c, s)
				take(t, "departure", left)
				for range 2 {
					same(t, "answer", take(t, "answer", got), answer{"", ErrDisconnected})
				}
				if err := s.EmitWithAck(patience, fn, "ask"); !errors.Is(err, ErrDisconnected) {
					t.Errorf("EmitWithAck after leaving: %v", err)
				}
				same(t, "answers too many", len(got), 0)
			})
		})
	}
}

// Either EmitWithAck fails or its function is called, also when the connection
// ends with it.
func TestAckFullQueue(t *testing.T) {
	for _, k := range []kind{polling5, polling4} {
		t.Run(k.name, func(t *testing.T) {
			h := serve(t, func(o *Options) { o.Engine.Polling = fallback.Polling(1_000_000, 1<<20, 2, nil) })
			came, left := arrivals(h.Main()), departures(h.Main())
			h.join(t, k) // no GET waits
			s := take(t, "socket", came)
			fn, got := record()
			failed := 0
			for range 4 {
				if err := s.EmitWithAck(patience, fn, "ask"); err != nil {
					failed++
				}
			}
			take(t, "departure", left)
			for range 4 - failed {
				same(t, "answer", take(t, "answer", got), answer{"", ErrDisconnected})
			}
			same(t, "answers too many", len(got), 0)
		})
	}
}

func TestAckPanic(t *testing.T) {
	for name, timeout := range map[string]time.Duration{"answer": patience, "time-out": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			h := serve(t, nil)
			other := h.join(t, ws5)
			came, left := arrivals(h.Main()), departures(h.Main())
			c := h.join(t, ws5)
			s := take(t, "socket", came)
			if err := s.EmitWithAck(timeout, func(Args, error) { panic("a bug") }, "ask"); err != nil {
				t.Fatal(err)
			}
			c.want(`20["ask"]`)
			if name == "answer" {
				c.send("30[]")
			}
			same(t, "reason", take(t, "departure", left), engineio.ForcedClose)
			c.wantEnd()
			other.sync("")
		})
	}
}
