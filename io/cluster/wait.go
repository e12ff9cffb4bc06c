package cluster

import (
	"encoding/binary"
	"sync"
	"time"

	"crier/io/hub"
)

// waits are what this node waits for that other nodes say.
type waits struct {
	mu      sync.Mutex
	open    map[uint64]*wait
	silent  map[string]bool // nodes that did not answer the last time
	closed  bool            // nobody is waited for any more
	pending sync.WaitGroup  // timers
}

// wait is for one push or question. It ends when everybody has answered who is expected to, or its time is up.
type wait struct {
	// static
	waits  *waits
	number uint64
	over   func(*wait) // called once, when nothing changes any more

	// guarded by the mu of waits
	ended    bool
	known    bool            // expected is
	expected map[string]bool // who has not answered
	early    map[string]bool // who has answered before it was known
	passed   bool            // somebody who should answer is not waited for
	own      int             // parts of this node that have not answered
	timer    *time.Timer

	answers []answer // owned by over once it has ended
	partial bool     // likewise: somebody has not answered, or has not got it
}

// answer is what one node said; its body is parsed by who asked.
type answer struct {
	node string
	body []byte
}

func (ws *waits) init() {
	ws.open, ws.silent = make(map[uint64]*wait), make(map[string]bool)
}

// add begins to wait.
func (ws *waits) add(number uint64, over func(*wait)) *wait {
	w := &wait{waits: ws, number: number, over: over}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.open[number] = w
	return w
}

// expect says whose answers are waited for, and for how long at most. Who did not answer the last time is not waited for, until he has.
func (w *wait) expect(nodes []string, most time.Duration) {
	ws := w.waits
	ws.mu.Lock()
	if w.ended || w.known {
		ws.mu.Unlock()
		return
	}
	w.known, w.expected = true, make(map[string]bool, len(nodes))
	for _, name := range nodes {
		switch {
		case w.early[name]:
		case ws.silent[name], ws.closed:
			w.passed = true
		default:
			w.expected[name] = true
		}
	}
	over := w.finishLocked()
	if !over {
		ws.pending.Add(1)
		w.timer = time.AfterFunc(most, func() {
			defer ws.pending.Done()
			w.give(true)
		})
	}
	ws.mu.Unlock()
	if over {
		w.over(w)
	}
}

// expectNobody says that no other node has been asked.
func (w *wait) expectNobody(most time.Duration) {
	w.waits.mu.Lock()
	w.passed = true
	w.waits.mu.Unlock()
	w.expect(nil, most)
}

// finishLocked ends the wait if nobody is waited for. It reports whether it has; then over is to be called.
func (w *wait) finishLocked() bool {
	if w.ended || !w.known || len(w.expected) > 0 || w.own > 0 {
		return false
	}
	w.endLocked()
	w.partial = w.passed
	return true
}

func (w *wait) endLocked() {
	w.ended = true
	delete(w.waits.open, w.number)
	if w.timer != nil && w.timer.Stop() {
		w.waits.pending.Done()
	}
}

// give ends the wait with what has come.
func (w *wait) give(partial bool) {
	ws := w.waits
	ws.mu.Lock()
	if w.ended {
		ws.mu.Unlock()
		return
	}
	for name := range w.expected {
		ws.silent[name] = true
	}
	w.endLocked()
	w.partial = partial
	ws.mu.Unlock()
	w.over(w)
}

// part says that a part of this node will answer, and join that one has.
func (w *wait) part() {
	w.waits.mu.Lock()
	defer w.waits.mu.Unlock()
	w.own++
}

func (w *wait) join(body []byte) {
	w.waits.mu.Lock()
	var over bool
	if !w.ended {
		w.own--
		w.answers = append(w.answers, answer{body: body})
		over = w.finishLocked()
	}
	w.waits.mu.Unlock()
	if over {
		w.over(w)
	}
}

// answer notes what a node has said.
func (ws *waits) answer(node string, number uint64, body []byte) {
	ws.mu.Lock()
	delete(ws.silent, node)
	w := ws.open[number]
	over := false
	if w != nil {
		w.answers = append(w.answers, answer{node, body})
		if w.known {
			delete(w.expected, node)
		} else {
			if w.early == nil {
				w.early = make(map[string]bool)
			}
			w.early[node] = true
		}
		over = w.finishLocked()
	}
	ws.mu.Unlock()
	if over {
		w.over(w)
	}
}

// forget ends a wait that nobody has any more: over is not called.
func (w *wait) forget() {
	w.waits.mu.Lock()
	defer w.waits.mu.Unlock()
	w.ended = true
	delete(w.waits.open, w.number)
}

// end ends everything that is waited for. A wait of which it is not known yet whom it is for ends when that is.
func (ws *waits) end() {
	ws.mu.Lock()
	ws.closed = true
	open := make([]*wait, 0, len(ws.open))
	for _, w := range ws.open {
		if w.known {
			open = append(open, w)
		}
	}
	ws.mu.Unlock()
	for _, w := range open {
		w.give(true)
	}
	ws.pending.Wait()
}

// sum adds what the other nodes have answered to a push to what was found here.
func (w *wait) sum(result hub.Result) hub.Result {
	result.Partial = w.partial
	result.Delivered = result.Connections - result.Dropped // the tracked get it in their turn
	for _, a := range w.answers {
		other, err := parseResult(a.body)
		if err != nil {
			result.Partial = true
			continue
		}
		add(&result, other)
	}
	return result
}

// appendReply appends what an entry of KindReply says to one question: its number, the length of the answer, the answer.
func appendReply(b []byte, number uint64, body []byte) []byte {
	return appendText(binary.AppendUvarint(b, number), body)
}

// hear carries out an entry of KindReply.
func (r *Relay) hear(e Entry) {
	d := decoder{rest: e.Body}
	for len(d.rest) > 0 {
		number, body := d.number(), d.bytes()
		if d.bad {
			r.log.Warn("what another server has answered is passed over", "node", e.Origin)
			return
		}
		r.waits.answer(e.Origin, number, body)
	}
}

// flush tells each node what has gathered for it.
func (r *Relay) flush() {
	for node, body := range r.replies {
		delete(r.replies, node)
		r.reply(node, body)
	}
}

// reply tells a node something, and does not wait. What is lost the node will not wait for long.
func (r *Relay) reply(node string, body []byte) {
	r.node.Go(func(_ any, err error) {
		if err != nil {
			r.log.Debug("another server could not be answered", "node", node, "error", err)
		}
	}, appendScript, "s:"+node, appendEntry(nil, KindReply, r.node.Name(), 0, body))
}

// appendResult appends figures as uvarints.
func appendResult(b []byte, r *hub.Result) []byte {
	for _, n := range []int{r.Users, r.Connections, r.Delivered, r.Slow, r.Gone, r.Failed} {
		b = appendNumber(b, n)
	}
	return b
}

// parseResult undoes appendResult.
func parseResult(b []byte) (hub.Result, error) {
	d := decoder{rest: b}
	r := d.result()
	if d.bad || len(d.rest) > 0 {
		return hub.Result{}, errNotAnswer
	}
	return r, nil
}

func (d *decoder) result() (r hub.Result) {
	for _, n := range []*int{&r.Users, &r.Connections, &r.Delivered, &r.Slow, &r.Gone, &r.Failed} {
		*n = int(d.number())
	}
	r.Dropped = r.Slow + r.Gone + r.Failed
	return r
}
