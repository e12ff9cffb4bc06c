package socketio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"crier/io/engineio"
	"crier/io/hub"
)

// client is one connection and the namespaces it has joined.
type client struct {
	// static
	server  *Server
	session *engineio.Session

	// owned by the session's reader
	partial *partial // a packet that waits for its attachments

	// first is the socket that has joined first of those that there are: each packet looks, and most clients have one. Written with mu held.
	first atomic.Pointer[Socket]

	// guarded by mu
	mu        sync.Mutex
	handshake *Handshake // nil once forgotten
	others    []*Socket  // that have joined since; none without first
	closed    bool
}

// maxConnect is how many bytes a CONNECT may have. It stays in memory while a middleware waits, be it for somebody who proves who the client is;
// and it may have cost the client but a thousandth of them, where it compresses.
const maxConnect = 64 << 10

var errLongConnect = &ConnectError{Message: fmt.Sprintf("a CONNECT may have %d bytes", maxConnect)}

// keepUncounted is how many bytes of a packet may wait for its attachments before the session is told ([engineio.Session.Keep]): of most
// nothing has to be counted.
const keepUncounted = 64 << 10

// A partial packet waits for attachments.
type partial struct {
	packet      Packet
	attachments [][]byte
	bytes       int // of all that
}

var (
	errWantBinary = errors.New("socketio: text where an attachment is due")
	errNoBinary   = errors.New("socketio: an attachment without a packet")
	errState      = errors.New("socketio: packet for a namespace that is not joined")
)

// Opened implements [engineio.Receiver]. Clients of revision 3 are in the main
// namespace without asking (v4.md, "Connection to a namespace").
func (c *client) Opened() {
	c.session.SetDeadline(c.server.opts.ConnectTimeout)
	if c.session.Revision() != engineio.Revision3 {
		return
	}
	if !c.server.guard(func() { c.join(defaultNamespace, nil) }) {
		c.session.Close()
	}
}

// Message implements [engineio.Receiver].
func (c *client) Message(data []byte, binary bool) error {
	var err error
	if !c.server.guard(func() { err = c.receive(data, binary) }) {
		c.session.Close()
	}
	return err
}

func (c *client) receive(data []byte, binary bool) error {
	if binary {
		return c.attachment(data)
	}
	return c.text(data)
}

func (c *client) text(data []byte) error {
	if c.partial != nil {
		return errWantBinary
	}
	var p Packet
	var room [4]json.RawMessage
	elements, err := parsePacket(&p, data, c.server.opts.MaxAttachments, room[:0])
	if err != nil {
		return err
	}
	if p.Attachments > 0 {
		p.Data = bytes.Clone(p.Data) // it outlives this call
		c.partial = &partial{packet: p}
		c.keep(len(p.Namespace) + len(p.Data))
		return nil
	}
	return c.dispatch(&p, elements, nil, len(data))
}

// keep counts what has come of the partial packet.
func (c *client) keep(more int) {
	if c.partial.bytes += more; c.partial.bytes > keepUncounted {
		c.session.Keep(c.partial.bytes)
	}
}

func (c *client) attachment(data []byte) error {
	if c.partial == nil {
		return errNoBinary
	}
	c.partial.attachments = append(c.partial.attachments, bytes.Clone(data))
	if len(c.partial.attachments) < c.partial.packet.Attachments {
		c.keep(len(data))
		return nil
	}
	complete := c.partial
	c.partial = nil
	if complete.bytes > keepUncounted {
		c.session.Keep(0)
	}
	if err := checkPlaceholders(complete.packet.Data, len(complete.attachments)); err != nil {
		return err
	}
	elements, err := SplitArray(complete.packet.Data)
	if err != nil {
		return err
	}
	return c.dispatch(&complete.packet, elements, complete.attachments, complete.bytes+len(data))
}

// dispatch handles a packet of size bytes, whose Data, if that is an array, has these elements.
func (c *client) dispatch(p *Packet, elements []json.RawMessage, attachments [][]byte, size int) error {
	name, auth := p.Namespace, p.Data
	if c.session.Revision() == engineio.Revision3 {
		var query string
		name, query, _ = strings.Cut(p.Namespace, "?")
		auth = queryAuth(query)
	}
	s := c.socket(name)
	if s != nil && p.Type == PacketConnect && s.hasLeft() {
		s = nil // it was being taken off the list when the client answered
	}
	switch {
	case s == nil && p.Type == PacketConnect && size > maxConnect:
		c.refuse(name, errLongConnect)
		return nil
	case s == nil && p.Type == PacketConnect:
		c.join(name, auth)
		return nil
	case s == nil && p.Type == PacketDisconnect:
		return nil // both sides left at the same time
	case s == nil, p.Type == PacketConnect, p.Type == PacketConnectError:
		return errState
	default:
		return s.receive(p, elements, attachments, size)
	}
}

// queryAuth is the query of a 2.x CONNECT as the auth object of later clients.
func queryAuth(query string) json.RawMessage {
	values, err := url.ParseQuery(query)
	if err != nil || len(values) == 0 {
		return nil
	}
	flat := make(map[string]string, len(values))
	for k, v := range values {
		flat[k] = v[len(v)-1]
	}
	return JSON(flat).json
}

