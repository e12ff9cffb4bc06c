package hub

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"
)

const (
	// many is from how many connections on a message to everybody goes by the lane: with fewer it has reached them before
	// another goroutine would have begun.
	many = 64
	// maxInLane and maxLaneBytes bound what is in the lane: who pushes more waits until something has left it.
	maxInLane    = 256
	maxLaneBytes = 1 << 20
	// maxRunBytes is how large the messages are together that a connection is given in one piece.
	maxRunBytes = 64 << 10
)

// beyond is what Member.heard is while nothing in the lane is for the member: the number of a message that there never is.
const beyond = math.MaxUint64

// lane is the way to everybody when they are many. A message is put behind those that are on their way, and a goroutine, the
// carrier, goes through all connections and gives each what it has not been given, in one piece: what has come meanwhile
// costs one write for each connection, not one for each message. So 16 that are pushed back to back cost little more than
// one.
//
// Who is given anything else meanwhile is first given what is in the lane. So everything arrives as if a message had been
// given to everybody when it was put there.
type lane struct {
	all     *everybody // whose mu guards what has no lock of its own; static
	waiting atomic.Pointer[stretch]

	bytes   int           // of the messages in waiting
	carried bool          // the carrier is under way
	room    chan struct{} // closed when something leaves the lane; nil: nobody waits for that

	counts sync.Mutex // guards the tallies of what is in the lane
}

// errand is a message in the lane.
type errand struct {
	// Static.
	push Push
	over chan struct{} // closed when everybody has taken or dropped it; nil: nobody waits for that

	connections int // it is for so many; written before it is in the lane

	// guarded by counts of the lane
	tally tally
	done  bool // it has left the lane: who has left meanwhile, and is being given it still, counts as gone
}

// stretch is what is in the lane at one moment. It does not change.
type stretch struct {
	first uint64 // the number of the first; the others follow
	list  []*errand
	runs  []atomic.Pointer[Run] // that begin with each, made when they are needed
}

func newStretch(first uint64, list []*errand) *stretch {
	return &stretch{first: first, list: list, runs: make([]atomic.Pointer[Run], len(list))}
}

// last returns the number of the last message.
func (s *stretch) last() uint64 { return s.first + uint64(len(s.list)) - 1 }

// run returns the messages from list[i] on that can be given in one piece: that one at least.
func (s *stretch) run(i int) *Run {
	if r := s.runs[i].Load(); r != nil {
		return r
	}
	end := i + 1
	for size := s.list[i].alone(); end < len(s.list); end++ {
		if size += s.list[end].alone(); size > maxRunBytes {
			break
		}
	}
	r := &Run{messages: make([]*Message, 0, end-i)}
	for _, one := range s.list[i:end] {
		r.messages = append(r.messages, one.push.Message)
	}
	if !s.runs[i].CompareAndSwap(nil, r) {
		return s.runs[i].Load() // everybody has to share what is made of it
	}
	return r
}

// alone returns the size of the message, or more than a run may have if it cannot be in one.
func (e *errand) alone() int {
	if m := e.push.Message; !m.Volatile {
		return m.size()
	}
	return maxRunBytes + 1
}

// everyone tells whether the audience is all there are.
func (a *Audience) everyone() bool { return a.All && a.Except == nil }

// pushToMany is the way of a push to everybody, if they are many. It returns false, having done nothing, for any other.
func (h *Hub) pushToMany(p *Push) (r Result, ok bool) {
	if !p.To.everyone() || h.indexes.everybody.size() <= many {
		return Result{}, false
	}
	one := h.send(p, -1)
	r = Result{ID: p.Message.ID, Connections: one.connections, Users: min(int(h.counter.users.Load()), one.connections)}
	t := h.await(one)
	h.account(p, &r, &t)
	return r, true
}

// reach gives the message of p to the members of the list of sc, which its audience was resolved to. Those that can be
// recovered may have been given it before: then they are not on the list.
func (h *Hub) reach(p *Push, sc *scratch) tally {
	m := p.Message
	if len(sc.list) <= many || !p.To.everyone() || sc.part || m.ask != nil || m.place != 0 {
		return h.deliver(sc.list, m)
	}
	return h.await(h.send(p, len(sc.list)))
}

// send puts a push into the lane. It is for so many connections, or for all that there are now if that is negative.
func (h *Hub) send(p *Push, connections int) *errand {
	one := &errand{push: *p, connections: connections}
	if p.Soon {
		one.tally.again = true
	} else {
		one.over = make(chan struct{})
	}
	if h.lane.put(one) && !h.tasks.spawn(h.carry) {
		h.carry()
	}
	return one
}

// await waits until a push has reached everybody, unless the caller does not want to know.
func (h *Hub) await(one *errand) tally {
	if one.over == nil {
		return tally{}
	}
	<-one.over
	return one.tally
}

