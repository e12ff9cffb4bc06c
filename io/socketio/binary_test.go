package socketio

import (
	"bytes"
	"fmt"
	"testing"

	"crier/io/engineio"
	"crier/io/wsconn"
)

func TestBinaryIn(t *testing.T) {
	big := bytes.Repeat([]byte("b"), 100_000)
	other := bytes.Repeat([]byte("o"), 100_000)
	tests := []struct {
		name string
		send []any
		want string // the arguments
	}{
		{"one", []any{`51-["bin",{"_placeholder":true,"num":0}]`, []byte{0, 255, 4}}, `["\x00\xff\x04"]`},
		{"empty", []any{`51-["bin",{"_placeholder":true,"num":0}]`, []byte{}}, `[""]`},
		{"large", []any{`51-["bin",{"_placeholder":true,"num":0}]`, big}, fmt.Sprintf("[%q]", big)},
		{
			"two large ones",
			[]any{`52-["bin",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, big, other},
			fmt.Sprintf("[%q %q]", big, other),
		},
		{
			"in another order", []any{
				`53-["bin",{"_placeholder":true,"num":2},"x",{"num":0,"_placeholder":true},{"_placeholder":true,"num":1}]`,
				[]byte("a"), []byte("b"), []byte("c"),
			}, `["c" x "a" "b"]`,
		},
		{"one for two", []any{`51-["bin",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]`, []byte("a")}, `["a" "a"]`},
		{"inside an object", []any{`51-["bin",{"k":{"_placeholder":true,"num":0}}]`, []byte("a")}, `[{"k":{"_placeholder":true,"num":0}}]`},
		{"placeholder without bytes", []any{`2["bin",{"_placeholder":true,"num":0}]`}, `[{"_placeholder":true,"num":0}]`},
		{"no placeholder", []any{`2["bin",{"_placeholder":false,"num":0}]`}, `[{"_placeholder":false,"num":0}]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			eachKind(t, func(t *testing.T, k kind) {
				h := serve(t, nil)
				got := make(chan string, 10)
				h.Main().On("bin", func(e *Event) {
					list := make([]any, e.Len())
					for i := range list {
						var s string
						if b, ok := e.Binary(i); ok {
							list[i] = fmt.Sprintf("%q", b)
						} else if e.Decode(i, &s) == nil {
							list[i] = s
						} else {
							list[i] = string(e.JSON(i))
						}
					}
					got <- fmt.Sprint(list)
				})
				c := h.join(t, k)
				c.send(tt.send...)
				same(t, "arguments", take(t, "event", got), tt.want)
				c.sync("")
			})
		})
	}
}

