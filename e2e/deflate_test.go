package e2e

import (
	"bytes"
	bits "encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
)

// deflating is the setting that has WebSocket messages compressed.
var deflating = settings{"socketio.per_message_deflate": "true"}

// TestDeflatingClients has clients of several generations, in Node and in Chromium, send and get compressed messages: text, binary,
// acknowledgements, large and small ones, one of the largest size and one that is larger.
func TestDeflatingClients(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sioc-1.4", "sioc-1.7", "sioc-2.0", "sioc-2.5", "sioc-3.1", "sioc-4.0", "sioc-4"} {
		c := nodeClients[slices.IndexFunc(nodeClients, func(c client) bool { return c.lib == name })]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tryDeflating(t, startDriver(t), c)
		})
	}
}

// TestDeflatingPages is the same in Chromium, which compresses whatever a page sends.
func TestDeflatingPages(t *testing.T) {
	t.Parallel()
	d := startPages(t)
	for _, c := range pageClients {
		if c.lib == "sioc-1.7" || c.lib == "sioc-2.5" || c.lib == "sioc-4" {
			t.Run(c.lib, func(t *testing.T) { tryDeflating(t, d, c) })
		}
	}
}

func tryDeflating(t *testing.T, d *driver, c client) {
	for _, r := range []route{byWebSocket, byUpgrade} {
		for _, one := range []struct {
			name     string
			try      func(*testing.T, *driver, client, route)
			up, down bool // large messages go that way
		}{
			{"product", tryProduct, false, false},
			{"large", tryLarge, true, true},
			{"payload limit", tryPayloadLimit, true, false},
			{"echo", tryEcho, true, true},
		} {
			t.Run(one.name+"/"+r.name, func(t *testing.T) {
				var tracers []*tracer
				d.front = &front{settings: deflating, echo: []string{"deflate"}, open: func(t *testing.T, s *server) {
					w := startTracer(t, s.public)
					s.base = "http://" + w.address
					tracers = append(tracers, w)
				}}
				t.Cleanup(func() {
					d.forget(t)
					d.front = nil
				})
				one.try(t, d, c, r)
				for _, w := range tracers {
					w.check(t, one.up, one.down)
				}
			})
		}
	}
}

// tryLarge pushes large messages to a user and to all, and has the user send one.
func tryLarge(t *testing.T, d *driver, c client, r route) {
	crier := d.startCrier(t, nil)
	user := d.open(t, "user", opening{client: c, route: r, url: crier.publicURL(""), login: "7"})
	user.loggedIn(t)
	if r.upgrades() && user.connected(t).Transport != r.final {
		user.await(t, happening{On: "upgrade"})
	}
	visitor := d.open(t, "visitor", opening{client: c, route: r, url: crier.publicURL("")})
	if r.upgrades() && visitor.connected(t).Transport != r.final {
		visitor.await(t, happening{On: "upgrade"})
	} else if !r.upgrades() {
		visitor.connected(t)
	}
	want := []string{strings.Repeat(hard, 20_000), "small", strings.Repeat("large enough, ", 100)}
	for _, content := range want {
		crier.deliver(t, "7", content)
		crier.deliver(t, "", "to all: "+content)
	}
	var all, both []string
	for _, content := range want {
		all = append(all, "to all: "+content)
		both = append(both, content, "to all: "+content)
	}
	if got := visitor.until(t, all[len(all)-1]); !slices.Equal(got, all) {
		t.Errorf("the visitor got %d messages, %.60q", len(got), got)
	}
	if got := user.until(t, both[len(both)-1]); !slices.Equal(got, both) {
		t.Errorf("the user got %d messages, %.60q", len(got), got)
	}
	user.emit(t, "large", "login", strings.Repeat(hard, 2000))
	if a := user.await(t, happening{On: "ack", Ack: "large"}).login(t); a.UID != "7" && a.Code == "" {
		t.Errorf("a large login was answered %+v", a)
	}
	d.undisturbed(t)
}

// tracer passes connections on to a server, and keeps what goes through.
type tracer struct {
	address string

	mu    sync.Mutex
	conns []*traced
	ended bool
}

// traced is a connection, and what has gone through, each way.
type traced struct {
	client, server net.Conn
	up, down       bytes.Buffer
}

func (c *traced) close() {
	c.client.Close()
	c.server.Close()
}

// startTracer opens one before a server, until the test ends.
func startTracer(t *testing.T, target string) *tracer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &tracer{address: l.Addr().String()}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				server, err := net.Dial("tcp", target)
				if err != nil {
					client.Close()
					return
				}
				w.pass(&traced{client: client, server: server})
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		w.mu.Lock()
		w.ended = true
		for _, c := range w.conns {
			c.close()
		}
		w.mu.Unlock()
		all.Wait()
	})
	return w
}

// pass passes on until both sides have ended.
func (w *tracer) pass(c *traced) {
	w.mu.Lock()
	w.conns = append(w.conns, c)
	ended := w.ended
	w.mu.Unlock()
	if ended {
		c.close()
	}
	var both sync.WaitGroup
	for _, way := range []struct {
		from, to net.Conn
		kept     *bytes.Buffer
	}{{c.client, c.server, &c.up}, {c.server, c.client, &c.down}} {
		both.Go(func() {
			_, err := io.Copy(io.MultiWriter(keeper{w, way.kept}, way.to), way.from) // kept before anybody can have it
			if tcp := way.to.(*net.TCPConn); err == nil {
				err = tcp.CloseWrite()
			}
			if err != nil && !errors.Is(err, net.ErrClosed) {
				c.close() // so that the other way ends
			}
		})
	}
	both.Wait()
	c.close()
}

// keeper keeps what is written.
type keeper struct {
	w  *tracer
	to *bytes.Buffer
}

func (k keeper) Write(p []byte) (int, error) {
	k.w.mu.Lock()
	defer k.w.mu.Unlock()
	return k.to.Write(p)
}

// check fails the test unless every WebSocket has agreed on compression, and compressed messages went up and down, if they have to.
func (w *tracer) check(t *testing.T, wantUp, wantDown bool) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	sockets, up, down := 0, 0, 0
	for _, c := range w.conns {
		head, frames, whole := bytes.Cut(c.down.Bytes(), []byte("\r\n\r\n"))
		if !whole || !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
			continue
		}
		sockets++
		if !bytes.Contains(bytes.ToLower(head), []byte("\r\nsec-websocket-extensions: permessage-deflate")) {
			t.Errorf("a WebSocket was answered %q", head)
		}
		_, said, _ := bytes.Cut(c.up.Bytes(), []byte("\r\n\r\n"))
		up += compressed(said)
		down += compressed(frames)
	}
	if sockets == 0 || wantUp && up == 0 || wantDown && down == 0 {
		t.Errorf("on %d WebSockets %d messages came compressed, and %d went", sockets, up, down)
	}
}

// compressed counts the frames that begin a compressed message, of those that are whole.
func compressed(frames []byte) int {
	n := 0
	for len(frames) >= 2 {
		size, length := 2, uint64(frames[1]&0x7f)
		switch length {
		case 126:
			size += 2
		case 127:
			size += 8
		}
		if len(frames) < size {
			break
		}
		if size > 2 {
			length = bits.BigEndian.Uint64(append(make([]byte, 10-size), frames[2:size]...))
		}
		if frames[1]&0x80 != 0 {
			size += 4
		}
		if frames[0]&0x40 != 0 {
			n++
		}
		frames = frames[min(uint64(len(frames)), uint64(size)+length):]
	}
	return n
}
