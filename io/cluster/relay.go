package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomodule/redigo/redis"

	"crier/io/hub"
)

const (
	// pushPatience is how long a push may wait until Redis has it, and how long one may wait for a Redis that has just been lost.
	pushPatience = 2 * time.Second
	// answerWait is how long is waited for what other nodes say.
	answerWait = time.Second
	// retryWait is how long is waited before a batch is sent again.
	retryWait = 20 * time.Millisecond
	// maxBatchPushes and maxBatchFrames bound what one script is given: so many pushes, and bytes of them, but one in any case.
	maxBatchPushes = 256
	maxBatchFrames = 1 << 20
	// maxQueued and maxQueuedBytes bound the pushes that are on their way.
	maxQueued      = 1 << 16
	maxQueuedBytes = 64 << 20
)

// RelayOptions are the settings of a [Relay].
type RelayOptions struct {
	// Node is this server among the others. Required, not started.
	Node *Node
	// Hub has the connections here. Its recovery, if it has one, is Placed. Required.
	Hub *hub.Hub
	// Disconnect ends connections here; nil: the Hub's.
	Disconnect func(ctx context.Context, a hub.Audience) (int, error)
	// Logger gets what nobody can be told otherwise. Nil: nothing is logged.
	Logger *slog.Logger
}

// Relay pushes to the connections of all nodes. What one goroutine pushes in turn arrives in that order at each connection.
type Relay struct {
	// static
	node       *Node
	hub        *hub.Hub
	disconnect func(ctx context.Context, a hub.Audience) (int, error)
	log        *slog.Logger
	wake       chan struct{} // holds one token when something waits
	stop       chan struct{} // closed by Close
	ended      chan struct{} // closed at the end of run
	closing    sync.Once
	helpers    chan struct{} // a token for each request of another node that is being answered
	helping    sync.WaitGroup
	topics     map[topic]func(body []byte) ([]byte, error) // what answers the others

	batch      uint64    // the number of the last one; of run
	complained time.Time // when the log last said that Redis has refused something; of run
	partial    atomic.Uint64

	mu      sync.Mutex
	closed  bool
	started bool
	over    bool   // run has ended, or will not begin
	number  uint64 // of the last parcel or question
	waiting []*parcel
	bytes   int                // of waiting
	unread  map[uint64]*parcel // what this node's reader has to give to the tracked here, unless somebody else has done so

	waits waits

	// of the goroutine that reads
	replies map[string][]byte // what each node is to be told when all that was read at once has been carried out
}

// parcel is a push on its way.
type parcel struct {
	number uint64
	push   hub.Push
	users  []string // those of the audience, each once, if it is of users alone
	own    hub.Own
	frame  []byte
	since  time.Time
	wait   *wait                     // for what other nodes say; nil if Redis knows it
	most   time.Duration             // for how long
	done   func(r hub.Result)        // called once, without a wait; nil once it has been
	placed func()                    // called once when Redis has it, or does not get it; nil once it has been
	rest   func(at hub.Position) int // gives it to the tracked here, at a position or 0; returns how many took it
}

// NewRelay returns a Relay that is not started yet.
func NewRelay(o RelayOptions) (*Relay, error) {
	if o.Node == nil || o.Hub == nil {
		return nil, errors.New("cluster: Node or Hub is missing in RelayOptions")
	}
	if o.Disconnect == nil {
		o.Disconnect = o.Hub.Disconnect
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Relay{
		node: o.Node, hub: o.Hub, disconnect: o.Disconnect, log: o.Logger,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), ended: make(chan struct{}), helpers: make(chan struct{}, maxHelpers),
		unread: make(map[uint64]*parcel), replies: make(map[string][]byte),
	}
	r.waits.init()
	r.topics = make(map[topic]func([]byte) ([]byte, error))
	r.listTopics()
	o.Node.OnEntry(KindPush, r.receive)
	o.Node.OnEntry(KindDisconnect, r.carryDisconnect)
	o.Node.OnEntry(KindRequest, r.answerRequest)
	o.Node.OnEntry(KindReply, r.hear)
	o.Node.OnRead(r.flush)
	return r, nil
}

