package hub

import (
	"errors"
	"time"
)

var (
	// ErrNoInbox is returned by [Hub.Store] where [Options].Inbox is nil.
	ErrNoInbox = errors.New("there is no inbox: messages cannot be stored")
	// ErrNotUsers is returned by [Hub.Store] for an audience that is not of users and rooms alone.
	ErrNotUsers = errors.New("a message can be stored for users and rooms, not for all or for connections")
	// ErrInbox is returned by [Hub.Store] when the [Inbox] fails. Nobody got the message then.
	ErrInbox = errors.New("the message could not be stored")
)

// Inbox keeps messages for users until they are confirmed, expire, or have to make room for newer ones. Its methods are
// called by many goroutines at once.
type Inbox interface {
	// Last returns the greatest place that was ever given, 0 if none was. New calls it, before any Put.
	Last() uint64
	// Put keeps a message and calls stored in the end, when that is on the disk or has failed. It may wait while too many
	// others are on their way, but not for the disk. What one goroutine puts gets its places in that order, and stored is
	// called in the order of places, for one after the other; it is quick, and does not call the Inbox.
	Put(d Deposit, stored func(Deposited))
	// Next returns the first messages of the user's behind the place after, in order of places: at most so many, and no
	// more than so many bytes of event, arguments and attachments, but one in any case; nothing if there are none. Those
	// that have expired are not among them. The caller owns the messages.
	Next(uid string, after uint64, messages, bytes int) ([]Letter, error)
	// Confirm says that these messages have arrived at the user: they are not kept for him any longer. It does not wait for
	// the disk; after a crash they may be there again. Places that he has nothing at are passed over. It keeps places.
	Confirm(uid string, places []uint64)
}

// Deposit is a message that an [Inbox] is to keep.
type Deposit struct {
	// Scope sets the ID of the message apart from those of others; see [Keep].
	Scope string
	// Message has an ID.
	Message *Message
	// Users are those it is for, each once. There may be none: a message that was for the members of a room nobody is in.
	Users []string
	// Expires is when they have no use for it any more.
	Expires time.Time
	// Online is how many of the users are online at this moment, and Connections with how many connections.
	Online, Connections int
	// What follows is for a [SharedInbox], which hands it back with [Hub.Arrive]. To is the audience, which may have more than
	// those users; Strangers is how many connections of it are not logged in; Number is not 0, and another one for each.
	// Ask, if not nil, is what the clients on the other hubs are asked ([Arrival]), too; its Done is called when they and those on
	// this one ([Deposited.Answer]) have answered or the time is up, and not at all unless the message is kept.
	To        Audience
	Strangers int
	Number    uint64
	Ask       *Question
}

// Deposited says what became of a [Deposit].
type Deposited struct {
	// Place is the message's among all that were ever kept: each is greater than those before, and none is 0.
	Place uint64
	// Known says that a message with this ID and Scope is kept, or was a while ago, so that nothing has changed: the caller
	// tries again what had been done. Place is not set then. Users is for how many it was kept, Online and Connections are
	// those of its Deposit.
	Known                      bool
	Users, Online, Connections int
	// Comes says, of a [SharedInbox], that the message comes to this hub, or may. Online and Connections are those of all
	// hubs together then.
	Comes bool
	// Answer, if not nil, is to be called once, with what the clients of this hub have answered the Ask of the Deposit with.
	Answer func(Answers)
	// Err, if not nil, is why it is not kept.
	Err error
}

// Letter is a message that is kept for a user.
type Letter struct {
	Place   uint64
	Message *Message
}

// Keep says for how long [Hub.Store] has a message kept, and who wants to know.
type Keep struct {
	// Scope sets the IDs of one caller apart from those of others: a message is the same as another one if both have the
	// same ID in the same Scope. Clients are not told.
	Scope string
	// Expires is when the users have no use for the message any more.
	Expires time.Time
	// Ask, if not nil, has every connection asked to acknowledge the message, as [Hub.Ask] does. Its Done is called behind
	// that of Keep, and not at all if the message is not delivered.
	Ask *Question
	// Done is called once if Store returns nil, when the message is on the disk and has been given to those who are online,
	// or has failed: in the order in which the messages were stored, for one after the other. It must be quick.
	Done func(Kept)
}

// Kept says what became of a message that was to be stored.
type Kept struct {
	// Result is of those who are online, counted when the message was delivered. If it is Known, Users and Connections are
	// those of the first time.
	Result
	// Stored is for how many users the message is kept.
	Stored int
	// Known says that the message had been stored before: nothing has been done.
	Known bool
	// Err is ErrInbox with the reason.
	Err error
}
