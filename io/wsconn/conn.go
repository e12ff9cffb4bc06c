// Package wsconn is the server's side of one WebSocket connection: whole
// messages come in, shared frames go out through a bounded queue. An HTTP answer
// without an end goes out in the same way. A timing wheel, shared by all connections,
// is here too.
package wsconn

import (
	"errors"
	"net"

	"github.com/gobwas/ws"
)

var (
	// ErrQueueFull is returned by Send when the peer is too far behind.
	ErrQueueFull = errors.New("send queue is full")
	// ErrClosed is returned by Send once the connection is closing.
	ErrClosed = errors.New("connection is closed")
)

// Handler receives what a connection reads. Its methods are called one at a
// time, without any lock, and may call every method of Conn.
type Handler interface {
	// Message gets a whole message, of op ws.OpText (valid UTF-8) or
	// ws.OpBinary. The handler may change payload, which is valid only during
	// the call. An error closes the connection: with the code of a *CloseError,
	// otherwise with 1002.
	Message(op ws.OpCode, payload []byte) error
	// Closed is called exactly once, after the last Message: with a *CloseError
	// when the peer sent a close frame (Remote) or broke the protocol, Message's
	// own error, net.ErrClosed after Close or Abort, io.EOF when the peer went
	// without a close frame, or a network error. After Close it comes when the
	// socket is closed, which takes up to CloseTimeout.
	Closed(err error)
}

// PongHandler is what a Handler may implement in addition, to hear of pongs
// (RFC 6455 §5.5.3), the answers to what AppendPing makes.
type PongHandler interface {
	// Pong gets the payload, which is valid only during the call.
	Pong(payload []byte)
}

// PauseHandler is what a Handler may implement in addition, to answer in one go what
// was read in one go.
type PauseHandler interface {
	// Pause follows the last message of each read.
	Pause()
}

// Conn is a WebSocket connection. Its methods may be called concurrently.
type Conn struct {
	output

	// set once by Upgrade, before Start; until then guarded by mu
	h Handler

	// owned by the reading goroutine, and before Start by Upgrade
	in *partial // nil between two messages
}

// Start begins to read. Without it the handler gets no message.
func (c *Conn) Start() {
	var early []byte
	c.mu.Lock()
	if c.started || c.load() == closed {
		c.mu.Unlock()
		return
	}
	c.started = true
	if c.in != nil {
		early = c.in.early
		c.in = nil
	}
	c.mu.Unlock()
	c.Uncork()
	c.nc.Start(early)
}

// decoder is that of what the client may send.
func (c *Conn) decoder() *decoder {
	if c.deflates {
		return &c.up.inflating
	}
	return &c.up.dec
}

// Close starts the closing handshake (RFC 6455 §7.1.2): a close frame is sent
// behind what waits already, input is ignored from now on, and the socket is
// closed once the peer has ended its side, at the latest after CloseTimeout.
// A code that must not be sent, such as 0, is left out; a reason is cut to 123
// bytes. Close never waits. Only
// the first call counts.
func (c *Conn) Close(code ws.StatusCode, reason string) { c.CloseWith(nil, code, reason) }

// CloseWith is Close with frames in front of the close frame, which are sent after Discard too. It takes the memory of frames.
func (c *Conn) CloseWith(frames []byte, code ws.StatusCode, reason string) {
	c.shutdown(appendClose(frames, code, reason), false, net.ErrClosed)
}

// Hangup is Close without a close frame: to the peer the connection breaks off.
func (c *Conn) Hangup() { c.shutdown(nil, false, net.ErrClosed) }
