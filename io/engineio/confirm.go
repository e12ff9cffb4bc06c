package engineio

import (
	"encoding/binary"

	"crier/io/wsconn"
)

// Confirm tells when the client has got everything that was sent before: arrived(true) says that it has reached the client,
// not that the client has done anything with it; arrived(false), that the session ended before that was known. It is called
// once, with no lock held, from the goroutine that reads, possibly before Confirm returns. If that is known earlier, taken
// says first that what was sent has left the queue and the network: there is room for more. taken may be nil.
//
// What it goes by depends on the transport. On a WebSocket, the client's answer to a ping that follows what was sent (revision
// 4). Where clients answer no pings (revision 3), the pong of the WebSocket protocol, which their platform sends, is when it
// was taken, and the next packet of the client's is when it arrived: its own ping, at the latest. With polling, the next GET;
// and the upgrade, for what was polled before.
func (s *Session) Confirm(taken func(), arrived func(ok bool)) {
	s.mu.Lock()
	if s.load() != stateOpen {
		s.mu.Unlock()
		arrived(false)
		return
	}
	if t, ok := s.transport.(RequestTransport); ok && t.Confirm() {
		s.mu.Unlock()
		arrived(true)
		return
	}
	c := &s.moreLocked().confirms
	c.waiting = append(c.waiting, waiter{taken, arrived})
	var err error
	if ws, ok := s.transport.(*webSocket); ok {
		err = ws.send(s.pingsLocked(1), 0)
	}
	s.mu.Unlock()
	if err != nil {
		s.sendFailed(err)
	}
}

// Arrived is for transports of requests: what the first n calls of Confirm wait for has reached the client.
func (s *Session) Arrived(t Transport, n int) {
	s.mu.Lock()
	if s.transport != t || s.rare == nil {
		s.mu.Unlock()
		return
	}
	list := s.confirmedLocked(n)
	s.mu.Unlock()
	tell(list, true)
}

// Overflow ends the session as if its queue had been full.
func (s *Session) Overflow() { s.sendFailed(ErrQueueFull) }

// waiter is one call of Confirm.
type waiter struct {
	taken   func() // nil once it was called
	arrived func(ok bool)
}

// confirms are the calls of Confirm that wait, in their order.
type confirms struct {
	waiting []waiter
	pinged  int    // how many of them a ping is out for, on a WebSocket
	before  int    // revision 4: how many pings were out when that of the heartbeat was sent, and are still
	first   uint32 // revision 3: the number of the first of waiting
	ponged  int    // revision 3: how many of them have been answered by a pong
}

// pingsLocked returns frames that the client, or its platform, answers: for each of the next n waiters.
func (s *Session) pingsLocked(n int) []byte {
	var frames []byte
	c := &s.rare.confirms
	for range n {
		if s.rev == Revision4 {
			frames = append(frames, s.server.ping.frames(s.rev, s.dialect)...)
		} else {
			frames = wsconn.AppendPing(frames, binary.BigEndian.AppendUint32(nil, c.first+uint32(c.pinged)))
		}
		c.pinged++
	}
	return frames
}

// pongLocked takes a pong of revision 4. It reports whether it answers the heartbeat, and returns whom it confirms otherwise:
// clients answer in order.
func (s *Session) pongLocked() (heartbeat bool, confirmed []waiter) {
	if s.rare == nil {
		return true, nil
	}
	c := &s.rare.confirms
	if c.pinged == 0 || s.awaiting && c.before == 0 {
		return true, nil
	}
	c.before = max(c.before-1, 0)
	return false, s.confirmedLocked(1)
}

// heartbeatLocked notes that the ping of the heartbeat is sent now.
func (s *Session) heartbeatLocked() {
	s.awaiting = true
	if s.rare != nil {
		s.rare.confirms.before = s.rare.confirms.pinged
	}
}

// ponged takes a pong of the WebSocket protocol, which answers the ping with that payload and those before.
func (s *Session) ponged(t *webSocket, payload []byte) {
	s.mu.Lock()
	if s.transport != t || s.rev != Revision3 || s.rare == nil || len(payload) != 4 {
		s.mu.Unlock()
		return
	}
	c := &s.rare.confirms
	n := binary.BigEndian.Uint32(payload) - c.first
	var taken []func()
	for uint32(c.ponged) <= n && n < uint32(c.pinged) {
		w := &c.waiting[c.ponged]
		c.ponged++
		if w.taken != nil {
			taken = append(taken, w.taken)
			w.taken = nil
		}
	}
	s.mu.Unlock()
	for _, fn := range taken {
		fn()
	}
}

// confirmedLocked takes the first n waiters off the list.
func (s *Session) confirmedLocked(n int) []waiter {
	c := &s.rare.confirms
	n = min(n, len(c.waiting))
	list := c.waiting[:n:n]
	c.waiting = c.waiting[n:]
	c.pinged = max(c.pinged-n, 0)
	c.ponged = max(c.ponged-n, 0)
	c.first += uint32(n)
	s.lessLocked()
	return list
}

// loseLocked takes all waiters off the list, which nothing can confirm any more. They are told from a goroutine of its own,
// as [Session.tellLater] does.
func (s *Session) loseLocked() {
	if s.rare == nil || len(s.rare.confirms.waiting) == 0 {
		return
	}
	list := s.rare.confirms.waiting
	s.rare.confirms = confirms{}
	s.lessLocked()
	s.server.spawn(func() { tell(list, false) })
}

func tell(list []waiter, arrived bool) {
	for _, w := range list {
		w.arrived(arrived)
	}
}
