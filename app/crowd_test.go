package app

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"crier/configs"
)

// pollStatus opens a session by polling, and returns the status of the answer.
func (p *program) pollStatus(header ...string) answer {
	p.t.Helper()
	return p.do(http.MethodGet, "http://"+p.Addr()+"/socket.io/?EIO=4&transport=polling", "", header...)
}

// refusedHandshake tries to connect a WebSocket, and returns the status of the refusal.
func refusedHandshake(t *testing.T, address string, header http.Header) int {
	t.Helper()
	status := 0
	dialer := ws.Dialer{
		Timeout: patience, Header: ws.HandshakeHeaderHTTP(header),
		OnStatusError: func(code int, _ []byte, _ io.Reader) { status = code },
	}
	conn, _, _, err := dialer.Dial(context.Background(), address)
	if err == nil {
		t.Error("a WebSocket was let in")
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
	return status
}

func TestConnectionsAreLimited(t *testing.T) {
	p := start(t, func(c *configs.Config) { c.Limits.Connections = 2 })
	first := p.openAs("1")
	same(t, "another way", p.knock(t, "/sse", "uid=2", nil), http.StatusOK)
	await(t, "both", func() bool { return p.clientCount() == 2 })

	a := p.pollStatus()
	same(t, "polling", a.status, http.StatusServiceUnavailable)
	same(t, "when to come again", a.header.Get("Retry-After"), "10")
	if !strings.Contains(a.body, "limits.connections") {
		t.Errorf("the answer is %q", a.body)
	}
	same(t, "a WebSocket", refusedHandshake(t, "ws://"+p.Addr()+"/socket.io/?EIO=4&transport=websocket", nil), http.StatusServiceUnavailable)
	same(t, "a plain WebSocket", refusedHandshake(t, "ws://"+p.Addr()+"/ws", nil), http.StatusServiceUnavailable)
	for _, path := range []string{"/sse", "/comet"} {
		same(t, path, p.knock(t, path, "", nil), http.StatusServiceUnavailable)
	}
	same(t, "SockJS", p.knock(t, "/sockjs/0/s/xhr", "", nil), http.StatusServiceUnavailable)
	same(t, "a push to who is there", p.push("1", "x"), "ok")
	first.want(`42["new_msg","x"]`)

	first.leave()
	await(t, "room for one more", func() bool { return p.clientCount() == 1 })
	p.openAs("3")
	if f := p.limitFigures(); f.Connections != 2 || f.Full != 6 {
		t.Errorf("the figures are %+v", f)
	}
}

func TestConnectionsOfAnAddressAreLimited(t *testing.T) {
	p := start(t, func(c *configs.Config) {
		c.Limits.ConnectionsPerIP = 1
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	from := func(address string) http.Header { return http.Header{"X-Forwarded-For": {address}} }
	pg := dialWith(t, p.Addr(), "EIO=4", from("192.0.2.1"))
	a := p.pollStatus("X-Forwarded-For", "192.0.2.1")
	same(t, "a second one", a.status, http.StatusTooManyRequests)
	if !strings.Contains(a.body, "192.0.2.1") || !strings.Contains(a.body, "limits.connections_per_ip") {
		t.Errorf("the answer is %q", a.body)
	}
	for _, path := range []string{"/sse", "/comet", "/sockjs/0/s/xhr", "/sockjs/0/s/xhr_streaming"} {
		same(t, path, p.knock(t, path, "", from("192.0.2.1")), http.StatusTooManyRequests)
	}
	for i, path := range []string{"/sse", "/comet", "/ws", "/sockjs/0/s/xhr"} { // each counts, and everybody else may come
		address := fmt.Sprintf("192.0.2.%d", i+2)
		same(t, path, p.knock(t, path, "", from(address)), http.StatusOK)
		same(t, path+" and polling", p.pollStatus("X-Forwarded-For", address).status, http.StatusTooManyRequests)
	}
	same(t, "IPv6", p.pollStatus("X-Forwarded-For", "2001:db8::1").status, http.StatusOK)
	same(t, "another of the network", p.pollStatus("X-Forwarded-For", "2001:db8::2").status, http.StatusTooManyRequests)
	same(t, "another network", p.pollStatus("X-Forwarded-For", "2001:db8:0:1::1").status, http.StatusOK)

	pg.leave()
	await(t, "it to have left", func() bool {
		p.crowd.mu.Lock()
		defer p.crowd.mu.Unlock()
		return p.crowd.addresses[netip.MustParseAddr("192.0.2.1")] == nil
	})
	same(t, "once it has left", p.pollStatus("X-Forwarded-For", "192.0.2.1").status, http.StatusOK)
	if f := p.limitFigures(); f.TooMany != 10 {
		t.Errorf("the figures are %+v", f)
	}
}

func TestHandshakesOfAnAddressAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(configs.Limits{HandshakesPerIP: 10}, nil, 0, func() int { return 0 })
		enter := func(host byte) bool {
			leave, no := c.enterFrom(netip.AddrFrom4([4]byte{192, 0, 2, host}))
			if leave != nil {
				t.Error("there is something to be told when it leaves")
			}
			return no == nil
		}
		for range 10 {
			same(t, "the burst", enter(1), true)
		}
		same(t, "one more", enter(1), false)
		same(t, "another address", enter(2), true)
		time.Sleep(100 * time.Millisecond)
		same(t, "a tenth of a second later", enter(1), true)
		same(t, "and one more", enter(1), false)
		time.Sleep(time.Hour)
		for host := range 255 { // those of an hour ago are forgotten
			c.sweepAt = 1
			enter(byte(host))
		}
		if n := len(c.addresses); n > 255 {
			t.Errorf("%d addresses are remembered", n)
		}
		time.Sleep(time.Hour)
		c.sweepAt = 1
		enter(255)
		same(t, "addresses that are remembered", len(c.addresses), 1)
	})
}