// Start begins to push. The node is started by its owner.
func (r *Relay) Start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.started || r.closed {
		return
	}
	r.started = true
	go r.run()
}

// Close ends the pushes that are on their way as if Redis were away, refuses others, and waits until all of them have ended, or ctx.
// It may be called again.
func (r *Relay) Close(ctx context.Context) error {
	r.closing.Do(func() {
		r.mu.Lock()
		r.closed = true
		if !r.started {
			r.over = true
			close(r.ended)
		}
		r.mu.Unlock()
		close(r.stop)
	})
	over := make(chan struct{})
	go func() {
		defer close(over)
		<-r.ended
		r.waits.end()
		r.helping.Wait()
	}()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("ending what is pushed to other servers: %w", ctx.Err())
	}
}

// Partial is how many pushes have not reached all nodes that were meant, or nobody knows.
func (r *Relay) Partial() uint64 { return r.partial.Load() }

// Push implements what [hub.Hub.Push] is in one server: it waits until Redis has the push, or for what other nodes say.
func (r *Relay) Push(ctx context.Context, p hub.Push) (hub.Result, error) {
	got := make(chan hub.Result, 1)
	if err := r.Send(ctx, p, func(result hub.Result) { got <- result }); err != nil {
		return hub.Result{}, err
	}
	select {
	case result := <-got:
		return result, nil
	case <-ctx.Done():
		return hub.Result{}, fmt.Errorf("pushing a message: %w", ctx.Err())
	}
}

// Send pushes to the connections of all nodes. Those here that cannot be recovered have been given the message when it returns; done
// is called once, not before, with what is known when Redis has it and, unless the audience is of users alone, the other nodes have
// said how many they are, or a second is over. It must be quick. Without Redis the connections here get it, and the result is Partial.
// Send fails as [hub.Hub.Push] does, or with ErrBusy; then done is not called.
func (r *Relay) Send(ctx context.Context, p hub.Push, done func(hub.Result)) error {
	one := &parcel{push: p, since: time.Now(), done: done, most: answerWait}
	if err := r.reserve(one); err != nil {
		return fmt.Errorf("pushing a message: %w", err)
	}
	own, err := r.hub.PushOwn(ctx, p)
	if err != nil {
		return err
	}
	one.own = own
	one.rest = func(at hub.Position) int {
		if at == 0 {
			return r.hub.PushRest(p)
		}
		result, err := r.hub.Receive(at, p, hub.Tracked)
		if err != nil { // it has been checked: the hub is closed
			return 0
		}
		return result.Delivered
	}
	one.users = onlyUsers(&p.To)
	if one.users == nil {
		one.wait = r.waits.add(one.number, func(w *wait) { done(w.sum(own.Result)) })
	}
	r.enqueue(one, appendPush(nil, &pushed{Push: p, Count: one.wait != nil}))
	return nil
}

// onlyUsers returns the users of an audience, each once, that has nothing else; and nil if it has.
func onlyUsers(a *hub.Audience) []string {
	if a.All || len(a.Rooms) > 0 || len(a.Connections) > 0 || a.Except != nil {
		return nil
	}
	if len(a.Users) == 1 {
		return a.Users
	}
	seen := make(map[string]struct{}, len(a.Users))
	users := make([]string, 0, len(a.Users))
	for _, uid := range a.Users {
		if _, there := seen[uid]; !there {
			seen[uid] = struct{}{}
			users = append(users, uid)
		}
	}
	return users
}

// reserve gives a parcel its number, if there is room for it.
func (r *Relay) reserve(one *parcel) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return hub.ErrClosed
	case len(r.waiting) >= maxQueued, r.bytes >= maxQueuedBytes:
		return ErrBusy
	}
	r.number++
	one.number = r.number
	return nil
}

// enqueue sends a parcel on its way.
func (r *Relay) enqueue(one *parcel, body []byte) {
	one.frame = appendEntry(make([]byte, 0, 16+len(r.node.Name())+len(body)), KindPush, r.node.Name(), one.number, body)
	if !r.wait(one) {
		r.giveUp([]*parcel{one})
		return
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// wait puts a parcel behind those that wait, unless nobody sends them any more.
func (r *Relay) wait(one *parcel) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return false
	}
	r.bytes += len(one.frame)
	r.waiting = append(r.waiting, one)
	return true
}

