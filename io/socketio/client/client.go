// Package client is a Socket.IO client for programs: protocol 5 (servers of 3.x and 4.x) over a WebSocket, in one
// namespace, with text and binary events and acknowledgements in both directions.
//
// [Run] connects, hands every event to a [Handler], and comes back after a loss, with the official client's pauses.
//
// Specification: docs/engine.io-protocol/v4-current.md and docs/socket.io-protocol/v5-current.md in the socket.io repository.
package client

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"crier/io/socketio"
)

// DefaultPath is the path of the endpoint where Options.URL has none.
const DefaultPath = "/socket.io/"

const (
	connectTimeout = 20 * time.Second // of one attempt, as the official client's timeout
	goodbyeTimeout = time.Second      // to write the end of a connection
	writeTimeout   = 20 * time.Second // of one packet
	maxPayload     = 64 << 20         // bytes of one message, if Options.MaxPayload is zero
	maxAttachments = 1000             // of one packet
)

// Options say where and as whom to connect.
type Options struct {
	// URL is the server's: http, https, ws or wss, and the path of the endpoint if that is not DefaultPath. A query in it is
	// sent along. Required.
	URL string
	// Namespace is the one to join. Empty: /.
	Namespace string
	// Auth is an object for the server, what is called auth in the official client; it is encoded again for every
	// connection. Nil: none.
	Auth any
	// Header is sent with the handshake.
	Header http.Header
	// TLS is used for https and wss. Nil: the system's certificates.
	TLS *tls.Config
	// MaxPayload is the most bytes of one message; zero means 64 MiB. A longer one ends the connection.
	MaxPayload int64
	// Delay is the pause before the first return, about; it doubles with every failure up to MaxDelay. Zero: 1 s and 5 s,
	// as the official client.
	Delay, MaxDelay time.Duration
}

// Handler is told what happens. Its methods run one at a time, on Run's goroutine: while one does, no heartbeat is
// answered, and after socketio.ping_interval and .ping_timeout the server takes the client for dead. An error of any of them
// ends Run, which returns it; only one of writing, from Emit or Ack, is a loss like any other.
type Handler interface {
	// Connected is called with every connection, once the namespace is joined: this is the place to emit.
	Connected(c *Conn) error
	// Event is called with every event. What it holds is valid until Event returns.
	Event(e *Event) error
	// Lost is called when a connection has ended, or an attempt failed. When it returns nil, Run tries again after wait. The
	// official client gives up where [Final] says so.
	Lost(err error, wait time.Duration) error
}

// ErrDisconnected means that the server took the client out of the namespace, and wants it to stay away.
var ErrDisconnected = errors.New("the server ended the connection")

// HandshakeError is an answer other than a WebSocket.
type HandshakeError struct {
	Status int    // of HTTP
	Text   string // what the server says about it, one line, cut short
}

// Error returns status and text.
func (e *HandshakeError) Error() string {
	text := fmt.Sprintf("the server answers %d %s instead of a WebSocket", e.Status, http.StatusText(e.Status))
	if e.Text != "" {
		text += ": " + e.Text
	}
	return text
}

// Final reports whether an error given to [Handler.Lost] is the server's decision to keep the client away: a
// [*socketio.ConnectError] or [ErrDisconnected].
func Final(err error) bool {
	var refused *socketio.ConnectError
	return errors.As(err, &refused) || errors.Is(err, ErrDisconnected)
}

// Run connects, and connects again, until ctx ends, for which it returns nil, or the handler returns an error.
func Run(ctx context.Context, o Options, h Handler) error {
	address, err := o.address()
	if err != nil {
		return err
	}
	if o.Namespace == "" {
		o.Namespace = "/"
	}
	if o.MaxPayload == 0 {
		o.MaxPayload = maxPayload
	}
	b := newBackoff(o.Delay, o.MaxDelay)
	for {
		var ended *handlerError
		err := session(ctx, o, address, h, b.reset)
		switch {
		case errors.As(err, &ended):
			return ended.err
		case ctx.Err() != nil:
			return nil
		}
		wait := b.next(rand.Float64())
		if err := h.Lost(err, wait); err != nil {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

// handlerError is an error of the handler, which ends everything.
type handlerError struct{ err error }

func (e *handlerError) Error() string { return e.err.Error() }

// handled marks an error of the handler. Nil stays nil, and an error of writing one of the connection.
func handled(err error) error {
	var lost *writeError
	if err == nil || errors.As(err, &lost) {
		return err
	}
	return &handlerError{err}
}

// address returns the WebSocket's. No error repeats the URL, which may have a token in it.
func (o Options) address() (string, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" {
		return "", errors.New("the URL of the server is not of the form http://host:port or https://host")
	}
	switch u.Scheme {
	case "http", "ws":
		u.Scheme = "ws"
	case "https", "wss":
		u.Scheme = "wss"
	default:
		return "", errors.New("the URL of the server is neither http, https, ws nor wss")
	}
	if u.User != nil || u.Fragment != "" {
		return "", errors.New("the URL of the server has a user or a fragment")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = DefaultPath
	}
	if !strings.HasSuffix(u.Path, "/") {
		u.Path += "/"
	}
	q := u.Query()
	q.Set("EIO", "4")
	q.Set("transport", "websocket")
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// auth returns the payload of the CONNECT packet.
func (o Options) auth() (json.RawMessage, error) {
	if o.Auth == nil {
		return nil, nil
	}
	data, err := json.Marshal(o.Auth)
	if err != nil {
		return nil, fmt.Errorf("encoding Options.Auth: %w", err)
	}
	if data[0] != '{' {
		return nil, errors.New("Options.Auth is not an object")
	}
	return data, nil
}
