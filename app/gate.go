package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"crier/api/auth"
	"crier/configs"
	"crier/fallback"
	"crier/io/hub"
	"crier/io/socketio"
	"crier/io/wsconn"
)

// maxLogin is how many bytes a login may have. They stay in memory while the business API is asked, or keys are fetched.
const maxLogin = 64 << 10

// gateResolution is how late a connection may be closed.
const gateResolution = 50 * time.Millisecond

var (
	errTokenRequired = errors.New("a uid alone proves nothing here: send a token, or cookies where the business API is asked (setting `auth.mode`)")
	errLongLogin     = fmt.Errorf("a login may have %d bytes", maxLogin)
	errOtherUID      = errors.New("the uid is not that of the token")
	errNotNamed      = errors.New("the token does not name this room (setting `rooms.client_join`)")
)

// authenticator is an [auth.JWT] or an [auth.Callback].
type authenticator interface {
	Authenticate(ctx context.Context, r auth.Request) (auth.Identity, error)
	Close()
}

// gate is the door of auth.mode jwt and callback: only who has proved who it is
// logs in, and with that enters the hub, which is one with LoginFirst. So nobody
// else receives anything, not even what goes to everybody.
//
// Clients are authenticated on their own connection's goroutine: one that waits
// for the business API, or for keys, holds up only itself. Its heartbeat is
// read after that, which is why auth.callback.timeout is less than
// socketio.ping_timeout.
type gate struct {
	// static
	callback  bool          // the authenticator can make something of cookies and headers
	timeout   time.Duration // auth.login_timeout
	roomsFrom string        // rooms.client_join
	wheel     *wsconn.Wheel
	ctx       context.Context // ends what clients wait for
	cancel    context.CancelFunc
	log       *slog.Logger

	proof atomic.Pointer[proof]
}

// proof is what a reload replaces, as a whole.
type proof struct {
	authenticator
	proxies []netip.Prefix
	jwt     configs.JWT // of which the authenticator was made, in auth.mode jwt
}

// guard makes a namespace besides the main one ask for a token too.
func (g *gate) guard(n *socketio.Namespace) {
	n.Use(func(s *socketio.Socket) error {
		if err := g.admitElsewhere(s); err != nil {
			return refusal(err)
		}
		return nil
	})
	g.follow(n)
}

// follow keeps track of the namespace's sockets.
func (g *gate) follow(n *socketio.Namespace) {
	n.OnConnect(func(s *socketio.Socket) { guestOf(s).move(true) })
	n.OnDisconnecting(g.departing)
}

// admit implements [door].
func (g *gate) admit(s *socketio.Socket) error {
	r, err := g.offer(s)
	if err != nil {
		return err
	}
	v := &guest{gate: g, visitor: socket{s}, handshake: g.handshakeOf(s)}
	id, err := g.identifyOrWait(r)
	return g.receive(v, id, err)
}

// admitElsewhere admits to another namespace: who has proved who it is, here or
// in one that the connection is in.
func (g *gate) admitElsewhere(s *socketio.Socket) error {
	r, err := g.offer(s)
	if err != nil {
		return err
	}
	h := g.handshakeOf(s)
	if r.Token != "" {
		known := g.requestOf(h)
		r.Header, r.Query, r.IP = known.Header, known.Query, known.IP
	}
	id, err := g.identify(r)
	if errors.Is(err, errTokenRequired) {
		for _, other := range s.Siblings() {
			known := guestOf(other).identity()
			if known.UID != "" && (r.UID == "" || r.UID == known.UID) {
				id, err = known, nil
				break
			}
		}
	}
	return g.receive(&guest{gate: g, visitor: socket{s}, handshake: h}, id, err)
}

// handshakeOf is the handshake of the socket's connection, which a connection forgets once it is in the main namespace, and a guest keeps
// where the business API is asked; else nil.
func (g *gate) handshakeOf(s *socketio.Socket) *socketio.Handshake {
	if !g.callback {
		return nil
	}
	h := s.Handshake()
	for _, other := range s.Siblings() {
		if h == nil {
			h = guestOf(other).handshake
		}
	}
	return h
}

