package messages

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"crier/api/client"
	"crier/e2e/ledger/stage"
)

const (
	callLimit = 10 * time.Second
	plainIn   = 8   // one message in so many is not stored,
	oftenIn   = 3   // where there are several servers
	severalIn = 10  // one in so many is for several users
	giveUpIn  = 100 // of failed tries, after one in so many the publisher gives up
	maxBatch  = 40
	window    = 64 // pushes of a link that are not answered yet
)

// A message is what a publisher pushes. Those of one publisher to one user have to come in the order of n.
type message struct {
	id    string
	n     int
	users []string
	plain bool
	tries int
}

// A publisher pushes one message after the other, each again until it is accepted.
type publisher struct {
	name     string
	random   *rand.Rand
	users    []string
	clients  []*client.Client // of all servers
	at       int              // which of them is called now
	book     *stage.Book
	timeline *stage.Timeline
	progress *stage.Progress
	owed     *owed
	pushed   int
}

// move has the next call go to a server at random, but not to the same if elsewhere.
func (p *publisher) move(elsewhere bool) {
	n := len(p.clients)
	if elsewhere && n > 1 {
		p.at = (p.at + 1 + p.random.IntN(n-1)) % n
		return
	}
	p.at = p.random.IntN(n)
}

func (p *publisher) plainIn() int {
	if len(p.clients) > 1 {
		return oftenIn
	}
	return plainIn
}

func (p *publisher) client() *client.Client { return p.clients[p.at] }

func (p *publisher) note(l line) error {
	l.At = stage.Now()
	return p.book.Note(l)
}

// next makes up to so many messages, none if there are enough.
func (p *publisher) next(most int) ([]message, error) {
	var all []message
	for len(all) < most && p.progress.Claim(1) {
		p.pushed++
		m := message{id: fmt.Sprintf("%s.%d", p.name, p.pushed), n: p.pushed, plain: p.random.IntN(p.plainIn()) == 0}
		m.users = append(m.users, p.users[p.random.IntN(len(p.users))])
		if p.random.IntN(severalIn) == 0 {
			m.users = append(m.users, p.users[p.random.IntN(len(p.users))], p.users[p.random.IntN(len(p.users))])
			slices.Sort(m.users)
			m.users = slices.Compact(m.users)
		}
		if err := p.note(line{On: sent, ID: m.id, From: p.name, N: m.n, Users: m.users, Plain: m.plain}); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// push returns what the server is asked for now.
func (m *message) push() client.Push {
	m.tries++
	store := !m.plain
	return client.Push{ID: m.id, To: client.Audience{Users: m.users}, Data: m.id, Store: &store}
}

// accept notes that a message was accepted.
func (p *publisher) accept(m message, r client.Result) error {
	if !m.plain {
		p.owed.accept(m)
	}
	p.progress.Done()
	return p.note(line{On: accepted, ID: m.id, Stored: r.Stored, Tries: m.tries, Node: p.at, Partial: r.Partial})
}

// abandon gives up messages now and then, and says whether it has.
func (p *publisher) abandon(all []message) (bool, error) {
	if p.random.IntN(giveUpIn) > 0 {
		return false, nil
	}
	for _, m := range all {
		if err := p.note(line{On: open, ID: m.id}); err != nil {
			return false, err
		}
		p.progress.Done()
	}
	return true, nil
}

// passing says whether a push failed because the server was not there, or about to stop.
func passing(err error) bool {
	var problem *client.Problem
	return !errors.As(err, &problem) || problem.Status >= 500
}

// again waits until a push may be made again, after an error. Where there are several servers it is made at another one: at once,
// and then a little later each time.
func (p *publisher) again(ctx context.Context, err error, tries int) error {
	if !passing(err) {
		return fmt.Errorf("a push was refused: %w", err)
	}
	if len(p.clients) > 1 {
		p.move(true)
		return stage.Sleep(ctx, min(time.Duration(tries-1)*50*time.Millisecond, time.Second))
	}
	select {
	case <-p.timeline.Wait():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// single pushes messages one by one.
func (p *publisher) single(ctx context.Context) error {
	for {
		all, err := p.next(1)
		if err != nil || len(all) == 0 {
			return err
		}
		p.move(false)
		if err := p.one(ctx, all[0]); err != nil {
			return err
		}
		if err := stage.Sleep(ctx, time.Duration(p.random.Int64N(int64(20*time.Millisecond)))); err != nil {
			return err
		}
	}
}

func (p *publisher) one(ctx context.Context, m message) error {
	for {
		call, cancel := context.WithTimeout(ctx, callLimit)
		r, err := p.client().Push(call, m.push())
		cancel()
		if err == nil {
			return p.accept(m, r)
		}
		if err := p.again(ctx, err, m.tries); err != nil {
			return err
		}
		if gone, err := p.abandon([]message{m}); err != nil || gone {
			return err
		}
	}
}

// batches pushes messages in arrays.
func (p *publisher) batches(ctx context.Context) error {
	for {
		all, err := p.next(1 + p.random.IntN(maxBatch))
		if err != nil || len(all) == 0 {
			return err
		}
		for p.move(false); len(all) > 0; {
			if all, err = p.batch(ctx, all); err != nil {
				return err
			}
		}
		if err := stage.Sleep(ctx, time.Duration(p.random.Int64N(int64(200*time.Millisecond)))); err != nil {
			return err
		}
	}
}

// batch pushes an array and returns what is left of it to be pushed again.
func (p *publisher) batch(ctx context.Context, all []message) ([]message, error) {
	pushes := make([]client.Push, len(all))
	for i := range all {
		pushes[i] = all[i].push()
	}
	call, cancel := context.WithTimeout(ctx, callLimit)
	answers, err := p.client().Batch(call, pushes)
	cancel()
	for i, a := range answers {
		if a.Problem != nil { // those behind it must not overtake it: they are duplicates then, if they were pushed
			err = a.Problem
			all = all[i:]
			break
		}
		if err := p.accept(all[i], a.Result); err != nil {
			return nil, err
		}
	}
	if err == nil {
		return nil, nil
	}
	if err := p.again(ctx, err, all[0].tries); err != nil {
		return nil, err
	}
	gone, err := p.abandon(all)
	if err != nil || gone {
		return nil, err
	}
	return all, nil
}
