package api

import (
	"strconv"
	"strings"
	"sync"
	"testing"

	"crier/io/hub"
)

// client is a connection that keeps what it is given.
type client struct {
	id string

	mu  sync.Mutex
	got []string
}

func (c *client) ID() string { return c.id }
func (c *client) Kick()      {}
func (c *client) Deliver(m *hub.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, string(m.Args[0]))
	return nil
}

func TestLegacyThroughHub(t *testing.T) {
	h, err := hub.New(hub.Options{})
	if err != nil {
		t.Fatal(err)
	}
	clients := map[string]*client{}
	for i, uid := range []string{"u1", "u1", "0", "u1,u2", ""} {
		c := &client{id: "c" + strconv.Itoa(i)}
		m, err := h.Connect(c)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Gone()
		if uid != "" {
			if err := m.Login(uid); err != nil {
				t.Fatal(err)
			}
		}
		clients[c.id] = c
	}
	s := newServer(t, Options{Pusher: h})
	for _, c := range []struct{ to, content, want string }{
		{"to=u1", "a", "ok"},
		{"to=u2", "b", "offline"},
		{"to=0", "c", "ok"},
		{"to=u1,u2", "d", "ok"},
		{"to[]=u1&to[]=u2&to[]=u1", "e", "ok"},
		{"to=", "f", "ok"},
		{"to=c4", "g", "offline"}, // a connection's id is no uid
		{"to[]=", "h", "fail"},
		{"to=" + strings.Repeat("x", 256), "i", "fail"},
		{"to=%FF", "j", "fail"},
		{"to=a%0Ab", "k", "fail"},
	} {
		checkAnswer(t, do(s, "GET", "/?type=publish&content="+c.content+"&"+c.to, "", ""), c.want)
	}
	for id, want := range map[string]string{"c0": `"a""e""f"`, "c1": `"a""e""f"`, "c2": `"c""f"`, "c3": `"d""f"`, "c4": `"f"`} {
		if got := strings.Join(clients[id].got, ""); got != want {
			t.Errorf("%s got %s, want %s", id, got, want)
		}
	}
	if err := h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkAnswer(t, do(s, "GET", "/?type=publish&content=x", "", ""), "fail")
}
