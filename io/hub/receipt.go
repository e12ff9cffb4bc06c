package hub

import (
	"errors"
	"time"
)

var (
	// ErrNoReceipt says that nothing is known of a message, or not any more.
	ErrNoReceipt = errors.New("there is no receipt of that message")
	// ErrTooManyUsers is the reason of [ErrInbox] for a message that is for more users than one can be kept for.
	ErrTooManyUsers = errors.New("a message can be stored for 100,000 users at most")
	// ErrTooMuch is the reason of [ErrInbox] for a message that is larger than all messages together may be.
	ErrTooMuch = errors.New("the message is larger than all stored messages together may be")
)

// Note is what happened when a message was pushed, for its [Receipt].
type Note struct {
	// Scope sets the IDs of one caller apart from those of others; see [Keep].
	Scope, ID string
	Time      time.Time // of the push
	// Users and Connections are how many matched, and Delivered how many of the connections took it.
	Users, Connections, Delivered int
	// Acked, if not nil, is how many acknowledged it.
	Acked *Acked
}

// Acked is how many users and connections acknowledged a message.
type Acked struct{ Users, Connections int }

// Receipt is what became of a message. What is not known is zero.
type Receipt struct {
	Note
	// Stored is for how many users it was kept, until Expires. They are the sum of those for whom it still waits, those of
	// whom a client has confirmed it, those for whom it expired, and those for whom it was evicted: it had to make room.
	Stored                               int
	Waiting, Confirmed, Expired, Evicted int
	Expires                              time.Time // zero unless it was stored
}

// Addressee is a user for whom a message was stored.
type Addressee struct {
	UID  string
	Fate Fate
}

// Fate is what became of a stored message for one user.
type Fate uint8

// The fates of a stored message.
const (
	Waiting   Fate = iota // it is kept
	Confirmed             // it has arrived at a client
	Expired               // its time was up before
	Evicted               // it had to make room for newer ones
)

// String returns the name of a fate.
func (f Fate) String() string {
	switch f {
	case Waiting:
		return "waiting"
	case Confirmed:
		return "confirmed"
	case Expired:
		return "expired"
	case Evicted:
		return "evicted"
	}
	return "unknown"
}
