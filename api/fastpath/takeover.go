package fastpath

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"time"

	"crier/io/http1"
)

// response is the answer to a request, whose connection its handler can have instead if it is for a WebSocket.
type response struct {
	*http1.Response
	conn *conn
}

// Takeover gives the connection to the handler of a request for a WebSocket, with what the client has sent behind that. It is Hijack
// without the two buffers, of 4 KB each, that come with a net/http connection.
func (w *response) Takeover() (nc net.Conn, early []byte, err error) {
	c := w.conn
	behind, asked := c.reader.Upgrade()
	switch {
	case !asked:
		return nil, nil, fmt.Errorf("taking a connection over: %w", http.ErrNotSupported)
	case c.nc == nil:
		return nil, nil, http.ErrHijacked
	}
	seen, err := c.context.leave()
	if err == nil {
		nc, err = c.bare()
	}
	if err == nil {
		err = nc.SetReadDeadline(time.Time{})
	}
	if err != nil {
		return nil, nil, fmt.Errorf("taking a connection over: %w", err)
	}
	c.nc = nil
	c.listener.forget(c)
	return nc, append(bytes.Clone(behind), seen...), nil
}

// Hijack implements [http.Hijacker] for requests for a WebSocket.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, early, err := w.Takeover()
	if err != nil {
		return nil, nil, err
	}
	in := bufio.NewReaderSize(http1.NewEarly(nc, early), len(early))
	if _, err := in.Peek(len(early)); err != nil { // not with what is in memory
		return nil, nil, fmt.Errorf("taking a connection over: %w", err)
	}
	return nc, bufio.NewReadWriter(in, bufio.NewWriter(nc)), nil
}
