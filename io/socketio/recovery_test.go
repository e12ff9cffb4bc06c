package socketio

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"crier/io/engineio"
	"crier/io/hub"
)

// recoveryKinds are the ways in which clients connect that can recover.
func recoveryKinds(t *testing.T, fn func(t *testing.T, k kind)) {
	for _, k := range []kind{ws5, polling5} {
		t.Run(k.name, func(t *testing.T) { fn(t, k) })
	}
}

// serveRecovery starts a server whose clients can recover.
func serveRecovery(t *testing.T, adapt func(*Options)) *host {
	t.Helper()
	return serve(t, func(o *Options) {
		o.Recovery = &Recovery{Recovery: hub.Recovery{Window: time.Minute, MaxMessages: 1000, MaxBytes: 1 << 20, ReplayMessages: 100}}
		if adapt != nil {
			adapt(o)
		}
	})
}

// returner is a client that recovers.
type returner struct {
	*caller
	sid, pid, offset string
}

// greet joins the main namespace with some more in the auth object, and takes the answer.
func (h *host) greet(t *testing.T, k kind, auth string) *returner {
	t.Helper()
	r := &returner{caller: h.open(t, k)}
	r.send(`0{"recovery":true` + auth + `}`)
	r.answered()
	return r
}

// answered takes the answer to a CONNECT.
func (r *returner) answered() {
	r.t.Helper()
	var a struct{ SID, PID string }
	if err := json.Unmarshal([]byte(r.wantPrefix("0")), &a); err != nil || a.SID == "" || a.PID == "" {
		r.t.Fatalf("the answer to a CONNECT says %+v, %v", a, err)
	}
	r.sid, r.pid = a.SID, a.PID
}

// again connects as the client would that was r.
func (r *returner) again(h *host, auth string) *returner {
	r.t.Helper()
	t, ok := r.t.(*testing.T)
	if !ok {
		r.t.Fatal("not a test")
	}
	if r.offset != "" {
		auth += fmt.Sprintf(`,"offset":%q`, r.offset)
	}
	return h.greet(t, r.kind, fmt.Sprintf(`,"pid":%q`, r.pid)+auth)
}