// receive admits a guest, logged in if it has a name.
func (g *gate) receive(v *guest, id auth.Identity, err error) error {
	if err != nil {
		if g.ctx.Err() != nil { // stopping: who were told no would stay away
			v.visitor.Close(fallback.Stopping)
		}
		return err
	}
	return v.settle(id)
}

// identifyOrWait is identify for a client that may still log in by the event:
// one that says nothing has no UID yet.
func (g *gate) identifyOrWait(r auth.Request) (auth.Identity, error) {
	id, err := g.identify(r)
	anonymous := r.UID == "" && r.Token == ""
	if anonymous && (errors.Is(err, errTokenRequired) || errors.Is(err, auth.ErrRefused) || errors.Is(err, auth.ErrExpired)) {
		return auth.Identity{}, nil
	}
	return id, err
}

// identify asks who a client is. r.UID must be the answer if it is not empty.
func (g *gate) identify(r auth.Request) (auth.Identity, error) {
	if r.Token == "" && !(g.callback && vouched(r)) {
		return auth.Identity{}, errTokenRequired
	}
	id, err := g.proof.Load().Authenticate(g.ctx, r)
	if err != nil {
		g.log.Debug("a client was not let in", "error", err)
		return auth.Identity{}, auth.Public(err)
	}
	if err := hub.CheckUID(id.UID); err != nil {
		return auth.Identity{}, err
	}
	if r.UID != "" && r.UID != id.UID {
		return auth.Identity{}, errOtherUID
	}
	return id, nil
}

// login implements [door]: login, uid, token. The uid may be null.
func (g *gate) login(e said) (uid string, fresh bool, err error) {
	if bound := e.from().Member().UID(); bound != "" {
		return bound, false, nil
	}
	if e.Size() > maxLogin {
		return "", false, errLongLogin
	}
	v := guestOf(e.from())
	r := g.requestOf(v.handshake)
	if arg := e.JSON(0); arg != nil && string(arg) != "null" {
		if r.UID, err = parseUID(arg); err != nil {
			return "", false, err
		}
	}
	if arg := e.JSON(1); arg != nil && string(arg) != "null" {
		if r.Token, err = parseToken(arg); err != nil {
			return "", false, err
		}
	}
	id, err := g.identify(r)
	if err == nil {
		err = v.login(id)
	}
	return id.UID, err == nil, err
}

// logout implements [door]. The client is as if it had just come.
func (g *gate) logout(v visitor) {
	if m := v.Member(); m.UID() != "" {
		m.Logout()
		guestOf(v).expect(nil, time.Now().Add(g.timeout))
	}
}

// mayMove implements [door].
func (g *gate) mayMove(v visitor, room string) error { return g.mayEnter(guestOf(v).identity(), room) }

// mayEnter says why somebody must not enter the room by himself, or nil.
func (g *gate) mayEnter(id auth.Identity, room string) error {
	switch {
	case g.roomsFrom == "deny":
		return errForbidden
	case id.UID == "":
		return hub.ErrLoginFirst
	case g.roomsFrom == "token" && room != "" && !slices.Contains(id.Rooms, room):
		return errNotNamed
	}
	return nil
}

// departing is told when a socket leaves its namespace. A connection that is
// in none any more must not stay for nothing.
func (g *gate) departing(s *socketio.Socket, reason socketio.Reason) {
	guestOf(s).move(false)
	switch {
	case reason != socketio.ClientDisconnect || len(s.Siblings()) > 0:
	case s.Member().UID() != "":
		s.Session().SetDeadline(g.timeout)
	default:
		s.Session().Close()
	}
}

// stop ends what clients wait for; close ends the rest, once they have left.
func (g *gate) stop() {
	if g == nil {
		return
	}
	g.cancel()
	g.proof.Load().Close()
}

func (g *gate) close() {
	if g != nil {
		g.wheel.Close()
	}
}