// put waits for room in the lane, and puts a message there. It reports whether the caller has to see to it that somebody carries.
func (l *lane) put(one *errand) (idle bool) {
	size := one.push.Message.size()
	l.all.mu.Lock()
	defer l.all.mu.Unlock()
	for {
		s := l.waiting.Load()
		if s == nil {
			s = newStretch(l.all.last+1, nil)
		} else if len(s.list) == maxInLane || l.bytes+size > maxLaneBytes {
			l.awaitRoom()
			continue
		}
		if one.connections < 0 {
			one.connections = len(l.all.list)
		}
		list := append(append(make([]*errand, 0, len(s.list)+1), s.list...), one)
		l.waiting.Store(newStretch(s.first, list))
		l.all.last++
		l.bytes += size
		idle = !l.carried
		l.carried = true
		return idle
	}
}

// awaitRoom waits until something has left the lane. Called with mu held, which it lets go of meanwhile.
func (l *lane) awaitRoom() {
	if l.room == nil {
		l.room = make(chan struct{})
	}
	room := l.room
	l.all.mu.Unlock()
	<-room
	l.all.mu.Lock()
}

// carry gives everybody what is in the lane until nothing is left there.
func (h *Hub) carry() {
	runtime.Gosched() // whoever is about to push more does
	for {
		sc := h.newScratch()
		last, ok := h.lane.begin(sc)
		if !ok {
			h.release(sc)
			return
		}
		h.share(len(sc.list), func(from, to int) {
			if s := h.lane.waiting.Load(); s != nil {
				h.lane.bring(s, sc.list[from:to])
			}
		})
		h.release(sc)
		for _, one := range h.lane.end(last) {
			h.arrived(one)
		}
	}
}

// begin puts everybody on the list of sc, and returns the number of the last message that they have to be given; or it lets
// the lane lie if there is none.
func (l *lane) begin(sc *scratch) (last uint64, ok bool) {
	l.all.mu.Lock()
	defer l.all.mu.Unlock()
	s := l.waiting.Load()
	if s == nil {
		l.carried = false
		return 0, false
	}
	sc.list = append(sc.list, l.all.list...)
	return s.last(), true
}

// end takes the messages up to that number, which everybody has been given, out of the lane.
func (l *lane) end(last uint64) (over []*errand) {
	l.all.mu.Lock()
	defer l.all.mu.Unlock()
	s := l.waiting.Load()
	n := int(last - s.first + 1)
	over = s.list[:n]
	for _, one := range over {
		l.bytes -= one.push.Message.size()
	}
	if n == len(s.list) {
		l.waiting.Store(nil)
	} else {
		l.waiting.Store(newStretch(last+1, s.list[n:]))
	}
	if l.room != nil {
		close(l.room)
		l.room = nil
	}
	return over
}

// arrived says that everybody has taken or dropped a message; who has left before is gone.
func (h *Hub) arrived(one *errand) {
	h.lane.counts.Lock()
	t := &one.tally
	t.gone += max(one.connections-t.delivered-t.slow-t.gone-t.failed, 0)
	one.done = true
	h.lane.counts.Unlock()
	if one.over != nil {
		close(one.over)
		return
	}
	var r Result
	h.account(&one.push, &r, t)
}

// bring gives the members what they have not been given of s.
func (l *lane) bring(s *stretch, list []*Member) {
	counts := make([]tally, len(s.list))
	for _, m := range list {
		m.hearing.Lock()
		m.hear(s, counts)
		m.hearing.Unlock()
	}
	l.count(s, counts)
}

// count notes what has been answered to the messages of s, which have not left the lane.
func (l *lane) count(s *stretch, counts []tally) {
	l.counts.Lock()
	defer l.counts.Unlock()
	for i, one := range s.list {
		if !one.done {
			one.tally.add(counts[i])
		}
	}
}

// catchUpWithLane gives the member what is in the lane.
func (m *Member) catchUpWithLane() {
	l := &m.hub.lane
	s := l.waiting.Load()
	if s == nil || m.heard.Load() >= s.last() {
		return
	}
	m.hearing.Lock()
	defer m.hearing.Unlock()
	if counts := make([]tally, len(s.list)); m.hear(s, counts) {
		l.count(s, counts) // the carrier waits for hearing before a message leaves the lane
	}
}

// hear gives the member what it has not been given of s, and reports whether there was something. Called with hearing held.
func (m *Member) hear(s *stretch, counts []tally) bool {
	heard, last := m.heard.Load(), s.last()
	if heard >= last {
		return false
	}
	if !m.hasTurn() { // else it is given all that is pushed in its turn, and this has been, or was pushed before it joined
		m.take(s, int(max(heard+1, s.first)-s.first), counts)
	}
	m.heard.CompareAndSwap(heard, last) // it may be outside now
	return true
}

// take is given list[i:] of s. Called with hearing held.
func (m *Member) take(s *stretch, i int, counts []tally) {
	taker, joins := m.conn.(Taker)
	joins = joins && m.mail() == nil
	for i < len(s.list) {
		r := s.run(i)
		n := len(r.messages)
		if n > 1 && joins {
			if done, err := taker.DeliverAll(r); done {
				for range n {
					counts[i].note(err)
					i++
				}
				continue
			}
		}
		for _, msg := range r.messages {
			counts[i].note(m.hand(msg))
			i++
		}
	}
}
