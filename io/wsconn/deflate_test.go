package wsconn

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"
)

// inflated reads frames of a server, and returns its messages as text, those that were compressed behind a "~".
func inflated(t *testing.T, frames []byte) []string {
	t.Helper()
	var got []string
	for r := bytes.NewReader(frames); r.Len() > 0; {
		f, err := readFrame(r)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, message(t, f))
	}
	return got
}

func message(t *testing.T, f ws.Frame) string {
	t.Helper()
	if f.Header.Rsv == 0 {
		return opName(f.Header.OpCode) + ":" + string(f.Payload)
	}
	p, err := byTheBook(f.Payload, 1<<30)
	if err != nil || f.Header.Rsv != rsvDeflated || !f.Header.Fin || f.Header.Masked {
		t.Fatalf("a frame with the header %+v: %v", f.Header, err)
	}
	return "~" + opName(f.Header.OpCode) + ":" + string(p)
}

func TestDeflaterAppend(t *testing.T) {
	small, least, large := strings.Repeat("a", DeflateFrom-1), strings.Repeat("b", DeflateFrom), strings.Repeat("large ", 100_000)
	noise := make([]byte, 100_000)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	text := func(s string) []byte { return AppendText(nil, []byte(s)) }
	binary := func(s string) []byte { return AppendBinary(nil, []byte(s)) }
	tests := []struct {
		name   string
		frames [][]byte
		want   []string
	}{
		{"nothing", nil, nil},
		{"empty", [][]byte{text("")}, []string{"text:"}},
		{"small", [][]byte{text(small)}, []string{"text:" + small}},
		{"just large enough", [][]byte{text(least)}, []string{"~text:" + least}},
		{"large", [][]byte{binary(large)}, []string{"~binary:" + large}},
		{"what gets no smaller", [][]byte{binary(string(noise))}, []string{"binary:" + string(noise)}},
		{"each by itself", [][]byte{text(small), text(large), AppendPing(nil, []byte("p")), binary(string(noise)), text(large)}, []string{"text:" + small, "~text:" + large, "ping:p", "binary:" + string(noise), "~text:" + large}},
	}
	d := new(Deflater)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := slices.Concat(tt.frames...)
			before := bytes.Clone(in)
			out := d.Append([]byte("dst"), in)
			if !bytes.HasPrefix(out, []byte("dst")) || !bytes.Equal(in, before) {
				t.Fatal("dst or the frames have changed")
			}
			if got := inflated(t, out[3:]); !slices.Equal(got, tt.want) {
				t.Errorf("got %.80q, want %.80q", got, tt.want)
			}
			if len(out)-3 > len(in) {
				t.Errorf("%d bytes became %d", len(in), len(out)-3)
			}
		})
	}
	t.Run("no frames", func(t *testing.T) {
		for _, in := range []string{"\x81", "\x81\x05abc", "\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", "\x81\x7f\x00\x00"} {
			if got := d.Append(nil, []byte(in)); string(got) != in {
				t.Errorf("%q became %q", in, got)
			}
		}
	})
	t.Run("by many at once", func(t *testing.T) {
		var all sync.WaitGroup
		for n := range 8 {
			all.Go(func() {
				want := strings.Repeat(fmt.Sprint("number ", n), 1000)
				for range 50 {
					if got := inflated(t, d.Append(nil, text(want))); !slices.Equal(got, []string{"~text:" + want}) {
						t.Errorf("got %.80q", got)
					}
				}
			})
		}
		all.Wait()
	})
}

func TestDeflateDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector a pool forgets at random")
	}
	d := new(Deflater)
	frame := AppendText(nil, bytes.Repeat([]byte("a message "), 400))
	var out []byte
	if n := testing.AllocsPerRun(100, func() { out = d.Append(out[:0], frame) }); n > 0 {
		t.Errorf("%v allocations for a message", n)
	}
}

// offering is a client's handshake.
func offering(extensions string) string {
	return strings.Replace(handshake, "\r\n\r\n", "\r\nSec-WebSocket-Extensions: "+extensions+"\r\n\r\n", 1)
}

