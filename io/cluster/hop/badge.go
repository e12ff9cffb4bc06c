package hop

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// header has a badge in requests, and in answers says that it was refused.
const header = "Crier-Hop"

// maxSkew is by how much the clocks of two servers may differ, the way of the request included. A badge is good for as long.
const maxSkew = time.Minute

// Kind is what a request that has been passed on wants.
type Kind string

// Kinds.
const (
	Visit Kind = "visit" // a client: the session that the request names is here
	Call  Kind = "call"  // a business server, whose rights have been seen to: this server leads
	Nudge Kind = "nudge" // nothing: the poll of that session that waits here has to be answered now
)

// Why a badge does not count.
var (
	errBadge  = errors.New("the badge was not made by a server that shares this one's Redis and cluster.prefix, or not for this request")
	errClock  = errors.New("the badge is more than a minute old, or from the future: the clocks of the servers differ")
	errTarget = errors.New("the request was meant for another server: cluster.advertise of that one leads here")
	errAgain  = errors.New("the badge has been used already: somebody repeats what the servers pass to one another")
	errBody   = errors.New("the body is not the one that the other server has passed on")
)

// badge proves that a request comes from a server of the cluster: it is signed with the secret that they have in Redis, for
// this one request.
type badge struct {
	kind   Kind
	to     string // the tag of the server that it is for
	at     time.Time
	peer   string            // RemoteAddr of the request that is passed on: host:port
	extra  string            // what else is to be believed; any text
	from   string            // the tag of the server that passes it on
	number uint64            // no other badge of that server has it
	body   [sha256.Size]byte // the hash of the body
}

// fields are the badge without its signature: eight words.
func (b badge) fields() string {
	base := base64.RawURLEncoding
	return fmt.Sprintf("%s %s %d %s %s. %s %d %s", b.kind, b.to, b.at.UnixMilli(), b.peer, base.EncodeToString([]byte(b.extra)),
		b.from, b.number, base.EncodeToString(b.body[:]))
}

// sign returns the header of a badge for a request with that method, host and target.
func (b badge) sign(secret []byte, method, host, uri string) string {
	fields := b.fields()
	return fields + " " + base64.RawURLEncoding.EncodeToString(sum(secret, fields, method, host, uri))
}

func sum(secret []byte, parts ...string) []byte {
	mac := hmac.New(sha256.New, secret)
	for _, part := range parts {
		fmt.Fprintf(mac, "%d:%s\n", len(part), part) // never fails
	}
	return mac.Sum(nil)
}

// check reads the badge of a request, whose body it does not look at. Any of the secrets may have signed it.
func check(secrets [][]byte, r *http.Request, now time.Time) (badge, error) {
	values := r.Header[header]
	if len(values) != 1 {
		return badge{}, errBadge
	}
	words := strings.Split(values[0], " ")
	if len(words) != 9 {
		return badge{}, errBadge
	}
	signature, err := base64.RawURLEncoding.DecodeString(words[8])
	if err != nil {
		return badge{}, errBadge
	}
	fields, good := strings.TrimSuffix(values[0], " "+words[8]), false
	for _, secret := range secrets {
		good = hmac.Equal(signature, sum(secret, fields, r.Method, r.Host, r.RequestURI)) || good
	}
	if !good {
		return badge{}, errBadge
	}
	b, err := parseFields(words)
	if err != nil {
		return badge{}, errBadge
	}
	if now.Sub(b.at).Abs() > maxSkew {
		return badge{}, errClock
	}
	return b, nil
}

// parseFields undoes fields, of which words are the parts.
func parseFields(words []string) (badge, error) {
	milli, errTime := strconv.ParseInt(words[2], 10, 64)
	number, errNumber := strconv.ParseUint(words[6], 10, 64)
	extra, errExtra := base64.RawURLEncoding.DecodeString(strings.TrimSuffix(words[4], "."))
	body, errHash := base64.RawURLEncoding.DecodeString(words[7])
	if err := errors.Join(errTime, errNumber, errExtra, errHash); err != nil || len(body) != sha256.Size {
		return badge{}, errBadge
	}
	return badge{
		kind: Kind(words[0]), to: words[1], at: time.UnixMilli(milli), peer: words[3], extra: string(extra),
		from: words[5], number: number, body: [sha256.Size]byte(body),
	}, nil
}