// A packet that waits for its attachments is no event yet.
func TestBinaryIncomplete(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		left := departures(h.Main())
		h.Main().On("bin", func(*Event) { t.Error("an event without all its attachments was handled") })
		c := h.join(t, k)
		c.send(`52-["bin",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, []byte("a"))
		if err := c.leave(); err != nil {
			t.Fatal(err)
		}
		take(t, "departure", left)
	})
}

// What waits for its attachments counts for the Budget, and who has most of it there is ended when it is too much for all; the others' events
// come in whole.
func TestBinaryIncompleteCounts(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		budget, err := wsconn.NewBudget(wsconn.BudgetOptions{Bytes: 1_000_000})
		if err != nil {
			t.Fatal(err)
		}
		defer budget.Close()
		h := serve(t, func(o *Options) { o.Engine.Budget = budget })
		left := departures(h.Main())
		got := make(chan int, 10)
		h.Main().On("bin", func(e *Event) {
			last, _ := e.Binary(e.Len() - 1)
			got <- len(last)
		})
		const list = `["bin",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},{"_placeholder":true,"num":2},{"_placeholder":true,"num":3}]`
		attachment := make([]byte, 150_000)
		waits := func(bytes int) {
			t.Helper()
			await(t, fmt.Sprintf("%d bytes", bytes), func() bool { return budget.Stats().Bytes == int64(bytes) })
		}
		text := len("/") + len(list)

		small := h.join(t, k)
		small.send("54-"+list, []byte("a"), []byte("b"), []byte("c"))
		small.send(attachment[:1000])
		same(t, "last attachment", take(t, "event", got), 1000)
		waits(0)
		small.send("54-"+list, attachment)
		waits(text + len(attachment))
		small.send(attachment, attachment)
		waits(text + 3*len(attachment))
		small.send(attachment)
		same(t, "last attachment", take(t, "event", got), len(attachment))
		waits(0)
		small.send("54-"+list, attachment)
		waits(text + len(attachment))

		large := h.join(t, k)
		large.send("54-"+list, attachment, attachment, attachment)
		waits(2*text + 4*len(attachment))
		leaves := h.join(t, k)
		leaves.send("54-"+list, attachment)
		waits(3*text + 5*len(attachment))
		if err := leaves.leave(); err != nil {
			t.Fatal(err)
		}
		take(t, "departure", left)
		waits(2*text + 4*len(attachment))

		last := h.join(t, k)
		last.send("54-"+list, attachment, attachment, attachment) // 1,050,000 with it
		take(t, "departure of one that has three", left)
		waits(2*text + 4*len(attachment))
		small.send(attachment, attachment, attachment)
		same(t, "last attachment", take(t, "event", got), len(attachment))
		waits(text + 3*len(attachment))
		if n := budget.Stats().Evicted; n != 1 {
			t.Errorf("%d were ended", n)
		}
	})
}

func TestBinaryOut(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		came := arrivals(h.chat())
		h.chat().On("echo", func(e *Event) {
			args := make([]Arg, e.Len())
			for i := range args {
				args[i] = e.Forward(i)
			}
			if err := e.Ack(args...); err != nil {
				t.Error(err)
			}
		})
		c := h.join(t, k)
		c.send("0/chat,")
		c.wantPrefix("0/chat,")
		s := take(t, "socket", came)
		if err := s.Emit("bin", Binary([]byte{0, 255}), JSON(1), Binary(nil)); err != nil {
			t.Fatal(err)
		}
		c.want(`52-/chat,["bin",{"_placeholder":true,"num":0},1,{"_placeholder":true,"num":1}]`, []byte{0, 255}, []byte{})

		fn, got := record()
		if err := s.EmitWithAck(patience, fn, "ask", Binary([]byte("q"))); err != nil {
			t.Fatal(err)
		}
		c.want(`51-/chat,0["ask",{"_placeholder":true,"num":0}]`, []byte("q"))
		c.send(`61-/chat,0[{"_placeholder":true,"num":0},2]`, []byte("a"))
		same(t, "answer", take(t, "answer", got), answer{`bytes "a" 2`, nil})

		c.send(`52-/chat,9["echo",{"_placeholder":true,"num":1},"x",{"_placeholder":true,"num":0}]`, []byte("a"), []byte("b"))
		c.want(`62-/chat,9[{"_placeholder":true,"num":0},"x",{"_placeholder":true,"num":1}]`, []byte("b"), []byte("a"))
	})
}

// Placeholders are checked where the official decoder checks them, and a packet
// with a bad one is a parse error.
func TestIllegalAttachments(t *testing.T) {
	tests := []struct {
		data string // with one attachment
		ok   bool
	}{
		{`{"_placeholder":true,"num":1}`, false},
		{`{"_placeholder":true,"num":-1}`, false},
		{`{"_placeholder":true,"num":"0"}`, false},
		{`{"_placeholder":true,"num":0.5}`, false},
		{`{"_placeholder":true,"num":1e999}`, false},
		{`{"_placeholder":true,"num":null}`, false},
		{`{"_placeholder":true}`, false},
		{`[1,{"a":{"b":[{"_placeholder":true,"num":7}]}}]`, false},
		{`{"\u005fplaceholder":true,"num":9}`, false},
		{`{"_placeholder":false,"_placeholder":true,"num":9}`, false},
		{`{"_placeholder":true,"num":0,"num":1}`, false},
		{`{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}`, false},
		{`{"_placeholder":true,"num":0}`, true},
		{`{"_placeholder":true,"num":-0.0}`, true},
		{`{ "num" : 0e1 , "_placeholder" : true }`, true},
		{`{"_placeholder":true,"_placeholder":false,"num":9}`, true},
		{`{"_placeholder":1,"num":9}`, true},
		{`{"_placeholder":"true","num":9}`, true},
		{`{"_Placeholder":true,"num":9}`, true},
		{`"{\"_placeholder\":true,\"num\":9}"`, true},
		{`{"_placeholder":true,"num":0,"in":{"_placeholder":true,"num":9}}`, true}, // not looked into
		{`1`, true},
	}
	for _, tt := range tests {
		t.Run(tt.data, func(t *testing.T) {
			for _, packet := range []string{`51-["bin",`, `61-5["bin",`} {
				for _, k := range []kind{ws5, ws4} {
					h := serve(t, nil)
					left := departures(h.Main())
					c := h.join(t, k)
					c.send(packet+tt.data+"]", []byte("a"))
					if tt.ok {
						c.sync("")
						continue
					}
					c.wantEnd()
					same(t, "reason", take(t, "departure", left), ParseError)
				}
			}
		})
	}
}

// A packet without attachments has no placeholders, whatever it looks like.
func TestPlaceholderInText(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		h.Main().On("echo", func(e *Event) {
			if _, ok := e.Binary(0); ok {
				t.Error("text became bytes")
			}
			if err := e.Ack(e.ForwardAll()...); err != nil {
				t.Error(err)
			}
		})
		c := h.join(t, k)
		c.send(`21["echo",{"_placeholder":true,"num":9}]`, `50-2["echo",{"_placeholder":true,"num":9}]`)
		c.want(`31[{"_placeholder":true,"num":9}]`, `32[{"_placeholder":true,"num":9}]`)
	})
}

// A 1.x or 2.x client that takes no binary data gets base64.
func TestBinaryBase64(t *testing.T) {
	for _, k := range []kind{ws4, polling4} {
		t.Run(k.name, func(t *testing.T) {
			h := serve(t, nil)
			came := arrivals(h.Main())
			c := h.join(t, k, "b64=1")
			if err := take(t, "socket", came).Emit("bin", Binary([]byte("abc"))); err != nil {
				t.Fatal(err)
			}
			c.want(`51-["bin",{"_placeholder":true,"num":0}]`)
			c.want([]byte("abc"))
			same(t, "revision", c.rev, engineio.Revision3)
		})
	}
}
