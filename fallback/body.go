package fallback

import (
	"bytes"
	"net/http"
	"slices"
	"sync"
	"time"

	"crier/io/wsconn"
)

const (
	// writeTimeout is how long a client may take to take what is written to it.
	writeTimeout = 30 * time.Second
	// farewellTimeout is the same once the stream is closing.
	farewellTimeout = 5 * time.Second
	// mostLeft is how much may be left of a write under way where a last word is to follow.
	mostLeft = 64 << 10
)

// body is a stream that net/http writes, where it keeps the connection to itself:
// over HTTP/2. The request's own goroutine writes what others queue.
type body struct {
	// static
	w                     http.ResponseWriter
	out                   *http.ResponseController
	left                  <-chan struct{} // closed when the client has gone
	maxBytes, maxMessages int
	ended                 func(error)
	evict                 func(stream)
	budget                *wsconn.Budget
	wake                  chan struct{} // holds a token when there is something to do

	mu       sync.Mutex
	queue    [][]byte
	waiting  load // queue, and what is being written
	writing  load
	debt     wsconn.Account // of waiting
	closing  bool           // no more is taken
	dropped  bool           // nor this, but for a last piece
	inFlight bool           // serve writes
	until    time.Time      // that may take so long
}

// load is how much there is of something.
type load struct{ bytes, messages int }

func newBody(w http.ResponseWriter, r *http.Request, o *Options, ended func(error), evict func(stream)) *body {
	return &body{
		w: w, out: http.NewResponseController(w), left: r.Context().Done(),
		maxBytes: o.QueueBytes, maxMessages: o.QueueMessages,
		ended: ended, evict: evict, budget: o.Budget, wake: make(chan struct{}, 1),
	}
}

// Send implements [stream].
func (b *body) Send(piece []byte, messages int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closing || b.dropped:
		return wsconn.ErrClosed
	case b.waiting.bytes > 0 && (b.waiting.bytes+len(piece) > b.maxBytes || b.waiting.messages+messages > b.maxMessages):
		return wsconn.ErrQueueFull
	}
	b.pushLocked(piece, messages)
	b.wakeUp()
	return nil
}

// pushLocked puts a piece behind the others.
func (b *body) pushLocked(piece []byte, messages int) {
	b.queue = append(b.queue, piece)
	b.waiting.bytes += len(piece)
	b.waiting.messages += messages
	b.settleLocked()
}

// settleLocked tells the budget what waits.
func (b *body) settleLocked() { b.budget.Charge(&b.debt, b, b.waiting.bytes) }

// Evict implements [wsconn.Evictee].
func (b *body) Evict() { b.evict(b) }

// Discard implements [stream]. What is being written has to be waited for, unless that is much or the stream is closing.
func (b *body) Discard() {
	b.mu.Lock()
	b.dropped = true
	ends := b.closing || b.writing.bytes > mostLeft
	if !ends {
		b.dropLocked()
	}
	b.mu.Unlock()
	if ends {
		b.Abort()
	}
}

// dropLocked lets go of the queue.
func (b *body) dropLocked() {
	b.queue, b.waiting = nil, b.writing
	b.settleLocked()
}

// SendCopy implements [stream].
func (b *body) SendCopy(piece []byte, messages int) error {
	return b.Send(bytes.Clone(piece), messages)
}

// Writable implements [stream].
func (b *body) Writable() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting.bytes == 0 && !b.closing
}

// Queued implements [stream].
func (b *body) Queued() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting.bytes
}

// Close implements [stream].
func (b *body) Close(last []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closing {
		b.pushLocked(last, 0)
		b.closing = true
		b.hurryLocked(farewellTimeout)
	}
}

// Abort implements [stream].
func (b *body) Abort() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closing = true
	b.writing = load{} // which ends now
	b.dropLocked()
	b.hurryLocked(0)
}

// hurryLocked bounds a write under way.
func (b *body) hurryLocked(in time.Duration) {
	if b.inFlight {
		b.limit(time.Now().Add(in))
	}
	b.wakeUp()
}

func (b *body) wakeUp() {
	select {
	case b.wake <- struct{}{}:
	default: // it knows
	}
}

// limit sets the time at which a write fails, if the connection can do that.
func (b *body) limit(at time.Time) {
	if err := b.out.SetWriteDeadline(at); err != nil {
		return // then the connection bounds it, or nothing does
	}
}

// serve implements [stream]: it writes until the end.
func (b *body) serve() {
	var err error
	defer func() { b.ended(err) }()
	b.w.WriteHeader(http.StatusOK)
	for {
		piece, last := b.take()
		if err = b.write(piece); err != nil || last {
			b.Abort()
			return
		}
		select {
		case <-b.wake:
		case <-b.left:
			b.Abort()
		}
	}
}

// take returns what is queued, to be written. last says that no more will come.
func (b *body) take() (piece []byte, last bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.writing = b.waiting
	piece = slices.Concat(b.queue...)
	b.queue = nil
	b.inFlight = true
	timeout := writeTimeout
	if b.closing {
		timeout = farewellTimeout
	}
	b.until = time.Now().Add(timeout)
	b.limit(b.until)
	return piece, b.closing
}

// write writes a piece, maybe an empty one, and the headers before the first.
func (b *body) write(piece []byte) error {
	_, err := b.w.Write(piece)
	if err == nil {
		err = b.out.Flush()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inFlight = false
	if err != nil && !b.closing && !time.Now().Before(b.until) { // what the error is depends on the protocol
		err = &wsconn.StalledError{Bytes: b.waiting.bytes}
	}
	b.waiting.bytes -= b.writing.bytes
	b.waiting.messages -= b.writing.messages
	b.writing = load{}
	b.settleLocked()
	b.limit(time.Time{})
	return err
}
