package socketio

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"crier/fallback"
	"crier/io/engineio"
	"crier/io/hub"
)

// push pushes a message in n.
func push(t testing.TB, n *Namespace, to hub.Audience, m *hub.Message) hub.Result {
	t.Helper()
	r, err := n.Hub().Push(t.Context(), hub.Push{To: to, Message: m})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// note returns an event with arguments.
func note(t testing.TB, args ...Arg) *hub.Message {
	t.Helper()
	m, err := NewMessage("note", args...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDeliver(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		came, chatCame := arrivals(h.Main()), arrivals(h.chat())
		c := h.join(t, k)
		c.send("0/chat,")
		c.wantPrefix("0/chat,")
		s, chat := take(t, "socket", came), take(t, "socket", chatCame)
		if err := s.Member().Login("7"); err != nil {
			t.Fatal(err)
		}
		if err := chat.Member().Join("room"); err != nil {
			t.Fatal(err)
		}
		same(t, "delivered to a user", push(t, h.Main(), hub.Audience{Users: []string{"7"}}, note(t, JSON(1))).Delivered, 1)
		same(t, "delivered to a room", push(t, h.chat(), hub.Audience{Rooms: []string{"room"}}, note(t, Binary([]byte("b")))).Delivered, 1)
		same(t, "delivered to a socket", push(t, h.Main(), hub.Audience{Connections: []string{s.ID()}}, note(t)).Delivered, 1)
		same(t, "in another namespace", push(t, h.chat(), hub.Audience{Users: []string{"7"}, Connections: []string{s.ID()}}, note(t)).Connections, 0)
		c.want(`2["note",1]`, `51-/chat,["note",{"_placeholder":true,"num":0}]`, []byte("b"), `2["note"]`)
		c.sync("")
	})
}

// What many are pushed at once arrives as it was, in order, whatever they speak: text, bytes, and what goes to some of them
// in between.
func TestDeliverTogether(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		came := arrivals(h.Main())
		c := h.join(t, k)
		if err := take(t, "socket", came).Member().Login("7"); err != nil {
			t.Fatal(err)
		}
		for i := range 70 { // as many as make it worth while
			m, err := h.Main().Hub().Connect(bystander(fmt.Sprint("bystander", i)))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(m.Gone)
		}
		var want []any
		soon := func(m *hub.Message, on ...any) {
			t.Helper()
			if _, err := h.Main().Hub().Push(t.Context(), hub.Push{To: hub.Audience{All: true}, Message: m, Soon: true}); err != nil {
				t.Fatal(err)
			}
			want = append(want, on...)
		}
		for i := range 40 {
			soon(note(t, JSON(i)), fmt.Sprintf(`2["note",%d]`, i))
			if i%8 == 3 {
				soon(note(t, Binary([]byte{byte(i)})), `51-["note",{"_placeholder":true,"num":0}]`, []byte{byte(i)})
			}
			if i%16 == 5 {
				push(t, h.Main(), hub.Audience{Users: []string{"7"}}, note(t, JSON("own")))
				want = append(want, `2["note","own"]`)
			}
			if i == 30 {
				soon(&hub.Message{Event: "connect"}) // which clients refuse
			}
		}
		c.want(want...)
		c.sync("")
	})
}

// bystander is a connection that takes everything.
type bystander string

func (c bystander) ID() string               { return string(c) }
func (bystander) Deliver(*hub.Message) error { return nil }
func (bystander) Kick()                      {}

func TestDeliverFullQueue(t *testing.T) {
	for _, k := range []kind{polling5, polling4} {
		t.Run(k.name, func(t *testing.T) {
			h := serve(t, func(o *Options) { o.Engine.Polling = fallback.Polling(1_000_000, 1<<20, 3, nil) })
			left := departures(h.Main())
			other := h.join(t, ws5)
			h.join(t, k) // no GET waits
			all := hub.Audience{All: true}
			for range 3 {
				same(t, "delivered", push(t, h.Main(), all, note(t)).Delivered, 2)
			}
			r := push(t, h.Main(), all, note(t))
			same(t, "delivered, slow", [2]int{r.Delivered, r.Slow}, [2]int{1, 1})
			same(t, "reason", take(t, "departure", left), engineio.SlowConsumer)
			r = push(t, h.Main(), all, note(t))
			same(t, "delivered, matched", [2]int{r.Delivered, r.Connections}, [2]int{1, 1})
			for range 5 {
				other.want(`2["note"]`)
			}
			same(t, "slow consumers", h.Engine().Stats().SlowConsumers.Full, 1)
		})
	}
}

func TestDeliverVolatile(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		c := h.join(t, k)
		deliver := func() hub.Result {
			m := note(t)
			m.Volatile = true
			return push(t, h.Main(), hub.Audience{All: true}, m)
		}
		if !k.polling {
			same(t, "delivered", deliver().Delivered, 1)
			c.want(`2["note"]`)
		} else {
			same(t, "slow while no GET waits", deliver().Slow, 1)
			got := make(chan string, 1)
			go func() {
				pkt, err := c.next()
				got <- fmt.Sprint(string(pkt.Data), err)
			}()
			await(t, "a delivery to a waiting GET", func() bool { return deliver().Delivered == 1 })
			same(t, "message", take(t, "message", got), `2["note"]<nil>`)
		}
		c.sync("") // the connection lives
	})
}

func TestDeliverReserved(t *testing.T) {
	h := serve(t, nil)
	c := h.join(t, ws5)
	r := push(t, h.Main(), hub.Audience{All: true}, &hub.Message{Event: "disconnect"})
	same(t, "failed", r.Failed, 1)
	c.sync("")
}

// A broadcast is encoded once, however many sockets it goes to.
func TestEncodedOnce(t *testing.T) {
	const each = 25
	h := serve(t, nil)
	var encoded atomic.Int32
	h.Main().encode = func(m *hub.Message) any {
		encoded.Add(1)
		return h.Main().prepare(m)
	}
	var peers []*caller
	for range each {
		for _, k := range kinds {
			peers = append(peers, h.join(t, k))
		}
	}
	m := note(t, JSON(strings.Repeat("x", 1000)), Binary([]byte("b")))
	same(t, "delivered", push(t, h.Main(), hub.Audience{All: true}, m).Delivered, 4*each)
	for _, c := range peers {
		c.want(`51-["note","`+strings.Repeat("x", 1000)+`",{"_placeholder":true,"num":0}]`, []byte("b"))
	}
	same(t, "times encoded", encoded.Load(), 1)

	one, two := h.Main().prepared(m), h.Main().prepared(m)
	for _, f := range []engineio.Framing{engineio.FramingV4, engineio.FramingV3Binary} {
		if &one.Payload(f)[0] != &two.Payload(f)[0] {
			t.Errorf("two sockets get copies of framing %d", f)
		}
	}
	if h.chat().prepared(m) == one {
		t.Error("another namespace gets the same bytes")
	}
}
