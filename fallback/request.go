package fallback

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Request is what a client brings along when it connects.
type Request struct {
	Query      url.Values // without what is the transport's own, such as after
	Header     http.Header
	RemoteAddr string   // "host:port" of the peer
	Rooms      []string // that it wants to enter: rooms=a,b
	// Talks says that the client can send events, and so may log in later.
	Talks bool

	after   string // the id of the message after which it goes on, or what a poll is for; "" for a new client
	returns bool   // it can come back, with the id of the message that it got last
}

// own are the parameters that say nothing about the client. _ is how jQuery keeps browsers from caching, t how SockJS does.
var own = []string{"after", "lastEventId", "wait", "callback", "rooms", "_", "t"}

// newRequest reads what a client says about itself. The error is a [Reason].
func newRequest(r *http.Request, talks bool) (*Request, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("the query string cannot be parsed")
	}
	q := &Request{Header: r.Header, RemoteAddr: r.RemoteAddr, Talks: talks}
	for _, list := range query["rooms"] {
		for room := range strings.SplitSeq(list, ",") {
			if room != "" && !slices.Contains(q.Rooms, room) {
				q.Rooms = append(q.Rooms, room)
			}
		}
	}
	q.after, q.returns = query.Get("after"), !talks || query.Has("after")
	for _, name := range own {
		delete(query, name)
	}
	q.Query = query
	return q, nil
}
