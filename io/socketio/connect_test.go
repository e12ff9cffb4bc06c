package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"crier/io/engineio"
	"crier/io/hub"
	"crier/io/socketio/intime"
)

func TestConnect(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		main, chat := arrivals(h.Main()), arrivals(h.chat())
		c := h.open(t, k, "token=a%20b", "token=c")
		if k.rev == engineio.Revision4 {
			c.send("0", "0/chat,")
			want := `{"sid":"` + take(t, "the main namespace", main).ID() + `"}`
			c.want("0" + want)
		} else { // in the main namespace without asking
			c.want("0")
			c.send("0/chat")
			same(t, "id", take(t, "the main namespace", main).ID(), c.sid)
		}
		s := take(t, "the other namespace", chat)
		if k.rev == engineio.Revision4 {
			c.want(`0/chat,{"sid":"` + s.ID() + `"}`)
			if strings.Contains(s.ID(), c.sid) || len(s.ID()) < 20 {
				t.Errorf("the id %q gives the session %q away, or can be guessed", s.ID(), c.sid)
			}
		} else {
			c.want("0/chat,")
			same(t, "id", s.ID(), "/chat#"+c.sid)
		}
		same(t, "session", s.Session().ID(), c.sid)
		same(t, "namespace", s.Namespace().Name(), "/chat")
		same(t, "query", fmt.Sprint(s.Handshake().Query["token"]), "[a b c]")
		if s.Handshake().RemoteAddr == "" || s.Handshake().Time.IsZero() {
			t.Errorf("handshake without an address or time: %+v", s.Handshake())
		}
		if s.Member() == nil {
			t.Error("the socket is not in the hub")
		}
		c.sync("")
		c.sync("/chat,")
		same(t, "sockets of /", h.Main().Hub().Stats().Sockets, 1)
		same(t, "sockets of /chat", h.chat().Hub().Stats().Sockets, 1)
	})
}

func TestAuth(t *testing.T) {
	tests := []struct {
		name, packet, answer, auth string
		kind                       kind
	}{
		{"object", `0/chat,{"token":"1","n":[2]}`, "0/chat,", `{"token":"1","n":[2]}`, ws5},
		{"none", "0/chat,", "0/chat,", "", ws5},
		{"query", "0/chat?token=1&token=2&x=%C3%A9,", "0/chat,", `{"token":"2","x":"é"}`, ws4},
		{"no query", "0/chat", "0/chat,", "", ws4},
		{"empty query", "0/chat?,", "0/chat,", "", ws4},
		{"bad query", "0/chat?%zz,", "0/chat,", "", ws4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := serve(t, nil)
			came := arrivals(h.chat())
			inMiddleware := make(chan string, 1)
			h.chat().Use(func(s *Socket) error {
				inMiddleware <- string(s.Auth())
				return nil
			})
			c := h.join(t, tt.kind)
			c.send(tt.packet)
			c.wantPrefix(tt.answer)
			same(t, "auth in a middleware", take(t, "middleware", inMiddleware), tt.auth)
			same(t, "auth", string(take(t, "connect", came).Auth()), tt.auth)
			c.sync("/chat,")
		})
	}
}

// A middleware may wait with the CONNECT in memory, so a long one is refused before, be it long by its white space.
func TestLongConnect(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		asked := 0
		h.chat().Use(func(*Socket) error { asked++; return nil })
		c := h.join(t, k)
		refused, lets := `4/chat,{"message":"a CONNECT may have 65536 bytes"}`, "0/chat,"
		long := []string{`0/chat,{"a":"%s"}`, `0/chat,   %.0s{}` + strings.Repeat(" ", 1<<16), `0/chat,%.0s{"a":` + strings.Repeat("\n", 1<<16) + `1}`}
		if k.rev == engineio.Revision3 {
			refused = `4/chat,"a CONNECT may have 65536 bytes"`
			long = []string{"0/chat?a=%s,"}
		}
		for _, packet := range long {
			c.send(fmt.Sprintf(packet, strings.Repeat("x", 1<<16)))
			c.want(refused)
		}
		same(t, "middlewares", asked, 0)
		c.send(fmt.Sprintf(long[0], strings.Repeat("x", 65536-len(long[0])+len("%s"))))
		c.wantPrefix(lets)
		same(t, "middlewares", asked, 1)
	})
}

func TestUnknownNamespace(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		c := h.join(t, k)
		if k.rev == engineio.Revision4 {
			// A query is part of the name since protocol 5.
			c.send("0/nope,", "0/chat?x=1,")
			c.want(`4/nope,{"message":"Invalid namespace"}`, `4/chat?x=1,{"message":"Invalid namespace"}`)
		} else {
			c.send("0/nope?x=1")
			c.want(`4/nope,"Invalid namespace"`)
		}
		c.sync("")
	})
}

