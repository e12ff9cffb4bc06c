package visit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/gobwas/ws"

	"crier/io/engineio"
)

// carrier carries the packets of Engine.IO.
type carrier interface {
	say(packet string) error
	hear() (packet string, err error)
	goodbye() error
	Break() error
}

// socketIO is a client of Socket.IO, in the main namespace.
type socketIO struct {
	carrier
	recovers         bool
	sid, pid, offset string
	early            []Message // those that came while it logged in
}

// endpoint is where the ways of Socket.IO lead.
func endpoint(revision byte, transport string) string {
	return "/socket.io/?EIO=" + string(revision) + "&transport=" + transport
}

func openSocketIO(ctx context.Context, w *wire, way Way, o Options) (Client, error) {
	c := &socketIO{recovers: way == Recovering}
	revision := byte('4')
	if way == WebSocket3 || way == Polling3 {
		revision = '3'
	}
	switch way {
	case Polling4, Polling3, Upgrade4:
		c.carrier = &poll{wire: w, revision: revision, address: endpoint(revision, "polling")}
	default:
		if err := w.upgrade(endpoint(revision, "websocket")); err != nil {
			return nil, err
		}
		c.carrier = &socket{w, revision}
	}
	if err := c.open(revision, o); err != nil {
		return nil, err
	}
	if way == Upgrade4 {
		if err := c.upgrade(ctx, c.carrier.(*poll), o); err != nil {
			return nil, err
		}
	}
	if way == Recovering {
		return c, nil // CONNECT said who it is
	}
	return c, c.login(o.UID)
}

// open waits for the handshake, and joins the namespace.
func (c *socketIO) open(revision byte, o Options) error {
	open, err := c.hear()
	if err != nil {
		return err
	}
	var engine struct{ SID string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(open, "0")), &engine); err != nil || engine.SID == "" {
		return fmt.Errorf("the handshake %.200q", open)
	}
	if p, polls := c.carrier.(*poll); polls {
		p.address += "&sid=" + engine.SID
		p.sid = engine.SID
	}
	before := ""
	if revision == '4' {
		auth := ""
		if c.recovers {
			auth = `{"uid":"` + o.UID + `","recovery":true`
			if fields := strings.Fields(o.After); len(fields) == 3 {
				before, c.pid, c.offset = fields[0], fields[1], fields[2]
				auth += `,"pid":"` + c.pid + `","offset":"` + c.offset + `"`
			}
			auth += "}"
		}
		if err := c.say("40" + auth); err != nil {
			return err
		}
	}
	p, err := c.packet()
	if err != nil {
		return err
	}
	rest, joined := strings.CutPrefix(p, "0")
	if !joined {
		return fmt.Errorf("instead of CONNECT came %.200q", p)
	}
	var socket struct{ SID, PID string }
	if rest != "" {
		if err := json.Unmarshal([]byte(rest), &socket); err != nil {
			return fmt.Errorf("CONNECT with %.200q: %w", rest, err)
		}
	}
	if before != "" && socket.SID != before {
		c.early = append(c.early, Message{Event: Missed})
		c.offset = ""
	}
	c.sid, c.pid = socket.SID, socket.PID
	return nil
}

// upgrade goes on over a WebSocket, as browsers do by default.
func (c *socketIO) upgrade(ctx context.Context, from *poll, o Options) error {
	w, err := connect(ctx, o)
	if err != nil {
		return err
	}
	err = w.upgrade(endpoint('4', "websocket") + "&sid=" + from.sid)
	if err == nil {
		err = w.send(ws.OpText, "2probe")
	}
	if err == nil {
		var answer string
		if answer, err = w.receive(nil); err == nil && answer != "3probe" {
			err = fmt.Errorf("the probe was answered %.200q", answer)
		}
	}
	if err == nil {
		err = w.send(ws.OpText, "5")
	}
	if err != nil {
		return errors.Join(err, w.Break())
	}
	// What has come by polling is to be read first; there is nothing under way.
	for _, p := range from.waiting {
		if m, ok, err := c.event(p); err != nil {
			return errors.Join(err, w.Break())
		} else if ok {
			c.early = append(c.early, m)
		}
	}
	c.carrier = &socket{w, '4'}
	return from.end()
}

