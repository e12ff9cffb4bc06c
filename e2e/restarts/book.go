//go:build linux

package main

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"crier/e2e/visit"
)

// push is what is known of one.
type push struct {
	uid      string
	stored   bool
	kept     bool // its user can say how far it has come, and is given what it has missed or told so
	begun    int  // how many there were before
	failed   bool // the first try
	accepted bool
	refusal  error // of the second try
	arrivals int
	twice    bool // on one connection
	last     int  // connection of its user that it came to
}

// owed says that a push has to arrive. Who is away may miss what is not stored; who can say how far it has come must have been told then.
func (b *book) owed(p *push) bool {
	return p.accepted && (p.stored || p.kept && p.begun >= b.told[p.uid])
}

// book is what everybody has noted.
type book struct {
	restarts atomic.Int32
	tries    atomic.Int64 // of pushes, begun
	calling  atomic.Int64 // tries that are under way
	visits   atomic.Int64 // of users
	refused  atomic.Int64 // connections
	turned   atomic.Int64 // users who have been told to come again, or whose connection ended as they came

	mu       sync.Mutex
	pushes   map[string]*push // by content
	behind   map[string]int   // pushes that are owed to a user, or may be, and have not arrived
	accepted int
	told     map[string]int    // by user, how many pushes had begun when it was last told that something is missing
	holes    map[visit.Way]int // times that users were told so
	strays   []string          // messages that nobody had pushed to whom they came
}

func newBook() *book {
	return &book{pushes: map[string]*push{}, behind: map[string]int{}, told: map[string]int{}, holes: map[visit.Way]int{}}
}

// most is how many a user may be behind. Who is so far behind is not pushed to: of what waits for a user who does not take it the
// server keeps the last 1,000 (inbox.max_per_user, limits.queue_messages), which is not to be tried here.
const most = 100

// expect notes a push that is about to be made, unless its user is too far behind.
func (b *book) expect(content string, p push) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.behind[p.uid] >= most {
		return false
	}
	p.begun = len(b.pushes)
	b.pushes[content] = &p
	if p.stored {
		b.behind[p.uid]++
	}
	return true
}

// failed notes that the first try has failed.
func (b *book) failed(content string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pushes[content].failed = true
}

// answered notes what became of a push.
func (b *book) answered(content string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pushes[content]
	p.accepted, p.refusal = err == nil, err
	switch {
	case err == nil:
		b.accepted++
	case p.arrivals == 0 && p.stored:
		b.behind[p.uid]--
	}
}

// answers is how many pushes were accepted.
func (b *book) answers() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.accepted
}

// arrived notes that a message has come, to the connection of that number of a user.
func (b *book) arrived(content, uid string, connection int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pushes[content]
	if p == nil || p.uid != uid {
		b.strays = append(b.strays, fmt.Sprintf("%q came to %s", content, uid))
		return
	}
	if p.arrivals == 0 && p.stored {
		b.behind[uid]--
	}
	p.twice = p.twice || p.last == connection
	p.last = connection
	p.arrivals++
}

// missed notes that a user was told that something is missing: that excuses what was pushed until then.
func (b *book) missed(uid string, way visit.Way) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.holes[way]++
	b.told[uid] = len(b.pushes)
}

// settled reports whether all that is owed has arrived.
func (b *book) settled() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.pushes {
		if b.owed(p) && p.arrivals == 0 {
			return false
		}
	}
	return true
}

// sum is what the book comes to.
type sum struct {
	pushes, failed, stored, kept int // pushes; first tries that failed; what was accepted and is stored, or kept for who comes back
	again                        int // came once more on a later connection
	missed                       int // of what is kept, by users who were told
	wrong                        []string
}

// sum goes through the pushes.
func (b *book) sum() sum {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := sum{pushes: len(b.pushes)}
	for content, p := range b.pushes {
		if p.failed {
			s.failed++
		}
		switch {
		case !p.accepted:
		case p.stored:
			s.stored++
		case p.kept:
			s.kept++
			if p.arrivals == 0 && !b.owed(p) {
				s.missed++
			}
		}
		if p.arrivals > 1 {
			s.again++
		}
		what := ""
		switch {
		case !p.accepted:
			what = fmt.Sprintf("failed twice: %v", p.refusal)
		case b.owed(p) && p.arrivals == 0:
			what = "has not arrived, and nobody was told"
		case p.twice:
			what = "came twice on one connection"
		default:
			continue
		}
		s.wrong = append(s.wrong, fmt.Sprintf("the push %s to %s, stored %t: %s", content, p.uid, p.stored, what))
	}
	return s
}

// judge returns what is wrong, the first few of each kind.
func (b *book) judge() error {
	var errs []error
	if n := b.refused.Load(); n > 0 {
		errs = append(errs, fmt.Errorf("%d connections were refused", n))
	}
	for _, list := range [][]string{b.sum().wrong, b.strays} {
		for i, one := range list {
			if i == 10 {
				errs = append(errs, fmt.Errorf("and %d more of that kind", len(list)-i))
				break
			}
			errs = append(errs, errors.New(one))
		}
	}
	return errors.Join(errs...)
}

// report tells about the run.
func (b *book) report(took time.Duration) string {
	s := b.sum()
	var out strings.Builder
	fmt.Fprintf(&out, "%d restarts in %s\n", b.restarts.Load(), took.Round(time.Second))
	fmt.Fprintf(&out, "connections refused: %d, of %d logins and %d tries of pushes; users who had to come once more: %d\n",
		b.refused.Load(), b.visits.Load(), b.tries.Load(), b.turned.Load())
	fmt.Fprintf(&out, "pushes: %d, of which the first try failed: %d\n", s.pushes, s.failed)
	fmt.Fprintf(&out, "stored: %d; not stored, for clients that recover: %d, of which %d were missed by who was told so; came once more on a later connection: %d\n",
		s.stored, s.kept, s.missed, s.again)
	for _, way := range visit.Ways() {
		if way.Recovers() {
			fmt.Fprintf(&out, "told that something is missing, by %s: %d\n", way, b.holes[way])
		}
	}
	fmt.Fprintf(&out, "wrong: %d\n", len(s.wrong)+len(b.strays)+int(b.refused.Load()))
	return out.String()
}
