package socketio

import (
	"context"
	"fmt"
	"time"

	"crier/io/engineio"
	"crier/io/hub"
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

// EmitWithAck sends an event to all sockets that are meant and calls fn once,
// never before it returns: when all have acknowledged it, or have left, or after
// timeout. fn gets the answers so far, in the order of their arrival, and a
// [*MissingError] if there are fewer than sockets. Like a function of
// OnDisconnect it must be quick. If EmitWithAck returns an error, which is one of
// [Broadcast.Emit] or [hub.ErrTooManyAsked], fn is not called.
//
// Connections of other kinds that a hub of the program's own may have get the
// event; their answers are not in the replies.
func (b Broadcast) EmitWithAck(timeout time.Duration, fn func([]Reply, error), event string, args ...Arg) error {
	m, err := NewMessage(event, args...)
	if err != nil {
		return err
	}
	m.Volatile = b.volatile
	_, err = b.namespace.hub.Ask(context.Background(), hub.Push{To: b.audience(), Message: m}, hub.Question{
		Wait: timeout,
		Done: func(a hub.Answers) {
			replies, err := repliesOf(a)
			b.namespace.server.guard(func() { fn(replies, err) })
		},
	})
	return err
}

// repliesOf are the answers of sockets, and what is missing.
func repliesOf(a hub.Answers) (replies []Reply, missing error) {
	for _, one := range a.List {
		if s, ok := one.Member.Conn().(*Socket); ok {
			replies = append(replies, Reply{s, Args{one.Args, one.Attachments}})
		}
	}
	if a.Connections == a.Asked {
		return replies, nil
	}
	cause := ErrDisconnected
	if a.Late {
		cause = ErrAckTimeout
	}
	return replies, &MissingError{Asked: a.Asked, Missing: a.Asked - a.Connections, cause: cause}
}

// question is the wire form of a message that a namespace's clients are to
// acknowledge, all of them with the same id.
type question struct {
	packet  *engineio.Prepared
	id      uint64
	pending *pendingAck
}

// questionKey is the key of it, beside that of the message without a question.
type questionKey struct{ *Namespace }

// ask encodes m, once, as it goes to every socket of the namespace.
func (n *Namespace) ask(m *hub.Message) *question {
	q, ok := m.Encoded(questionKey{n}, func(m *hub.Message) any {
		id := firstRound + uint64(n.rounds.Add(1)%firstRound)
		p := Packet{Type: PacketEvent, Namespace: n.name, ID: id, HasID: true}
		return &question{prepare(p, listOf(m), m.Attachments), id, &pendingAck{ask: m.Ask()}}
	}).(*question)
	if !ok { // the key is this namespace's own
		panic("socketio: foreign value under a namespace's key")
	}
	return q
}

// ask sends m and waits for the answer.
func (s *Socket) ask(m *hub.Message) error {
	if reservedName(m.Event) {
		return ErrReserved
	}
	q := s.namespace.ask(m)
	if s.expect(q.id, q.pending) != nil {
		return hub.ErrGone
	}
	var err error
	if s.tracked() {
		err = s.deliverInOrder(m)
	} else {
		err = s.give(q.packet, m.Volatile)
	}
	if err != nil && s.takeAck(q.id) != nil {
		m.Ask().Miss(s)
	}
	return err
}

// Forget implements [hub.Asker].
func (s *Socket) Forget(m *hub.Message) { s.takeAck(s.namespace.ask(m).id) }
