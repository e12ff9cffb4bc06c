package fallback

import (
	"cmp"
	"errors"
	"hash/maphash"
	"net/http"
	"strconv"
	"sync"
	"time"

	"crier/io/engineio"
	"crier/io/httpconn"
	"crier/io/wsconn"
)

const (
	// postTimeout is how long the body of one POST may take to arrive.
	postTimeout = 30 * time.Second
	// answerTimeout is how long a client may take to read the answer to a GET.
	answerTimeout = 30 * time.Second
)

var (
	noop     = engineio.Packet{Type: engineio.Noop}
	closing  = engineio.Packet{Type: engineio.Close}
	okAnswer = []byte("ok")
)

// Polling returns the long-polling transport, XHR and JSONP, for
// [engineio.Options.Polling]: the client keeps a GET open, which is answered
// when there is something to send, and sends with POST. Each session queues
// at most queueBytes and queueMessages between two GETs; maxPayload bounds the
// payload of a POST, in bytes: its body, or with JSONP what the form contains,
// which may itself have four times that. Zeros stand for the defaults of
// [engineio.Options]. budget counts what is queued for all, maybe together with others; nil: nothing does.
//
// Specification: v4-current.md and v3.md, "HTTP long-polling".
func Polling(maxPayload int64, queueBytes, queueMessages int, budget *wsconn.Budget) func(*engineio.Session) engineio.RequestTransport {
	limit := &limits{
		payload:  cmp.Or(maxPayload, 1_000_000),
		bytes:    cmp.Or(queueBytes, 1<<20),
		messages: cmp.Or(queueMessages, 1000),
		budget:   budget,
		seed:     maphash.MakeSeed(),
	}
	return func(s *engineio.Session) engineio.RequestTransport {
		return &polling{session: s, max: limit}
	}
}

// limits are the same for all transports.
type limits struct {
	payload         int64 // bytes of a POST
	bytes, messages int   // of the queue
	budget          *wsconn.Budget
	seed            maphash.Seed
}

// polling is the transport of one session.
type polling struct {
	// static
	session *engineio.Session
	max     *limits

	mu     sync.Mutex
	queue  []*engineio.Prepared
	bytes  int               // of queue
	count  int               // packets of queue
	debt   *wsconn.Account   // of bytes; nil until something has waited
	poll   *httpconn.Waiting // the GET that waits
	x      exchange          // of it
	stamp  uint64            // of it
	get    bool              // a GET has come and has no answer yet
	nudged bool              // wake the GET with a noop if there is nothing else
	post   bool              // a POST is being read
	ending bool              // the next answer ends with a close packet
	left   bool              // the client has sent a close packet: it needs none
	moved  bool              // the session goes on elsewhere
	ended  bool
	last   *answer // to the last GET; nil again from the next one on
	polled int32   // calls of Confirm that wait for the last answer to arrive
	queued int32   // those that wait for what is queued
}

func (t *polling) Name() string { return "polling" }

// Send implements [engineio.Transport].
func (t *polling) Send(p *engineio.Prepared) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended || t.ending {
		return engineio.ErrClosed
	}
	if t.count > 0 && (t.bytes+p.Size() > t.max.bytes || t.count+p.Packets() > t.max.messages) {
		return engineio.ErrQueueFull
	}
	t.queue = append(t.queue, p)
	t.bytes += p.Size()
	t.count += p.Packets()
	t.answerLocked()
	t.settleLocked()
	return nil
}

// Queued implements [engineio.Transport].
func (t *polling) Queued() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bytes
}

// settleLocked tells the Budget what waits.
func (t *polling) settleLocked() {
	if t.debt == nil {
		if t.bytes == 0 {
			return
		}
		t.debt = new(wsconn.Account)
	}
	t.max.budget.Charge(t.debt, t, t.bytes)
}

// Evict implements [wsconn.Evictee].
func (t *polling) Evict() {
	t.session.Evict(t)
	t.Abort()
}

// Writable implements [engineio.Transport]: a GET waits.
func (t *polling) Writable() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.poll != nil && len(t.queue) == 0
}

// Nudge implements [engineio.RequestTransport].
func (t *polling) Nudge() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.poll != nil {
		t.nudged = true
		t.answerLocked()
	}
}

// Handover implements [engineio.RequestTransport].
func (t *polling) Handover() (unsent []*engineio.Prepared, unconfirmed int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.post || t.ended {
		return nil, 0, false
	}
	unsent, _ = t.takeLocked(0)
	t.ended, t.moved, t.last = true, true, nil
	t.answerLocked()
	return unsent, int(t.queued), true
}

// Close implements [engineio.Transport]: the client is told by the answer to
// the GET that waits, or to its next one.
func (t *polling) Close() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ending = true
	waiting := t.poll != nil
	t.answerLocked()
	return waiting
}

// Abort implements [engineio.Transport]. A GET that waits is told that the session is over.
func (t *polling) Abort() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended, t.ending, t.last = true, true, nil
	t.queue, t.bytes, t.count = nil, 0, 0
	t.settleLocked()
	t.answerLocked()
}

// takeLocked empties the queue, or takes at most so many packets of it if most
// is not 0; one that consists of more comes alone.
func (t *polling) takeLocked(most int) (queue []*engineio.Prepared, binary bool) {
	n, packets := 0, 0
	for ; n < len(t.queue); n++ {
		p := t.queue[n]
		if packets += p.Packets(); most > 0 && packets > most && n > 0 {
			break
		}
		binary = binary || p.Binary()
		t.bytes -= p.Size()
		t.count -= p.Packets()
	}
	queue, t.queue = t.queue[:n:n], t.queue[n:]
	if len(t.queue) == 0 {
		t.queue = nil // or it would hold on to what has been sent
	}
	t.settleLocked()
	return queue, binary
}

