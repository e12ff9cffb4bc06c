package load

import (
	"errors"
	"fmt"
	"net/netip"
)

// Speech is what clients speak.
type Speech string

// What clients can speak.
const (
	SocketIO   Speech = "websocket" // Socket.IO over a WebSocket
	Polling    Speech = "polling"   // Socket.IO over XHR polling
	SSE        Speech = "sse"       // Server-Sent Events
	Centrifuge Speech = "centrifuge"
)

// Target is a server, and how its clients log in.
type Target struct {
	Addr   netip.AddrPort
	Host   string // as HTTP has it
	Path   string // such as /socket.io/
	Speech Speech
	EIO    int // 3 or 4, for Socket.IO
	// Login is the event that tells a uid; "": there is none. It is said again and again to measure events.
	Login string
	// LoggedIn is when a client counts as logged in: "ack", when its login is acknowledged; "sent", when it has
	// been sent; else the event that the server then sends.
	LoggedIn string
}

// Validate says what cannot be.
func (t Target) Validate() error {
	switch {
	case !t.Addr.IsValid():
		return errors.New("the server has no address")
	case t.Speech != SocketIO && t.Speech != Polling && t.Speech != SSE && t.Speech != Centrifuge:
		return fmt.Errorf("clients cannot speak %q", t.Speech)
	case t.EIO != 3 && t.EIO != 4:
		return fmt.Errorf("there is no Engine.IO revision %d here: 3 and 4 there are", t.EIO)
	case t.LoggedIn == "":
		return errors.New("it is not known when a client has logged in")
	}
	return nil
}

// speaker is what a fleet's clients say, and make of what they hear. One serves all of them.
type speaker interface {
	// hello appends the request that a connection begins with.
	hello(dst []byte, c *client) []byte
	// hear takes what has been read, and returns the part that is not whole yet.
	hear(c *client, p []byte) (rest []byte, err error)
	// say sends one packet.
	say(c *client, packet []byte) error
}

// listener is what becomes of what a client hears.
type listener interface {
	send(c *client, p []byte) error           // bytes of its connection
	loggedIn(c *client)                       // it is ready
	delivered(c *client, packet []byte) error // it has been given what may hold contents
	acked(c *client, id uint64) error
	beat(c *client)                   // a heartbeat came
	pace(everyMS int)                 // clients must send heartbeats themselves
	errand(c *client, request []byte) // a request on a connection of its own
}

func newSpeaker(t Target, l listener) speaker {
	switch t.Speech {
	case SSE:
		return &events{target: t, to: l}
	case Centrifuge:
		w := &webSocket{target: t, to: l}
		w.packets = &centrifuge{to: l, w: w}
		return w
	case Polling:
		p := &poll{target: t, to: l}
		p.packets = &socketIO{target: t, to: l, s: p}
		return p
	default:
		w := &webSocket{target: t, to: l}
		w.packets = &socketIO{target: t, to: l, s: w}
		return w
	}
}

// agent is about what a browser sends besides.
const agent = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36\r\n" +
	"Accept-Encoding: identity\r\nAccept-Language: en,zh;q=0.9\r\n"

// engine is the query of Engine.IO.
func (t Target) engine(transport string) string {
	return fmt.Sprintf("%s?EIO=%d&transport=%s", t.Path, t.EIO, transport)
}