// wantEvent takes an event, given without the bracket that ends it, and its offset.
func (r *returner) wantEvent(event string) {
	r.t.Helper()
	got := r.wantPrefix(event + `,"`)
	offset, ok := strings.CutSuffix(got, `"]`)
	if !ok || offset == "" || strings.ContainsAny(offset, `",\`) {
		r.t.Fatalf("behind %s came %q, want an offset", event, got)
	}
	r.offset = offset
}

// lost waits until the server has noticed that the only connection has ended.
func (h *host) lost(t *testing.T, r *returner) {
	t.Helper()
	if err := r.leave(); err != nil {
		t.Fatal(err)
	}
	await(t, "departure", func() bool { return h.Main().Hub().Stats().Sockets == 0 })
}

func emit(t *testing.T, b Broadcast, args ...Arg) {
	t.Helper()
	if _, err := b.Emit("news", args...); err != nil {
		t.Fatal(err)
	}
}

// A client that comes back is who it was, where it was, and gets what it has missed, once, in order.
func TestRecover(t *testing.T) {
	recoveryKinds(t, func(t *testing.T, k kind) {
		h := serveRecovery(t, nil)
		came := arrivals(h.Main())
		a := h.greet(t, k, "")
		s := take(t, "socket", came)
		if s.Recovered() {
			t.Error("a new socket says that it was recovered")
		}
		s.SetData("data")
		if err := errors.Join(s.Member().Login("42"), s.Join("room")); err != nil {
			t.Fatal(err)
		}
		emit(t, h.Main().To("room"), JSON(1))
		a.wantEvent(`2["news",1`)
		h.lost(t, a)
		emit(t, h.Main().To("room"), JSON(2))
		emit(t, h.Main().To("elsewhere"), JSON("not for it"))
		emit(t, h.Main().ToUser("42"), JSON(3), Binary([]byte("bytes")))
		emit(t, h.Main().All().Volatile(), JSON("volatile"))
		emit(t, h.Main().ToSocket(a.sid), JSON(4))
		emit(t, h.Main().All().Except("room"), JSON("not for it"))

		b := a.again(h, "")
		same(t, "sid", b.sid, a.sid)
		same(t, "pid", b.pid, a.pid)
		s = take(t, "socket", came)
		b.wantEvent(`2["news",2`)
		b.wantEvent(`51-["news",3,{"_placeholder":true,"num":0}`)
		b.want([]byte("bytes"))
		b.wantEvent(`2["news",4`)
		b.sync("")
		if !s.Recovered() || s.Data() != "data" || s.Member().UID() != "42" || !slices.Equal(s.Rooms(), []string{"room"}) {
			t.Errorf("recovered %v, data %v, user %q, rooms %v", s.Recovered(), s.Data(), s.Member().UID(), s.Rooms())
		}
		emit(t, h.Main().To("room"), JSON(5))
		b.wantEvent(`2["news",5`)

		h.lost(t, b)
		c := b.again(h, "")
		same(t, "pid", c.pid, a.pid)
		c.sync("")
	})
}

// What was on its way when the connection was lost comes again.
func TestRecoverInFlight(t *testing.T) {
	recoveryKinds(t, func(t *testing.T, k kind) {
		h := serveRecovery(t, nil)
		a := h.greet(t, k, "")
		emit(t, h.Main().All(), JSON(1))
		a.wantEvent(`2["news",1`)
		offset := a.offset
		emit(t, h.Main().All(), JSON(2))
		a.wantEvent(`2["news",2`)
		a.offset = offset
		h.lost(t, a)
		emit(t, h.Main().All(), JSON(3))
		b := a.again(h, "")
		b.wantEvent(`2["news",2`)
		b.wantEvent(`2["news",3`)
		b.sync("")
	})
}

// The server may not know yet that the connection is lost.
func TestRecoverBeforeTheLossIsNoticed(t *testing.T) {
	recoveryKinds(t, func(t *testing.T, k kind) {
		h := serveRecovery(t, nil)
		left := departures(h.Main())
		came := arrivals(h.Main())
		a := h.greet(t, k, "")
		take(t, "socket", came) // one that leaves before OnConnect has no OnDisconnect
		emit(t, h.Main().All(), JSON(1))
		b := a.again(h, "") // it has got nothing
		same(t, "sid", b.sid, a.sid)
		same(t, "pid", b.pid, a.pid)
		same(t, "reason", take(t, "departure", left), ForcedClose)
		b.wantEvent(`2["news",1`)
		b.sync("")
		same(t, "sockets", h.Main().Hub().Stats().Sockets, 1)
	})
}

// Every event to a client that can recover ends with an offset, by whatever way it comes: whoever has it has missed nothing.
func TestEveryEventHasAnOffset(t *testing.T) {
	for _, tt := range []struct {
		name, event string
		send        func(s *Socket) error
	}{
		{"Emit", `2["news"`, func(s *Socket) error { return s.Emit("news") }},
		{"Emit of bytes", `51-["news",{"_placeholder":true,"num":0}`, func(s *Socket) error { return s.Emit("news", Binary([]byte("x"))) }},
		{"EmitVolatile", `2["news",1`, func(s *Socket) error {
			_, err := s.EmitVolatile("news", JSON(1))
			return err
		}},
		{"EmitWithAck", `20["news",1`, func(s *Socket) error { return s.EmitWithAck(patience, func(Args, error) {}, "news", JSON(1)) }},
		{"a broadcast", `2["news","a string"`, func(s *Socket) error { return emitted(s.Namespace().All(), JSON("a string")) }},
		{"a volatile broadcast", `2["news",1`, func(s *Socket) error { return emitted(s.Namespace().All().Volatile(), JSON(1)) }},
		{"a broadcast to be acknowledged", `21073741825["news",1`, func(s *Socket) error {
			return s.Namespace().All().EmitWithAck(patience, func([]Reply, error) {}, "news", JSON(1))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := serveRecovery(t, nil)
			came := arrivals(h.Main())
			a := h.greet(t, ws5, "")
			a.sync("")
			s := take(t, "socket", came)
			emit(t, h.Main().All(), JSON("first"))
			a.wantEvent(`2["news","first"`)
			a.offset = ""
			if err := tt.send(s); err != nil {
				t.Fatal(err)
			}
			a.wantEvent(tt.event)
			if strings.HasPrefix(tt.event, "51-") {
				a.want([]byte("x"))
			}
			h.lost(t, a)
			b := a.again(h, "")
			same(t, "pid", b.pid, a.pid)
			b.sync("")
		})
	}
}

func emitted(b Broadcast, args ...Arg) error {
	_, err := b.Emit("news", args...)
	return err
}

// Others get the bytes that they have always got.
func TestOthersGetNoOffset(t *testing.T) {
	h := serveRecovery(t, nil)
	r := h.greet(t, ws5, "")
	eachKind(t, func(t *testing.T, k kind) {
		c := h.open(t, k)
		if k.rev == engineio.Revision4 {
			c.send(`0{"pid":"x","offset":"y"}`)
			if got := c.wantPrefix("0"); strings.Contains(got, "pid") {
				t.Fatalf("the answer to a CONNECT is %s", got)
			}
		} else {
			c.want("0")
		}
		c.sync("")
		emit(t, h.Main().All(), JSON(1))
		c.want(`2["news",1]`)
		r.wantEvent(`2["news",1`)
	})
}

// A client says in auth or in the query that it wants offsets; with All it need not.
func TestWhoCanRecover(t *testing.T) {
	for _, tt := range []struct {
		name         string
		all          bool
		query, hello string
		want         bool
	}{
		{"says nothing", false, "", "0", false},
		{"says it in auth", false, "", `0{"recovery":true}`, true},
		{"says no in auth", false, "", `0{"recovery":false}`, false},
		{"says something else", false, "", `0{"recovery":"yes"}`, false},
		{"says it in the query", false, "recovery=1", "0", true},
		{"says nothing where all can", true, "", "0", true},
		{"sends strange things", true, "", `0{"pid":7,"offset":{}}`, true},
		{"is in another namespace", false, "", `0/chat,{"recovery":true}`, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := serveRecovery(t, func(o *Options) { o.Recovery.All = tt.all })
			c := h.open(t, ws5, tt.query)
			c.send(tt.hello)
			if got := c.wantPrefix("0"); strings.Contains(got, `"pid"`) != tt.want {
				t.Errorf("the answer is %q", got)
			}
		})
	}
}

// Whatever is missing, or has changed: then the client is a new one, with a new id.
func TestNotRecovered(t *testing.T) {
	for _, tt := range []struct {
		name  string
		adapt func(*Options)
		lose  func(t *testing.T, h *host, r *returner, s *Socket)
		auth  string
	}{
		{name: "the PID is of nobody", lose: func(t *testing.T, h *host, r *returner, _ *Socket) {
			h.lost(t, r)
			r.pid = "x"
		}},
		{name: "the client has left", lose: func(t *testing.T, h *host, r *returner, _ *Socket) {
			r.send("1")
			await(t, "departure", func() bool { return h.Main().Hub().Stats().Sockets == 0 })
		}},
		{name: "it was disconnected", lose: func(t *testing.T, h *host, r *returner, s *Socket) {
			s.Disconnect()
			await(t, "departure", func() bool { return h.Main().Hub().Stats().Sockets == 0 })
		}},
		{name: "it was kicked while it was away", lose: func(t *testing.T, h *host, r *returner, s *Socket) {
			h.lost(t, r)
			if _, err := h.Main().Hub().Disconnect(t.Context(), hub.Audience{Users: []string{"42"}}); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "it has logged out", lose: func(t *testing.T, h *host, r *returner, s *Socket) {
			s.Member().Logout()
			h.lost(t, r)
		}},
		{name: "it is another user", lose: func(t *testing.T, h *host, r *returner, _ *Socket) { h.lost(t, r) }, auth: `,"uid":"43"`},
		{
			name:  "the program does not want it",
			adapt: func(o *Options) { o.Recovery.Allow = func(*Socket, *hub.Past) bool { return false } },
			lose:  func(t *testing.T, h *host, r *returner, _ *Socket) { h.lost(t, r) },
		},
		{name: "it has missed too much", lose: func(t *testing.T, h *host, r *returner, _ *Socket) {
			h.lost(t, r)
			for range 101 {
				emit(t, h.Main().ToUser("42"))
			}
		}},
		{
			name:  "the log is too short",
			adapt: func(o *Options) { o.Recovery.MaxMessages = 5 },
			lose: func(t *testing.T, h *host, r *returner, _ *Socket) {
				h.lost(t, r)
				for range 6 {
					emit(t, h.Main().ToUser("42"))
				}
			},
		},
		{
			name:  "a message does not fit into the log",
			adapt: func(o *Options) { o.Recovery.MaxBytes = 3000 },
			lose: func(t *testing.T, h *host, r *returner, _ *Socket) {
				h.lost(t, r)
				emit(t, h.Main().ToUser("42"), JSON(strings.Repeat("x", 4000)))
			},
		},
		{name: "the offset is one that is still to come", lose: func(t *testing.T, h *host, r *returner, _ *Socket) {
			h.lost(t, r)
			r.offset += "zzz"
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := serveRecovery(t, tt.adapt)
			h.Main().Use(func(s *Socket) error {
				var auth struct{ UID string }
				if err := json.Unmarshal(s.Auth(), &auth); err != nil {
					return err
				}
				if auth.UID == "" {
					return nil
				}
				return s.Member().Login(auth.UID)
			})
			came := arrivals(h.Main())
			a := h.greet(t, ws5, `,"uid":"42"`)
			s := take(t, "socket", came)
			emit(t, h.Main().ToUser("42"), JSON(1))
			a.wantEvent(`2["news",1`)
			tt.lose(t, h, a, s)
			auth := tt.auth
			if auth == "" {
				auth = `,"uid":"42"`
			}
			b := a.again(h, auth)
			b.sync("")
			if b.sid == a.sid || b.pid == a.pid || take(t, "socket", came).Recovered() {
				t.Error("the client was recovered")
			}
			same(t, "sockets", h.Main().Hub().Stats().Sockets, 1)
			if list, err := h.Main().ToUser("42").FetchSockets(); err != nil || len(list) > 0 && list[0].ID() == a.sid {
				t.Errorf("the old socket is still there: %v, %v", list, err)
			}
		})
	}
}

// A client that the middleware refuses for now is recovered when it tries again.
func TestRecoverAfterRefusal(t *testing.T) {
	h := serveRecovery(t, nil)
	refuse := make(chan bool, 3)
	h.Main().Use(func(*Socket) error {
		if <-refuse {
			return errors.New("not now")
		}
		return nil
	})
	refuse <- false
	a := h.greet(t, ws5, "")
	h.lost(t, a)
	emit(t, h.Main().All(), JSON(1))
	refuse <- true
	c := h.open(t, ws5)
	c.send(fmt.Sprintf(`0{"recovery":true,"pid":%q}`, a.pid))
	c.want(`4{"message":"not now"}`)
	await(t, "departure", func() bool { return h.Main().Hub().Stats().Sockets == 0 })
	refuse <- false
	b := a.again(h, "")
	same(t, "sid", b.sid, a.sid)
	b.wantEvent(`2["news",1`)
	b.sync("")
}

// What comes from the program and what comes from the hub share one order: an offset never goes back.
func TestOffsetsNeverGoBack(t *testing.T) {
	h := serveRecovery(t, nil)
	came := arrivals(h.Main())
	a := h.greet(t, ws5, "")
	s := take(t, "socket", came)
	const each = 200
	ways := []func() error{
		func() error { return s.Emit("news", JSON(1)) },
		func() error { return emitted(h.Main().All(), JSON(1)) },
		func() error { return emitted(h.Main().ToSocket(a.sid), JSON(1)) },
		func() error {
			return h.Main().All().EmitWithAck(patience, func([]Reply, error) {}, "news", JSON(1))
		},
	}
	var sending sync.WaitGroup
	for _, send := range ways {
		sending.Go(func() {
			for range each {
				if err := send(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	last := uint64(0)
	for range len(ways) * each {
		text := string(a.message().Data)
		_, number, _ := strings.Cut(text[strings.LastIndexByte(strings.TrimSuffix(text, `"]`), '"')+1:], "-")
		at, err := strconv.ParseUint(strings.TrimSuffix(number, `"]`), 36, 64)
		if err != nil || at < last {
			t.Fatalf("behind the offset %d came %s (%v)", last, text, err)
		}
		last = at
	}
	sending.Wait()
}