// login says who it is.
func (c *socketIO) login(uid string) error {
	if err := c.say(`420["login","` + uid + `"]`); err != nil {
		return err
	}
	for {
		p, err := c.packet()
		if err != nil {
			return err
		}
		if answer, is := strings.CutPrefix(p, "30["); is {
			if !strings.HasPrefix(answer, `{"ok":true`) {
				return fmt.Errorf("the login was answered %.200q", answer)
			}
			return nil
		}
		m, ok, err := c.event("4" + p)
		if err != nil {
			return err
		}
		if ok {
			c.early = append(c.early, m)
		}
	}
}

// packet waits for a packet of Socket.IO.
func (c *socketIO) packet() (string, error) {
	for {
		p, err := c.hear()
		if err != nil {
			return "", err
		}
		switch {
		case p == "2":
			if err := c.say("3"); err != nil {
				return "", err
			}
		case p == "1", strings.HasPrefix(p, "41"), strings.HasPrefix(p, "44"):
			return "", fmt.Errorf("%w: %.200q", errOver, p)
		case strings.HasPrefix(p, "4"):
			return p[1:], nil
		}
	}
}

// event takes an event out of a packet of Engine.IO; ok is false if there is none in it.
func (c *socketIO) event(p string) (m Message, ok bool, err error) {
	i := strings.IndexByte(p, '[')
	if !strings.HasPrefix(p, "42") || i < 0 {
		return Message{}, false, nil
	}
	var args []json.RawMessage
	if err := json.Unmarshal([]byte(p[i:]), &args); err != nil || len(args) == 0 {
		return Message{}, false, fmt.Errorf("the event %.200q: %w", p, err)
	}
	m = Message{Event: content(args)}
	m.Content = content(args[1:])
	if offset := content(args[len(args)-1:]); c.recovers && offset != "" { // the official client looks no closer
		c.offset = offset
	}
	return m, true, nil
}

// content is the first argument if it is a string.
func content(args []json.RawMessage) string {
	var s string
	if len(args) == 0 || json.Unmarshal(args[0], &s) != nil {
		return ""
	}
	return s
}

// Next implements [Client].
func (c *socketIO) Next() (Message, error) {
	if len(c.early) > 0 {
		m := c.early[0]
		c.early = c.early[1:]
		return m, nil
	}
	for {
		p, err := c.packet()
		if err != nil {
			return Message{}, err
		}
		if m, ok, err := c.event("4" + p); err != nil || ok {
			return m, err
		}
	}
}

// Position implements [Client].
func (c *socketIO) Position() string {
	if !c.recovers || c.offset == "" {
		return ""
	}
	return c.sid + " " + c.pid + " " + c.offset
}

// Whole implements [Client]. What came while the client logged in has been confirmed, perhaps, before Next returns it.
func (c *socketIO) Whole() bool { return len(c.early) == 0 }

// Leave implements [Client].
func (c *socketIO) Leave() error { return errors.Join(c.say("41"), c.goodbye()) }

// socket carries packets as messages of a WebSocket.
type socket struct {
	*wire
	revision byte
}

func (s *socket) say(packet string) error { return s.send(ws.OpText, packet) }

// hear implements [carrier]. A client of Engine.IO 3 has nothing to say for 25 s; here its heartbeat comes behind each ping of
// the WebSocket, so that what it has been given is confirmed.
func (s *socket) hear() (string, error) {
	if s.revision == '3' {
		return s.receive(func() error { return s.say("2") })
	}
	return s.receive(nil)
}

func (s *socket) goodbye() error { return s.bye() }

// poll carries packets in the bodies of requests.
type poll struct {
	*wire
	revision byte
	address  string
	sid      string
	requests int
	waiting  []string // that have come together with others
}

// request is the address of the next one: no two are alike.
func (p *poll) request() string {
	p.requests++
	return fmt.Sprintf("%s&b64=1&t=%d", p.address, p.requests)
}

func (p *poll) say(packet string) error {
	if p.revision == '3' {
		packet = fmt.Sprintf("%d:%s", len(packet), packet)
	}
	_, err := p.post(p.request(), packet)
	return err
}

func (p *poll) hear() (string, error) {
	for len(p.waiting) == 0 {
		body, err := text(p.get(p.request(), ""))
		if err != nil {
			return "", err
		}
		revision := engineio.Revision4
		if p.revision == '3' {
			revision = engineio.Revision3
		}
		err = engineio.ParsePayload(revision, []byte(body), false, func(one engineio.Packet) error {
			p.waiting = append(p.waiting, string('0'+byte(one.Type))+string(one.Data))
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	first := p.waiting[0]
	p.waiting = p.waiting[1:]
	return first, nil
}

func (p *poll) goodbye() error { return errors.Join(p.say("1"), p.end()) }
