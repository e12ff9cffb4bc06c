package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"crier/io/engineio"
	"crier/io/hub"
)

// shops lets clients into /shop-1, /shop-2 and so on.
var shops = regexp.MustCompile(`^/shop-\d+$`)

// enter joins a namespace besides the main one.
func (c *caller) enter(name string) {
	c.t.Helper()
	c.send("0" + name + ",")
	c.wantPrefix("0" + name + ",")
}

func TestOfPattern(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		p := h.OfPattern(shops)
		came, left := make(chan *Socket, 10), make(chan Reason, 10)
		p.OnConnect(func(s *Socket) { came <- s })
		p.OnDisconnect(func(_ *Socket, r Reason) { left <- r })
		p.On("sync", func(e *Event) {
			if err := e.Ack(); err != nil {
				t.Error(err)
			}
		})
		Handle(p, "add", func(e *Event, n int) {
			if _, err := e.Socket.Broadcast().Emit("added", JSON(n)); err != nil {
				t.Error(err)
			}
		}, nil)
		one, two, other := h.join(t, k), h.join(t, k), h.join(t, k)
		one.enter("/shop-1")
		same(t, "namespace", take(t, "socket", came).Namespace().Name(), "/shop-1")
		two.enter("/shop-1")
		same(t, "of the second", take(t, "socket", came).Namespace(), h.namespace("/shop-1"))
		other.enter("/shop-2")
		same(t, "of the third", take(t, "socket", came).Namespace().Name(), "/shop-2")
		same(t, "children", len(p.Children()), 2)
		one.send(`2/shop-1,["add",7]`)
		two.want(`2/shop-1,["added",7]`)
		one.sync("/shop-1,")
		other.sync("/shop-2,")

		// A handler that is registered later counts at once.
		p.On("late", func(e *Event) {
			if err := e.Ack(JSON(e.Socket.Namespace().Name())); err != nil {
				t.Error(err)
			}
		})
		other.send(`2/shop-2,1["late"]`)
		other.want(`3/shop-2,1["/shop-2"]`)

		other.send("1/shop-2,")
		same(t, "reason", take(t, "departure", left), ClientDisconnect)
		other.send("0/shop-x,", "0/my/shop-1,")
		answer := `{"message":"Invalid namespace"}`
		if k.rev == engineio.Revision3 {
			answer = `"Invalid namespace"`
		}
		other.want("4/shop-x,"+answer, "4/my/shop-1,"+answer)
		other.sync("")
	})
}

func TestOfFunc(t *testing.T) {
	h := serve(t, nil)
	asked := make(chan string, 10)
	p := h.OfFunc(func(name string, auth json.RawMessage) bool {
		asked <- name + string(auth)
		return strings.HasPrefix(string(auth), `{"key":"right"`)
	})
	h.OfFunc(func(name string, _ json.RawMessage) bool { return name == "/second" })
	for _, k := range []kind{ws5, ws4} {
		t.Run(k.name, func(t *testing.T) {
			c := h.join(t, k)
			right, wrong := `0/a,{"key":"right"}`, "0/b,"
			if k.rev == engineio.Revision3 {
				right, wrong = "0/a?key=right,", "0/b?key=wrong,"
			}
			c.send(right)
			c.wantPrefix("0/a,")
			same(t, "asked", take(t, "question", asked), `/a{"key":"right"}`)
			same(t, "child", p.Children()[0].Name(), "/a")
			c.send(wrong)
			c.wantPrefix("4/b,")
			take(t, "question", asked)
			c.send("0/second,")
			c.wantPrefix("0/second,")
			take(t, "question", asked)
			c.sync("")
			if err := c.leave(); err != nil {
				t.Fatal(err)
			}
			await(t, "the end of the children", func() bool { return len(p.Children()) == 0 })
		})
	}
}

// A panic in the function ends one connection, and makes nothing.
func TestOfFuncPanic(t *testing.T) {
	h := serve(t, nil)
	p := h.OfFunc(func(string, json.RawMessage) bool { panic("a bug") })
	other := h.join(t, ws5)
	c := h.join(t, ws5)
	c.send("0/a,")
	c.wantEnd()
	other.sync("")
	same(t, "children", len(p.Children()), 0)
}

