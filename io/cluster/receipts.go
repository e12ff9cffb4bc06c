package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gomodule/redigo/redis"

	"crier/io/hub"
)

// Receipt returns what became of a message, or of the one that scope and id name first, or else, with anyScope, of one
// that another caller gave that id. Otherwise it fails with hub.ErrNoReceipt.
func (q *Inbox) Receipt(scope, id string, anyScope bool) (hub.Receipt, error) {
	r, _, err := q.look(scope, id, anyScope)
	if err != nil {
		return hub.Receipt{}, fmt.Errorf("reading a receipt: %w", err)
	}
	return r, nil
}

// Addressees returns users for whom a message was stored, by growing uid: the first behind after, at most so many, of those
// that begin with prefix; and whether there are more. It finds the message as Receipt does, and fails as that. Redis hands
// over all of them each time.
func (q *Inbox) Addressees(scope, id string, anyScope bool, after, prefix string, limit int) (list []hub.Addressee, more bool, err error) {
	r, all, err := q.look(scope, id, anyScope)
	if err != nil {
		return nil, false, fmt.Errorf("reading a receipt: %w", err)
	}
	all = slices.DeleteFunc(all, func(a hub.Addressee) bool { return a.UID <= after || !strings.HasPrefix(a.UID, prefix) })
	slices.SortFunc(all, func(a, b hub.Addressee) int { return cmp.Compare(a.UID, b.UID) })
	if more = len(all) > limit; more {
		all = all[:limit]
	}
	for i := range all {
		if all[i].Fate == hub.Waiting && r.Waiting == 0 {
			all[i].Fate = hub.Expired
		}
	}
	return all, more, nil
}

// look reads the record of a message. What this node has confirmed and noted is in it.
func (q *Inbox) look(scope, id string, anyScope bool) (r hub.Receipt, all []hub.Addressee, err error) {
	if err := q.settled(); err != nil {
		return r, nil, err
	}
	other := ""
	if anyScope {
		other = id
	}
	answer, err := redis.Values(q.do(q.run, lookScript, midOf(scope, id), other))
	if err != nil {
		return r, nil, noReceipt(err)
	}
	if len(answer) != 2 {
		return r, nil, hub.ErrNoReceipt
	}
	now, err := redis.Int64(answer[0], nil)
	if err != nil {
		return r, nil, err
	}
	record, err := redis.StringMap(answer[1], nil)
	if err != nil {
		return r, nil, err
	}
	r.Scope, r.ID = scope, id
	all = readRecord(record, &r)
	if !r.Expires.IsZero() && r.Expires.UnixMilli() < now { // as keys do in Redis
		r.Expired, r.Waiting = r.Expired+r.Waiting, 0
	}
	return r, all, nil
}

// noReceipt is what it means that Redis answers nothing.
func noReceipt(err error) error {
	if errors.Is(err, redis.ErrNil) {
		return hub.ErrNoReceipt
	}
	return err
}

// readRecord reads the record of a message into r, and returns for whom it was kept.
func readRecord(record map[string]string, r *hub.Receipt) (all []hub.Addressee) {
	number := func(name string) int {
		n, _ := strconv.Atoi(record[name]) // 0 if it is missing
		return n
	}
	instant := func(name string) (t time.Time) {
		if ms := number(name); ms != 0 {
			t = time.UnixMilli(int64(ms))
		}
		return t
	}
	r.Time, r.Expires = instant("at"), instant("ex")
	r.Users, r.Connections, r.Stored = number("us"), number("cn"), number("st")
	r.Waiting, r.Confirmed, r.Expired, r.Evicted = number("wa"), number("co"), number("xp"), number("ev")
	if _, asked := record["au"]; asked {
		r.Acked = &hub.Acked{Users: number("au"), Connections: number("ac")}
	}
	for name := range record {
		if uid, is := strings.CutPrefix(name, ":"); is {
			all = append(all, hub.Addressee{UID: uid, Fate: hub.Fate(number(name))})
		} else if strings.HasPrefix(name, "d:") {
			r.Delivered += number(name)
		}
	}
	return all
}