// empty tells whether nothing waits. Then nothing will any more.
func (r *Relay) empty() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = len(r.waiting) == 0
	return r.over
}

// take returns the parcels that are to be sent next. What the reader may read of them before Redis has answered is unread from now on.
func (r *Relay) take() []*parcel {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, bytes := 0, 0
	for n < len(r.waiting) && n < maxBatchPushes && (n == 0 || bytes+len(r.waiting[n].frame) <= maxBatchFrames) {
		bytes += len(r.waiting[n].frame)
		n++
	}
	batch := r.waiting[:n:n]
	if r.waiting = r.waiting[n:]; len(r.waiting) == 0 {
		r.waiting = nil
	}
	r.bytes -= bytes
	if r.hub.Recovers() {
		for _, one := range batch {
			r.unread[one.number] = one
		}
	}
	return batch
}

// run sends batch after batch until Close, and then gives up what waits.
func (r *Relay) run() {
	defer close(r.ended)
	for {
		r.relieve()
		batch := r.take()
		if len(batch) > 0 {
			r.send(batch)
			continue
		}
		select {
		case <-r.wake:
		case <-r.stop:
			for !r.empty() { // it has come meanwhile
				r.giveUp(r.take())
			}
			return
		}
	}
}

// relieve gives the tracked here what has been unread for so long that it is too much, as when the streams cannot be read.
func (r *Relay) relieve() {
	r.mu.Lock()
	much := len(r.unread) > maxQueued
	r.mu.Unlock()
	if much {
		r.giveUp(nil)
	}
}

// send has Redis add a batch to the streams, again if nobody knows whether it has, until it has taken too long.
func (r *Relay) send(batch []*parcel) {
	r.batch++
	args := r.batchArguments(batch)
	for {
		reply, err := r.node.Run(context.Background(), relayScript, args...)
		if err == nil {
			err = r.sent(batch, reply)
		}
		if err == nil {
			return
		}
		r.complain(err)
		if !r.again(batch[0].since, err) {
			r.giveUp(batch)
			return
		}
	}
}

// again waits a little, and tells whether a batch may be sent again.
func (r *Relay) again(since time.Time, err error) bool {
	if !errors.Is(err, ErrAway) && !errors.Is(err, ErrFenced) {
		return false
	}
	until := since.Add(pushPatience)
	if status := r.node.Client().Status(); !status.Up {
		if lost := status.Since.Add(pushPatience); lost.Before(until) {
			until = lost
		}
	}
	if !time.Now().Add(retryWait).Before(until) {
		return false
	}
	select {
	case <-time.After(retryWait):
		return true
	case <-r.stop:
		return false
	}
}

// complain logs what Redis says is wrong, once a minute. That it is away the client has said.
func (r *Relay) complain(err error) {
	if errors.Is(err, ErrAway) || errors.Is(err, ErrFenced) || time.Since(r.complained) < awayInterval {
		return
	}
	r.complained = time.Now()
	r.log.Error("Redis refuses what is pushed to other servers: only the clients here get it", "error", err)
}

// giveUp has the tracked here given what Redis does not take, and before that what it has taken and this node has not read yet; so the
// order stays as it is.
func (r *Relay) giveUp(batch []*parcel) {
	r.mu.Lock()
	unread := r.unread
	r.unread = make(map[uint64]*parcel)
	r.mu.Unlock()
	for _, one := range batch {
		unread[one.number] = one
	}
	for _, number := range slices.Sorted(maps.Keys(unread)) {
		unread[number].own.Delivered += unread[number].rest(0)
	}
	for _, one := range batch {
		r.alone(one)
	}
}

// claim returns a parcel that this node has to give to the tracked here, once.
func (r *Relay) claim(number uint64) *parcel {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.unread[number]
	delete(r.unread, number)
	return one
}

