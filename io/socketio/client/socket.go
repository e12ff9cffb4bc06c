package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"crier/io/engineio"
)

// errClosed means that the server ended the connection in such a way that clients come back.
var errClosed = errors.New("the connection was closed by the server")

// socket is a WebSocket (RFC 6455) that carries Engine.IO packets.
type socket struct {
	conn   net.Conn
	reader *wsutil.Reader

	mu sync.Mutex // around writes

	deadline     sync.Mutex
	interrupted  bool  // guarded by deadline
	interruptErr error // likewise
}

// dial opens a WebSocket.
func dial(ctx context.Context, o Options, address string) (*socket, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	refused := &HandshakeError{}
	d := ws.Dialer{Header: ws.HandshakeHeaderHTTP(o.Header), TLSConfig: o.TLS, OnStatusError: func(status int, _ []byte, answer io.Reader) {
		refused.Status, refused.Text = status, explanation(answer)
	}}
	conn, buffered, _, err := d.Dial(ctx, address)
	switch {
	case refused.Status != 0:
		return nil, refused
	case err != nil:
		return nil, fmt.Errorf("connecting: %w", err)
	}
	s := &socket{conn: conn}
	source := io.Reader(conn)
	if buffered != nil { // frames that came with the handshake
		source = buffered
	} else {
		source = bufio.NewReader(source)
	}
	s.reader = &wsutil.Reader{
		Source: source, State: ws.StateClientSide, CheckUTF8: true,
		MaxFrameSize: o.MaxPayload, MaxMessageSize: o.MaxPayload, OnIntermediate: s.control,
	}
	return s, nil
}

// explanation returns what an HTTP response says about itself: the beginning of its text, on one line.
func explanation(answer io.Reader) string {
	response, err := http.ReadResponse(bufio.NewReader(answer), nil)
	if err != nil {
		return ""
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, 1000))
	if err := errors.Join(err, response.Body.Close()); err != nil && len(text) == 0 {
		return ""
	}
	return strings.Join(strings.FieldsFunc(string(bytes.ToValidUTF8(text, []byte("?"))), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
}

// expect gives the server so long to say something.
func (s *socket) expect(patience time.Duration) error {
	s.deadline.Lock()
	defer s.deadline.Unlock()
	if s.interrupted {
		return nil
	}
	return s.conn.SetReadDeadline(time.Now().Add(patience))
}

// interrupt makes reads fail from now on.
func (s *socket) interrupt() {
	s.deadline.Lock()
	defer s.deadline.Unlock()
	s.interrupted = true
	s.interruptErr = s.conn.SetReadDeadline(time.Unix(1, 0))
}

// packet reads one Engine.IO packet. Its data is not used again.
func (s *socket) packet() (engineio.Packet, error) {
	for {
		header, err := s.reader.NextFrame()
		if err != nil {
			return engineio.Packet{}, lost(err)
		}
		if header.OpCode.IsControl() {
			if err := s.control(header, s.reader); err != nil {
				return engineio.Packet{}, err
			}
			continue
		}
		data, err := io.ReadAll(s.reader)
		if err != nil {
			return engineio.Packet{}, lost(err)
		}
		if header.OpCode == ws.OpBinary {
			return engineio.ParseBinary(engineio.Revision4, data)
		}
		return engineio.ParseText(engineio.Revision4, data)
	}
}

// lost says what the end of a connection looks like.
func lost(err error) error {
	var timeout net.Error
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errClosed
	case errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("the server has fallen silent")
	}
	return fmt.Errorf("reading from the server: %w", err)
}

// control answers a WebSocket ping, and the server's closing.
func (s *socket) control(h ws.Header, body io.Reader) error {
	payload, err := io.ReadAll(body)
	if err != nil {
		return lost(err)
	}
	switch h.OpCode {
	case ws.OpPing:
		return s.frames(writeTimeout, ws.NewPongFrame(payload))
	case ws.OpClose:
		return errors.Join(errClosed, s.frames(goodbyeTimeout, ws.NewCloseFrame(payload)))
	}
	return nil
}

// write sends text and, behind it, a message of bytes for each attachment.
func (s *socket) write(timeout time.Duration, text []byte, attachments [][]byte) error {
	frames := []ws.Frame{ws.NewTextFrame(text)}
	for _, data := range attachments {
		frames = append(frames, ws.NewBinaryFrame(data))
	}
	return s.frames(timeout, frames...)
}

// writeClose sends the end of the WebSocket.
func (s *socket) writeClose() error {
	return s.frames(goodbyeTimeout, ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, "")))
}

// frames sends frames in one piece.
func (s *socket) frames(timeout time.Duration, frames ...ws.Frame) error {
	var b bytes.Buffer
	for _, f := range frames {
		if err := ws.WriteFrame(&b, ws.MaskFrame(f)); err != nil {
			return fmt.Errorf("encoding a frame: %w", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.conn.SetWriteDeadline(time.Now().Add(timeout))
	if err == nil {
		_, err = b.WriteTo(s.conn)
	}
	if err != nil {
		return &writeError{err}
	}
	return nil
}

// writeError means that the connection cannot be written to: it has ended.
type writeError struct{ err error }

func (e *writeError) Error() string { return "writing to the server: " + e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

// close lets go of the connection.
func (s *socket) close() error {
	s.deadline.Lock()
	defer s.deadline.Unlock()
	return errors.Join(s.conn.Close(), s.interruptErr)
}