func TestRefusal(t *testing.T) {
	plain := errors.New("not you")
	tests := []struct {
		name      string
		err       error
		now, then string // what clients of protocol 5 get, and those before
	}{
		{"error", plain, `{"message":"not you"}`, `"not you"`},
		{"message", &ConnectError{Message: "<no>"}, `{"message":"<no>"}`, `"<no>"`},
		{"data", &ConnectError{Message: "no", Data: json.RawMessage(`{"code":7}`)}, `{"message":"no","data":{"code":7}}`, `{"code":7}`},
		{"wrapped", fmt.Errorf("checking: %w", &ConnectError{Message: "no"}), `{"message":"no"}`, `"no"`},
		{"broken data", &ConnectError{Message: "no", Data: json.RawMessage(`{`)}, `{"message":"no"}`, `"no"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			eachKind(t, func(t *testing.T, k kind) {
				h := serve(t, nil)
				came, left := arrivals(h.Main()), departures(h.Main())
				h.Main().Use(func(s *Socket) error {
					if err := s.Emit("early"); !errors.Is(err, ErrDisconnected) {
						t.Errorf("Emit in a middleware: %v", err)
					}
					if err := s.Deliver(&hub.Message{Event: "early"}); !errors.Is(err, hub.ErrGone) {
						t.Errorf("Deliver in a middleware: %v", err)
					}
					s.Disconnect()
					return nil
				})
				h.Main().Use(func(*Socket) error { return tt.err })
				h.Main().Use(func(*Socket) error {
					t.Error("a middleware behind one that refused was called")
					return nil
				})
				c := h.open(t, k)
				if k.rev == engineio.Revision4 {
					c.send("0")
					c.want("4" + tt.now)
				} else {
					c.want("4" + tt.then)
				}
				c.send("0/chat,") // refused in one namespace, welcome in another
				c.wantPrefix("0/chat,")
				c.sync("/chat,")
				same(t, "sockets", h.Main().Hub().Stats().Sockets, 0)
				if len(came)+len(left) > 0 {
					t.Error("a function of OnConnect or OnDisconnect was called for a refused socket")
				}
			})
		})
	}
}

// Who is logged in by a middleware is online when the client hears that it has joined.
func TestLoginInMiddleware(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		h.Main().Use(func(s *Socket) error { return s.Member().Login("7") })
		for range 20 {
			c := h.open(t, k)
			if k.rev == engineio.Revision4 {
				c.send("0")
			}
			c.wantPrefix("0")
			same(t, "delivered", push(t, h.Main(), hub.Audience{Users: []string{"7"}}, note(t)).Delivered, 1)
			c.want(`2["note"]`)
			c.sync("")
			c.send("1")
			await(t, "leaving", func() bool { return h.Main().Hub().Stats().Sockets == 0 })
		}
	})
}

func TestMiddlewareOrder(t *testing.T) {
	h := serve(t, nil)
	var order []int // written by one connection
	for i := range 3 {
		h.Main().Use(func(*Socket) error {
			order = append(order, i)
			return nil
		})
		h.Main().OnConnect(func(*Socket) { order = append(order, 10+i) })
	}
	h.join(t, ws5).sync("")
	same(t, "order", fmt.Sprint(order), "[0 1 2 10 11 12]")
}

func TestConnectTimeout(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		intime.Run(t, 50*time.Millisecond, func(t *intime.Test, limit time.Duration) {
			h := serve(t, func(o *Options) { o.ConnectTimeout = limit })
			h.Main().Use(func(s *Socket) error {
				if s.Handshake().Query.Has("refuse") {
					return errors.New("no")
				}
				return nil
			})
			joined := h.join(t, k)
			refused := h.open(t, k, "refuse=1")
			if k.rev == engineio.Revision4 {
				refused.send("0")
			}
			refused.wantPrefix("4")
			t.Done()
			if k.rev == engineio.Revision4 {
				h.open(t, k).wantEnd()
			}
			refused.wantEnd()
			joined.sync("") // later than the other's time
		})
	})
}

func TestBadState(t *testing.T) {
	for name, packets := range map[string][]any{
		"second CONNECT":                {"0"},
		"second CONNECT of /chat":       {"0/chat,", "0/chat,"},
		"event before CONNECT":          {`2/chat,["sync"]`},
		"ack before CONNECT":            {`3/chat,0[]`},
		"event after DISCONNECT":        {"1", `2["sync"]`},
		"CONNECT_ERROR":                 {`4{"message":"no"}`},
		"CONNECT_ERROR for a stranger":  {`4/nope,"no"`},
		"event for an unknown one":      {`2/nope,["sync"]`},
		"not a packet":                  {"hello"},
		"nothing":                       {""},
		"broken JSON":                   {`2["a`},
		"reserved event":                {`2["disconnect","transport close"]`},
		"reserved event, escaped":       {`2["connec\u0074"]`},
		"attachment without a packet":   {[]byte{1}},
		"text instead of an attachment": {`51-["a",{"_placeholder":true,"num":0}]`, `2["sync"]`},
		"one attachment too many":       {`51-["a",{"_placeholder":true,"num":0}]`, []byte{1}, []byte{2}},
		"more attachments than allowed": {`511-["a"]`},
	} {
		t.Run(name, func(t *testing.T) {
			eachKind(t, func(t *testing.T, k kind) {
				h := serve(t, nil)
				left := departures(h.Main())
				other := h.join(t, ws5)
				c := h.join(t, k)
				c.send(packets...)
				pkt, err := c.next()
				if err == nil && strings.HasPrefix(string(pkt.Data), "0/chat") {
					_, err = c.next()
				}
				if !errors.Is(err, errEnded) {
					t.Fatalf("got %q and %v, want the end of the session", pkt.Data, err)
				}
				want := engineio.ParseError
				if strings.HasPrefix(fmt.Sprint(packets[0]), "1") {
					want = ClientDisconnect
				}
				same(t, "reason", take(t, "departure", left), want)
				other.sync("")
				same(t, "sockets", h.Main().Hub().Stats().Sockets, 1)
			})
		})
	}
}

func TestDisconnectWithoutConnect(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		c := h.join(t, k)
		c.send("1/chat,", "1/nope,") // as when both sides leave at the same time
		c.sync("")
	})
}