// What a namespace has of its own comes behind what its parent has, and an
// event's own handler before its parent's.
func TestInherit(t *testing.T) {
	h := serve(t, nil)
	p := h.OfPattern(shops)
	child, err := h.Of("/shop-1")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "parent", child.parent, p)
	var order []string // written by one connection
	note := func(what string) { order = append(order, what) }
	left := make(chan string, 10)
	for _, of := range []struct {
		name string
		*handlers
	}{{"child", &child.handlers}, {"parent", &p.handlers}} {
		of.Use(func(*Socket) error { note("use " + of.name); return nil })
		of.OnConnect(func(*Socket) { note("connect " + of.name) })
		of.OnDisconnecting(func(*Socket, Reason) { left <- "disconnecting " + of.name })
		of.OnDisconnect(func(*Socket, Reason) { left <- "disconnect " + of.name })
		of.On("both", func(*Event) { note("both " + of.name) })
		of.OnOther(func(*Event) { note("other " + of.name) })
		of.UseEvent(func(next Handler) Handler {
			return func(e *Event) {
				note("in " + of.name)
				next(e)
			}
		})
	}
	child.On("sync", func(e *Event) {
		if err := e.Ack(JSON(order)); err != nil {
			t.Error(err)
		}
		order = nil
	})
	p.On("parents", func(*Event) { note("parents") })
	c := h.join(t, ws5)
	c.enter("/shop-1")
	check := func(want ...string) {
		t.Helper()
		want = append(want, "in parent", "in child")
		c.send(`2/shop-1,1["sync"]`)
		c.want("3/shop-1,1[" + string(JSON(want).json) + "]")
	}
	check("use parent", "use child", "connect parent", "connect child")
	c.send(`2/shop-1,["both"]`, `2/shop-1,["parents"]`, `2/shop-1,["neither"]`)
	check("in parent", "in child", "both child", "in parent", "in child", "parents", "in parent", "in child", "other child")
	c.send("1/shop-1,")
	for _, want := range []string{"disconnecting parent", "disconnecting child", "disconnect parent", "disconnect child"} {
		same(t, "departure", take(t, "departure", left), want)
	}
	// A sibling has nothing of it but what is the parent's.
	c.enter("/shop-2")
	c.send(`2/shop-2,["both"]`)
	c.sync("")
	same(t, "of the sibling", fmt.Sprint(order), "[use parent connect parent in parent both parent]")
}

func TestChildEnds(t *testing.T) {
	for _, keep := range []bool{false, true} {
		t.Run(fmt.Sprint("keep ", keep), func(t *testing.T) {
			eachKind(t, func(t *testing.T, k kind) {
				h := serve(t, func(o *Options) { o.KeepEmpty = keep })
				p := h.OfPattern(shops)
				ended := make(chan error, 10)
				p.OnDisconnect(func(s *Socket, _ Reason) {
					_, err := s.Namespace().Emit("still there")
					ended <- err
				})
				one, two := h.join(t, k), h.join(t, k)
				one.enter("/shop-1")
				two.enter("/shop-1")
				n := h.namespace("/shop-1")
				one.send("1/shop-1,")
				if err := take(t, "departure", ended); err != nil {
					t.Error(err)
				}
				two.want(`2/shop-1,["still there"]`)
				same(t, "with one client left", h.namespace("/shop-1"), n)
				if err := two.leave(); err != nil {
					t.Fatal(err)
				}
				if err := take(t, "departure", ended); err != nil { // before the end of the namespace
					t.Error(err)
				}
				if keep {
					one.sync("")
					same(t, "kept", h.namespace("/shop-1"), n)
					return
				}
				await(t, "the end of the namespace", func() bool { return len(p.Children()) == 0 })
				await(t, "the end of its hub", func() bool {
					_, err := n.Emit("e")
					return errors.Is(err, hub.ErrClosed)
				})
				one.enter("/shop-1") // a new one
				same(t, "children", len(p.Children()), 1)
				if h.namespace("/shop-1") == n {
					t.Error("a namespace that has ended is there again")
				}
			})
		})
	}
}

