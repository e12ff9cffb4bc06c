package visit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/gobwas/ws"
)

// wire is a client's connection.
type wire struct {
	conn net.Conn
	host string
	in   *bufio.Reader
	free func() bool // ctx has nothing to do with it any more
}

// connect opens a connection, which breaks off when ctx ends.
func connect(ctx context.Context, o Options) (*wire, error) {
	var d net.Dialer
	if o.From.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: o.From.AsSlice()}
	}
	conn, err := d.DialContext(ctx, "tcp", o.Addr)
	if err != nil {
		return nil, err
	}
	w := &wire{conn: conn, host: o.Addr, in: bufio.NewReaderSize(conn, 1<<10)}
	w.free = context.AfterFunc(ctx, func() {
		if err := conn.SetDeadline(time.Unix(1, 0)); err != nil {
			return // it has been closed
		}
	})
	return w, nil
}

// end closes the connection in the usual way.
func (w *wire) end() error {
	w.free()
	return broken(w.conn.Close())
}

// Break implements [Client]: the server gets a reset.
func (w *wire) Break() error {
	if tcp, ok := w.conn.(*net.TCPConn); ok {
		if err := tcp.SetLinger(0); err != nil {
			return errors.Join(broken(err), w.end())
		}
	}
	return w.end()
}

func (w *wire) write(text string) error {
	_, err := io.WriteString(w.conn, text)
	return err
}

// get asks for something, of which the head is read.
func (w *wire) get(path, headers string) (*http.Response, error) {
	if err := w.write("GET " + path + " HTTP/1.1\r\nHost: " + w.host + "\r\n" + headers + "\r\n"); err != nil {
		return nil, err
	}
	return http.ReadResponse(w.in, nil)
}

// text reads the rest of an answer that has to be 200.
func text(resp *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", &Refusal{resp.StatusCode, string(data)}
	}
	return string(data), nil
}

func (w *wire) post(path, body string) (string, error) {
	err := w.write(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: %d\r\n\r\n%s", path, w.host, len(body), body))
	if err != nil {
		return "", err
	}
	return text(http.ReadResponse(w.in, &http.Request{Method: http.MethodPost}))
}

// The sample of RFC 6455, section 1.3.
const (
	handshake = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	accepted  = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// upgrade makes it a WebSocket.
func (w *wire) upgrade(path string) error {
	resp, err := w.get(path, handshake)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		_, err := text(resp, nil)
		return errors.Join(err, fmt.Errorf("no WebSocket, but %s", resp.Status))
	}
	if got := resp.Header.Get("Sec-WebSocket-Accept"); got != accepted {
		return fmt.Errorf("the handshake was accepted with %q", got)
	}
	return nil
}

// send sends a frame.
func (w *wire) send(code ws.OpCode, payload string) error {
	return ws.WriteFrame(w.conn, ws.MaskFrameInPlace(ws.NewFrame(code, true, []byte(payload))))
}

// bye sends the frame of a client that leaves by itself, and ends the connection.
func (w *wire) bye() error {
	err := w.send(ws.OpClose, string(ws.NewCloseFrameBody(ws.StatusNormalClosure, "")))
	return errors.Join(err, w.end())
}

// receive waits for a message of a WebSocket. Pings are answered; pinged, unless nil, is called behind that.
func (w *wire) receive(pinged func() error) (string, error) {
	for {
		h, err := ws.ReadHeader(w.in)
		if err != nil {
			return "", err
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(w.in, payload); err != nil {
			return "", err
		}
		switch {
		case h.OpCode == ws.OpClose:
			return "", errOver
		case h.OpCode == ws.OpPing:
			err := w.send(ws.OpPong, string(payload))
			if err == nil && pinged != nil {
				err = pinged()
			}
			if err != nil {
				return "", err
			}
		case h.OpCode == ws.OpText && h.Fin:
			return string(payload), nil
		default:
			return "", fmt.Errorf("an unexpected frame: %+v", h)
		}
	}
}
