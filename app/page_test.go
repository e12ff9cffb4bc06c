package app

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// errEnded says that the server closed the connection.
var errEnded = errors.New("the connection has ended")

// page is a browser's connection: a WebSocket that carries Socket.IO.
type page struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
	sid  string // the id of its socket, of protocol 5
}

// dial opens a WebSocket to the Socket.IO endpoint. scheme is ws or wss.
func dial(t testing.TB, scheme, addr, query string, config *tls.Config) *page {
	t.Helper()
	dialer := ws.Dialer{Timeout: patience, TLSConfig: config}
	conn, in, _, err := dialer.Dial(context.Background(), scheme+"://"+addr+"/socket.io/?transport=websocket&"+query)
	if err != nil {
		t.Fatal(err)
	}
	if in == nil {
		in = bufio.NewReader(conn)
	}
	p := &page{t: t, conn: conn, in: in}
	t.Cleanup(p.leave)
	p.wantPrefix("0{")
	return p
}

// open opens a page that has joined, with a client of 3.x or 4.x; auth is JSON or "".
func (p *program) open(auth string, query ...string) *page {
	p.t.Helper()
	pg := dial(p.t, "ws", p.Addr(), "EIO=4&"+strings.Join(query, "&"), nil)
	pg.join(auth)
	return pg
}

// openOld is open with a client of 1.x or 2.x.
func (p *program) openOld(query ...string) *page {
	p.t.Helper()
	pg := dial(p.t, "ws", p.Addr(), "EIO=3&"+strings.Join(query, "&"), nil)
	pg.want("40")
	return pg
}

// openAs opens a page and logs in.
func (p *program) openAs(uid string) *page {
	p.t.Helper()
	pg := p.open("")
	pg.login(uid)
	return pg
}

func (p *page) join(auth string) {
	p.t.Helper()
	p.send("40" + auth)
	p.sid = strings.TrimSuffix(p.wantPrefix(`40{"sid":"`), `"}`)
}

func (p *page) login(uid string) {
	p.t.Helper()
	p.send(`429["login","` + uid + `"]`)
	p.want(`439[{"ok":true,"uid":"` + uid + `"}]`)
}

func (p *page) leave() {
	if err := p.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		p.t.Errorf("closing a connection: %v", err)
	}
}

func (p *page) send(text string) {
	p.t.Helper()
	if err := p.write(ws.NewTextFrame([]byte(text))); err != nil {
		p.t.Fatalf("sending %q: %v", text, err)
	}
}

// together sends several texts in one piece.
func (p *page) together(texts ...string) {
	p.t.Helper()
	var frames []byte
	for _, text := range texts {
		f, err := ws.CompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(text))))
		if err != nil {
			p.t.Fatal(err)
		}
		frames = append(frames, f...)
	}
	if _, err := p.conn.Write(frames); err != nil {
		p.t.Fatalf("sending %q: %v", texts, err)
	}
}

func (p *page) write(f ws.Frame) error { return ws.WriteFrame(p.conn, ws.MaskFrame(f)) }

// next returns the next text of the server, pings apart; errEnded after the last.
func (p *page) next() (string, error) {
	if err := p.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	for {
		header, err := ws.ReadHeader(p.in)
		if err != nil {
			return "", ended(err)
		}
		payload := make([]byte, header.Length)
		if _, err := io.ReadFull(p.in, payload); err != nil {
			return "", ended(err)
		}
		switch {
		case header.OpCode == ws.OpClose:
			return "", errEnded
		case string(payload) != "2":
			return string(payload), nil
		}
		if err := p.write(ws.NewTextFrame([]byte("3"))); err != nil {
			return "", err
		}
	}
}

// ended tells the end of a connection from a wait in vain.
func ended(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return err
	}
	return errEnded
}

// want takes the next texts, which must be those.
func (p *page) want(texts ...string) {
	p.t.Helper()
	for _, want := range texts {
		got, err := p.next()
		if err != nil {
			p.t.Fatalf("waiting for %q: %v", want, err)
		}
		if got != want {
			p.t.Fatalf("got %q, want %q", got, want)
		}
	}
}

// wantPrefix takes the next text and returns what follows the prefix.
func (p *page) wantPrefix(prefix string) string {
	p.t.Helper()
	got, err := p.next()
	if err != nil {
		p.t.Fatalf("waiting for %q…: %v", prefix, err)
	}
	rest, ok := strings.CutPrefix(got, prefix)
	if !ok {
		p.t.Fatalf("got %q, want %q…", got, prefix)
	}
	return rest
}

// wantNothing checks that nothing has come, by an exchange that would have come after it.
func (p *page) wantNothing() {
	p.t.Helper()
	p.send(`42777["unsubscribe"]`)
	p.wantPrefix("43777[")
}

// wantEnd waits for the end of the connection; nothing may come before.
func (p *page) wantEnd() {
	p.t.Helper()
	if got, err := p.next(); !errors.Is(err, errEnded) {
		p.t.Fatalf("got %q and %v, want the end of the connection", got, err)
	}
}
