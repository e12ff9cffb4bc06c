package socketio

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"crier/io/hub"
)

// crowd is five sockets in the main namespace, named by their numbers: 0 and 1
// are in room a, 1 and 2 in room b, 3 is user u, and 4 is in the room that is
// named after the id of 0.
func crowd(t *testing.T, h *host, k kind) (callers []*caller, sockets []*Socket) {
	t.Helper()
	came := arrivals(h.Main())
	for range 5 {
		callers = append(callers, h.join(t, k))
		sockets = append(sockets, take(t, "socket", came))
	}
	for i, rooms := range [][]string{{"a"}, {"a", "b"}, {"b"}, {}, {sockets[0].ID()}} {
		if err := sockets[i].Join(rooms...); err != nil {
			t.Fatal(err)
		}
	}
	if err := sockets[3].Member().Login("u"); err != nil {
		t.Fatal(err)
	}
	return callers, sockets
}

func TestBroadcast(t *testing.T) {
	type list = []*Socket
	tests := []struct {
		name string
		of   func(n *Namespace, s list) Broadcast
		want string // the numbers of those who get it
	}{
		{"all", func(n *Namespace, _ list) Broadcast { return n.All() }, "01234"},
		{"room", func(n *Namespace, _ list) Broadcast { return n.To("a") }, "01"},
		{"rooms, each once", func(n *Namespace, _ list) Broadcast { return n.To("a", "b").To("a") }, "012"},
		{"empty room", func(n *Namespace, _ list) Broadcast { return n.To("nobody") }, ""},
		{"no room is not everybody", func(n *Namespace, _ list) Broadcast { return n.To() }, ""},
		{"no id is not everybody", func(n *Namespace, _ list) Broadcast { return n.ToSocket() }, ""},
		{"no user is not everybody", func(n *Namespace, _ list) Broadcast { return n.ToUser() }, ""},
		{"all, then a room", func(n *Namespace, _ list) Broadcast { return n.All().To("a") }, "01"},
		{"except", func(n *Namespace, _ list) Broadcast { return n.Except("a") }, "234"},
		{"except nobody", func(n *Namespace, _ list) Broadcast { return n.Except() }, "01234"},
		{"room except room", func(n *Namespace, _ list) Broadcast { return n.To("a").Except("b") }, "0"},
		{"except first", func(n *Namespace, _ list) Broadcast { return n.Except("b").To("a") }, "0"},
		{"except twice", func(n *Namespace, _ list) Broadcast { return n.Except("a").Except("b") }, "34"},
		{"a room named as an id", func(n *Namespace, s list) Broadcast { return n.To(s[0].ID()) }, "4"},
		{"an id", func(n *Namespace, s list) Broadcast { return n.ToSocket(s[0].ID()) }, "0"},
		{"except an id", func(n *Namespace, s list) Broadcast { return n.All().ExceptSocket(s[0].ID()) }, "1234"},
		{"user", func(n *Namespace, _ list) Broadcast { return n.ToUser("u", "v") }, "3"},
		{"except user", func(n *Namespace, _ list) Broadcast { return n.All().ExceptUser("u") }, "0124"},
		{"a room named as a user", func(n *Namespace, _ list) Broadcast { return n.To("u") }, ""},
		{"union", func(n *Namespace, s list) Broadcast { return n.To("a").ToUser("u").ToSocket(s[1].ID()) }, "013"},
		{"everybody else", func(_ *Namespace, s list) Broadcast { return s[1].Broadcast() }, "0234"},
		{"others in a room", func(_ *Namespace, s list) Broadcast { return s[1].To("a") }, "0"},
		{"others in a room, from outside", func(_ *Namespace, s list) Broadcast { return s[4].To("a") }, "01"},
		{"others in no room", func(_ *Namespace, s list) Broadcast { return s[1].To() }, ""},
		{"others except", func(_ *Namespace, s list) Broadcast { return s[1].Broadcast().Except("b").ExceptUser("u") }, "04"},
		{"sender named", func(_ *Namespace, s list) Broadcast { return s[1].To("b").ToSocket(s[1].ID()) }, "2"},
	}
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		callers, sockets := crowd(t, h, k)
		outsider := h.join(t, ws5) // in another namespace
		outsider.send("0/chat,", "1")
		outsider.wantPrefix("0/chat,")
		outsider.sync("/chat,")
		await(t, "leaving", func() bool { return h.Main().Hub().Stats().Sockets == len(sockets) })
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				b := tt.of(h.Main(), sockets)
				r, err := b.Emit("e", JSON(tt.name))
				if err != nil {
					t.Fatal(err)
				}
				same(t, "matched, delivered", [2]int{r.Connections, r.Delivered}, [2]int{len(tt.want), len(tt.want)})
				found, err := b.FetchSockets()
				if err != nil {
					t.Fatal(err)
				}
				same(t, "fetched", numbers(sockets, found), tt.want)
				for i, c := range callers {
					c.t = t
					if strings.Contains(tt.want, fmt.Sprint(i)) {
						c.want(fmt.Sprintf(`2["e",%q]`, tt.name))
					}
					c.sync("")
				}
			})
		}
		outsider.sync("/chat,")
	})
}

