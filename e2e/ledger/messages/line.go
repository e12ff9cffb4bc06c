package messages

import "crier/e2e/ledger/stage"

// What a line of the publishers' book can say of a message.
const (
	sent     = "sent"     // it is about to be pushed, for the first time
	accepted = "accepted" // the push was answered with a result
	open     = "open"     // it was not, and the publisher has given up: the message may come or not
)

// A line is what the publishers' book holds.
type line struct {
	At     stage.Stamp `json:"at"`
	On     string      `json:"on"`
	ID     string      `json:"id"`               // of the message, and what it says
	From   string      `json:"from,omitempty"`   // the publisher, of sent
	N      int         `json:"n,omitempty"`      // which of the publisher's messages
	Users  []string    `json:"users,omitempty"`  // to whom
	Plain  bool        `json:"plain,omitempty"`  // it is not to be stored
	Stored bool        `json:"stored,omitempty"` // of accepted: what the answer says
	Tries  int         `json:"tries,omitempty"`  // of accepted: how often it was pushed
	Node   int         `json:"node,omitempty"`   // of accepted: at which of several servers
	// Partial is what the answer says: not all of several servers have been reached.
	Partial bool `json:"partial,omitempty"`
}
