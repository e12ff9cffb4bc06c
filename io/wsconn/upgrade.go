package wsconn

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"crier/io/netpoll"
)

// Options configures an Upgrader.
type Options struct {
	// Poller reads the connections. Required.
	Poller *netpoll.Poller
	// MaxPayload is the largest message accepted from a client, in bytes, all
	// fragments together. A larger one closes with 1009. Zero means 1,000,000.
	MaxPayload int64
	// KeepPayload is the largest buffer, in bytes, for messages cut by the end of a
	// read that is kept for the next one of them, of any connection. Zero means 4 KiB: the
	// next one may need a byte only. More is for few connections with much to say.
	KeepPayload int
	// QueueBytes limits what waits to be written to one connection. Zero means
	// 1 MiB.
	QueueBytes int
	// QueueMessages limits the messages that wait. Zero means 1000.
	QueueMessages int
	// Budget bounds what waits for the connections of several Upgraders together. Nil means that nothing does.
	Budget *Budget
	// WriteTimeout is how long a peer may take nothing of what waits for it (on
	// TLS: may take for one write) before it is cut off. It bounds the handshake's
	// answer too. Zero means 30 s.
	WriteTimeout time.Duration
	// CloseTimeout bounds Close, the sending of what waits included. Zero means
	// 5 s.
	CloseTimeout time.Duration
	// Silence is for how long the system of a stream's client may leave what was
	// written unacknowledged, where ours can tell (Linux): a client that answers
	// nothing is known to be gone by that alone. Zero means 45 s.
	Silence time.Duration
	// Deflate says that permessage-deflate (RFC 7692) is taken where a client offers it. Nothing is kept between two messages, so
	// MaxPayload is the limit of what a message is inflated to, too. Who sends by Send, compresses: see Deflater.
	Deflate bool
	// Logger gets debug messages. Nil means none.
	Logger *slog.Logger
}

// Upgrader turns HTTP requests into WebSocket connections and streams, which share its
// options and buffers. Its methods may be called concurrently.
type Upgrader struct {
	// static
	o Options

	// shared by all connections
	dec       decoder
	inflating decoder   // of those that may compress
	deflater  *Deflater // nil without Options.Deflate
	queues    sync.Pool // *queue
	joins     sync.Pool // *[]byte of joinSize
	records   sync.Pool // *[]byte of recordSize
	open      atomic.Int64
	queueFull atomic.Uint64
	flushed   atomic.Uint64 // bytes that had been queued
}

// Stats counts what an Upgrader's connections did.
type Stats struct {
	Open      int64  // connections whose handler has not been told of the end
	QueueFull uint64 // times that Send returned ErrQueueFull
}