// numbers says which of the sockets are found, each as often as it is.
func numbers(sockets, found []*Socket) string {
	var digits []string
	for _, s := range found {
		digits = append(digits, fmt.Sprint(slices.Index(sockets, s)))
	}
	slices.Sort(digits)
	return strings.Join(digits, "")
}

// Broadcasts are values: what is made of one does not change it.
func TestBroadcastIsAValue(t *testing.T) {
	h := serve(t, nil)
	_, sockets := crowd(t, h, ws5)
	base := h.Main().To("a").Except("x", "y")
	derived := []Broadcast{base.To("b"), base.Except("b"), base.ToSocket(sockets[4].ID()), base.Volatile()}
	for i, want := range []string{"012", "0", "014", "01"} {
		found, err := derived[i].FetchSockets()
		if err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprint("derived ", i), numbers(sockets, found), want)
	}
	found, err := base.FetchSockets()
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the original", numbers(sockets, found), "01")
}

func TestBroadcastErrors(t *testing.T) {
	h := serve(t, nil)
	c := h.join(t, ws5)
	never := func([]Reply, error) { t.Error("the function of an EmitWithAck that failed was called") }
	for name, tt := range map[string]struct {
		b     Broadcast
		event string
		args  []Arg
		want  error
	}{
		"reserved":     {h.Main().All(), "disconnect", nil, ErrReserved},
		"not JSON":     {h.Main().All(), "e", []Arg{Raw([]byte("{"))}, ErrNotJSON},
		"bad room":     {h.Main().To("a", ""), "e", nil, hub.ErrBadRoom},
		"bad uid":      {h.Main().ToUser("a\n"), "e", nil, hub.ErrBadUID},
		"bad excluded": {h.Main().Except(""), "e", nil, hub.ErrBadRoom},
	} {
		if _, err := tt.b.Emit(tt.event, tt.args...); !errors.Is(err, tt.want) {
			t.Errorf("%s: Emit: %v", name, err)
		}
		if err := tt.b.EmitWithAck(patience, never, tt.event, tt.args...); !errors.Is(err, tt.want) {
			t.Errorf("%s: EmitWithAck: %v", name, err)
		}
		if !errors.Is(tt.want, hub.ErrBadRoom) {
			continue
		}
		if list, err := tt.b.FetchSockets(); !errors.Is(err, tt.want) || list != nil {
			t.Errorf("%s: FetchSockets: %v, %v", name, list, err)
		}
		for what, err := range map[string]error{
			"SocketsJoin": tt.b.SocketsJoin("r"), "SocketsLeave": tt.b.SocketsLeave("r"), "DisconnectSockets": tt.b.DisconnectSockets(),
		} {
			if !errors.Is(err, tt.want) {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
	}
	if err := h.Main().All().SocketsJoin("fine", ""); !errors.Is(err, hub.ErrBadRoom) {
		t.Errorf("joining a room that cannot be: %v", err)
	}
	c.sync("") // nothing came
}

func TestBroadcastVolatile(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		came := arrivals(h.Main())
		c := h.join(t, k)
		s := take(t, "socket", came)
		r, err := h.Main().All().Volatile().Emit("e")
		if err != nil {
			t.Fatal(err)
		}
		sent, err := s.EmitVolatile("f")
		if err != nil {
			t.Fatal(err)
		}
		if k.polling { // no GET waits
			same(t, "delivered, slow", [2]int{r.Delivered, r.Slow}, [2]int{0, 1})
			same(t, "sent", sent, false)
		} else {
			same(t, "delivered, slow", [2]int{r.Delivered, r.Slow}, [2]int{1, 0})
			same(t, "sent", sent, true)
			c.want(`2["e"]`, `2["f"]`)
		}
		c.sync("")
		if _, err := s.EmitVolatile("connect"); !errors.Is(err, ErrReserved) {
			t.Errorf("EmitVolatile of a reserved event: %v", err)
		}
		s.Disconnect()
		if sent, err := s.EmitVolatile("e"); sent || !errors.Is(err, ErrDisconnected) {
			t.Errorf("EmitVolatile after leaving: %v, %v", sent, err)
		}
	})
}

