//go:build linux

package load

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	nap       = time.Millisecond
	comeAgain = 100 * time.Millisecond // after a failure
	maxTries  = 3                      // to log in, unless the clients are to come back whatever happens
	sweep     = 500 * time.Millisecond // how often it is looked who takes too long
)

// run is the loop.
func (f *Fleet) run() {
	defer close(f.done)
	events := make([]unix.EpollEvent, 512)
	buf := make([]byte, 256<<10)
	swept := time.Duration(0)
	for n := 0; !f.stop.Load(); {
		wait := 1
		if f.gather.Load() && n < len(events) {
			time.Sleep(nap)
			wait = 0
		}
		var err error
		n, err = unix.EpollWait(f.epoll, events, wait)
		f.mu.Lock()
		if err != nil && !errors.Is(err, unix.EINTR) {
			f.fatal = fmt.Errorf("waiting for events: %w", err)
			f.mu.Unlock()
			return
		}
		for _, e := range events[:max(n, 0)] {
			if c := f.byFD[e.Fd]; c != nil {
				f.ready(c, e.Events, buf)
			}
		}
		now := f.Now()
		if now-swept > sweep {
			f.sweep(now)
			swept = now
		}
		f.begin(now)
		f.pulse(now)
		f.mu.Unlock()
	}
}

// Everything below is called with mu held.

// begin begins connections, as many at a time as may be.
func (f *Fleet) begin(now time.Duration) {
	for len(f.later) > 0 && f.later[0].begun <= now {
		f.todo = append(f.todo, f.later[0])
		f.later = f.later[1:]
	}
	for len(f.todo) > 0 && f.fatal == nil && (f.wide || f.opening < f.o.Concurrency) {
		c := f.todo[0]
		f.todo = f.todo[1:]
		if err := f.dial(c, now); err != nil {
			f.fatal = err
			return
		}
		f.opening++
	}
}

func (f *Fleet) dial(c *client, now time.Duration) error {
	var from netip.Addr
	if len(f.o.From) > 0 {
		from = f.o.From[f.dials%len(f.o.From)]
	}
	f.dials++
	fd, err := dial(f.o.Addr, from, c.crew == Sleep)
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", f.o.Addr, err)
	}
	event := unix.EpollEvent{Events: unix.EPOLLOUT, Fd: int32(fd)}
	if err := unix.EpollCtl(f.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return errors.Join(fmt.Errorf("watching a socket: %w", err), unix.Close(fd))
	}
	if fd >= len(f.byFD) {
		f.byFD = append(f.byFD, make([]*client, fd+1-len(f.byFD))...)
	}
	f.byFD[fd] = c
	c.phase, c.fd, c.begun, c.posting, c.waits = dialing, fd, now, false, true
	c.sid, c.rest, c.out = "", nil, nil
	if c.crew != errand {
		c.said = nil
	}
	c.attempt++
	return nil
}

// ready handles what epoll tells about a client's socket.
func (f *Fleet) ready(c *client, events uint32, buf []byte) {
	var err error
	switch {
	case c.phase == dialing:
		if err = connected(c.fd); err != nil {
			err = fmt.Errorf("connecting to %s: %w", f.o.Addr, err)
			break
		}
		c.phase, c.waits = asking, false
		if err = f.watch(c, unix.EPOLLIN); err == nil {
			hello := c.said
			if c.crew != errand {
				hello = f.speaker.hello(nil, c)
			}
			err = f.send(c, hello)
		}
	case c.crew == Sleep && c.phase == ready:
		err = errClosed
	default:
		if events&unix.EPOLLOUT != 0 {
			err = f.flush(c)
		}
		if err == nil && events&^unix.EPOLLOUT != 0 {
			err = f.read(c, buf)
		}
	}
	if err != nil {
		f.fail(c, err)
	}
}

// read reads once; if something is left, epoll tells again.
func (f *Fleet) read(c *client, buf []byte) error {
	n, err := unix.Read(c.fd, buf)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return fmt.Errorf("reading: %w", err)
	case n == 0:
		return io.EOF
	}
	p := buf[:n]
	if len(c.rest) > 0 {
		p = append(c.rest, p...)
	}
	attempt := c.attempt
	var rest []byte
	if c.crew == errand {
		rest, err = hearErrand(p)
	} else {
		rest, err = f.speaker.hear(c, p)
	}
	if c.phase == away || c.attempt != attempt {
		return nil // it has gone in the meantime
	}
	c.rest = nil
	if len(rest) > 0 {
		c.rest = slices.Clone(rest)
	}
	return err
}

