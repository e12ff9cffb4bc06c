//go:build linux

package load

import (
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Add adds n clients, which begin to connect.
func (f *Fleet) Add(n int, crew Crew) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range n {
		c := &client{id: f.o.First + len(f.clients), crew: crew}
		f.clients = append(f.clients, c)
		f.todo = append(f.todo, c)
	}
	if crew == Churn {
		f.returning = true
	}
}

// Retire has those who come and go stay away.
func (f *Fleet) Retire() { f.dismiss(func(c *client) bool { return c.crew == Churn }) }

// Disband has everybody go, for good.
func (f *Fleet) Disband() { f.dismiss(func(*client) bool { return true }) }

func (f *Fleet) dismiss(who func(*client) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.todo, f.later, f.returning = nil, nil, false
	for _, c := range f.byFD {
		if c != nil && who(c) {
			f.leave(c)
		}
	}
}

// ComeBack has whoever loses its connection from now on come again, all at once and until it is let in.
func (f *Fleet) ComeBack() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wide, f.returning = true, true
}

// Storm breaks all connections and makes them again, all at once.
func (f *Fleet) Storm() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wide, f.returning = true, true
	for _, c := range f.clients {
		if c.phase != away {
			f.leave(c)
			f.todo = append(f.todo, c)
		}
	}
}

// Share splits users 0 to n-1 among senders, whose bodies are form.One with contents of size bytes.
func (f *Fleet) Share(n, senders, size int, form Form) []*Users {
	return share(n, senders, size, form, f.stamp, f.Now)
}

// Broadcasting notes that the next broadcast is about to be sent, and appends its content of size bytes.
func (f *Fleet) Broadcasting(dst []byte, size int) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent++
	now := f.Now()
	if readers := f.counts.Ready - f.counts.Asleep; readers > 0 {
		f.rounds[uint32(f.sent)] = &round{missing: readers, sent: now}
	}
	return f.stamp.Append(dst, now, f.sent, size)
}

// loggedIn implements [listener].
func (f *Fleet) loggedIn(c *client) {
	if c.phase == ready {
		return
	}
	c.phase, c.lost, c.tries = ready, false, 0
	f.opening--
	f.counts.Ready++
	f.counts.Logins++
	now := f.Now()
	record(f.logins, now-c.begun)
	f.lastAt = f.start.Add(now)
	switch {
	case c.crew == Churn:
		f.leave(c)
		f.todo = append(f.todo, c)
	case c.crew == Sleep:
		f.counts.Asleep++
		if err := f.watch(c, unix.EPOLLRDHUP); err != nil {
			f.fatal = err
		}
	case f.every > 0:
		f.beats = append(f.beats, beat{c, c.attempt, now + f.every})
	}
}

// delivered implements [listener].
func (f *Fleet) delivered(c *client, packet []byte) error {
	for {
		sent, seq, rest, ok, err := f.stamp.Next(packet)
		if err != nil || !ok {
			return err
		}
		packet = rest
		now := f.Now()
		switch c.seq.Take(uint32(seq)) {
		case Again:
			f.counts.Again++
			continue
		case Late:
			f.counts.Late++
		case Next:
		}
		f.counts.Deliveries++
		f.lastAt = f.start.Add(now)
		record(f.delays, now-sent)
		if r := f.rounds[uint32(seq)]; r != nil {
			if r.missing--; r.missing == 0 {
				record(f.last, now-r.sent)
				delete(f.rounds, uint32(seq))
			}
		}
	}
}

// forget takes a client that is lost out of what the broadcasts under way wait for.
func (f *Fleet) forget(c *client) {
	c.lost, c.owed = true, f.sent
	for seq, r := range f.rounds {
		if c.seq.Has(seq) {
			continue
		}
		if r.missing--; r.missing == 0 {
			delete(f.rounds, seq)
		}
	}
}

// beat implements [listener].
func (f *Fleet) beat(*client) { f.counts.Beats++ }

// pace implements [listener].
func (f *Fleet) pace(everyMS int) { f.every = time.Duration(everyMS) * time.Millisecond }

// errand implements [listener].
func (f *Fleet) errand(_ *client, request []byte) {
	f.todo = append(f.todo, &client{id: -1, crew: errand, said: request})
}

// turns are events that clients send, in turn.
type turns struct {
	atOnce int // events of one turn; 0: none
	next   int // whose turn it is
}

// Talk has clients send events that are acknowledged, a few at once, until Hush.
func (f *Fleet) Talk(atOnce int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turns = turns{atOnce: atOnce}
	for range min(f.o.Concurrency, len(f.clients)) {
		f.turns.take(f)
	}
}

// Hush ends that; what is under way is still acknowledged. It returns how many events each client has sent.
func (f *Fleet) Hush() (sent func(user int) int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turns.atOnce = 0
	return func(user int) int { return int(f.clients[user].event) }
}

// take lets the next client that is ready and has nothing under way send events.
func (t *turns) take(f *Fleet) {
	if t.atOnce == 0 {
		return
	}
	for range f.clients {
		c := f.clients[t.next%len(f.clients)]
		t.next++
		if c.phase != ready || c.asked > 0 || c.crew != Stay {
			continue
		}
		var frames []byte
		packet := make([]byte, 0, 64)
		for range t.atOnce {
			c.event++
			f.counts.Events++
			packet = strconv.AppendUint(append(packet[:0], "42"...), c.event, 10)
			packet = append(append(append(packet, `["`...), f.o.Login...), `","`...)
			packet = append(appendUID(packet, c.id), `"]`...)
			frames = AppendClientFrame(frames, packet)
		}
		c.asked, c.turn = t.atOnce, f.Now()
		if err := f.send(c, frames); err != nil {
			f.fail(c, err)
		}
		return
	}
}

// give ends the turn of a client, and begins another.
func (t *turns) give(f *Fleet, c *client) {
	if c.asked > 0 {
		c.asked = 0
		t.take(f)
	}
}

// acked implements [listener].
func (f *Fleet) acked(c *client, id uint64) error {
	switch c.seq.Take(uint32(id)) {
	case Again:
		f.counts.Again++
		return nil
	case Late:
		f.counts.Late++
	case Next:
	}
	f.counts.Acks++
	now := f.Now()
	f.lastAt = f.start.Add(now)
	record(f.delays, now-c.turn)
	if c.asked--; c.asked == 0 {
		f.turns.take(f)
	}
	return nil
}