func TestMovingSockets(t *testing.T) {
	h := serve(t, nil)
	callers, sockets := crowd(t, h, ws5)
	left := departures(h.Main())
	rooms := func() string {
		var all []string
		for _, s := range sockets {
			list := slices.DeleteFunc(s.Rooms(), func(room string) bool { return room == sockets[0].ID() })
			all = append(all, strings.Join(list, ""))
		}
		return strings.Join(all, " ")
	}
	same(t, "rooms", rooms(), "a ab b  ")
	if err := h.Main().To("b").SocketsJoin("x", "a", "y"); err != nil {
		t.Fatal(err)
	}
	same(t, "rooms after SocketsJoin", rooms(), "a abxy bxay  ")
	if err := h.Main().To("a").Except("x").SocketsLeave("a"); err != nil {
		t.Fatal(err)
	}
	same(t, "rooms after SocketsLeave", rooms(), " abxy bxay  ")
	sockets[1].Leave("a", "y", "never joined")
	same(t, "rooms after Leave", rooms(), " bx bxay  ")
	if err := h.Main().To("x").DisconnectSockets(); err != nil {
		t.Fatal(err)
	}
	for _, c := range callers[1:3] {
		c.want("1")
		same(t, "reason", take(t, "departure", left), ServerDisconnect)
	}
	same(t, "rooms after DisconnectSockets", rooms(), "    ")
	if err := sockets[1].Join("a"); !errors.Is(err, hub.ErrGone) {
		t.Errorf("Join after leaving: %v", err)
	}
	for _, i := range []int{0, 3, 4} {
		callers[i].sync("")
	}
}

// Only the sockets of the namespace that the clients know of are fetched.
func TestFetchSockets(t *testing.T) {
	own, err := hub.New(hub.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := serve(t, func(o *Options) { o.Hub = own })
	if _, err := own.Connect(stranger("stranger")); err != nil {
		t.Fatal(err)
	}
	inside, free := make(chan struct{}), make(chan struct{})
	h.Main().Use(func(s *Socket) error {
		if s.Handshake().Query.Has("wait") {
			close(inside)
			<-free
		}
		return nil
	})
	came := arrivals(h.Main())
	h.join(t, ws5)
	s := take(t, "socket", came)
	waiting := h.open(t, ws5, "wait=1")
	waiting.send("0")
	take(t, "middleware", inside)
	found, err := h.Main().All().FetchSockets()
	if err != nil || len(found) != 1 || found[0] != s {
		t.Errorf("FetchSockets: %v, %v", found, err)
	}
	got := make(chan error, 1)
	if err := h.Main().All().EmitWithAck(patience, func(_ []Reply, err error) { got <- err }, "ask"); err != nil {
		t.Fatal(err)
	}
	s.Disconnect() // the only one who was asked
	var missing *MissingError
	if err := take(t, "answers", got); !errors.As(err, &missing) || missing.Asked != 1 {
		t.Errorf("answers: %v", err)
	}
	close(free)
	waiting.wantPrefix("0")
}

// stranger is a connection of another kind in the hub.
type stranger string

func (s stranger) ID() string                   { return string(s) }
func (s stranger) Deliver(m *hub.Message) error { return hub.ErrGone }
func (s stranger) Kick()                        {}

// An operator's broadcast is encoded once, as a push is.
func TestBroadcastEncodedOnce(t *testing.T) {
	h := serve(t, nil)
	var encoded atomic.Int32
	h.Main().encode = func(m *hub.Message) any {
		encoded.Add(1)
		return h.Main().prepare(m)
	}
	var callers []*caller
	for range 5 {
		for _, k := range kinds {
			callers = append(callers, h.join(t, k))
		}
	}
	if _, err := h.Main().Emit("e", JSON(1)); err != nil {
		t.Fatal(err)
	}
	for _, c := range callers {
		c.want(`2["e",1]`)
	}
	same(t, "times encoded", encoded.Load(), 1)
}

func TestEmitAfterClose(t *testing.T) {
	h := serve(t, nil)
	if err := h.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Main().Emit("e"); !errors.Is(err, hub.ErrClosed) {
		t.Errorf("Emit after Close: %v", err)
	}
}
