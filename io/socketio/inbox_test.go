package socketio

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"crier/io/hub"
	"crier/io/store"
)

// serveInbox starts a server whose clients have an inbox each, and can recover. Who says {uid} in auth is logged in.
func serveInbox(t *testing.T) (*host, *store.Inbox) {
	t.Helper()
	st, err := store.Open(store.Options{Path: filepath.Join(t.TempDir(), "crier.db")})
	if err != nil {
		t.Fatal(err)
	}
	inbox, err := st.Inbox(store.InboxOptions{MaxPerUser: 1000, MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	recovery := hub.Recovery{Window: time.Minute, MaxMessages: 1000, MaxBytes: 1 << 20}
	own, err := hub.New(hub.Options{
		Inbox: inbox, QueueMessages: 8,
		Recovery: &recovery,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := own.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := inbox.Close(); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	h := serve(t, func(o *Options) {
		o.Hub = own
		o.Recovery = &Recovery{Recovery: recovery}
	})
	h.Main().Use(func(s *Socket) error {
		var auth struct{ UID string }
		if len(s.Auth()) > 0 {
			if err := json.Unmarshal(s.Auth(), &auth); err != nil {
				return err
			}
		}
		if auth.UID == "" {
			return nil
		}
		return s.Member().Login(auth.UID)
	})
	h.Main().On("login", func(e *Event) {
		if err := e.Socket.Member().Login("u"); err != nil {
			t.Error(err)
		}
	})
	return h, inbox
}

// keep stores a message for the user u, and waits until those who are online have been given it.
func (h *host) keep(t *testing.T, id string) {
	t.Helper()
	done := make(chan hub.Kept, 1)
	err := h.Main().Hub().Store(context.Background(), hub.Push{
		To:      hub.Audience{Users: []string{"u"}},
		Message: &hub.Message{ID: id, Event: "news", Args: []json.RawMessage{json.RawMessage(`"` + id + `"`)}, ShowID: true},
	}, hub.Keep{Expires: time.Now().Add(time.Hour), Done: func(k hub.Kept) { done <- k }})
	if err != nil {
		t.Fatal(err)
	}
	if k := take(t, "storing", done); k.Err != nil {
		t.Fatal(k.Err)
	}
}

// waiting is how many messages are kept for u.
func waiting(t *testing.T, inbox *store.Inbox) int {
	t.Helper()
	letters, err := inbox.Next("u", 0, 1000, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return len(letters)
}

// What was stored comes behind the answer to the CONNECT that logs in, or with the login, and is confirmed by clients as they are.
func TestCatchUp(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h, inbox := serveInbox(t)
		for _, id := range []string{"1", "2", "3"} {
			h.keep(t, id)
		}
		c := h.join(t, k)
		c.send(`2["login"]`)
		c.want(`2["news","1","1"]`, `2["news","2","2"]`, `2["news","3","3"]`)
		c.sync("") // a packet of the client's, which those of protocol 4 confirm by
		h.keep(t, "4")
		c.want(`2["news","4","4"]`)
		await(t, "the confirmation", func() bool {
			c.sync("")
			return waiting(t, inbox) == 0
		})
	})
}

func TestCatchUpWithTheConnect(t *testing.T) {
	for _, k := range []kind{ws5, polling5} {
		t.Run(k.name, func(t *testing.T) {
			h, inbox := serveInbox(t)
			h.keep(t, "1")
			c := h.open(t, k)
			c.send(`0{"uid":"u"}`)
			c.wantPrefix(`0{"sid":`)
			c.want(`2["news","1","1"]`)
			await(t, "the confirmation", func() bool {
				c.sync("")
				return waiting(t, inbox) == 0
			})
		})
	}
}

// A client that recovers gets everything once, each time with an offset, and its coming back confirms what it had.
func TestRecoverWithAnInbox(t *testing.T) {
	recoveryKinds(t, func(t *testing.T, k kind) {
		h, inbox := serveInbox(t)
		h.keep(t, "before")
		a := h.greet(t, k, `,"uid":"u"`)
		a.wantEvent(`2["news","before","before"`)
		first := a.offset
		await(t, "the confirmation", func() bool {
			a.sync("")
			return waiting(t, inbox) == 0
		})
		a.mute = true // from now on it confirms nothing
		h.keep(t, "live")
		a.wantEvent(`2["news","live","live"`)
		if a.offset == first {
			t.Error("a live event has the offset of the one before")
		}
		h.lost(t, a)
		h.keep(t, "missed")
		if n := waiting(t, inbox); n != 2 {
			t.Errorf("%d messages are kept, want that which was not confirmed and that which was missed", n)
		}
		b := a.again(h, `,"uid":"u"`)
		same(t, "pid", b.pid, a.pid)
		b.wantEvent(`2["news","missed","missed"`)
		await(t, "the confirmation", func() bool {
			b.sync("") // nothing comes twice
			return waiting(t, inbox) == 0
		})
		h.keep(t, "after")
		b.wantEvent(`2["news","after","after"`)
	})
}

// A client that cannot be recovered any more gets what was stored from the inbox.
func TestInboxWithoutRecovery(t *testing.T) {
	h, _ := serveInbox(t)
	a := h.greet(t, ws5, `,"uid":"u"`)
	a.mute = true
	h.keep(t, "live")
	a.wantEvent(`2["news","live","live"`)
	h.lost(t, a)
	h.keep(t, "missed")
	a.pid = "another"
	b := a.again(h, `,"uid":"u"`)
	if b.pid == a.pid {
		t.Fatal("recovered")
	}
	b.wantEvent(`2["news","live","live"`)
	b.wantEvent(`2["news","missed","missed"`)
}

// The id stands behind the arguments, and before an offset, also of what is to be acknowledged.
func TestShowID(t *testing.T) {
	h := serveRecovery(t, nil)
	plain, recovers := h.join(t, ws4), h.greet(t, ws5, "")
	m := func() *hub.Message {
		return &hub.Message{ID: `i"d`, Event: "e", Args: []json.RawMessage{json.RawMessage("1")}, ShowID: true}
	}
	ctx := context.Background()
	if _, err := h.Main().Hub().Push(ctx, hub.Push{To: hub.Audience{All: true}, Message: m()}); err != nil {
		t.Fatal(err)
	}
	plain.want(`2["e",1,"i\"d"]`)
	recovers.wantEvent(`2["e",1,"i\"d"`)
	_, err := h.Main().Hub().Ask(ctx, hub.Push{To: hub.Audience{All: true}, Message: m()}, hub.Question{
		Wait: time.Millisecond, Done: func(hub.Answers) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	plain.wantPrefix("2")
	recovers.wantPrefix("2")
}
