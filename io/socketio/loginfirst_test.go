package socketio

import (
	"context"
	"encoding/json"
	"testing"

	"crier/io/hub"
)

// With a hub whose connections log in first, a socket gets what it is told itself, and nothing that goes to many.
func TestLoginFirst(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		hb, err := hub.New(hub.Options{LoginFirst: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := hb.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		h := serve(t, func(o *Options) { o.Hub = hb })
		n := h.Main()
		came := arrivals(n)
		n.On("login", func(e *Event) {
			var uid string
			if err := e.Decode(0, &uid); err != nil {
				t.Error(err)
			}
			if err := e.Socket.Member().Login(uid); err != nil {
				t.Error(err)
			}
		})
		c := h.join(t, k)
		s := take(t, "socket", came)
		for _, b := range []Broadcast{n.All(), n.ToSocket(s.ID()), n.To("z")} {
			if r, err := b.Emit("secret"); r.Connections != 0 || err != nil {
				t.Errorf("%+v reached %+v, %v", b, r, err)
			}
		}
		same(t, "joining a room", s.Join("z"), error(hub.ErrLoginFirst))
		if err := s.Emit("hello"); err != nil {
			t.Error(err)
		}
		c.want(`2["hello"]`)
		c.send(`2["login","7"]`)
		c.sync("")
		r, err := n.ToUser("7").Emit("news", Raw(json.RawMessage("1")))
		if r.Delivered != 1 || err != nil {
			t.Errorf("Emit: %+v, %v", r, err)
		}
		c.want(`2["news",1]`)
	})
}

func TestSiblings(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		mains, chats := arrivals(h.Main()), arrivals(h.chat())
		c := h.join(t, k)
		main := take(t, "socket", mains)
		same(t, "siblings of the first", len(main.Siblings()), 0)
		c.send("0/chat,")
		c.wantPrefix("0/chat,")
		chat := take(t, "socket", chats)
		other := h.join(t, k)
		take(t, "socket of another connection", mains)
		for s, sibling := range map[*Socket]*Socket{main: chat, chat: main} {
			got := s.Siblings()
			same(t, "siblings", len(got), 1)
			same(t, "sibling", got[0], sibling)
		}
		chat.Disconnect()
		same(t, "siblings of the last", len(main.Siblings()), 0)
		other.sync("")
	})
}
