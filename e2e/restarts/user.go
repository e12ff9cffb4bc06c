//go:build linux

package main

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"crier/e2e/visit"
)

// user is somebody with one client, who comes back whenever that has lost its connection; some also leave by themselves.
type user struct {
	stage   *stage
	uid     string
	way     visit.Way
	wanders bool
	dice    *rand.Rand
	seen    atomic.Int32 // 1 + how many restarts there had been when it was last there; 0: never
}

// live comes and goes until ctx ends. Its error is something that must not happen.
func (u *user) live(ctx context.Context) error {
	position := ""
	for visit := 1; ctx.Err() == nil; visit++ {
		next, err := u.once(ctx, position, visit)
		if err != nil && ctx.Err() == nil {
			return err
		}
		position = next
		u.pause(ctx)
	}
	return nil
}

// pause is what a client waits before it comes back; the official one waits longer.
func (u *user) pause(ctx context.Context) {
	select {
	case <-time.After(time.Duration(u.dice.IntN(200)) * time.Millisecond):
	case <-ctx.Done():
	}
}

// forever is more messages than there are.
const forever = math.MaxInt

// once is one connection. It returns how far the client has come.
func (u *user) once(ctx context.Context, position string, number int) (next string, err error) {
	book := u.stage.book
	restarts := book.restarts.Load()
	c, err := visit.Dial(ctx, u.way, visit.Options{Addr: u.stage.server.Public, UID: u.uid, After: position})
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		book.refused.Add(1)
		return position, nil
	case err != nil:
		book.turned.Add(1)
		return position, nil
	}
	book.visits.Add(1)
	if number > 1 && position == "" && u.way.Recovers() { // it had not come to know where it was, and so is somebody new
		book.missed(u.uid, u.way)
	}
	u.seen.Store(restarts + 1)
	// Who wanders is off after a few messages; at last all stay, since who never stays for long may never confirm anything.
	rest := forever
	if u.wanders && !u.stage.settling.Load() {
		rest = u.dice.IntN(20)
	}
	for ; rest > 0 || !c.Whole(); rest-- {
		m, err := c.Next()
		if err != nil {
			break // it is over
		}
		switch m.Event {
		case visit.Missed:
			book.missed(u.uid, u.way)
		case "new_msg":
			book.arrived(m.Content, u.uid, number)
		}
	}
	position = c.Position()
	if u.way.Recovers() || u.dice.IntN(2) == 0 {
		err = c.Break()
	} else if err = c.Leave(); err != nil && !errors.Is(err, net.ErrClosed) {
		err = nil // the server was faster
	}
	return position, err
}
