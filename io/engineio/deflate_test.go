package engineio_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"crier/io/engineio"
)

const deflates = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"

// inflated is the payload of a compressed frame (RFC 7692 §7.2.2).
func inflated(t testing.TB, f ws.Frame) []byte {
	p, err := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(f.Payload), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff"))))
	if err != nil || f.Header.Rsv != 4 || !f.Header.Fin || f.Header.OpCode.IsControl() {
		t.Errorf("a frame with the header %+v: %v", f.Header, err)
	}
	return p
}

// deflated is a frame of a client with that payload, compressed.
func deflated(t testing.TB, op ws.OpCode, payload string) ws.Frame {
	t.Helper()
	var out bytes.Buffer
	z, err := flate.NewWriter(&out, 6)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(z, payload); err != nil {
		t.Fatal(err)
	}
	if err := z.Flush(); err != nil {
		t.Fatal(err)
	}
	f := ws.NewFrame(op, true, bytes.TrimSuffix(out.Bytes(), []byte("\x00\x00\xff\xff")))
	f.Header.Rsv = 4
	return ws.MaskFrame(f)
}

// Large messages go both ways compressed, of every kind, and small ones and heartbeats as they are.
func TestPerMessageDeflate(t *testing.T) {
	long := strings.Repeat(`"中文",`, 500)
	x := strings.Repeat("x", 5000)
	for _, tt := range []struct {
		query    string
		text     string // as the client is sent it
		attached string
	}{
		{ws4, `~42[` + long + `1]`, fmt.Sprintf("~binary %x", x)},
		{ws3, `~42[` + long + `1]`, fmt.Sprintf("~binary 04%x", x)},
		{"EIO=2&transport=websocket", `~42[` + strings.ReplaceAll(long, "中文", `\u4e2d\u6587`) + `1]`, fmt.Sprintf("~binary 04%x", x)},
	} {
		t.Run(tt.query, func(t *testing.T) {
			r := newRig(t, true, engineio.Options{PerMessageDeflate: true})
			s := r.ws(tt.query, deflates)
			rc := next(t, r.handler.accepted)
			want(t, rc.events, "opened")
			if open := next(t, s.got); open[0] != '0' {
				t.Fatalf("got %q", open)
			}
			text := []byte(`2[` + long + `1]`)
			send := func(p *engineio.Prepared) {
				t.Helper()
				if err := rc.session.Send(p); err != nil {
					t.Fatal(err)
				}
			}
			send(engineio.Prepare(text, 1))
			send(engineio.Prepare([]byte(`2["small"]`), 1))
			send(engineio.Prepare([]byte(`51-[{"_placeholder":true,"num":0}]`), 3, []byte(x)))
			if err := rc.session.SendText(append(make([]byte, engineio.Headroom), text...), 1); err != nil {
				t.Fatal(err)
			}
			send(engineio.Bundle(engineio.Prepare([]byte(`2["small"]`), 1), engineio.Prepare(text, 1)))
			want(t, s.got, tt.text, `42["small"]`, `451-[{"_placeholder":true,"num":0}]`, tt.attached, tt.text, `42["small"]`, tt.text)

			s.write(deflated(t, ws.OpText, "4"+string(text)))
			s.send("4small")
			if tt.query == ws4 {
				s.write(deflated(t, ws.OpBinary, x))
			} else {
				s.write(deflated(t, ws.OpBinary, "\x04"+x))
			}
			want(t, rc.events, "text "+string(text), "text small", fmt.Sprintf("binary %x", x))
			if strings.HasPrefix(tt.query, "EIO=4") {
				return
			}
			s.write(deflated(t, ws.OpText, "2probe"))
			want(t, s.got, "3probe")
		})
	}
}

// Where the setting is off, or the client does not offer it, nothing is compressed.
func TestNoPerMessageDeflate(t *testing.T) {
	for name, on := range map[string]bool{"off": false, "not offered": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, true, engineio.Options{PerMessageDeflate: on})
			header := deflates
			if on {
				header = "X-Nothing: 1"
			}
			s := r.ws(ws4, header)
			rc := next(t, r.handler.accepted)
			want(t, rc.events, "opened")
			next(t, s.got)
			text := `2["` + strings.Repeat("x", 5000) + `"]`
			if err := rc.session.Send(engineio.Prepare([]byte(text), 1)); err != nil {
				t.Fatal(err)
			}
			if err := rc.session.SendText(append(make([]byte, engineio.Headroom), text...), 1); err != nil {
				t.Fatal(err)
			}
			want(t, s.got, "4"+text, "4"+text)
			s.write(deflated(t, ws.OpText, "4"+text))
			want(t, s.got, "close 1002")
			want(t, rc.events, "closed: transport error")
		})
	}
}

// What is inflated to more than MaxPayload ends the connection as any message that is too large, and so does what cannot be inflated.
func TestPerMessageDeflateLimits(t *testing.T) {
	for _, tt := range []struct {
		name  string
		frame func(t *testing.T) ws.Frame
		code  string
	}{
		{"a bomb", func(t *testing.T) ws.Frame { return deflated(t, ws.OpText, "4"+strings.Repeat("x", 1_000_000)) }, "close 1009"},
		{"a byte over", func(t *testing.T) ws.Frame { return deflated(t, ws.OpText, "4"+strings.Repeat("x", 10_000)) }, "close 1009"},
		{"noise", func(t *testing.T) ws.Frame {
			f := ws.NewFrame(ws.OpText, true, []byte("Hello"))
			f.Header.Rsv = 4
			return ws.MaskFrame(f)
		}, "close 1007"},
		{"text that is not UTF-8", func(t *testing.T) ws.Frame { return deflated(t, ws.OpText, "4\xff") }, "close 1007"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, true, engineio.Options{PerMessageDeflate: true, MaxPayload: 10_000})
			s := r.ws(ws4, deflates)
			rc := next(t, r.handler.accepted)
			want(t, rc.events, "opened")
			next(t, s.got)
			s.write(deflated(t, ws.OpText, "4"+strings.Repeat("x", 9999)))
			want(t, rc.events, "text "+strings.Repeat("x", 9999))
			s.write(tt.frame(t))
			want(t, s.got, tt.code)
			want(t, rc.events, "closed: transport error")
		})
	}
}

// A client that polls first gets what waits compressed once it has moved.
func TestUpgradeDeflates(t *testing.T) {
	r := newFakeRig(t, engineio.Options{PerMessageDeflate: true})
	rc, _ := r.open("EIO=4&transport=polling")
	text := `2["` + strings.Repeat("x", 5000) + `"]`
	for range 2 {
		if err := rc.session.Send(engineio.Prepare([]byte(text), 1)); err != nil {
			t.Fatal(err)
		}
	}
	s := r.ws("EIO=4&transport=websocket&sid="+rc.session.ID(), deflates)
	s.send("2probe")
	want(t, s.got, "3probe")
	s.send("5")
	want(t, s.got, "~4"+text, "~4"+text)
}
