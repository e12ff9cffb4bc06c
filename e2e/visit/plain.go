package visit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// note is a message in the JSON of clients without Socket.IO.
type note struct {
	ID    string            `json:"id"`
	Event string            `json:"event"`
	Args  []json.RawMessage `json:"args"`
}

// begin is the event that says where a client begins. One that has not been there before hears it first, when it is logged in.
const begin = "ready"

// begun takes that event.
func begun(next func() (Message, error)) error {
	m, err := next()
	if err == nil && m.Event != begin {
		err = fmt.Errorf("the first event was %+v", m)
	}
	return err
}

// further is next without that event.
func further(next func() (Message, error)) (Message, error) {
	m, err := next()
	if m.Event == begin {
		return next()
	}
	return m, err
}

// plain is a WebSocket without Socket.IO. It can come back.
type plain struct {
	*wire
	position string
}

func openPlain(w *wire, o Options) (Client, error) {
	if err := w.upgrade("/ws?uid=" + o.UID + "&after=" + url.QueryEscape(o.After)); err != nil {
		return nil, err
	}
	c := &plain{w, o.After}
	if o.After == "" {
		return c, begun(c.event)
	}
	return c, nil
}

// event waits for whatever comes next.
func (c *plain) event() (Message, error) {
	p, err := c.receive(nil)
	if err != nil {
		return Message{}, err
	}
	var n note
	if err := json.Unmarshal([]byte(p), &n); err != nil {
		return Message{}, fmt.Errorf("the message %.200q: %w", p, err)
	}
	if n.ID != "" {
		c.position = n.ID
	}
	return Message{n.Event, content(n.Args)}, nil
}

func (c *plain) Next() (Message, error) { return further(c.event) }

func (c *plain) Position() string { return c.position }
func (c *plain) Whole() bool      { return true }
func (c *plain) Leave() error     { return c.bye() }

// comet is a client that polls without Socket.IO.
type comet struct {
	*wire
	uid          string
	before, next string // cursors: of what has been handed on, and behind what is here
	here         []note
	missed       bool
}

func openComet(w *wire, o Options) (Client, error) {
	c := &comet{wire: w, uid: o.UID, before: o.After, next: o.After}
	return c, c.poll(0)
}

// poll asks for more, and waits so many seconds for it.
func (c *comet) poll(wait int) error {
	body, err := text(c.get(fmt.Sprintf("/comet?uid=%s&after=%s&wait=%d", c.uid, url.QueryEscape(c.next), wait), ""))
	if err != nil {
		return err
	}
	var answer struct {
		Next     string
		Missed   bool
		Messages []note
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		return fmt.Errorf("the answer %.200q: %w", body, err)
	}
	c.before, c.next, c.here, c.missed = c.next, answer.Next, answer.Messages, answer.Missed
	return nil
}

func (c *comet) Next() (Message, error) {
	for {
		switch {
		case c.missed:
			c.missed = false
			return Message{Event: Missed}, nil
		case len(c.here) > 0:
			n := c.here[0]
			c.here = c.here[1:]
			return Message{n.Event, content(n.Args)}, nil
		}
		if err := c.poll(cometWait); err != nil {
			return Message{}, err
		}
	}
}

// cometWait is what the official wait is, in seconds.
const cometWait = 25

func (c *comet) Whole() bool { return len(c.here) == 0 }

func (c *comet) Position() string {
	if c.Whole() {
		return c.next
	}
	return c.before
}

func (c *comet) Leave() error { return c.end() } // it just does not poll any more

// stream is a client of Server-Sent Events.
type stream struct {
	*wire
	lines    *bufio.Scanner
	position string
}

func openStream(w *wire, o Options) (Client, error) {
	after := ""
	if o.After != "" {
		after = "Last-Event-ID: " + o.After + "\r\n"
	}
	resp, err := w.get("/sse?uid="+o.UID, after)
	if err != nil {
		return nil, err
	}
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "text/event-stream") {
		answer, err := text(resp, nil)
		return nil, errors.Join(err, fmt.Errorf("no stream, but %q: %.200q", kind, answer))
	}
	c := &stream{w, bufio.NewScanner(resp.Body), o.After}
	if o.After == "" {
		return c, begun(c.event)
	}
	return c, nil
}

func (c *stream) Next() (Message, error) { return further(c.event) }

// event waits for whatever comes next.
func (c *stream) event() (Message, error) {
	event, data, id := "", "", ""
	for c.lines.Scan() {
		field, value, _ := strings.Cut(c.lines.Text(), ": ")
		switch field {
		case "id":
			id = value
		case "event":
			event = value
		case "data":
			data = value
		case "":
			if id != "" {
				c.position = id
			}
			if event != "" {
				return Message{event, data}, nil
			}
			event, data, id = "", "", ""
		}
	}
	if err := c.lines.Err(); err != nil {
		return Message{}, err
	}
	return Message{}, errOver
}

func (c *stream) Position() string { return c.position }
func (c *stream) Whole() bool      { return true }
func (c *stream) Leave() error     { return c.end() }