// errDone ends an errand.
var errDone = errors.New("done")

func hearErrand(p []byte) (rest []byte, err error) {
	r, _, ok, err := cutResponse(p)
	switch {
	case err != nil || !ok:
		return p, err
	case r.status != 200:
		return nil, r.errorText()
	}
	return nil, errDone
}

func (f *Fleet) watch(c *client, events uint32) error {
	event := unix.EpollEvent{Events: events, Fd: int32(c.fd)}
	if err := unix.EpollCtl(f.epoll, unix.EPOLL_CTL_MOD, c.fd, &event); err != nil {
		return fmt.Errorf("watching a socket: %w", err)
	}
	return nil
}

// maxOut is what a client may have to say that the server does not read, in bytes.
const maxOut = 1 << 20

// send implements [listener].
func (f *Fleet) send(c *client, p []byte) error {
	switch {
	case c.phase == away:
		return nil // it has just gone, and this is the answer to something that came with its last packet
	case c.waits:
		if len(c.out)+len(p) > maxOut {
			return errors.New("the server does not read")
		}
		c.out = append(c.out, p...)
		return nil
	}
	n, err := unix.Write(c.fd, p)
	if n == len(p) {
		return nil
	}
	if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("writing: %w", err)
	}
	c.out, c.waits = append(c.out, p[max(n, 0):]...), true
	return f.watch(c, unix.EPOLLIN|unix.EPOLLOUT)
}

func (f *Fleet) flush(c *client) error {
	n, err := unix.Write(c.fd, c.out)
	if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("writing: %w", err)
	}
	if c.out = c.out[max(n, 0):]; len(c.out) > 0 {
		return nil
	}
	c.out, c.waits = nil, false
	return f.watch(c, unix.EPOLLIN)
}

// leave closes a client's socket.
func (f *Fleet) leave(c *client) {
	f.byFD[c.fd] = nil
	if err := reset(c.fd); err != nil && f.fatal == nil {
		f.fatal = fmt.Errorf("closing a socket: %w", err)
	}
	if c.phase == ready {
		f.counts.Ready--
	} else {
		f.opening--
	}
	c.phase, c.rest, c.out, c.said = away, nil, nil, nil
}

// fail ends a connection because of err.
func (f *Fleet) fail(c *client, err error) {
	was := c.phase
	f.leave(c)
	if c.crew == errand && errors.Is(err, errDone) {
		return
	}
	switch {
	case was < ready:
		f.counts.Failed++
		err = fmt.Errorf("a client could not log in: %w", err)
		c.tries++
		if c.tries == maxTries && !f.returning && c.crew != errand {
			if f.fatal == nil {
				f.fatal = err
			}
			return
		}
	case c.crew == Sleep:
		f.counts.Asleep--
		return
	default:
		f.counts.Lost++
		err = fmt.Errorf("a client lost its connection: %w", err)
		f.forget(c)
		f.turns.give(f, c)
	}
	if len(f.faults) < 3 {
		f.faults = append(f.faults, err)
	}
	if (f.returning || was < ready) && c.crew != errand {
		c.begun = f.Now() + comeAgain
		f.later = append(f.later, c)
	}
}

// sweep ends attempts that take too long.
func (f *Fleet) sweep(now time.Duration) {
	if f.opening == 0 {
		return
	}
	for _, c := range f.byFD {
		if c != nil && c.phase < ready && now-c.begun > f.o.Patience {
			f.fail(c, fmt.Errorf("the server has not answered for %s", f.o.Patience))
		}
	}
}

// pulse sends the heartbeats that are due from us.
func (f *Fleet) pulse(now time.Duration) {
	for len(f.beats) > 0 && f.beats[0].due <= now {
		b := f.beats[0]
		f.beats = f.beats[1:]
		if b.c.phase != ready || b.c.attempt != b.attempt {
			continue
		}
		if err := f.speaker.say(b.c, []byte{'2'}); err != nil {
			f.fail(b.c, err)
			continue
		}
		f.beats = append(f.beats, beat{b.c, b.attempt, now + f.every})
	}
}