// A namespace that the program has named stays, whoever was first.
func TestOfKeepsChild(t *testing.T) {
	h := serve(t, func(o *Options) { o.MaxDynamic = 1 })
	p := h.OfPattern(shops)
	c := h.join(t, ws5)
	c.enter("/shop-1")
	n, err := h.Of("/shop-1")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "Of", n, p.Children()[0])
	c.enter("/shop-2") // /shop-1 does not count any more
	c.send("0/shop-3,")
	c.want(`4/shop-3,{"message":"Too many namespaces"}`)
	if _, err := h.Of("/shop-3"); err != nil { // the limit is for clients
		t.Fatal(err)
	}
	c.send("1/shop-1,", "1/shop-2,")
	await(t, "the end of /shop-2", func() bool { return h.namespace("/shop-2") == nil })
	same(t, "/shop-1", h.namespace("/shop-1"), n)
	same(t, "children", len(p.Children()), 2)
	plain, err := h.Of("/plain")
	if err != nil || plain.parent != nil {
		t.Errorf("a namespace that no pattern matches: parent %v, %v", plain.parent, err)
	}
}

// Clients cannot make more namespaces than allowed, and those that are refused
// leave none behind.
func TestMaxDynamic(t *testing.T) {
	h := serve(t, func(o *Options) { o.MaxDynamic = 3 })
	refuse := false
	p := h.OfPattern(shops)
	p.Use(func(*Socket) error {
		if refuse {
			return errors.New("no")
		}
		return nil
	})
	c := h.join(t, ws5)
	refuse = true
	for i := range 10 {
		c.send(fmt.Sprintf("0/shop-%d,", i))
		c.want(fmt.Sprintf(`4/shop-%d,{"message":"no"}`, i))
	}
	c.sync("")
	same(t, "after refusals", len(p.Children()), 0)
	refuse = false
	for i := range 3 {
		c.enter(fmt.Sprintf("/shop-%d", i))
	}
	for i := 3; i < 10; i++ {
		c.send(fmt.Sprintf("0/shop-%d,", i))
		c.want(fmt.Sprintf(`4/shop-%d,{"message":"Too many namespaces"}`, i))
	}
	h.join(t, ws5).enter("/shop-0") // one that is there can be joined
	same(t, "warnings", strings.Count(h.log.String(), "no more namespaces"), 1)
	c.send("1/shop-2,")
	await(t, "the end of one", func() bool { return len(p.Children()) == 2 })
	c.enter("/shop-9")
	long := "/shop-" + strings.Repeat("1", maxNamespace)
	c.send("1/shop-9,", "0"+long+",")
	c.wantPrefix("4" + long)
	c.sync("")
}

// Clients that leave while they join do not keep a namespace.
func TestChildOfPanic(t *testing.T) {
	for name, register := range map[string]func(p *Parent){
		"middleware": func(p *Parent) { p.Use(func(*Socket) error { panic("a bug") }) },
		"OnConnect":  func(p *Parent) { p.OnConnect(func(*Socket) { panic("a bug") }) },
		"disconnecting in OnConnect": func(p *Parent) {
			p.OnConnect(func(s *Socket) { s.Kick() })
		},
		"OnDisconnecting": func(p *Parent) {
			p.OnConnect(func(s *Socket) { s.Kick() })
			p.OnDisconnecting(func(*Socket, Reason) { panic("a bug") })
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := serve(t, nil)
			p := h.OfPattern(shops)
			register(p)
			c := h.join(t, ws5)
			c.send("0/shop-1,")
			for {
				if _, err := c.next(); err != nil {
					break
				}
			}
			await(t, "the end of the namespace", func() bool { return len(p.Children()) == 0 })
			same(t, "namespaces that count", h.dynamic, 0)
		})
	}
}

func TestParentAfterClose(t *testing.T) {
	h := serve(t, nil)
	h.OfPattern(shops)
	c := h.join(t, ws5)
	c.enter("/shop-1")
	n := h.namespace("/shop-1")
	if err := h.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Emit("e"); !errors.Is(err, hub.ErrClosed) {
		t.Errorf("Emit after Close: %v", err)
	}
	if n, refused := h.Server.enter("/shop-2", nil); n != nil || refused == nil {
		t.Error("a namespace was made after Close")
	}
}
