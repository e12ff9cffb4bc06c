package socketio

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"crier/io/engineio"
)

// errEnded says that the server ended the session.
var errEnded = errors.New("the session has ended")

// peer is a client that sends and receives the packets of Engine.IO as they are.
type peer struct {
	kind
	sid    string // of the session
	socket net.Conn
	in     *bufio.Reader
	http   *http.Client
	url    string // of the polling session
	queue  []engineio.Packet
	mute   bool // answers no pings
}

// dial opens a session, with more query than the protocol's own.
func dial(h *host, k kind, query string) (*peer, error) {
	p := &peer{kind: k, http: h.http.Client()}
	p.url = fmt.Sprintf("%s/socket.io/?EIO=%d&%s", h.http.URL, k.rev, query)
	var err error
	if k.polling {
		p.url += "&transport=polling"
		err = p.poll(time.Now().Add(patience))
	} else {
		err = p.upgrade()
	}
	if err != nil {
		return nil, err
	}
	opened, err := p.next()
	if err != nil {
		return nil, err
	}
	var handshake struct{ SID string }
	if err := json.Unmarshal(opened.Data, &handshake); err != nil || opened.Type != engineio.Open {
		return nil, fmt.Errorf("not an open packet: %q", opened.Data)
	}
	p.sid = handshake.SID
	p.url += "&sid=" + p.sid
	return p, nil
}

func (p *peer) upgrade() error {
	dialer := ws.Dialer{Timeout: patience}
	url := strings.Replace(p.url, "http:", "ws:", 1) + "&transport=websocket"
	conn, in, _, err := dialer.Dial(context.Background(), url)
	if err != nil {
		return err
	}
	if in == nil {
		in = bufio.NewReader(conn)
	}
	p.socket, p.in = conn, in
	return nil
}

// next returns the next packet; errEnded after the last.
func (p *peer) next() (engineio.Packet, error) {
	end := time.Now().Add(patience) // pings do not put it off
	for {
		for len(p.queue) == 0 {
			if err := p.fill(end); err != nil {
				return engineio.Packet{}, err
			}
		}
		pkt := p.queue[0]
		p.queue = p.queue[1:]
		switch pkt.Type {
		case engineio.Close:
			return pkt, errEnded
		case engineio.Noop:
		case engineio.Ping:
			if p.mute {
				continue
			}
			if err := p.write(engineio.Packet{Type: engineio.Pong}); err != nil {
				return pkt, err
			}
		default:
			return pkt, nil
		}
	}
}

// fill reads at least one packet.
func (p *peer) fill(end time.Time) error {
	if p.polling {
		return p.poll(end)
	}
	if err := p.socket.SetReadDeadline(end); err != nil {
		return errEnded // closed by this side
	}
	header, err := ws.ReadHeader(p.in)
	payload := make([]byte, min(header.Length, 1<<20))
	if err == nil {
		_, err = io.ReadFull(p.in, payload)
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case err != nil, header.OpCode == ws.OpClose:
		return errEnded
	case header.OpCode == ws.OpPing:
		return ws.WriteFrame(p.socket, ws.MaskFrame(ws.NewPongFrame(payload)))
	}
	parse := engineio.ParseText
	if header.OpCode == ws.OpBinary {
		parse = engineio.ParseBinary
	}
	pkt, err := parse(p.rev, payload)
	p.queue = append(p.queue, pkt)
	return err
}

func (p *peer) poll(end time.Time) error {
	ctx, cancel := context.WithDeadline(context.Background(), end)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return err
	}
	resp, err := p.http.Do(r)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return errEnded
	}
	body, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return errEnded
	}
	binary := resp.Header.Get("Content-Type") == "application/octet-stream"
	return engineio.ParsePayload(p.rev, body, binary, func(pkt engineio.Packet) error {
		pkt.Data = bytes.Clone(pkt.Data)
		p.queue = append(p.queue, pkt)
		return nil
	})
}

// write sends packets, in one POST if polling.
func (p *peer) write(packets ...engineio.Packet) error {
	if p.polling {
		return p.post(packets)
	}
	for _, pkt := range packets {
		payload, binary := engineio.AppendFrame(nil, p.rev, false, pkt)
		frame := ws.NewTextFrame(payload)
		if binary {
			frame = ws.NewBinaryFrame(payload)
		}
		if err := ws.WriteFrame(p.socket, ws.MaskFrame(frame)); err != nil {
			return err
		}
	}
	return nil
}