// shake sends a handshake to a server, and returns what it answers and the connection.
func shake(t *testing.T, addr, request string) (*http.Response, *bufio.Reader, net.Conn) {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(context.Background(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	write(t, conn, []byte(request))
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp, in, conn
}

// Clients that agree send and get compressed messages, the others are left alone.
func TestUpgradeWithDeflate(t *testing.T) {
	large := strings.Repeat("large enough ", 1000)
	for _, tt := range []struct {
		name, offer  string
		off, deflate bool
	}{
		{"offered", "permessage-deflate; client_max_window_bits", false, true},
		{"not offered", "x-nothing", false, false},
		{"cannot be met", "permessage-deflate; server_max_window_bits=9", false, false},
		{"off", "permessage-deflate; client_max_window_bits", true, false},
		{"off, and malformed", ";;", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := newUpgrader(t, Options{Deflate: !tt.off})
			srv, r := serve(t, u, false)
			resp, in, conn := shake(t, srv.Listener.Addr().String(), offering(tt.offer))
			got, want := resp.Header.Get("Sec-WebSocket-Extensions"), ""
			if tt.deflate {
				want = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
			}
			if resp.StatusCode != http.StatusSwitchingProtocols || got != want {
				t.Fatalf("status %d, extension %q, want %q", resp.StatusCode, got, want)
			}
			write(t, conn, clientFrame(ws.OpText, true, []byte("small")))
			write(t, conn, clientFrame(ws.OpText, true, []byte(large)))
			write(t, conn, deflatedFrame(ws.OpBinary, true, pressed(t, []byte(large), 6)))
			wants := []string{"text:small", "text:" + large, "close:\x03\xea" + "non-zero rsv bits with no extension negotiated"}
			if tt.deflate {
				wants = []string{"text:small", "~text:" + large, "~binary:" + large}
			}
			for _, want := range wants {
				f, err := readFrame(in)
				if err != nil {
					t.Fatal(err)
				}
				if got := message(t, f); got != want {
					t.Fatalf("got %.80q, want %.80q", got, want)
				}
			}
			conn.Close()
			if err := r.wait(t); err == nil {
				t.Error("Closed without a reason")
			}
		})
	}
}

func TestUpgradeRefusesMalformedOffers(t *testing.T) {
	u := newUpgrader(t, Options{Deflate: true})
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(offering(`permessage-deflate; client_max_window_bits="10`))))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	_, err = u.Upgrade(w, r, nil, nil)
	if err == nil || w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "Sec-WebSocket-Extensions") {
		t.Errorf("Upgrade = %v, status %d, %q", err, w.Code, w.Body)
	}
}

// compressing is a connection that has agreed on compression, and its client.
func compressing(t *testing.T) (*Conn, net.Conn) {
	t.Helper()
	server, client := tcpPair(t)
	c, err := newUpgrader(t, Options{Deflate: true}).attach(server, nil, func(c *Conn) Handler {
		c.deflates = true
		return newRecorder()
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	return c, client
}

// What changes after it is compressed, too.
func TestSendCopyDeflates(t *testing.T) {
	c, client := compressing(t)
	want := strings.Repeat("lent ", 1000)
	frame := AppendText(nil, []byte(want))
	for range 3 {
		if err := c.SendCopy(frame, 1); err != nil {
			t.Fatal(err)
		}
		f, err := readFrame(client)
		if err != nil || message(t, f) != "~text:"+want {
			t.Fatalf("got %d bytes, %v", len(f.Payload), err)
		}
	}
	if err := c.SendCopy(AppendText(nil, []byte("small")), 1); err != nil {
		t.Fatal(err)
	}
	if f, err := readFrame(client); err != nil || message(t, f) != "text:small" {
		t.Fatalf("got %+v, %v", f, err)
	}
	c.Abort()
}

// Queues count what is sent.
func TestQueueCountsDeflated(t *testing.T) {
	c, client := compressing(t)
	clog(t, c)
	before := c.Queued()
	frames := AppendText(nil, bytes.Repeat([]byte("x"), 900_000))
	small := c.Deflater().Append(nil, frames)
	if err := c.Send(small, 1); err != nil {
		t.Fatal(err)
	}
	if got := c.Queued() - before; got > len(small) || len(small) > 9000 {
		t.Errorf("%d bytes more wait for a message of %d", got, len(small))
	}
	client.Close()
	c.Abort()
}
