package socketio

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"crier/io/engineio"
)

func TestEvent(t *testing.T) {
	tests := []struct {
		name, packet string
		want         string // event and arguments, as JSON
	}{
		{"no arguments", `2["e"]`, `e []`},
		{"all kinds", `2["e",1,"a\u00e9",null,{"k":[true]},[]]`, `e [1 "a\u00e9" null {"k":[true]} []]`},
		{"white space", `2 [ "e" , 1 ]`, `e [1]`},
		{"escaped name", `2["\u0065",1]`, `e [1]`},
		{"an unknown event", `2["other",1]`, `fallback other [1]`},
		{"empty name", `2[""]`, `fallback  []`},
		{"a number for a name", `2[7,1]`, `fallback 7 [1]`},
		{"another namespace", `2/chat,["e",1]`, `chat e [1]`},
		{"binary without attachments", `50-["e",1]`, `e [1]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			eachKind(t, func(t *testing.T, k kind) {
				h := serve(t, nil)
				got := make(chan string, 10)
				tell := func(prefix string) Handler {
					return func(e *Event) {
						args := make([]string, e.Len())
						for i := range args {
							args[i] = string(e.JSON(i))
						}
						got <- fmt.Sprint(prefix, e.Name, " ", args)
					}
				}
				h.Main().On("e", func(*Event) { t.Error("a handler that was replaced was called") })
				h.Main().On("e", tell(""))
				h.Main().OnOther(tell("fallback "))
				h.chat().On("e", tell("chat "))
				c := h.join(t, k)
				c.send("0/chat,")
				c.wantPrefix("0/chat,")
				c.send(tt.packet)
				same(t, "event", take(t, "event", got), tt.want)
				c.sync("")
			})
		})
	}
}

func TestEventWithoutHandler(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		c := h.join(t, k)
		c.send(`2["nobody",1]`, `20["nobody"]`)
		c.sync("")
	})
}

// Handlers of one connection run one at a time, in order, and hold up no other.
func TestHandlerOrder(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		const count = 300
		var running atomic.Int32
		got := make(chan int, count)
		h.Main().On("n", func(e *Event) {
			if running.Add(1) > 1 {
				t.Error("two handlers of one connection run at once")
			}
			var n int
			if err := e.Decode(0, &n); err != nil {
				t.Error(err)
			}
			runtime.Gosched()
			got <- n
			running.Add(-1)
		})
		held, free := make(chan struct{}), make(chan struct{})
		h.Main().On("hold", func(*Event) {
			close(held)
			<-free
		})
		other := h.join(t, ws5)
		other.send(`2["hold"]`)
		take(t, "the other connection's handler", held)
		c := h.join(t, k)
		packets := make([]any, count)
		for i := range packets {
			packets[i] = fmt.Sprintf(`2["n",%d]`, i)
		}
		c.send(packets...)
		for i := range count {
			same(t, "event", take(t, "event", got), i)
		}
		close(free)
		other.sync("")
	})
}

func TestHandle(t *testing.T) {
	h := serve(t, nil)
	type order struct{ Item string }
	got, failed := make(chan order, 1), make(chan error, 1)
	Handle(h.Main(), "order", func(_ *Event, o order) { got <- o }, func(_ *Event, err error) { failed <- err })
	Handle(h.Main(), "quiet", func(*Event, int) { t.Error("called without a number") }, nil)
	c := h.join(t, ws5)
	c.send(`2["order",{"item":"tea"}]`, `2["order",7]`, `2["quiet","x"]`)
	same(t, "order", take(t, "order", got), order{"tea"})
	if err := take(t, "error", failed); !strings.Contains(err.Error(), "argument 0") {
		t.Errorf("error %q does not name the argument", err)
	}
	c.send(`2["order"]`)
	if err := take(t, "error", failed); !errors.Is(err, ErrNoArgument) {
		t.Errorf("error %q does not say that there is no argument", err)
	}
	c.sync("")
}

func TestEmit(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		main, chat := arrivals(h.Main()), arrivals(h.chat())
		c := h.join(t, k)
		c.send("0/chat,")
		c.wantPrefix("0/chat,")
		for _, s := range []*Socket{take(t, "socket", main), take(t, "socket", chat)} {
			err := s.Emit("é<b>", JSON("<&>"), Raw([]byte(` {"a" : 1}`)), JSON(nil), Arg{})
			if err != nil {
				t.Fatal(err)
			}
		}
		want := `["é<b>","<&>", {"a" : 1},null,null]`
		if k == polling4 { // where old clients disagree about UTF-8
			want = strings.ReplaceAll(want, "é", `\u00e9`)
		}
		c.want("2"+want, "2/chat,"+want)
	})
}

func TestEmitErrors(t *testing.T) {
	h := serve(t, nil)
	came := arrivals(h.Main())
	c := h.join(t, ws5)
	s := take(t, "socket", came)
	never := func(Args, error) { t.Error("the function of an EmitWithAck that failed was called") }
	for name, args := range map[string][]Arg{
		"not encodable": {JSON(func() {})},
		"not JSON":      {JSON(1), Raw([]byte("{"))},
		"no JSON":       {Raw(nil)},
	} {
		if s.Emit("e", args...) == nil || s.EmitWithAck(patience, never, "e", args...) == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, event := range []string{"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"} {
		if err := s.Emit(event); !errors.Is(err, ErrReserved) {
			t.Errorf("Emit(%q): %v", event, err)
		}
		if err := s.EmitWithAck(patience, never, event); !errors.Is(err, ErrReserved) {
			t.Errorf("EmitWithAck(%q): %v", event, err)
		}
	}
	c.sync("")
}

func TestPanic(t *testing.T) {
	crash := func(*Socket) { panic("a bug") }
	tests := []struct {
		name string
		set  func(n *Namespace)
		send []any
	}{
		{"handler", func(n *Namespace) { n.On("crash", func(*Event) { panic("a bug") }) }, []any{`2["crash"]`}},
		{"brief handler", func(n *Namespace) { n.OnBrief("crash", func(*Event) { panic("a bug") }) }, []any{`2["crash"]`}},
		{"handler of bytes", func(n *Namespace) { n.On("crash", func(*Event) { panic("a bug") }) }, []any{`51-["crash",{"_placeholder":true,"num":0}]`, []byte{1}}},
		{"OnConnect", func(n *Namespace) { n.OnConnect(crash) }, nil},
		{"middleware", func(n *Namespace) {
			n.Use(func(*Socket) error { panic("a bug") })
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			eachKind(t, func(t *testing.T, k kind) {
				h := serve(t, nil)
				other := h.join(t, ws5)
				left := departures(h.Main())
				tt.set(h.Main())
				c := h.open(t, k)
				if k.rev == engineio.Revision4 {
					c.send("0")
				}
				if tt.name != "middleware" {
					c.wantPrefix("0")
				}
				if tt.send != nil {
					c.send(tt.send...)
				}
				c.wantEnd()
				if tt.name != "middleware" {
					same(t, "reason", take(t, "departure", left), engineio.ForcedClose)
				}
				if log := h.log.String(); !strings.Contains(log, "a bug") || !strings.Contains(log, "event_test.go") {
					t.Errorf("the panic or its place is not in the log:\n%s", log)
				}
				other.sync("")
				same(t, "sockets", h.Main().Hub().Stats().Sockets, 1)
			})
		})
	}
}

func TestPanicInOnDisconnect(t *testing.T) {
	h := serve(t, nil)
	h.Main().OnDisconnect(func(*Socket, Reason) { panic("a bug") })
	left := departures(h.Main()) // called nevertheless
	c := h.join(t, ws5)
	c.send("1")
	same(t, "reason", take(t, "departure", left), ClientDisconnect)
	c.send("0")
	c.wantPrefix("0")
	c.sync("")
}