func (p *peer) post(packets []engineio.Packet) error {
	framing, contentType := engineio.FramingV4, "text/plain"
	if p.rev == engineio.Revision3 {
		framing, contentType = engineio.FramingV3Binary, "application/octet-stream"
	}
	var body []byte
	for _, pkt := range packets {
		body = engineio.AppendPayload(body, framing, pkt)
	}
	resp, err := p.http.Post(p.url, contentType, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	return resp.Body.Close()
}

// leave ends the session, if it has not ended: on a WebSocket without a word.
func (p *peer) leave() error {
	if !p.polling {
		return p.socket.Close()
	}
	if err := p.write(engineio.Packet{Type: engineio.Close}); err != nil {
		return err
	}
	if err := p.poll(time.Now().Add(patience)); err != nil && !errors.Is(err, errEnded) {
		return err
	}
	return nil
}

// caller is a peer of a test, which ends when something goes wrong.
type caller struct {
	*peer
	t testing.TB
}

// open opens a session that the end of the test ends.
func (h *host) open(t testing.TB, k kind, query ...string) *caller {
	t.Helper()
	p, err := dial(h, k, strings.Join(query, "&"))
	if err != nil {
		t.Fatalf("opening a session: %v", err)
	}
	t.Cleanup(func() {
		if err := p.leave(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Errorf("leaving: %v", err)
		}
	})
	return &caller{p, t}
}

// join opens a session and joins the main namespace; the functions of OnConnect
// have returned.
func (h *host) join(t testing.TB, k kind, query ...string) *caller {
	t.Helper()
	c := h.open(t, k, query...)
	if k.rev == engineio.Revision4 {
		c.send("0")
	}
	c.wantPrefix("0")
	c.sync("")
	return c
}

// send sends messages as they are; a []byte is binary.
func (c *caller) send(messages ...any) {
	c.t.Helper()
	packets := make([]engineio.Packet, len(messages))
	for i, m := range messages {
		switch m := m.(type) {
		case []byte:
			packets[i] = engineio.Packet{Type: engineio.Message, Binary: true, Data: m}
		default:
			packets[i] = engineio.Packet{Type: engineio.Message, Data: fmt.Append(nil, m)}
		}
	}
	if err := c.write(packets...); err != nil {
		c.t.Fatalf("sending %q: %v", messages, err)
	}
}

// message returns the next message.
func (c *caller) message() engineio.Packet {
	c.t.Helper()
	pkt, err := c.next()
	if err != nil {
		c.t.Fatalf("waiting for a message: %v", err)
	}
	return pkt
}

// want takes the next messages, which must be those; a []byte is binary.
func (c *caller) want(messages ...any) {
	c.t.Helper()
	for _, m := range messages {
		got := c.message()
		want := fmt.Append(nil, m)
		b, binary := m.([]byte)
		if binary {
			want = b
		}
		if got.Type != engineio.Message || got.Binary != binary || !bytes.Equal(got.Data, want) {
			c.t.Fatalf("got type %d, binary %v: %q; want the message %q", got.Type, got.Binary, got.Data, want)
		}
	}
}

// wantPrefix takes the next message and returns what follows the prefix.
func (c *caller) wantPrefix(prefix string) string {
	c.t.Helper()
	got := c.message()
	rest, ok := strings.CutPrefix(string(got.Data), prefix)
	if !ok {
		c.t.Fatalf("got %q, want %q…", got.Data, prefix)
	}
	return rest
}

// sync waits until the server has handled all that was sent, and checks that
// nothing but what was taken has come. The namespace is "" or "/chat,".
func (c *caller) sync(namespace string) {
	c.t.Helper()
	c.send("2" + namespace + `777["sync"]`)
	c.want("3" + namespace + "777[]")
}

// wantEnd waits for the end of the session; no message may come before.
func (c *caller) wantEnd() {
	c.t.Helper()
	switch pkt, err := c.next(); {
	case err == nil:
		c.t.Fatalf("got the message %q, want the end of the session", pkt.Data)
	case !errors.Is(err, errEnded):
		c.t.Fatalf("waiting for the end of the session: %v", err)
	}
}