// NewUpgrader checks the options and fills in their defaults.
func NewUpgrader(o Options) (*Upgrader, error) {
	if o.Poller == nil {
		return nil, errors.New("websocket upgrader: no poller")
	}
	if o.MaxPayload < 0 || o.KeepPayload < 0 || o.QueueBytes < 0 || o.QueueMessages < 0 || o.WriteTimeout < 0 || o.CloseTimeout < 0 || o.Silence < 0 {
		return nil, errors.New("websocket upgrader: negative limit")
	}
	setDefault(&o.MaxPayload, 1_000_000)
	setDefault(&o.KeepPayload, 4<<10)
	setDefault(&o.QueueBytes, 1<<20)
	setDefault(&o.QueueMessages, 1000)
	setDefault(&o.WriteTimeout, 30*time.Second)
	setDefault(&o.CloseTimeout, 5*time.Second)
	setDefault(&o.Silence, 45*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	u := &Upgrader{o: o}
	u.dec.max, u.dec.keep = o.MaxPayload, o.KeepPayload
	if o.Deflate {
		u.inflating.max, u.inflating.keep, u.inflating.inflates = o.MaxPayload, o.KeepPayload, true
		u.deflater = new(Deflater)
	}
	u.joins.New = func() any {
		b := make([]byte, 0, joinSize)
		return &b
	}
	u.records.New = func() any {
		b := make([]byte, 0, recordSize)
		return &b
	}
	return u, nil
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Stats returns the counters.
func (u *Upgrader) Stats() Stats {
	return Stats{Open: u.open.Load(), QueueFull: u.queueFull.Load()}
}

// Linger waits for done, or until ctx ends, or until nobody has taken anything of
// what is queued for as long as quiet, or up to a tenth less, as it looks so
// often: that those who close all connections wait for the slow, and not for the
// dead.
func (u *Upgrader) Linger(ctx context.Context, done <-chan struct{}, quiet time.Duration) {
	const looks = 10 // in that time
	tick := time.NewTicker(quiet / looks)
	defer tick.Stop()
	before := u.flushed.Load()
	for left := looks; left > 0; left-- {
		select {
		case <-done:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if now := u.flushed.Load(); now != before {
			before, left = now, looks // it was taken up to one look ago
		}
	}
}

// Upgrade performs the handshake (RFC 6455 §4.2) on an HTTP/1.1 request and
// takes over its connection. The names and values of header, which may be nil,
// are added to the answer. h is called once, and must
// return the connection's handler; c can send already, and is started by the caller
// once Upgrade has returned. The answer leaves together with what is sent first, at the latest
// with Start or Uncork.
//
// A request that is no WebSocket handshake is answered with 400, 405 or 426.
// After an error the request has been answered or its connection closed, and h
// was not called; or the connection ended while h ran, and the handler's Closed
// has been called already.
func (u *Upgrader) Upgrade(w http.ResponseWriter, r *http.Request, header http.Header, h func(c *Conn) Handler) (*Conn, error) {
	if err := refuse(w, r); err != nil {
		return nil, fmt.Errorf("upgrading to websocket: %w", err)
	}
	extension, err := u.extension(w, r)
	if err != nil {
		return nil, fmt.Errorf("upgrading to websocket: %w", err)
	}
	conn, in, err := takeOver(w)
	if err != nil {
		return nil, fmt.Errorf("upgrading to websocket: %w", err)
	}
	var room [256]byte
	answer, err := appendAnswer(room[:0], r, extension, header)
	if err != nil {
		return nil, fmt.Errorf("upgrading to websocket: %w", errors.Join(err, conn.Close()))
	}
	c, err := u.attach(conn, in, func(c *Conn) Handler {
		c.deflates = extension != ""
		c.begin(answer)
		return h(c)
	})
	if err != nil {
		return nil, fmt.Errorf("upgrading to websocket: %w", err)
	}
	return c, nil
}

// takeOver takes the connection over that w belongs to, with what the client has sent behind its request.
func takeOver(w http.ResponseWriter) (net.Conn, *partial, error) {
	var early []byte
	var conn net.Conn
	var err error
	if t, ok := w.(interface {
		Takeover() (net.Conn, []byte, error)
	}); ok { // not from net/http
		conn, early, err = t.Takeover()
	} else {
		conn, early, err = hijack(w)
	}
	if err != nil {
		if conn != nil {
			err = errors.Join(err, conn.Close())
		} else {
			http.Error(w, "the connection cannot be taken over", http.StatusInternalServerError)
		}
		return nil, nil, err
	}
	if len(early) == 0 {
		return conn, nil, nil
	}
	return conn, &partial{early: early}, nil
}

// hijack is takeOver for net/http, whose buffers can go then.
func hijack(w http.ResponseWriter) (net.Conn, []byte, error) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return conn, nil, fmt.Errorf("setting deadlines: %w", err)
	}
	early := make([]byte, rw.Reader.Buffered())
	if _, err := io.ReadFull(rw.Reader, early); err != nil {
		return conn, nil, fmt.Errorf("reading buffered bytes: %w", err)
	}
	return conn, early, nil
}

// keyGUID is what the key of a handshake is hashed with (RFC 6455 §1.3).
const keyGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// The names of fields as http.Header has them, for whom [http.Header.Get] would make them anew each time.
const (
	keyField     = "Sec-Websocket-Key"
	versionField = "Sec-Websocket-Version"
)

// appendAnswer appends the answer to a handshake that is not refused.
func appendAnswer(answer []byte, r *http.Request, extension string, header http.Header) ([]byte, error) {
	var room [keyLength + len(keyGUID)]byte
	sum := sha1.Sum(append(append(room[:0], r.Header.Get(keyField)...), keyGUID...))
	answer = append(answer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	answer = base64.StdEncoding.AppendEncode(answer, sum[:])
	answer = append(answer, "\r\n"...)
	if extension != "" {
		answer = append(append(append(answer, "Sec-WebSocket-Extensions: "...), extension...), "\r\n"...)
	}
	if len(header) > 0 {
		var more bytes.Buffer
		if err := header.Write(&more); err != nil {
			return nil, fmt.Errorf("making the answer: %w", err)
		}
		answer = append(answer, more.Bytes()...)
	}
	return append(answer, "\r\n"...), nil
}

// extension returns what takes the client's offer of an extension, or "". If that fails the handshake, it has been answered.
func (u *Upgrader) extension(w http.ResponseWriter, r *http.Request) (string, error) {
	if !u.o.Deflate {
		return "", nil
	}
	answer, err := negotiate(r.Header[extensionsField])
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
	return answer, err
}

// attach makes a Conn of a connection.
func (u *Upgrader) attach(conn net.Conn, in *partial, h func(c *Conn) Handler) (*Conn, error) {
	c := &Conn{output: output{up: u}, in: in}
	if err := u.o.Poller.Adopt(&c.nc, conn, (*events)(c)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	u.open.Add(1)
	if err := c.adopt(h(c)); err != nil {
		return nil, err
	}
	return c, nil
}

// adopt gives the connection its handler, unless it has ended already.
func (c *Conn) adopt(h Handler) error {
	c.mu.Lock()
	c.h = h
	dead, cause := c.dead, c.cause
	c.mu.Unlock()
	if dead {
		c.tell(cause)
		return fmt.Errorf("%w: %w", ErrClosed, cause)
	}
	return nil
}

// refuse answers a request that cannot become a WebSocket, and returns why.
func refuse(w http.ResponseWriter, r *http.Request) error {
	status, text := http.StatusBadRequest, ""
	switch {
	case r.ProtoMajor != 1 || r.ProtoMinor < 1:
		text = "WebSocket needs HTTP/1.1"
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		status, text = http.StatusMethodNotAllowed, "WebSocket needs the method GET"
	case !hasToken(r.Header["Upgrade"], "websocket") || !hasToken(r.Header["Connection"], "upgrade"):
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		status, text = http.StatusUpgradeRequired, "this address speaks WebSocket; the request does not ask for it (a proxy must pass the Upgrade and Connection headers on)"
	case r.Header.Get(versionField) != "13":
		w.Header().Set("Sec-WebSocket-Version", "13")
		status, text = http.StatusUpgradeRequired, "only WebSocket version 13 is supported"
	case !soundKey(r.Header[keyField]):
		text = "Sec-WebSocket-Key is missing or malformed"
	case r.Host == "":
		text = "the Host field is empty"
	default:
		return nil
	}
	http.Error(w, text, status)
	return errors.New(text)
}

// keyLength is how long a key is in base64.
const keyLength = 24

// soundKey reports whether there is one key, of 16 bytes in base64 (RFC 6455 §4.2.1).
func soundKey(values []string) bool {
	if len(values) != 1 || len(values[0]) != keyLength {
		return false
	}
	var key [18]byte
	n, err := base64.StdEncoding.Decode(key[:], []byte(values[0]))
	return err == nil && n == 16
}

// hasToken looks for a token in a comma-separated header, whatever its case.
func hasToken(values []string, token string) bool {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}