func TestForgetHandshake(t *testing.T) {
	for _, forget := range []bool{true, false} {
		t.Run(fmt.Sprint(forget), func(t *testing.T) {
			h := serve(t, func(o *Options) { o.ForgetHandshake = forget })
			seen := make(chan *Socket, 10)
			check := func(s *Socket) {
				if s.Handshake() == nil || s.Handshake().Query.Get("uid") != "7" || s.Auth() == nil {
					t.Errorf("%s: the handshake or auth was forgotten too early", s.Namespace().Name())
				}
				seen <- s
			}
			h.chat().OnConnect(check)
			h.Main().OnConnect(check)
			c := h.open(t, ws5, "uid=7")
			c.send("0/chat,{}")
			c.wantPrefix("0/chat,")
			c.sync("/chat,")
			chat := take(t, "connect", seen)
			if chat.Handshake() == nil {
				t.Error("the handshake was forgotten before the main namespace was joined")
			}
			same(t, "auth of /chat forgotten", chat.Auth() == nil, forget)
			c.send("0{}")
			c.wantPrefix("0")
			c.sync("")
			s := take(t, "connect", seen)
			same(t, "handshake forgotten", s.Handshake() == nil && chat.Handshake() == nil, forget)
			same(t, "auth forgotten", s.Auth() == nil, forget)
			uid, has := s.QueryValue("uid")
			same(t, "query forgotten", uid != "7" && !has, forget)
		})
	}
}

// A header that nobody looks at is not kept; the rest of the handshake is.
func TestNoHeader(t *testing.T) {
	for _, without := range []bool{true, false} {
		t.Run(fmt.Sprint(without), func(t *testing.T) {
			h := serve(t, func(o *Options) { o.NoHeader = without })
			seen := make(chan *Handshake, 1)
			h.Main().OnConnect(func(s *Socket) { seen <- s.Handshake() })
			c := h.open(t, ws5, "uid=7")
			c.send("0")
			c.wantPrefix("0")
			shake := take(t, "connect", seen)
			same(t, "header", shake.Header == nil, without)
			same(t, "query", shake.Query.Get("uid"), "7")
			c.sync("")
		})
	}
}

func TestHubRefuses(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		closed, err := hub.New(hub.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := closed.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		h := serve(t, func(o *Options) { o.Hub = closed })
		came, left := arrivals(h.Main()), departures(h.Main())
		c := h.open(t, k)
		if k.rev == engineio.Revision4 {
			c.send("0")
		}
		c.wantEnd()
		if len(came)+len(left) > 0 {
			t.Error("a function of OnConnect or OnDisconnect was called")
		}
	})
}
