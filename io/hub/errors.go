package hub

import "errors"

// What the hub refuses, and why. The texts are whole sentences that may be shown to a user as they are.
var (
	// ErrBadUID is returned for a uid that is empty, longer than 255 bytes, not UTF-8, or has a control character.
	ErrBadUID = errors.New("a uid must be 1 to 255 bytes of valid UTF-8 without control characters")
	// ErrBadRoom is returned for a room name that breaks the same rules.
	ErrBadRoom = errors.New("a room name must be 1 to 255 bytes of valid UTF-8 without control characters")
	// ErrBadConnectionID is returned by [Hub.Connect] for a connection id that breaks the same rules.
	ErrBadConnectionID = errors.New("a connection id must be 1 to 255 bytes of valid UTF-8 without control characters")
	// ErrDuplicateID is returned by [Hub.Connect] while another connection has the same id.
	ErrDuplicateID = errors.New("a connection with this id is already there")
	// ErrBadMessage is returned by [Hub.Push] for a missing message, or one whose event name is empty or not UTF-8.
	ErrBadMessage = errors.New("a message must have an event name of valid UTF-8")
	// ErrBadAudience is returned by [Hub.Push] for exceptions nested more than 8 deep.
	ErrBadAudience = errors.New("the exceptions of an audience must not be nested more than 8 deep")
	// ErrLoginFirst is returned by [Member.Join] where [Options].LoginFirst says so.
	ErrLoginFirst = errors.New("log in first")
	// ErrClosed is returned by [Hub.Connect], [Member.Login] and [Hub.Push] once [Hub.Close] has begun.
	ErrClosed = errors.New("the hub is closed")
	// ErrAway is returned for what several servers have in common, while that cannot be reached.
	ErrAway = errors.New("no connection to Redis")
	// ErrBusy is returned for it while too many others wait for that: nothing has been done.
	ErrBusy = errors.New("too many calls wait for Redis")
)

// What a [Conn] answers when it does not take a message. Anything else counts as failed.
var (
	// ErrSlow says that the connection's queue is full, or, for a volatile message, that something is queued already.
	ErrSlow = errors.New("the connection does not take messages fast enough")
	// ErrGone says that the connection has ended. [Member] methods return it too.
	ErrGone = errors.New("the connection is gone")
)
