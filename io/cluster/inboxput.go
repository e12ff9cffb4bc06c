package cluster

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/gomodule/redigo/redis"

	"crier/io/hub"
)

const (
	// maxPuts is how many messages may wait to be kept.
	maxPuts = 1024
	// What one script keeps, so that Redis is free again soon: more only if it is one message.
	groupPuts  = 64
	groupBytes = 1 << 20
	groupUsers = 1000

	// What a letter counts beside its bytes, and each of its addressees: about what they take in Redis.
	letterCost    = 600
	addresseeCost = 150
)

// errInboxClosed is returned by an Inbox that is closed.
var errInboxClosed = errors.New("the inbox is closed")

// put is a message on its way into Redis.
type put struct {
	hub.Deposit
	mid, nonce   string
	head, letter []byte
	size         int
	since        time.Time
	asking       *wait // for what the clients of all nodes answer; nil if they are not asked
	stored       func(hub.Deposited)
}

// end tells what became of it.
func (p *put) end(d hub.Deposited) {
	if p.asking != nil && (d.Err != nil || d.Known) {
		p.asking.forget()
	}
	p.stored(d)
}

// midOf names a message: see Inbox.
func midOf(scope, id string) string {
	if scope == "" {
		return ":" + id
	}
	sum := sha256.Sum256([]byte(scope))
	return base64.RawURLEncoding.EncodeToString(sum[:9]) + ":" + id
}

// Put implements hub.Inbox. The message is read before it returns.
func (q *Inbox) Put(d hub.Deposit, stored func(hub.Deposited)) {
	p := &put{Deposit: d, mid: midOf(d.Scope, d.Message.ID), nonce: rand.Text()[:10], since: time.Now(), stored: stored}
	p.letter = encodeLetter(d.Message)
	p.size = len(p.letter) + letterCost + len(d.Users)*addresseeCost
	switch {
	case len(d.Users) > maxAddressees:
		stored(hub.Deposited{Err: hub.ErrTooManyUsers})
		return
	case int64(p.size) > q.MaxBytes:
		stored(hub.Deposited{Err: hub.ErrTooMuch})
		return
	}
	if d.Ask != nil {
		var err error
		if p.asking, err = q.relay.inquire(*d.Ask); err != nil {
			stored(hub.Deposited{Err: err})
			return
		}
	}
	p.head = q.frame(p)
	q.putting.RLock()
	defer q.putting.RUnlock()
	if q.ended {
		p.end(hub.Deposited{Err: errInboxClosed})
		return
	}
	q.puts <- p // it is taken: putForever goes on until nobody puts any more
}

// putForever keeps messages, those that have gathered by one script, until Close.
func (q *Inbox) putForever() {
	for p := range q.puts {
		group, held := q.gather(p)
		for len(group) > 0 {
			q.keep(group)
			if group = nil; held != nil {
				group, held = q.gather(held)
			}
		}
	}
}

// gather returns first, and what waits behind it, as much as goes together; held is one more that does not.
func (q *Inbox) gather(first *put) (group []*put, held *put) {
	group = []*put{first}
	bytes, users := first.size, len(first.Users)
	for len(group) < groupPuts {
		select {
		case p, ok := <-q.puts:
			if !ok {
				return group, nil
			}
			bytes += p.size
			if users += len(p.Users); bytes > groupBytes || users > groupUsers {
				return group, p
			}
			group = append(group, p)
		default:
			return group, nil
		}
	}
	return group, nil
}

// keep has Redis keep a group, and tells. While it is open whether Redis has done so it is asked again, for a while: what it
// has kept it knows by the nonces.
func (q *Inbox) keep(group []*put) {
	var doubt error
	for {
		list, err := q.tryKeep(group)
		switch {
		case err == nil:
			for i, p := range group {
				p.end(list[i])
			}
			return
		case errors.Is(err, ErrInDoubt):
			doubt = err
		case errors.Is(err, ErrFenced): // the node will be back at once
		case errors.Is(err, ErrAway) && doubt != nil:
			err = fmt.Errorf("%w (before: %w)", err, doubt)
		default:
			doubt = nil
		}
		if doubt == nil && !errors.Is(err, ErrFenced) || time.Since(group[0].since) > inboxPatience || q.run.Err() != nil {
			for _, p := range group {
				p.end(hub.Deposited{Err: err})
			}
			return
		}
		select {
		case <-time.After(firstWait / 4):
		case <-q.run.Done():
		}
	}
}

// tryKeep has Redis keep a group once.
func (q *Inbox) tryKeep(group []*put) ([]hub.Deposited, error) {
	args := []any{q.MaxPerUser, q.MaxBytes, len(group)}
	for _, p := range group {
		ttl := max(time.Until(p.Expires).Milliseconds(), 1)
		everywhere, asked := len(p.To.Rooms) > 0, p.asking != nil // as 1 or 0
		args = append(args, p.mid, p.nonce, ttl, p.size, everywhere, asked, p.Strangers, p.head, p.letter, len(p.Users))
		for _, uid := range p.Users {
			args = append(args, uid)
		}
	}
	answers, err := redis.Values(q.do(context.WithoutCancel(q.run), putScript, args...))
	if err != nil {
		return nil, err
	}
	if len(answers) != len(group) {
		return nil, fmt.Errorf("keeping messages: Redis answers %d of %d", len(answers), len(group))
	}
	list := make([]hub.Deposited, len(group))
	for i, answer := range answers {
		if list[i], err = q.kept(group[i], answer); err != nil {
			return nil, fmt.Errorf("keeping messages: Redis answers %v, %w", answer, err)
		}
	}
	return list, nil
}

// kept reads what putScript has answered about one message.
func (q *Inbox) kept(p *put, answer any) (d hub.Deposited, err error) {
	parts, err := redis.Values(answer, nil)
	if err != nil || len(parts) != 7 {
		return d, errNotAnswer
	}
	n, err := redis.Int64s(parts[:6], nil)
	if err != nil {
		return d, err
	}
	nodes, err := redis.Strings(parts[6], nil)
	if err != nil {
		return d, err
	}
	d = hub.Deposited{
		Place: uint64(n[0]), Known: n[1] == 1, Users: int(n[2]), Online: int(n[3]), Connections: int(n[4]),
		Comes: n[5] != 0,
	}
	if p.asking != nil {
		others, until := q.relay.others(nodes), time.Now().Add(p.Ask.Wait)
		d.Answer = func(a hub.Answers) { p.asking.heard(&a, others, until) }
	}
	return d, nil
}
