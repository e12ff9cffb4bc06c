package wsconn

// maxKeptItems is the longest item list that a pooled queue keeps, and maxKeptBytes the largest buffer.
const (
	maxKeptItems = 64
	maxKeptBytes = 4 << 10
)

// item is one Send that waits.
type item struct {
	frames   []byte // shared with other connections: never written to
	messages int
	pong     bool // stands for queue.pong, until it is needed
}

// hold is what a queue waits for while nobody writes it.
type hold uint8

const (
	flowing hold = iota // nothing: a flusher is running
	forNext             // whatever is sent next
	forUncork
)

// queue holds what the kernel has not taken yet. A connection has one only
// while there is such output. It is guarded by its connection's mutex.
type queue struct {
	items    []item
	head     int // index of the first item left
	off      int // bytes of it already written
	bytes    int // bytes left in all items
	messages int // messages in all items
	pong     []byte
	hasPong  bool // an item stands for pong
	hold     hold
	account  Account // of what is kept, once it flows
	held     []byte  // what waits while hold is not flowing; then there are no items
}

// exceeds reports whether so much more would be too much.
func (q *queue) exceeds(o *Options, bytes, messages int) bool {
	return q.bytes+bytes > o.QueueBytes || q.messages+messages > o.QueueMessages
}

// keep appends a copy of frames to what is held.
func (q *queue) keep(frames []byte, messages int) {
	q.held = append(q.held, frames...)
	q.bytes = len(q.held)
	q.messages += messages
}

// push appends frames.
func (q *queue) push(frames []byte, messages int) {
	q.append(item{frames: frames, messages: messages})
	q.bytes += len(frames)
	q.messages += messages
}

// kept returns how many bytes are in memory for what waits: a frame is there as a whole until its last byte is written.
func (q *queue) kept() int { return q.off + q.bytes }

// pushPong puts a pong behind what is queued. While one waits already it only
// takes over the newer payload (RFC 6455 §5.5.3), so a peer that sends pings
// and reads nothing cannot make the queue grow.
func (q *queue) pushPong(payload []byte) {
	q.pong = append(q.pong[:0], payload...)
	if !q.hasPong {
		q.hasPong = true
		q.append(item{pong: true})
	}
}

func (q *queue) append(it item) {
	if q.head > 0 && len(q.items) == cap(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, it)
}

// empty reports whether all was written.
func (q *queue) empty() bool { return q.head == len(q.items) }

// first returns what is left of the first item.
func (q *queue) first() []byte { return q.at(q.head)[q.off:] }

// at returns the frames of item i, which are made now if it stands for a pong.
func (q *queue) at(i int) []byte {
	it := &q.items[i]
	if it.pong {
		it.frames = appendControl(nil, finPong, q.pong)
		it.pong, q.hasPong = false, false
		q.bytes += len(it.frames)
	}
	return it.frames
}

// join returns the next bytes to write: those of several items, copied to buf
// as far as its capacity goes, or the first item itself when there is nothing
// to gain from a copy.
func (q *queue) join(buf []byte) []byte {
	first := q.first()
	if q.head+1 == len(q.items) || len(first) >= cap(buf) {
		return first
	}
	buf = append(buf[:0], first...)
	for i := q.head + 1; i < len(q.items) && len(buf) < cap(buf); i++ {
		f := q.at(i)
		buf = append(buf, f[:min(len(f), cap(buf)-len(buf))]...)
	}
	return buf
}

// advance drops n bytes that were written.
func (q *queue) advance(n int) {
	q.bytes -= n
	q.off += n
	for !q.empty() {
		it := &q.items[q.head]
		if it.pong || q.off < len(it.frames) {
			return
		}
		q.off -= len(it.frames)
		q.messages -= it.messages
		*it = item{}
		q.head++
	}
}

// cut drops everything but the items that begin within the first n bytes, and returns how much is left.
func (q *queue) cut(n int) int {
	end := q.head
	for left := -q.off; end < len(q.items) && left < n; end++ {
		left += len(q.at(end))
	}
	for i := end; i < len(q.items); i++ {
		it := &q.items[i]
		q.bytes -= len(it.frames)
		q.messages -= it.messages
		q.hasPong = q.hasPong && !it.pong
	}
	clear(q.items[end:])
	q.items = q.items[:end]
	return q.bytes
}

// reset makes an empty queue fit for the pool, and reports whether it is worth
// keeping.
func (q *queue) reset() bool {
	q.items, q.head, q.off = q.items[:0], 0, 0
	q.bytes, q.messages, q.hasPong, q.hold, q.held = 0, 0, false, flowing, q.held[:0]
	return cap(q.items) <= maxKeptItems && cap(q.held) <= maxKeptBytes
}
