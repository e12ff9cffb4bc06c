package cluster

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"sync"
	"time"

	"crier/io/hub"
)

const (
	// emittedWait is how long the leader has to put into the common stream what emitters have published.
	emittedWait = 2 * time.Second
	// emittedMemory is how long it is known of something that it was given without that, or came by the stream before it was heard.
	emittedMemory = 10 * time.Second
	// maxEmitted bounds what is remembered of what emitters publish.
	maxEmitted = 10_000
)

// sum tells messages of emitters apart; the same one has the same sum on every node.
type sum [8]byte

// EmittedOptions are the settings of [Emitted].
type EmittedOptions struct {
	// Node is this server, not started. Required.
	Node *Node
	// Hub has the connections. Required.
	Hub *hub.Hub
	// Sockets are what else emitters want of them. Required.
	Sockets Sockets
	// Leader says which node leads. Required.
	Leader *Leader
	// Logger gets what is wrong. Nil: nothing is logged.
	Logger *slog.Logger
}

// Emitted are the [Sockets] of a node. What emitters publish, every node hears; it has no position. So it is given at once to the
// connections here that cannot be recovered, and to the others when it comes by the common stream, into which the node puts it that
// leads. If it does not come there in time, as when no node leads, they are given it all the same, and cannot be recovered any more.
type Emitted struct {
	Sockets

	// static
	node    *Node
	hub     *hub.Hub
	leader  *Leader
	log     *slog.Logger
	wake    chan struct{} // holds one token when there is something to wait for
	stop    chan struct{} // closed by Close
	ended   chan struct{} // closed at the end of run
	closing sync.Once

	mu    sync.Mutex
	heard []*emitted // and not come by the stream yet, the oldest first
	early []*emitted // the other way round
}

// emitted is a message of an emitter.
type emitted struct {
	sum   sum
	at    time.Time
	push  hub.Push
	given bool // without a position
}

// NewEmitted returns Emitted, whose Close is to be called in the end.
func NewEmitted(o EmittedOptions) (*Emitted, error) {
	if o.Node == nil || o.Hub == nil || o.Sockets == nil || o.Leader == nil {
		return nil, errors.New("cluster: Node, Hub, Sockets or Leader is missing in EmittedOptions")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	e := &Emitted{
		Sockets: o.Sockets, node: o.Node, hub: o.Hub, leader: o.Leader, log: o.Logger,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), ended: make(chan struct{}),
	}
	o.Node.OnEntry(KindEmitted, e.receive)
	go e.run()
	return e, nil
}

// Close gives up what waits. It may be called again.
func (e *Emitted) Close() {
	e.closing.Do(func() { close(e.stop) })
	<-e.ended
}

// Push implements [Sockets].
func (e *Emitted) Push(ctx context.Context, p hub.Push) (hub.Result, error) {
	if !e.hub.Recovers() || p.Message.Volatile { // nobody comes back for it
		return e.hub.Push(ctx, p)
	}
	one := &emitted{sum: sumOf(&p), at: time.Now(), push: p}
	own, err := e.hub.PushOwn(ctx, p)
	if err != nil {
		return own.Result, err
	}
	e.hear(one)
	if t := e.leader.current(); t.Lasts() {
		body := appendPush(one.sum[:], &pushed{Push: p})
		frame := appendEntry(nil, KindEmitted, e.node.Name(), 0, body)
		e.node.Go(func(any, error) {}, emittedScript, t.token, frame) // what does not arrive is not waited for for long
	}
	return own.Result, nil
}

// sumOf is called before the message has an id, which is another one on each node.
func sumOf(p *hub.Push) (s sum) {
	full := sha256.Sum256(appendPush(nil, &pushed{Push: *p}))
	copy(s[:], full[:])
	return s
}

var emittedScript = termScript("emitted", `append('all', ARGV[5])`)

// hear notes what has been heard, unless it has come by the stream already.
func (e *Emitted) hear(one *emitted) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if pick(&e.early, one.sum) != nil {
		return
	}
	e.heard = append(e.heard, one)
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// pick takes the first one with this sum from a list.
func pick(list *[]*emitted, s sum) *emitted {
	for i, one := range *list {
		if one.sum == s {
			*list = append((*list)[:i:i], (*list)[i+1:]...)
			return one
		}
	}
	return nil
}

// receive carries out what the leader has put into the stream.
func (e *Emitted) receive(entry Entry) {
	var s sum
	if copy(s[:], entry.Body) < len(s) {
		return
	}
	p, err := parsePush(entry.Body[len(s):])
	if err != nil {
		e.log.Warn("a message of an emitter is passed over", "node", entry.Origin, "error", err)
		return
	}
	if e.settle(s) {
		return
	}
	if _, err := e.hub.Receive(entry.At, p.Push, hub.Tracked); err != nil && !errors.Is(err, hub.ErrClosed) {
		e.log.Warn("a message of an emitter is passed over", "node", entry.Origin, "error", err)
	}
}

// settle says that something has come by the stream. It reports whether it has been given already.
func (e *Emitted) settle(s sum) (given bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if one := pick(&e.heard, s); one != nil {
		return one.given
	}
	if len(e.early) < maxEmitted {
		e.early = append(e.early, &emitted{sum: s, at: time.Now()})
	}
	return false
}

// run gives what does not come by the stream.
func (e *Emitted) run() {
	defer close(e.ended)
	for {
		next := e.due(time.Now())
		var timer <-chan time.Time
		if next > 0 {
			timer = time.After(next)
		}
		select {
		case <-e.stop:
			return
		case <-e.wake:
		case <-timer:
		}
	}
}

// due gives what has waited for long enough, forgets what is long ago, and returns when there is something to do next; 0 for never.
func (e *Emitted) due(now time.Time) (next time.Duration) {
	var give []*emitted
	e.mu.Lock()
	e.heard, e.early = recent(e.heard, now), recent(e.early, now)
	for i, one := range e.heard {
		if !one.given && (now.Sub(one.at) >= emittedWait || len(e.heard)-i > maxEmitted) {
			one.given = true
			give = append(give, one)
		}
	}
	if len(e.heard)+len(e.early) > 0 {
		next = emittedWait / 4
	}
	e.mu.Unlock()
	for _, one := range give {
		e.hub.PushRest(one.push)
	}
	return next
}

// recent is a list without what is long ago.
func recent(list []*emitted, now time.Time) []*emitted {
	for len(list) > 0 && now.Sub(list[0].at) >= emittedMemory {
		list = list[1:]
	}
	if len(list) == 0 {
		return nil
	}
	return list
}