// ServeHTTP implements [engineio.RequestTransport].
func (t *polling) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	switch r.Method {
	case http.MethodGet:
		t.servePoll(w, r, exchangeOf(r))
	case http.MethodPost:
		t.servePost(w, r, exchangeOf(r))
	default:
		h.Set("Allow", "GET, POST, OPTIONS")
		http.Error(w, "a polling session takes GET and POST", http.StatusMethodNotAllowed)
	}
}

// servePoll answers a GET as soon as there is something to send.
func (t *polling) servePoll(w http.ResponseWriter, r *http.Request, x exchange) {
	stamp := t.max.stampOf(r)
	again, confirmed, ok := t.begin(stamp)
	if !ok {
		t.fail(engineio.TransportError)
		engineio.WriteError(w, &engineio.RequestError{
			Code: engineio.BadRequest, Detail: "a second GET while one is waiting, or the session has ended",
		})
		return
	}
	if again != nil {
		if err := again.write(w, x); err != nil {
			t.fail(engineio.TransportError)
		}
		return
	}
	if confirmed > 0 {
		t.session.Arrived(t, confirmed)
	}
	if t.idle() {
		p := httpconn.Park(w, r, t)
		t.wait(p, x, stamp)
		p.Wait()
		return
	}
	t.mu.Lock()
	re := t.replyLocked(x, stamp)
	t.mu.Unlock()
	if err := re.write(w, x); err != nil && !re.last {
		t.fail(engineio.TransportError)
	}
	if re.last {
		t.session.Finished()
	}
}

// idle reports whether there is nothing to send.
func (t *polling) idle() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.queue) == 0 && !t.ending && !t.ended
}

// wait has a GET wait for something to send, which there may be by now.
func (t *polling) wait(p *httpconn.Waiting, x exchange, stamp uint64) {
	t.mu.Lock()
	t.poll, t.x, t.stamp = p, x, stamp
	over := t.ending || t.ended
	if over || len(t.queue) > 0 {
		t.answerLocked()
	}
	t.mu.Unlock()
	if over {
		t.session.Finished()
	}
}

// Gone implements [httpconn.Owner].
func (t *polling) Gone(*httpconn.Waiting) { t.fail(engineio.TransportError) }

// servePost takes the packets of a POST.
func (t *polling) servePost(w http.ResponseWriter, r *http.Request, x exchange) {
	// Before anything is refused: net/http reads the rest of the body after that.
	rc := http.NewResponseController(w)
	if err := rc.SetReadDeadline(time.Now().Add(postTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		t.refusePost(w, r, http.StatusInternalServerError, "the connection cannot be read")
		return
	}
	binary := x.octets(r)
	if binary && t.session.Revision() == engineio.Revision4 {
		t.refusePost(w, r, http.StatusBadRequest, "revision 4 sends binary data as base64 text, not as application/octet-stream")
		return
	}
	if !t.beginPost() {
		t.refusePost(w, r, http.StatusBadRequest, "a second POST while one is being read, or the session has ended")
		return
	}
	defer t.endPost()
	body, err := x.read(w, r, t.max.payload)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, engineio.ErrParse):
		t.misread(w, err)
		return
	case errors.As(err, &tooLarge):
		t.refusePost(w, r, http.StatusRequestEntityTooLarge,
			"the body is larger than "+strconv.FormatInt(t.max.payload, 10)+" bytes (setting `socketio.max_payload`)")
		return
	case err != nil:
		t.refusePost(w, r, http.StatusBadRequest, "the body did not arrive in full")
		return
	}
	closed := false
	err = engineio.ParsePayload(t.session.Revision(), body, binary, func(p engineio.Packet) error {
		if p.Type == engineio.Close {
			t.leave()
		}
		err := t.session.Receive(t, p)
		if errors.Is(err, engineio.ErrClosed) {
			closed = true // by a close packet, or by somebody else: nothing is wrong with the payload
		}
		return err
	})
	if err != nil && !closed {
		t.misread(w, err)
		return
	}
	t.endPost()
	httpconn.Take(w)
	// text/html: some browsers offer text/plain as a download (Node server).
	w.Header().Set("Content-Type", "text/html")
	w.Header().Set("Content-Length", "2")
	if _, err := w.Write(okAnswer); err != nil {
		t.fail(engineio.TransportError)
	}
}

// fail ends the session, unless it has moved, and the transport.
func (t *polling) fail(reason engineio.Reason) {
	t.session.Fail(t, reason)
	t.Abort()
}

// misread answers a POST that brings no payload, and ends the session.
func (t *polling) misread(w http.ResponseWriter, err error) {
	t.fail(engineio.ParseError)
	engineio.WriteError(w, &engineio.RequestError{Code: engineio.BadRequest, Detail: err.Error()})
}

// refusePost answers a POST that breaks the protocol, and ends the session.
func (t *polling) refusePost(w http.ResponseWriter, r *http.Request, status int, why string) {
	t.session.LogRefusal(http.StatusText(status), r.RemoteAddr, errors.New(why))
	t.fail(engineio.TransportError)
	w.Header().Set("Connection", "close")
	http.Error(w, why, status)
}

func (t *polling) beginPost() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.post || t.ended {
		return false
	}
	t.post = true
	return true
}

func (t *polling) endPost() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.post = false
}

func (t *polling) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left = true
}
