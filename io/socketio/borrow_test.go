package socketio

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"crier/io/hub"
)

// A message to one user whose client reads nothing for a while arrives as it was, also when its memory is used for the next one
// as soon as it is free.
func TestBorrow(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		came := arrivals(h.Main())
		c := h.join(t, k)
		s := take(t, "socket", came)
		if err := s.Member().Login("7"); err != nil {
			t.Fatal(err)
		}
		var want []any
		text := make([]byte, 0, 32<<10)
		behind := 0
		for i := 0; behind < 3; i++ { // until messages wait behind one that the socket has not taken
			if i == 1000 {
				t.Fatal("the client's socket takes everything")
			}
			text = fmt.Appendf(text[:0], `"%d%s"`, i, bytes.Repeat([]byte{'a' + byte(i%26)}, 30<<10))
			m := &hub.Message{Event: "note", Args: []json.RawMessage{text}}
			want = append(want, `2["note",`+string(text)+`]`)
			s.Warm() // which changes nothing
			if r := push(t, h.Main(), hub.Audience{Users: []string{"7"}}, m); !r.Free || r.Delivered != 1 {
				t.Fatalf("message %d: %+v", i, r)
			}
			if sent, err := s.EmitVolatile("taken"); err != nil {
				t.Fatal(err)
			} else if sent {
				want = append(want, `2["taken"]`)
			} else {
				behind++
			}
		}
		c.want(want...)
		s.Disconnect()
		s.Warm()
	})
}

// What cannot be sent in that way is delivered in the other.
func TestBorrowNot(t *testing.T) {
	h := serve(t, nil)
	came := arrivals(h.Main())
	c := h.join(t, ws5)
	if err := take(t, "socket", came).Member().Login("7"); err != nil {
		t.Fatal(err)
	}
	bytesOf := func(p []byte) *hub.Message { return note(t, Binary(p)) }
	volatile, reserved := note(t), &hub.Message{Event: "connect"}
	volatile.Volatile = true
	for _, one := range []struct {
		name            string
		m               *hub.Message
		free, delivered bool
	}{
		{"plain", note(t, JSON(1)), true, true},
		{"bytes", bytesOf([]byte("b")), false, true},
		{"volatile", volatile, false, true},
		{"a name that clients refuse", reserved, false, false},
	} {
		r := push(t, h.Main(), hub.Audience{Users: []string{"7"}}, one.m)
		if r.Free != one.free || (r.Delivered == 1) != one.delivered {
			t.Errorf("%s: %+v", one.name, r)
		}
	}
	c.want(`2["note",1]`, `51-["note",{"_placeholder":true,"num":0}]`, []byte("b"), `2["note"]`)
}
