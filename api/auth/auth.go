// Package auth says who a client is: by a signed token ([JWT]), or by asking the business server ([Callback]).
//
// Nothing that it returns or logs has a token, a secret, a cookie or a part of one in it.
package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Identity is who a client is.
type Identity struct {
	// UID is the user, never empty. Whether it is one that the server takes is for the caller to see.
	UID string
	// Rooms are those that the client may enter by itself.
	Rooms []string
	// Expires is when it is over; the zero time is never.
	Expires time.Time
}

// Request is what a client says about itself.
type Request struct {
	UID   string // who it wants to be; may be empty
	Token string // may be empty
	// What follows is only for a Callback.
	Header http.Header // of the request that opened the connection
	Query  url.Values  // likewise
	IP     string      // of the client, behind the trusted proxies
}

// What can be wrong with a client, as far as it is told; each has its [Code]. An error of this package wraps one of them
// and says more, for the log.
var (
	// ErrRefused: it is not who it says it is, and trying again with the same token is in vain.
	ErrRefused = errors.New("the token was not accepted")
	// ErrExpired: it was, and needs a new token.
	ErrExpired = errors.New("the token has expired")
	// ErrUnavailable: nobody could tell; trying again later may help.
	ErrUnavailable = errors.New("who you are cannot be checked at the moment; try again later")
)

// Code is the stable name of an error of this package, as clients are told it: "refused", "expired" or "unavailable".
func Code(err error) string {
	switch {
	case errors.Is(err, ErrExpired):
		return "expired"
	case errors.Is(err, ErrRefused):
		return "refused"
	default:
		return "unavailable"
	}
}

// Retryable reports whether the same request may succeed later.
func Retryable(err error) bool { return Code(err) == "unavailable" }

// Public is the error without what is only for the log: one of [ErrRefused], [ErrExpired] and [ErrUnavailable].
func Public(err error) error {
	for _, known := range []error{ErrExpired, ErrRefused} {
		if errors.Is(err, known) {
			return known
		}
	}
	return ErrUnavailable
}

func refused(why string) error     { return fmt.Errorf("%w: %s", ErrRefused, why) }
func expired(why string) error     { return fmt.Errorf("%w: %s", ErrExpired, why) }
func unavailable(why string) error { return fmt.Errorf("%w: %s", ErrUnavailable, why) }

// uidText is a uid in JSON: a string, or an integer, whose digits it becomes, since many a database has those. Null and
// nothing are the empty string.
type uidText string

var errUID = errors.New("a uid is a string or an integer")

// UnmarshalJSON implements [json.Unmarshaler].
func (u *uidText) UnmarshalJSON(data []byte) error {
	data = bytes.TrimSpace(data)
	switch {
	case string(data) == "null":
		*u = ""
		return nil
	case len(data) > 0 && data[0] == '"':
		return json.Unmarshal(data, (*string)(u))
	case len(data) > 0 && (data[0] == '-' || '0' <= data[0] && data[0] <= '9') && !bytes.ContainsAny(data, ".eE"):
		*u = uidText(data)
		return nil
	}
	return errUID
}
