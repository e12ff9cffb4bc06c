package socketio

import (
	"strings"
	"testing"
	"time"

	"crier/io/engineio"
)

func TestNewRefuses(t *testing.T) {
	for name, o := range map[string]Options{
		"connect timeout": {ConnectTimeout: -time.Second},
		"attachments":     {MaxAttachments: -1},
		"engine":          {Engine: engineio.Options{PingInterval: -1}},
		"no transport":    {Engine: engineio.Options{NoWebSocket: true}},
	} {
		t.Run(name, func(t *testing.T) {
			if srv, err := New(o); err == nil || srv != nil {
				t.Errorf("New: %v, %v; want an error", srv, err)
			}
		})
	}
}

func TestOf(t *testing.T) {
	h := serve(t, nil)
	for _, name := range []string{"", "chat", "/a,b", "/a?b", "/a\n", "/\xff", "/" + strings.Repeat("a", maxNamespace)} {
		if n, err := h.Of(name); err == nil {
			t.Errorf("Of(%q) = %v, want an error", name, n)
		}
	}
	chat, err := h.Of("/chat")
	if err != nil || chat != h.chat() {
		t.Errorf("Of a namespace that is there: %v, %v", chat, err)
	}
	if root, err := h.Of("/"); err != nil || root != h.Main() {
		t.Errorf(`Of("/"): %v, %v`, root, err)
	}
	if h.Main().Hub() == chat.Hub() {
		t.Error("two namespaces share a hub")
	}
}

// The longest name works with the ids of old clients, which contain it.
func TestLongNamespace(t *testing.T) {
	h := serve(t, nil)
	name := "/" + strings.Repeat("é", (maxNamespace-1)/2)
	if _, err := h.Of(name); err != nil {
		t.Fatal(err)
	}
	eachKind(t, func(t *testing.T, k kind) {
		c := h.join(t, k)
		c.send("0" + name + ",")
		c.wantPrefix("0" + name + ",")
		c.send("2" + name + `,["nobody"]`)
		c.sync("")
	})
}
