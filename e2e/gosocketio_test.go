package e2e

import (
	"reflect"
	"testing"
	"time"

	"github.com/googollee/go-socket.io/engineio"
	"github.com/googollee/go-socket.io/engineio/transport"
	"github.com/googollee/go-socket.io/engineio/transport/polling"
	"github.com/googollee/go-socket.io/engineio/transport/websocket"
	"github.com/googollee/go-socket.io/parser"
)

// A goSocket is a connection made with the client side of go-socket.io.
type goSocket struct {
	conn    engineio.Conn
	encoder *parser.Encoder
	decoder *parser.Decoder
}

// dialGo connects by one transport.
func dialGo(t *testing.T, address string, by transport.Transport) *goSocket {
	t.Helper()
	dialer := engineio.Dialer{Transports: []transport.Transport{by}}
	conn, err := dialer.Dial(address, nil)
	if err != nil {
		t.Fatalf("dialing: %v", err)
	}
	limit := time.AfterFunc(patience, func() {
		if err := conn.Close(); err != nil {
			t.Errorf("closing the connection: %v", err)
		}
	})
	t.Cleanup(func() {
		if limit.Stop() {
			if err := conn.Close(); err != nil {
				t.Errorf("closing the connection: %v", err)
			}
		}
	})
	return &goSocket{conn, parser.NewEncoder(conn), parser.NewDecoder(conn)}
}

// next reads the next packet, whose arguments have the type of like.
func (g *goSocket) next(t *testing.T, like any) (header parser.Header, event string, arg any) {
	t.Helper()
	if err := g.decoder.DecodeHeader(&header, &event); err != nil {
		t.Fatalf("reading a packet: %v", err)
	}
	args, err := g.decoder.DecodeArgs([]reflect.Type{reflect.TypeOf(like)})
	if err != nil {
		t.Fatalf("reading the argument of %q: %v", event, err)
	}
	if err := g.decoder.DiscardLast(); err != nil {
		t.Fatalf("reading to the end of a packet: %v", err)
	}
	return header, event, args[0].Interface()
}

// TestGoSocketIO has go-socket.io's client connect, log in and get a push.
func TestGoSocketIO(t *testing.T) {
	t.Parallel()
	for _, by := range []transport.Transport{websocket.Default, polling.Default} {
		t.Run(by.Name(), func(t *testing.T) {
			crier := startCrier(t, settings{"presence.count_event": "off"})
			g := dialGo(t, crier.publicURL("/socket.io/"), by)
			var header parser.Header
			var event string
			if err := g.decoder.DecodeHeader(&header, &event); err != nil || header.Type != parser.Connect {
				t.Fatalf("the first packet is %+v, want a connect: %v", header, err)
			}
			if err := g.decoder.DiscardLast(); err != nil {
				t.Fatalf("reading to the end of the connect: %v", err)
			}

			login := parser.Header{Type: parser.Event, ID: 7, NeedAck: true}
			if err := g.encoder.Encode(login, []any{"login", hard}); err != nil {
				t.Fatalf("logging in: %v", err)
			}
			header, _, answer := g.next(t, loginAnswer{})
			a, ok := answer.(loginAnswer)
			if !ok || header.Type != parser.Ack || header.ID != 7 || !a.OK || a.UID != hard {
				t.Fatalf("the login was answered %+v %+v", header, answer)
			}

			crier.deliver(t, hard, "for you: "+hard)
			_, event, content := g.next(t, "")
			if text, ok := content.(string); !ok || event != "new_msg" || text != "for you: "+hard {
				t.Errorf("got %q %v", event, content)
			}
		})
	}
}