func TestReserve(t *testing.T) {
	for files, want := range map[int]int{0: 0, 40: 20, 256: 64, 1024: 102, 20_000: 1000, 1 << 20: 1000} {
		same(t, fmt.Sprint(files), reserve(files), want)
	}
	c := newCrowd(configs.Limits{Connections: -1}, nil, 1024, nil)
	same(t, "clients with 1,024 files", c.most, 922)
}

// When descriptors run out, who comes is told so at once, and the push port has its own.
func TestConnectionsAreTurnedAway(t *testing.T) {
	p := start(t, nil)
	pg := p.openAs("1")
	p.public.door.most.Store(1)
	for range 3 {
		conn, err := net.Dial("tcp", p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		var buf [64]byte
		n, err := conn.Read(buf[:])
		if !strings.HasPrefix(string(buf[:n]), "HTTP/1.1 503 ") {
			t.Errorf("it was sent %q: %v", buf[:n], err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
	same(t, "a push", p.push("1", "x"), "ok")
	pg.want(`42["new_msg","x"]`)
	if n := strings.Count(p.log.String(), "turned away"); n != 1 {
		t.Errorf("it was logged %d times", n)
	}
	same(t, "those turned away", p.limitFigures().TurnedAway, 3)
}

// What a client says too fast is heard later, and all of it.
func TestEventsAreLimited(t *testing.T) {
	p := start(t, func(c *configs.Config) {
		c.Limits.EventsPerSecond = 5
		c.Rooms.ClientJoin = "allow"
	})
	pg := p.openAs("1")
	for i := range 12 {
		pg.send(fmt.Sprintf(`42%d["subscribe","r%d"]`, i, i))
	}
	for i := range 12 {
		pg.wantPrefix(fmt.Sprintf(`43%d[{"ok":true`, i))
	}
	c := p.plainWS("/ws", "uid=2", nil)
	for i := range 12 {
		c.send(fmt.Sprintf(`{"event":"subscribe","args":["r%d"],"ack":%d}`, i, i))
	}
	for i := range 12 {
		if text := c.next(); !strings.HasPrefix(text, fmt.Sprintf(`{"ack":%d,"args":[{"ok":true`, i)) {
			t.Fatalf("answer %d is %s", i, text)
		}
	}
	if engine, others := p.sockets.Engine().Stats(), p.fallbacks.Stats(); engine.Rests == 0 || others.Rests == 0 {
		t.Errorf("nobody was put off: %+v, %+v", engine, others)
	}
}
