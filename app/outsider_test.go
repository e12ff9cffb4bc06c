package app

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"crier/configs"
)

// plain is a client on /ws.
type plain struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

// plainWS opens /ws with that query.
func (p *program) plainWS(query string, header http.Header) *plain {
	p.t.Helper()
	dialer := ws.Dialer{Timeout: patience, Header: ws.HandshakeHeaderHTTP(header)}
	conn, in, _, err := dialer.Dial(context.Background(), "ws://"+p.Addr()+"/ws?"+query)
	if err != nil {
		p.t.Fatal(err)
	}
	if in == nil {
		in = bufio.NewReader(conn)
	}
	c := &plain{t: p.t, conn: conn, in: in}
	p.t.Cleanup(c.leave)
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		p.t.Fatal(err)
	}
	return c
}

func (c *plain) leave() {
	if err := c.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		c.t.Error(err)
	}
}

func (c *plain) send(text string) {
	c.t.Helper()
	frame, err := ws.CompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(text))))
	if err == nil {
		_, err = c.conn.Write(frame)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// next is the next text, or "close CODE REASON".
func (c *plain) next() string {
	c.t.Helper()
	for {
		h, err := ws.ReadHeader(c.in)
		payload := make([]byte, h.Length)
		if err == nil {
			_, err = io.ReadFull(c.in, payload)
		}
		if err != nil {
			c.t.Fatal(err)
		}
		switch h.OpCode {
		case ws.OpText:
			return string(payload)
		case ws.OpClose:
			return fmt.Sprintf("close %d %s", binary.BigEndian.Uint16(payload), payload[2:])
		}
	}
}

// want takes the next text, in which ID stands for any id.
func (c *plain) want(text string) {
	c.t.Helper()
	same(c.t, "text", anyID(c.next()), text)
}

// anyID replaces the id at the start of a message.
func anyID(text string) string {
	rest, ok := strings.CutPrefix(text, `{"id":"`)
	if !ok {
		return text
	}
	_, rest, _ = strings.Cut(rest, `"`)
	return `{"id":"ID"` + rest
}

func TestPlainWebSocket(t *testing.T) {
	p := start(t, func(c *configs.Config) { c.Rooms.ClientJoin = "allow" })
	c := p.plainWS("uid=7&rooms=a,b", nil)
	c.send("ping")
	c.want("pong")
	same(t, "push", p.push("7", "<hi>"), "ok")
	c.want(`{"id":"ID","event":"new_msg","args":["&lt;hi&gt;"]}`)
	p.v1(`{"to":{"rooms":["b"]},"event":"e","args":[{"$binary":"AAE="},1]}`)
	c.want(`{"id":"ID","event":"e","args":[{"$binary":"AAE="},1]}`)
	c.send(`{"event":"unsubscribe","args":["b"],"ack":"x"}`)
	c.want(`{"ack":"x","args":[{"ok":true,"room":"b"}]}`)
	c.send(`{"event":"nobody","ack":2}`)
	c.want(`{"ack":2,"args":[{"ok":false,"error":"there is no such event (setting ` + "`forward.events`" + `)","code":"unknown_event"}]}`)
	c.send("hello")
	if got := c.next(); !strings.HasPrefix(got, `close 4400 a message is JSON`) {
		t.Error(got)
	}
}

// v1 pushes with /v1 and returns the answer.
func (p *program) v1(push string) string {
	p.t.Helper()
	a := p.do(http.MethodPost, "http://"+p.PushAddr()+"/v1/push", push)
	same(p.t, "status of "+a.body, a.status, http.StatusOK)
	return a.body
}
