package stage

import (
	"fmt"
	"math/rand/v2"
)

// Latest is the client whose connections can be recovered.
const Latest = "sioc-4"

// The clients that tabs run, how they connect, and how they leave; tabs.mjs tells what the latter mean.
var (
	libraries  = []string{Latest, "sioc-4", "sioc-4", "sioc-2.5", "sioc-2.5", "sioc-2.0"}
	transports = [][]string{{"websocket"}, {"websocket"}, {"websocket"}, {"polling", "websocket"}, {"polling", "websocket"}, {"polling"}}
	leaves     = []string{"close", "close", "close", "logout", "fin", "fin", "rst"}
)

// An Opening is how a tab connects.
type Opening struct {
	Tab        string   `json:"tab"`
	UID        string   `json:"uid"`
	Lib        string   `json:"lib"`
	Transports []string `json:"transports"`
	Greet      bool     `json:"greet"`
	Recovery   bool     `json:"recovery"`       // a 4.x client asks for the recovery of its connection
	Hear       bool     `json:"hear"`           // messages are noted
	Page       string   `json:"page,omitempty"` // and go through crier.js: a page that is loaded for the first time, or again
	Drop       int      `json:"drop,omitempty"` // but one in so many, which is stolen
}

// NewOpening returns an opening of a user's n-th tab, with some client by some transports.
func NewOpening(uid string, n int, random *rand.Rand) Opening {
	return Opening{
		Tab: fmt.Sprintf("%s.%d", uid, n), UID: uid,
		Lib:        libraries[random.IntN(len(libraries))],
		Transports: transports[random.IntN(len(transports))],
		Greet:      random.IntN(3) == 0,
	}
}

// Leave has the tab leave in some way; until then it must have opened.
func (t *Tab) Leave(random *rand.Rand) error {
	return t.browser.tell(struct {
		Do  string `json:"do"`
		Tab string `json:"tab"`
		How string `json:"how"`
	}{"leave", t.id, leaves[random.IntN(len(leaves))]})
}
