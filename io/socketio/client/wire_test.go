package client_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"crier/io/socketio/client"
)

const hello = `0{"sid":"x","pingInterval":25000,"pingTimeout":20000}`

// script is a server that sends what a test says, and after that what is done to the connection.
func script(t *testing.T, messages []any, after func(net.Conn)) string {
	t.Helper()
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close() // the client may have been first
		for _, m := range messages {
			switch m := m.(type) {
			case string:
				err = errors.Join(err, wsutil.WriteServerText(conn, []byte(m)))
			case []byte:
				err = errors.Join(err, wsutil.WriteServerBinary(conn, m))
			case ws.Frame:
				err = errors.Join(err, ws.WriteFrame(conn, m))
			}
		}
		if err != nil {
			return // the client has had enough
		}
		if after != nil {
			after(conn)
		}
	}))
	t.Cleanup(h.Close)
	return h.URL
}

// untilGone reads until the client ends the connection.
func untilGone(conn net.Conn) {
	for {
		if _, _, err := wsutil.ReadClientData(conn); err != nil {
			return
		}
	}
}

func TestHostileServers(t *testing.T) {
	const joined = `40{"sid":"y"}`
	for _, c := range []struct {
		name     string
		messages []any
		want     string // part of the error
	}{
		{"empty", []any{""}, "parse error"},
		{"nonsense", []any{"x"}, "parse error"},
		{"no open packet", []any{"2"}, "Engine.IO 4"},
		{"open packet of nothing", []any{"0"}, "Engine.IO 4"},
		{"no heartbeat", []any{`0{"sid":"x"}`}, "Engine.IO 4"},
		{"protocol 4", []any{hello, "40"}, "protocol 5"},
		{"closed at once", []any{hello, "1"}, "closed by the server"},
		{"a refusal without words", []any{hello, "44"}, "refusal"},
		{"no packet", []any{hello, joined, "49"}, "parse error"},
		{"no JSON", []any{hello, joined, `42["e",}`}, "parse error"},
		{"bytes of nothing", []any{hello, joined, []byte("x")}, "belong to nothing"},
		{"text for bytes", []any{hello, joined, `451-["e",{"_placeholder":true,"num":0}]`, `42["e"]`}, "bytes are due"},
		{"too many bytes announced", []any{hello, joined, `45100000-["e"]`}, "attachments"},
		{"a placeholder of nothing", []any{hello, joined, `451-["e",{"_placeholder":true,"num":1}]`, []byte("x")}, "placeholder"},
		{"an attachment many times", []any{hello, joined, `451-["e",[{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]]`, []byte("x")}, "more than once"},
		{"a large message", []any{hello, joined, `42["e","` + strings.Repeat("x", 2000) + `"]`}, "too large"},
		{"not UTF-8", []any{hello, joined, "42[\"\xff\"]"}, "reading from the server"},
		{"a frame of the future", []any{hello, joined, ws.Frame{Header: ws.Header{Fin: true, OpCode: 3}}}, "reading from the server"},
		{"a masked frame", []any{hello, joined, ws.MaskFrame(ws.NewTextFrame([]byte("2")))}, "reading from the server"},
		{"closed", []any{hello, joined, ws.NewCloseFrame(ws.NewCloseFrameBody(1001, ""))}, "closed by the server"},
		{"disconnected", []any{hello, joined, "41"}, "the server ended the connection"},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := script(t, c.messages, untilGone)
			r := run(t, client.Options{URL: url, MaxPayload: 1000}, &listener{})
			for {
				h := take(t, r.what)
				if h.conn != nil || h.event != "" {
					continue
				}
				if !strings.Contains(h.lost.Error(), c.want) {
					t.Errorf("lost with %v, want %q", h.lost, c.want)
				}
				return
			}
		})
	}
}

func TestHarmlessPackets(t *testing.T) {
	pinged := make(chan string, 10)
	url := script(t, []any{
		hello, "6", "2x", "4" + `0/other,{"sid":"z"}`, `40{"sid":"y"}`, // of another namespace, and ours
		`42/other,["no"]`, `43999[1]`, `42[7,"seven"]`, ws.NewPingFrame([]byte("p")), `42["last"]`,
	}, func(conn net.Conn) {
		for {
			header, err := ws.ReadHeader(conn)
			if err != nil {
				return
			}
			frame := ws.Frame{Header: header, Payload: make([]byte, header.Length)}
			if _, err := conn.Read(frame.Payload); err != nil && header.Length > 0 {
				return
			}
			pinged <- string(ws.UnmaskFrame(frame).Payload)
		}
	})
	r := run(t, client.Options{URL: url}, &listener{})
	r.connection()
	r.wants(`7 "seven"`)
	r.wants("last")
	for _, want := range []string{"40", "3x", "p"} {
		if got := take(t, pinged); got != want {
			t.Errorf("the client sent %q, want %q", got, want)
		}
	}
	r.stop()
}

// A server that says nothing any more has gone.
func TestSilence(t *testing.T) {
	url := script(t, []any{`0{"sid":"x","pingInterval":1,"pingTimeout":1}`, `40{"sid":"y"}`}, untilGone)
	r := run(t, client.Options{URL: url}, &listener{})
	r.connection()
	if err := r.loses(); !strings.Contains(err.Error(), "silent") {
		t.Error(err)
	}
}
