package engineio

import (
	"net/url"
	"strings"
)

// query is the query of a request. What clients write has no escapes, and is read where it lies: a map of it takes 5 % of what a poll
// takes.
type query struct {
	raw string
	all url.Values // nil: raw has no escapes
}

// longQuery is the least length of one that url.ParseQuery refuses for the number of its parameters, which is 10,000 at most.
const longQuery = 10_000

// parseQuery reads a query.
func parseQuery(raw string) (q query, err error) {
	q.raw = raw
	if len(raw) >= longQuery || strings.ContainsAny(raw, "%+;") {
		q.all, err = url.ParseQuery(raw)
	}
	return q, err
}

// get returns the first value of a name, and whether it is there.
func (q query) get(name string) (value string, has bool) {
	if q.all != nil {
		return q.all.Get(name), q.all.Has(name)
	}
	for one := range strings.SplitSeq(q.raw, "&") {
		if key, value, _ := strings.Cut(one, "="); key == name && one != "" {
			return value, true
		}
	}
	return "", false
}

// QueryValue returns the first value of a name in the query of a request, and whether it is there.
func QueryValue(raw, name string) (value string, has bool) {
	q, err := parseQuery(raw)
	if err != nil {
		return "", false
	}
	return q.get(name)
}
