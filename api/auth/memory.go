package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"strconv"
	"time"
)

// memory holds answers until they expire, the latest [maxRemembered] of them. The zero value is empty.
type memory struct {
	answers map[question]answer
	order   []question // a ring of the keys, in the order they came; from is the oldest
	from    int
}

// An answer is in the place at of the ring.
type answer struct {
	id Identity
	at int
}

// find returns an answer that holds at the time now, and forgets one that has ceased to.
func (m *memory) find(q question, now time.Time) (Identity, bool) {
	a, ok := m.answers[q]
	if ok && !now.Before(a.id.Expires) {
		delete(m.answers, q)
		return Identity{}, false
	}
	return a.id, ok
}

// forget drops the answers that say it is the user.
func (m *memory) forget(uid string) {
	maps.DeleteFunc(m.answers, func(_ question, a answer) bool { return a.id.UID == uid })
}

// keep remembers an answer, in the place of the oldest if there are too many.
func (m *memory) keep(q question, id Identity) {
	if m.answers == nil {
		m.answers = make(map[question]answer)
	}
	if len(m.order) < maxRemembered {
		m.answers[q] = answer{id, len(m.order)}
		m.order = append(m.order, q)
		return
	}
	// The place may be one that its key has left: it was forgotten, and perhaps came again elsewhere.
	if old, ok := m.answers[m.order[m.from]]; ok && old.at == m.from {
		delete(m.answers, m.order[m.from])
	}
	m.answers[q] = answer{id, m.from}
	m.order[m.from] = q
	m.from = (m.from + 1) % maxRemembered
}

// moment is a time in JSON: seconds since 1970, with a fraction or not, or an RFC 3339 text. Null and nothing are the
// zero time.
type moment time.Time

var errMoment = errors.New("a time is seconds since 1970 or an RFC 3339 text")

// UnmarshalJSON implements [json.Unmarshaler].
func (m *moment) UnmarshalJSON(data []byte) error {
	data = bytes.TrimSpace(data)
	if string(data) == "null" {
		return nil
	}
	if len(data) > 0 && data[0] == '"' {
		var at time.Time
		if err := json.Unmarshal(data, &at); err != nil {
			return errMoment
		}
		*m = moment(at)
		return nil
	}
	seconds, err := strconv.ParseFloat(string(data), 64)
	const most = 253402300799 // the end of the year 9999
	if err != nil || math.IsNaN(seconds) || math.Abs(seconds) > most {
		return errMoment
	}
	whole, fraction := math.Modf(seconds)
	*m = moment(time.Unix(int64(whole), int64(fraction*1e9)))
	return nil
}