// sent reads what relayScript has answered.
func (r *Relay) sent(batch []*parcel, reply any) error {
	values, err := redis.Values(reply, nil)
	if err != nil || len(values) != 2+len(batch) {
		return fmt.Errorf("pushing through Redis: the answer is %v, %w", reply, err)
	}
	at, err := redis.Uint64(values[0], nil)
	if err != nil {
		return fmt.Errorf("pushing through Redis: the answer is %v, %w", reply, err)
	}
	r.node.saw(hub.Position(at))
	nodes, err := redis.Strings(values[1], nil)
	if err != nil {
		return fmt.Errorf("pushing through Redis: the answer is %v, %w", reply, err)
	}
	nodes = r.others(nodes)
	for i, one := range batch {
		one.place()
		if his, is := values[2+i].(int64); is && his == 1 {
			r.leave(one)
			continue
		}
		if one.users == nil {
			one.wait.expect(nodes, one.most)
			continue
		}
		if err := r.sentToUsers(one, values[2+i]); err != nil {
			return err
		}
	}
	return nil
}

// leave leaves a push to who has claimed its id since then: the tracked here get his.
func (r *Relay) leave(one *parcel) {
	r.claim(one.number)
	r.alone(one)
}

// alone says of a push that no other node gets it by us.
func (r *Relay) alone(one *parcel) {
	one.place()
	r.partial.Add(1)
	if one.wait != nil {
		one.wait.expectNobody(one.most)
		return
	}
	result := one.own.Result
	result.Partial = true
	one.finish(result)
}

// others returns the nodes without this one. It changes the list.
func (r *Relay) others(nodes []string) []string {
	return slices.DeleteFunc(nodes, func(name string) bool { return name == r.node.Name() })
}

// sentToUsers reads what relayScript says of one push: the nodes that get it, and, for each user, how many connections
// he has on other ones.
func (r *Relay) sentToUsers(one *parcel, reply any) error {
	pair, err := redis.Values(reply, nil)
	if err != nil || len(pair) != 2 {
		return fmt.Errorf("pushing through Redis: the answer is %v, %w", reply, err)
	}
	nodes, err := redis.Strings(pair[0], nil)
	if err != nil {
		return fmt.Errorf("pushing through Redis: the answer is %v, %w", reply, err)
	}
	counts, err := redis.Ints(pair[1], nil)
	if err != nil || len(counts) != len(one.users) {
		return fmt.Errorf("pushing through Redis: the answer is %v, %w", reply, err)
	}
	if !slices.Contains(nodes, r.node.Name()) {
		r.claim(one.number)
	}
	if one.wait != nil {
		one.wait.expect(r.others(nodes), one.most)
		return nil
	}
	one.finish(r.matched(one.own.Result, one.users, counts))
	return nil
}

// place tells who wants to know that it has a place in the order of the streams, or will have none, unless he has been told.
func (p *parcel) place() {
	if placed := p.placed; placed != nil {
		p.placed = nil
		placed()
	}
}

// finish tells who pushed, unless he has been told.
func (p *parcel) finish(result hub.Result) {
	if done := p.done; done != nil {
		p.done = nil
		done(result)
	}
}

// matched adds to what has been found here how many connections each user has on other nodes.
func (r *Relay) matched(result hub.Result, users []string, elsewhere []int) hub.Result {
	for i, n := range elsewhere {
		if n == 0 {
			continue
		}
		if len(users) == 1 && result.Users == 0 || len(users) > 1 && !r.hub.Online(users[i]) {
			result.Users++
		}
		result.Connections += n
	}
	result.Delivered = result.Connections - result.Dropped
	return result
}

// receive carries out a push: those here that have not been given it get it.
func (r *Relay) receive(e Entry) {
	if e.Origin == r.node.Name() {
		if one := r.claim(e.Number); one != nil {
			one.rest(e.At)
		}
		return
	}
	p, err := parsePush(e.Body)
	if err != nil {
		r.log.Warn("a push of another server is passed over", "node", e.Origin, "error", err)
		return
	}
	if p.Ask > 0 {
		r.receiveAsk(e, p)
		return
	}
	result, err := r.hub.Receive(e.At, p.Push, hub.Everyone)
	if err != nil && !errors.Is(err, hub.ErrClosed) {
		r.log.Warn("a push of another server is passed over", "node", e.Origin, "error", err)
	}
	if p.Count {
		r.replies[e.Origin] = appendReply(r.replies[e.Origin], e.Number, appendResult(nil, &result))
	}
}
