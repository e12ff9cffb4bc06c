package hub

import "time"

// departure is a user without connections, to be reported offline when due unless cancelled before.
type departure struct {
	// Static, except that presence.open moves due while the departure is in presence.absent.
	user  *user
	cause string
	due   time.Duration // since presence.start

	// Guarded by presence.mu. Only run sets in to nil without the mu of the user's shard, so it may read it with that alone.
	prev, next *departure
	in         *departures // nil once the time is up
}

// departures are in the order of their times: those of one list have all been given the same delay. Guarded by presence.mu.
type departures struct {
	head, tail *departure
}

func (q *departures) push(d *departure) {
	d.in = q
	if q.head == nil {
		q.head = d
	} else {
		d.prev = q.tail
		q.tail.next = d
	}
	q.tail = d
}

func (q *departures) unlink(d *departure) {
	if d.prev == nil {
		q.head = d.next
	} else {
		d.prev.next = d.next
	}
	if d.next == nil {
		q.tail = d.prev
	} else {
		d.next.prev = d.prev
	}
	d.prev, d.next, d.in = nil, nil, nil
}

// take moves those that are due by now to dst.
func (q *departures) take(now time.Duration, dst []*departure) []*departure {
	for q.head != nil && q.head.due <= now {
		dst = append(dst, q.head)
		q.unlink(q.head)
	}
	return dst
}
