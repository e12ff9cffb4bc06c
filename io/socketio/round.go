package socketio

import (
	"fmt"
	"sync"
	"time"

	"crier/io/engineio"
)

// Reply is one client's answer to a [Broadcast.EmitWithAck].
type Reply struct {
	Socket *Socket
	Args   // of its own: they may be kept
}

// MissingError says that not everybody acknowledged a [Broadcast.EmitWithAck].
// It wraps [ErrAckTimeout] if the time was up, else [ErrDisconnected]: those
// missing have left, or the event was volatile and dropped.
type MissingError struct {
	Asked, Missing int
	cause          error
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("socketio: %d of %d clients did not acknowledge: %v", e.Missing, e.Asked, e.cause)
}

func (e *MissingError) Unwrap() error { return e.cause }

// round is a broadcast that waits for acknowledgements.
type round struct {
	// static
	server *Server
	id     uint64
	asked  []*Socket
	fn     func([]Reply, error)

	mu      sync.Mutex
	timer   *time.Timer // nil while the clients are being asked
	open    int         // those who may still answer, and one for the asking
	replies []Reply
	over    bool
}

// EmitWithAck sends an event to all sockets that are meant and calls fn once,
// never before it returns: when all have acknowledged it, or have left, or after
// timeout. fn gets the answers so far, in the order of their arrival, and a
// [*MissingError] if there are fewer than sockets. Like a function of
// OnDisconnect it must be quick. If EmitWithAck returns an error, which is one of
// [Broadcast.Emit], fn is not called.
//
// Only sockets are asked, not the connections of other kinds that a hub of the
// program's own may have.
func (b Broadcast) EmitWithAck(timeout time.Duration, fn func([]Reply, error), event string, args ...Arg) error {
	if reservedName(event) {
		return ErrReserved
	}
	list, attachments, err := join(args)
	if err != nil {
		return err
	}
	sockets, err := b.FetchSockets()
	if err != nil {
		return err
	}
	n := b.namespace
	r := &round{
		server: n.server,
		id:     firstRound + uint64(n.rounds.Add(1)%firstRound),
		asked:  sockets,
		fn:     fn,
		open:   1 + len(sockets),
	}
	p := prepare(Packet{Type: PacketEvent, Namespace: n.name, ID: r.id, HasID: true}, eventList(event, list), attachments)
	pending := &pendingAck{round: r}
	for _, s := range sockets {
		s.ask(pending, p, b.volatile)
	}
	r.start(timeout)
	return nil
}

// ask sends p and waits for the answer. Who cannot be asked has left already.
func (s *Socket) ask(a *pendingAck, p *engineio.Prepared, volatile bool) {
	err := s.expect(a.round.id, a)
	if err != nil {
		a.round.answer(s, Args{}, err)
		return
	}
	sent := true
	if volatile {
		sent, err = s.client.session.SendVolatile(p)
	} else {
		err = s.client.session.Send(p)
	}
	if (err != nil || !sent) && s.takeAck(a.round.id) != nil {
		a.round.answer(s, Args{}, ErrDisconnected)
	}
}

// start begins to count the time. Who has answered already has not ended the round.
func (r *round) start(timeout time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open--; r.open == 0 {
		timeout = 0 // fn is called on a goroutine of its own all the same
	}
	r.timer = time.AfterFunc(timeout, r.timeUp)
}

// answer counts one client's answer, or that none will come.
func (r *round) answer(s *Socket, args Args, err error) {
	r.mu.Lock()
	if r.over {
		r.mu.Unlock()
		return
	}
	if err == nil {
		r.replies = append(r.replies, Reply{s, args})
	}
	r.open--
	last := r.open == 0 // not before start
	r.over = last
	if last {
		r.timer.Stop()
	}
	r.mu.Unlock()
	if last {
		r.finish(ErrDisconnected)
	}
}

func (r *round) timeUp() {
	r.mu.Lock()
	was, open := r.over, r.open
	r.over = true
	r.mu.Unlock()
	if was {
		return
	}
	for _, s := range r.asked {
		s.takeAck(r.id)
	}
	if open == 0 {
		r.finish(ErrDisconnected)
	} else {
		r.finish(ErrAckTimeout)
	}
}

// finish calls fn; cause is why answers are missing, if any are.
func (r *round) finish(cause error) {
	var err error
	if missing := len(r.asked) - len(r.replies); missing > 0 {
		err = &MissingError{Asked: len(r.asked), Missing: missing, cause: cause}
	}
	r.server.guard(func() { r.fn(r.replies, err) })
}
