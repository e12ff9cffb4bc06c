//go:build linux

package storm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"crier/bench/proc"
	"crier/e2e/rig"
	"crier/e2e/visit"
)

const (
	// perSecond is how many clients of one address may come in a second, in a rush.
	perSecond = 5
	// Of each way.
	tries, logins = 2000, 200
)

// Turned is what became of those who came one way, all from one address and faster than they may.
type Turned struct {
	Way           string
	Came, Refused int
	P50, P99      time.Duration // of a refusal, from the call of connect(2) until the whole answer is there
	Refusal       time.Duration // processor time of the server for one
	Login         time.Duration // and for somebody who logs in this way; 0: not measured

	most int // who could come in the time that it took
}

// Refusals are what became of all of them.
type Refusals []Turned

// Wrong says what must not be, whatever the machine: nil, or each of it.
func (all Refusals) Wrong() error {
	var errs []error
	for _, t := range all {
		if t.Came > t.most || t.Refused == 0 {
			errs = append(errs, fmt.Errorf("%s: %d came in, of whom %d may, and %d were refused", t.Way, t.Came, t.most, t.Refused))
		}
	}
	return errors.Join(errs...)
}

// way is one to come in.
type way struct {
	name, request string    // as far as the fields that all have; {n} is a number of its own
	visit         visit.Way // "": there is no such client
	closing       string    // how a refusal begins that is a message; "": it is a status
}

const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

func ways() []way {
	return []way{
		{"WebSocket", "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n" + upgrade, visit.WebSocket4, ""},
		{"polling", "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n", visit.Polling4, ""},
		{"`/sse`", "GET /sse?uid=1 HTTP/1.1\r\n", visit.SSE, ""},
		{"`/ws`", "GET /ws?uid=1 HTTP/1.1\r\n" + upgrade, visit.Plain, ""},
		{"`/comet`", "GET /comet?uid=1&wait=0 HTTP/1.1\r\n", visit.Comet, ""},
		{"`/sockjs`", "POST /sockjs/0/s{n}/xhr HTTP/1.1\r\nContent-Length: 0\r\n", "", "c[4429,"}, // clients of SockJS see no status
	}
}

// crowd is a rush under way.
type crowd struct {
	server *rig.Server
	from   int // the last address that somebody has come from
}

// Rush has clients of one address come as fast as they can, one way after the other, while others log in.
func Rush(ctx context.Context, o Options) (all Refusals, err error) {
	server, err := rig.New(rig.Options{Binary: o.Binary, Dir: o.Dir, Settings: map[string]string{
		"store.path": "memory", "limits.handshakes_per_ip": fmt.Sprint(perSecond), "log.level": "warn", "drain.spread": "0s",
	}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	if err := server.Start(ctx); err != nil {
		return nil, err
	}
	c := &crowd{server: server}
	for _, w := range ways() {
		t, err := c.come(ctx, w)
		if err == nil && w.visit != "" {
			t.Login, err = c.login(ctx, w.visit)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", w.name, err, server.Tail())
		}
		all = append(all, t)
	}
	stopping, cancel := context.WithTimeout(ctx, o.Patience)
	defer cancel()
	return all, server.Stop(stopping)
}

// come has clients come one way. In their midst one of another address logs in.
func (c *crowd) come(ctx context.Context, w way) (Turned, error) {
	t := Turned{Way: w.name}
	before, err := c.used()
	if err != nil {
		return t, err
	}
	begun := time.Now()
	var took []time.Duration
	for n := range tries {
		if n == tries/2 {
			if err := c.visit(ctx, visit.WebSocket4); err != nil {
				return t, fmt.Errorf("somebody of another address: %w", err)
			}
		}
		at := time.Now()
		let, err := c.try(ctx, w, n)
		if err != nil {
			return t, err
		}
		if let {
			t.Came++
		} else {
			took = append(took, time.Since(at))
		}
	}
	t.most = perSecond + int(perSecond*time.Since(begun).Seconds())
	after, err := c.used()
	if t.Refused = len(took); err != nil || t.Refused == 0 {
		return t, err
	}
	slices.Sort(took)
	t.P50, t.P99, t.Refusal = took[len(took)/2], took[len(took)*99/100], (after-before)/tries
	return t, nil
}

// used is the processor time that the server has used.
func (c *crowd) used() (time.Duration, error) {
	u, err := proc.Process(c.server.PID()).CPU()
	return u.Total(), err
}

// try makes a request on a connection of its own, and reports whether it was let in. The answer is that, or a refusal that says when
// to come again.
func (c *crowd) try(ctx context.Context, w way, n int) (in bool, err error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", c.server.Public)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := conn.(*net.TCPConn).SetLinger(0); err != nil { // its port is free at once
		return false, err
	}
	if _, err := io.WriteString(conn, strings.ReplaceAll(w.request, "{n}", strconv.Itoa(n))+"Host: crier.test\r\n\r\n"); err != nil {
		return false, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return false, err
	}
	let := resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusSwitchingProtocols
	if let && w.closing == "" {
		return true, nil // of what may have no end
	}
	text, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return false, err
	}
	if let {
		return !strings.HasPrefix(string(text), w.closing), nil
	}
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
		return false, fmt.Errorf("refused with %s, Retry-After %q, %.100q", resp.Status, resp.Header.Get("Retry-After"), text)
	}
	return false, nil
}

// visit has somebody of an address that nobody has come from log in, and leave.
func (c *crowd) visit(ctx context.Context, as visit.Way) error {
	c.from++
	from := netip.AddrFrom4([4]byte{127, 1, byte(c.from / 200), byte(1 + c.from%200)})
	client, err := visit.Dial(ctx, as, visit.Options{Addr: c.server.Public, UID: fmt.Sprint("u", c.from), From: from})
	if err != nil {
		return err
	}
	return client.Break()
}

// login is the processor time of a login.
func (c *crowd) login(ctx context.Context, as visit.Way) (time.Duration, error) {
	before, err := c.used()
	if err != nil {
		return 0, err
	}
	for range logins {
		if err := c.visit(ctx, as); err != nil {
			return 0, err
		}
	}
	after, err := c.used()
	return (after - before) / logins, err
}