func (c *client) socket(namespace string) *Socket {
	if s := c.first.Load(); s == nil || s.namespace.name == namespace {
		return s
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.others {
		if s.namespace.name == namespace {
			return s
		}
	}
	if s := c.first.Load(); s != nil && s.namespace.name == namespace { // it has become the first meanwhile
		return s
	}
	return nil
}

// join lets the client into a namespace, or tells it why not.
func (c *client) join(name string, auth json.RawMessage) {
	c.session.Uncork() // a middleware may wait
	n, refused := c.server.enter(name, auth)
	if refused != nil {
		c.refuse(name, refused)
		return
	}
	w := c.wishOf(n, auth)
	past := n.claim(w)
	s := c.enter(n, w, past, auth)
	if s == nil && past != nil && past.Forgotten() { // it cannot go on where it was
		if n, refused = c.server.enter(name, auth); refused != nil {
			c.refuse(name, refused)
			return
		}
		s = c.enter(n, w, nil, auth)
	}
	if s == nil {
		return
	}
	c.session.SetDeadline(0)
	s.member.Ready()
	s.announce()
	if c.server.opts.ForgetHandshake {
		c.forget(s)
	}
}

// enter returns a socket that has joined the namespace, in the place of what
// past was left by unless that is nil; or nil.
func (c *client) enter(n *Namespace, w wish, past *hub.Past, auth json.RawMessage) *Socket {
	s := &Socket{client: c, namespace: n, id: c.socketID(n.name)}
	if past != nil {
		s.id = past.ID()
		s.SetData(past.Kept())
	}
	s.setAuth(string(auth))
	if err := s.enter(past != nil); err != nil {
		if past != nil {
			past.Release()
		}
		c.server.leave(n)
		c.server.log.Debug("the hub takes no connection", "error", err)
		c.session.Close()
		return nil
	}
	if past != nil || w.track {
		s.member.WillTrack()
	}
	if !c.welcome(s, w, past) {
		return nil
	}
	return s
}

// welcome asks the middleware, and tells the client that it is in the namespace
// of s or why not. Who is not leaves the hub again, also after a panic.
func (c *client) welcome(s *Socket, w wish, past *hub.Past) (in bool) {
	defer func() {
		if !in {
			s.forfeit(ForcedClose)
			if past != nil {
				past.Release()
			}
		}
	}()
	if refused := s.namespace.admit(s); refused != nil {
		c.refuse(s.namespace.name, refused)
		return false
	}
	switch {
	case past != nil && !s.resumable(past):
		past.Forget()
		return false
	case past != nil:
		return s.member.Recover(past, s.begin(tracked|recovered)) == nil
	case w.track:
		return s.member.Track(s.begin(tracked)) == nil
	default:
		return s.confirm()
	}
}

// forget drops what was kept for the functions of OnConnect. Query and headers
// stay for the main namespace if another one is joined first.
func (c *client) forget(s *Socket) {
	s.setAuth("")
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.namespace.name == defaultNamespace {
		c.handshake = nil
	}
}

// queryValue is [Socket.QueryValue].
func (c *client) queryValue(name string) (value string, has bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.handshake == nil {
		return "", false
	}
	return engineio.QueryValue(c.handshake.query, name)
}

// add makes s one of the client's sockets; not once the connection has ended.
func (c *client) add(s *Socket) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return false
	case c.first.Load() == nil:
		c.first.Store(s)
	default:
		c.others = append(c.others, s)
	}
	return true
}

func (c *client) remove(s *Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first.Load() != s {
		c.others = slices.DeleteFunc(c.others, func(other *Socket) bool { return other == s })
		return
	}
	var next *Socket
	if len(c.others) > 0 {
		next = c.others[0]
		c.others = slices.Delete(c.others, 0, 1)
	}
	c.first.Store(next)
}

// all returns the client's sockets.
func (c *client) all() []*Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.allLocked()
}

// allLocked returns a list of the client's sockets.
func (c *client) allLocked() []*Socket {
	if first := c.first.Load(); first != nil {
		return append([]*Socket{first}, c.others...)
	}
	return nil
}

// Closed implements [engineio.Receiver].
func (c *client) Closed(reason engineio.Reason) {
	c.mu.Lock()
	c.closed = true
	sockets := c.allLocked()
	c.first.Store(nil)
	c.others, c.handshake = nil, nil
	c.mu.Unlock()
	for _, s := range sockets {
		s.leave(reason)
	}
}

// socketID is the id that the client calls its own. Clients of revision 3
// derive it from the session; later ones are told one that gives nothing away.
func (c *client) socketID(namespace string) string {
	switch {
	case c.session.Revision() != engineio.Revision3:
		return engineio.NewID()
	case namespace == "/":
		return c.session.ID()
	default:
		return namespace + "#" + c.session.ID()
	}
}

// refuse answers a CONNECT (v5-current.md, "Connection to a namespace"; up to
// 2.x the error is a bare value).
func (c *client) refuse(namespace string, e *ConnectError) {
	data := e.Data
	if !json.Valid(data) {
		data = nil
	}
	if c.session.Revision() == engineio.Revision3 {
		if data == nil {
			data = JSON(e.Message).json
		}
	} else {
		data = JSON(struct {
			Message string          `json:"message"`
			Data    json.RawMessage `json:"data,omitempty"`
		}{e.Message, data}).json
	}
	if err := c.say(Packet{Type: PacketConnectError, Namespace: namespace, Data: data}, nil, nil); err != nil {
		c.server.log.Debug("a refused client could not be told", "error", err) // the session has ended
	}
}
