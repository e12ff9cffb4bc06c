package socketio

import (
	"testing"
	"unsafe"
)

// There may be a million idle sockets: what each holds must not grow unnoticed.
func TestSocketsAreSmall(t *testing.T) {
	for _, tt := range []struct {
		what      string
		size, max uintptr
	}{
		{"Socket", unsafe.Sizeof(Socket{}), 160},
		{"rare", unsafe.Sizeof(rare{}), 64},
		{"client", unsafe.Sizeof(client{}), 80},
	} {
		if tt.size > tt.max {
			t.Errorf("a %s takes %d bytes, want at most %d", tt.what, tt.size, tt.max)
		}
	}
}

// What is rare is not kept when it is over.
func TestRareIsForgotten(t *testing.T) {
	h := serve(t, func(o *Options) { o.ForgetHandshake = true })
	came := arrivals(h.chat())
	c := h.join(t, ws5)
	c.send(`0/chat,{"token":"x"}`)
	c.wantPrefix("0/chat,")
	s := take(t, "socket", came)
	c.sync("/chat,") // OnConnect has returned
	holds := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.rare != nil
	}
	same(t, "something is kept of the handshake", holds(), false)
	fn, got := record()
	if err := s.EmitWithAck(patience, fn, "ask"); err != nil {
		t.Fatal(err)
	}
	same(t, "something is kept while an answer is due", holds(), true)
	c.want(`2/chat,0["ask"]`)
	c.send("3/chat,0[]")
	take(t, "answer", got)
	same(t, "something is kept of an answer", holds(), false)

	same(t, "data", s.Data(), nil)
	type user struct{ name string }
	s.SetData(&user{"ann"})
	if u, ok := s.Data().(*user); !ok || u.name != "ann" {
		t.Errorf("data: %v", s.Data())
	}
	same(t, "something is kept with data", holds(), true)
	s.SetData(nil)
	same(t, "something is kept without", holds(), false)
}
