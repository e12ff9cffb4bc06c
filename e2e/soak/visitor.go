//go:build linux

package main

import (
	"context"
	"fmt"
	"iter"
	"net/netip"
	"strings"

	"crier/e2e/visit"
)

// plan is what one client does. It follows from its number, so that each way has all there is to do in the same number.
type plan struct {
	way    visit.Way
	stored bool // something was stored before it comes
	legacy bool // it is pushed to by the form, and not by /v1
	clean  bool // it says goodbye
	from   netip.Addr
}

// planned returns the plan of a client. Who comes from one address only would find all its ports used.
func planned(n int) plan {
	ways := visit.Ways()
	p := plan{way: ways[n%len(ways)]}
	turn := n / len(ways)
	p.clean, p.legacy, p.stored = turn%2 == 0, turn/2%2 == 0, turn/4%8 == 0
	p.from = netip.AddrFrom4([4]byte{127, 0, 1, byte(1 + n%16)})
	return p
}

// ways counts how many clients of each there were.
func (s *soak) ways() iter.Seq2[visit.Way, int] {
	return func(yield func(visit.Way, int) bool) {
		all := visit.Ways()
		for i, way := range all {
			n := int(s.visits.Load())
			count := n / len(all)
			if rest := n % len(all); i > 0 && i <= rest {
				count++
			}
			if !yield(way, count) {
				return
			}
		}
	}
}

// visit has one client come, as a user who never was there before, and go.
func (s *soak) visit(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.patience, fmt.Errorf("not done within %s", s.o.patience))
	defer cancel()
	p, uid := planned(n), fmt.Sprint("visitor-", n)
	var want []string
	if p.stored {
		want = append(want, fmt.Sprint("stored-", n))
		if err := s.pushing.store(ctx, uid, want[0]); err != nil {
			return err
		}
	}
	c, err := visit.Dial(ctx, p.way, visit.Options{Addr: s.server.Public, UID: uid, From: p.from})
	if err != nil {
		return fmt.Errorf("coming by %w", err)
	}
	end := c.Break
	if p.clean {
		end = c.Leave
	}
	want = append(want, fmt.Sprint("message-", n))
	push := s.pushing.to
	if !p.way.Tells() {
		push = s.pushing.soon
	}
	err = push(ctx, uid, want[len(want)-1], p.legacy)
	for i := 0; i < len(want) && err == nil; i++ {
		err = await(c, want[i])
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", p.way, err)
	}
	if endErr := end(); endErr != nil && err == nil && ctx.Err() == nil {
		err = fmt.Errorf("leaving by %s: %w", p.way, endErr)
	}
	return err
}

// await waits for a message. What is pushed to all may come before it.
func await(c visit.Client, want string) error {
	for {
		m, err := c.Next()
		switch {
		case err != nil:
			return fmt.Errorf("waiting for %s: %w", want, err)
		case m.Content == want:
			return nil
		case m.Event == "new_msg" && !strings.HasPrefix(m.Content, toAll):
			return fmt.Errorf("waiting for %s: got %s", want, m.Content)
		}
	}
}
