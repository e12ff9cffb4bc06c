package app

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws/wsutil"

	"crier/configs"
)

// fresh matches what differs from one session to the next.
var fresh = regexp.MustCompile(`"sid":"[^"]*"|Date: [^\r]*`)

// shake sends raw on a connection of its own, and returns what is answered: all of it that is HTTP, and so many frames behind that.
func shake(t *testing.T, addr, raw string, frames int) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Write(&all); err != nil {
		t.Fatal(err)
	}
	for range frames {
		text, err := wsutil.ReadServerText(struct {
			io.Reader
			io.Writer
		}{in, c})
		if err != nil {
			t.Fatalf("after %q: %v", all.String(), err)
		}
		all.WriteString(string(text) + "\n")
	}
	return fresh.ReplaceAllString(all.String(), "…")
}

// TestHandshakes begins WebSockets at the public port, and at a plain net/http server of the same handler.
func TestHandshakes(t *testing.T) {
	p := start(t, func(c *configs.Config) {
		c.Origins = []string{"https://shop.example"}
		c.Limits.Connections = 4
	})
	plain := httptest.NewServer(p.public.server.Handler)
	defer plain.Close()
	const (
		path = "/socket.io/?EIO=4&transport=websocket"
		asks = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	)
	for _, c := range []struct {
		name, target, fields string
		behind               []string // packets sent with the handshake
		frames, status       int
	}{
		{"revision 4", path, asks, nil, 1, 101},
		{"revision 3", "/socket.io/?EIO=3&transport=websocket", asks, nil, 2, 101},
		{"1.0", "/socket.io/?EIO=2&transport=websocket&t=1", asks, nil, 2, 101},
		{"Firefox", path + "&t=abc", strings.Replace(asks, "Connection: Upgrade", "Connection: keep-alive, Upgrade", 1), nil, 1, 101},
		{"all at once", path, asks, []string{"40", `420["login","7"]`}, 3, 101},
		{"with a uid", path + "&uid=7", asks, []string{"40"}, 2, 101},
		{"uid of auth", path, asks, []string{`40{"uid":"7"}`}, 2, 101},
		{"bad uid", path + "&uid=", asks, []string{`40{"uid":1.5}`}, 2, 101},
		{"own origin", path, asks + "Origin: http://127.0.0.1:80\r\n", nil, 1, 101},
		{"listed origin", path, asks + "Origin: https://shop.example\r\n", nil, 1, 101},
		{"foreign origin", path, asks + "Origin: https://evil.example\r\n", nil, 0, 403},
		{"foreign page", path, asks + "Referer: https://evil.example/x\r\n", nil, 0, 403},
		{"another site", path, asks + "Sec-Fetch-Site: cross-site\r\n", nil, 0, 403},
		{"unknown revision", "/socket.io/?EIO=5&transport=websocket", asks, nil, 0, 400},
		{"no revision", "/socket.io/?transport=websocket", asks, nil, 0, 400},
		{"another transport", "/socket.io/?EIO=4&transport=websockets", asks, nil, 0, 400},
		{"unknown session", path + "&sid=AAAAAAAAAAAAAAAAAAAAAAAA", asks, nil, 0, 400},
		{"no handshake", path, "", nil, 0, 400},
		{"no key", path, "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n", nil, 0, 400},
		{"short key", path, strings.Replace(asks, "==", "", 1), nil, 0, 400},
		{"version 8", path, strings.Replace(asks, "13", "8", 1), nil, 0, 426},
		{"bad query", path + "&a=%zz", asks, nil, 0, 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := "GET " + c.target + " HTTP/1.1\r\nHost: 127.0.0.1:2120\r\n" + c.fields + "\r\n"
			for _, text := range c.behind {
				raw += "\x81" + string([]byte{0x80 | byte(len(text))}) + "\x00\x00\x00\x00" + text // the mask changes nothing
			}
			got := shake(t, p.Addr(), raw, c.frames)
			same(t, "answer", got, shake(t, plain.Listener.Addr().String(), raw, c.frames))
			if want := fmt.Sprintf("HTTP/1.1 %d ", c.status); !strings.HasPrefix(got, want) {
				t.Errorf("the answer is %q, want %s", got, want)
			}
			await(t, "the end of both", func() bool { return p.clientCount() == 0 && p.public.fast.Open() == 0 })
		})
	}
}

// TestHandshakeLimits has more clients come than may.
func TestHandshakeLimits(t *testing.T) {
	p := start(t, func(c *configs.Config) { c.Limits.ConnectionsPerIP = 2 })
	raw := "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	for range 2 {
		c, err := net.Dial("tcp", p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		}()
		if _, err := io.WriteString(c, raw); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "both clients", func() bool { return p.clientCount() == 2 })
	if got := shake(t, p.Addr(), raw, 0); !strings.HasPrefix(got, "HTTP/1.1 429 ") || !strings.Contains(got, "Retry-After: 10\r\n") {
		t.Errorf("one too many gets %q", got)
	}
	if n := p.openConnections(); n < 2 {
		t.Errorf("%d connections are counted", n)
	}
}
