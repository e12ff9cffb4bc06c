// Package visit has clients of Crier in Go, one for each way in that there is: they log in, say what they are sent, and leave as
// browsers do, or as those whose network is gone.
//
// They are small, so that a million of them can come and go; what real clients do is for the tests with these.
package visit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// Way is how a client is connected.
type Way string

// The ways in.
const (
	WebSocket4 Way = "websocket, EIO 4"
	WebSocket3 Way = "websocket, EIO 3"
	Polling4   Way = "polling, EIO 4"
	Polling3   Way = "polling, EIO 3"
	Upgrade4   Way = "polling upgraded, EIO 4"
	Recovering Way = "websocket, EIO 4, recovering"
	SSE        Way = "sse"
	Comet      Way = "comet"
	Plain      Way = "plain websocket"
)

// Ways returns all of them.
func Ways() []Way {
	return []Way{WebSocket4, Recovering, Polling4, Upgrade4, Plain, WebSocket3, SSE, Comet, Polling3}
}

// Recovers reports whether a client can say how far it has come, and is then given what it has missed.
func (w Way) Recovers() bool { return w == Recovering || w == SSE || w == Comet || w == Plain }

// Confirms reports whether a client confirms stored messages while it stays.
func (w Way) Confirms() bool { return w != SSE }

// Tells reports whether Dial waits until a client is logged in. The others are a moment later: they hear where they begin first.
func (w Way) Tells() bool { return w != SSE && w != Plain }

// Options say who comes.
type Options struct {
	Addr string     // host:port of the public port
	UID  string     // needs no escape in an address, nor in JSON
	From netip.Addr // where it comes from; the zero Addr leaves that to the system
	// After is the Position of an earlier client of the same user and way; empty for a new one, and where the way does not recover.
	After string
}

// Message is an event that a client got.
type Message struct {
	Event   string // new_msg and the like; Missed
	Content string // the first argument, if that is a string
}

// Missed is the event of a client that cannot be given all that it has missed.
const Missed = "missed"

// Client is somebody who is logged in. A client that has an EIO of 3 sends no heartbeat, so it stays for the server's
// ping_interval and ping_timeout at most.
type Client interface {
	// Next waits for a message, and answers heartbeats meanwhile. An error is the end.
	Next() (Message, error)
	// Position is how far the client has come, for [Options.After].
	Position() string
	// Whole reports whether there is a Position for all that Next has returned. In comet that is so at the end of each answer:
	// before, Position is that of the one before.
	Whole() bool
	// Leave says goodbye, where the way has a word for it, and ends the connection.
	Leave() error
	// Break ends the connection without a word.
	Break() error
}

// errOver is the end of a client that the server has sent away.
var errOver = errors.New("the server ended the session")

// Dial comes in and logs in, see [Way.Tells]. When ctx ends, so does the client.
func Dial(ctx context.Context, way Way, o Options) (Client, error) {
	c, err := dial(ctx, way, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", way, err)
	}
	return c, nil
}

func dial(ctx context.Context, way Way, o Options) (Client, error) {
	w, err := connect(ctx, o)
	if err != nil {
		return nil, err
	}
	var c Client
	switch way {
	case SSE:
		c, err = openStream(w, o)
	case Comet:
		c, err = openComet(w, o)
	case Plain:
		c, err = openPlain(w, o)
	default:
		c, err = openSocketIO(ctx, w, way, o)
	}
	if err != nil {
		return nil, errors.Join(err, w.Break())
	}
	return c, nil
}

// Refusal is an answer with another status than the one that was wanted.
type Refusal struct {
	Status int
	Text   string
}

func (e *Refusal) Error() string { return fmt.Sprintf("answered %d %.200q", e.Status, e.Text) }

// broken says of an error in ending a connection whether that was open until then.
func broken(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
