package api

import (
	"crypto/sha256"
	"fmt"
	"math"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"crier/io/hub"
)

// Right is something that a key may do.
type Right uint8

// The rights of api.keys; a key can have several.
const (
	RightPush  Right = 1 << iota // send messages, and count whom they would reach
	RightRead                    // see who is online, and the figures
	RightAdmin                   // disconnect users, make them members of rooms, send callbacks again
)

const allRights = RightPush | RightRead | RightAdmin

// String returns the name of a single right.
func (r Right) String() string {
	switch r {
	case RightPush:
		return "push"
	case RightRead:
		return "read"
	case RightAdmin:
		return "admin"
	}
	return "unknown"
}

// Key is a key that may not do everything.
type Key struct {
	// Key is the secret. Required.
	Key string

	// Rights are what it may do; zero means everything.
	Rights Right

	// Audience is what every user and room that the key names, or is shown, has to begin with. With one, the key may
	// name neither everybody nor connections. Empty means no limit.
	Audience string

	// Rate is how many messages a second the key may push; as many, and at least one, may come at once. Zero means no
	// limit.
	Rate float64
}

// caller is who makes a call: a key, or everybody who may call without one.
type caller struct {
	rights   Right
	audience string
	limit    *rate.Limiter // nil: none
	scope    string        // sets the push ids of this caller apart from those of others
}

// newCaller checks k and returns its holder. old, which may be nil, is the one before a reload.
func newCaller(k Key, sum [sha256.Size]byte, old *caller) (*caller, error) {
	switch {
	case k.Rights&^allRights != 0:
		return nil, fmt.Errorf("rights %d has an unknown right", k.Rights)
	case k.Rate < 0 || math.IsNaN(k.Rate) || math.IsInf(k.Rate, 0):
		return nil, fmt.Errorf("rate %v is not a number of messages a second", k.Rate)
	case k.Audience != "" && hub.CheckUID(k.Audience) != nil:
		return nil, fmt.Errorf("audience cannot be the beginning of a name: %w", hub.ErrBadUID)
	}
	c := &caller{rights: k.Rights, audience: k.Audience}
	if c.rights == 0 {
		c.rights = allRights
	}
	if k.Audience != "" {
		c.scope = string(sum[:])
	}
	if k.Rate > 0 {
		c.limit = rate.NewLimiter(rate.Limit(k.Rate), max(1, int(math.Ceil(k.Rate))))
		if old != nil && old.limit != nil && old.limit.Limit() == c.limit.Limit() {
			c.limit = old.limit // a reload gives nobody a fresh allowance
		}
	}
	return c, nil
}

// may returns nil if c has the right, or what to say if not.
func (c *caller) may(right Right) *problem {
	if c.rights&right != 0 {
		return nil
	}
	p := forbid(fmt.Sprintf("The key does not have the right %q: add it in api.keys, or use another key.", right))
	p.code = codeNoRight
	return p
}

// spend takes one message from c's allowance, or says when there is one.
func (c *caller) spend() *problem {
	if c.limit == nil {
		return nil
	}
	now := time.Now()
	r := c.limit.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait == 0 {
		return nil
	}
	r.CancelAt(now)
	return &problem{
		kind: tooMany, code: codeRateLimited, retry: wait,
		text: "The key has pushed more messages than its rate in api.keys allows: wait, and send fewer.",
	}
}

// reaches returns nil if c may name all that a names, exceptions included: what they match could be counted.
func (c *caller) reaches(a *hub.Audience) *problem {
	if c.audience == "" {
		return nil
	}
	for ; a != nil; a = a.Except {
		if a.All || len(a.Connections) > 0 {
			return c.denied("everybody and connections are outside the audience of the key")
		}
		for _, names := range [][]string{a.Users, a.Rooms} {
			for _, name := range names {
				if !strings.HasPrefix(name, c.audience) {
					return c.denied("the users and rooms have to begin with the audience of the key")
				}
			}
		}
	}
	return nil
}

// sees reports whether c may be shown a user or room of that name.
func (c *caller) sees(name string) bool { return strings.HasPrefix(name, c.audience) }

// denied returns the problem of an audience that c may not name.
func (c *caller) denied(why string) *problem {
	p := forbid("In api.keys, " + why + ".")
	p.code = codeAudienceDenied
	return p
}
