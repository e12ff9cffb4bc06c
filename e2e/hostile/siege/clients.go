//go:build linux

package siege

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// stampDigits is how many digits the time has that a message begins with, in nanoseconds.
const stampDigits = 19

// reader is a client that reads, on a plain WebSocket.
type reader struct {
	conn net.Conn
	in   io.ReadWriter
	done chan struct{}

	mu    sync.Mutex
	took  []time.Duration
	ended bool
}

func newReader(ctx context.Context, address, uid string) (*reader, error) {
	conn, rest, _, err := ws.Dial(ctx, "ws://"+address+"/ws?uid="+uid)
	if err != nil {
		return nil, err
	}
	o := &reader{conn: conn, done: make(chan struct{})}
	o.in = conn
	if rest != nil { // what came with the handshake
		o.in = struct {
			io.Reader
			io.Writer
		}{io.MultiReader(rest, conn), conn}
	}
	go o.read()
	return o, nil
}

// read notes how long messages have taken, until the connection ends. Pings are answered.
func (o *reader) read() {
	defer close(o.done)
	const before = `"args":["`
	for {
		text, err := wsutil.ReadServerText(o.in)
		o.mu.Lock()
		if err != nil {
			o.ended = true
			o.mu.Unlock()
			return
		}
		if _, content, found := strings.Cut(string(text), before); found && len(content) > stampDigits {
			if sent, err := strconv.ParseInt(content[:stampDigits], 10, 64); err == nil {
				o.took = append(o.took, time.Since(time.Unix(0, sent)))
			}
		}
		o.mu.Unlock()
	}
}

// has reports whether n messages have come, or no more will.
func (o *reader) has(n int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.took) >= n || o.ended
}

func (o *reader) result() (took []time.Duration, open bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.took, !o.ended
}

func (o *reader) leave() {
	if err := o.conn.Close(); err != nil {
		return // it has ended
	}
	<-o.done
}

// glutton is a client that never reads. It is owned by one goroutine at a time.
type glutton struct {
	address, uid string
	conn         net.Conn
	back         int
}

// come connects, and reads the head of the answer and no more.
func (o *glutton) come(ctx context.Context) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", o.address)
	if err != nil {
		return err
	}
	o.conn = conn
	if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		return err
	}
	_, err = fmt.Fprintf(conn, "GET /ws?uid=%s HTTP/1.1\r\nHost: crier.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", o.uid)
	if err != nil {
		return err
	}
	var head []byte
	for one := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); head = append(head, one...) {
		if _, err := conn.Read(one); err != nil {
			return err
		}
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
		return fmt.Errorf("answered %.50q", head)
	}
	return nil
}

func (o *glutton) comeBack(ctx context.Context) error {
	o.leave()
	o.back++
	return o.come(ctx)
}

func (o *glutton) leave() {
	if o.conn == nil {
		return
	}
	if err := o.conn.Close(); err != nil {
		return // it has ended
	}
	o.conn = nil
}

// pusher pushes as web-msg-sender's callers do, on one connection.
type pusher struct {
	address string
	client  *http.Client
}

func newPusher(address string) *pusher {
	return &pusher{"http://" + address + "/", &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxConnsPerHost: 1}}}
}

// push returns the answer.
func (p *pusher) push(ctx context.Context, uid, content string) (string, error) {
	form := url.Values{"type": {"publish"}, "to": {uid}, "content": {content}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.address, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := p.client.Do(r)
	if err != nil {
		return "", fmt.Errorf("pushing: %w", err)
	}
	answer, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return "", fmt.Errorf("pushing: %w", err)
	}
	return string(answer), nil
}

func (p *pusher) close() { p.client.CloseIdleConnections() }
