package socketio

import (
	"bytes"
	"time"

	"crier/io/hub"
)

// AckFunc is called once: with what the client answered, or with
// [ErrAckTimeout] or [ErrDisconnected]. Like a function of OnDisconnect it
// must be quick.
type AckFunc func(Args, error)

// Ids of acknowledgements. Clients in Java take no more than 31 bits. Each
// socket counts its own; a [Broadcast] has the same one for all.
const (
	firstRound = 1 << 30
	ownIDs     = firstRound
)

// pendingAck waits for one answer to an event of its own, or for one of the
// answers to what the hub asks many.
type pendingAck struct {
	fn    AckFunc
	timer *time.Timer
	ask   *hub.Ask // nil: fn and timer
}

func (a *pendingAck) done(s *Socket, args Args, err error) {
	switch {
	case a.ask == nil:
		a.fn(args, err)
	case err == nil:
		a.ask.Answer(s, args.list, args.attachments)
	default:
		a.ask.Miss(s)
	}
}

// EmitWithAck sends an event and calls fn when the client has acknowledged it,
// or after timeout, or when it is gone. If EmitWithAck returns an error, which
// is one of [Socket.Emit], fn is not called.
func (s *Socket) EmitWithAck(timeout time.Duration, fn AckFunc, event string, args ...Arg) error {
	m, err := NewMessage(event, args...)
	if err != nil {
		return err
	}
	id, err := s.expectAnswer(timeout, fn)
	if err != nil {
		return err
	}
	err = s.sendEvent(Packet{ID: id, HasID: true}, m, s.client.sayEvent)
	if err != nil && s.takeAck(id) != nil {
		return sendError(err)
	}
	return nil
}

// expectAnswer begins to wait for the acknowledgement with the id that it returns.
func (s *Socket) expectAnswer(timeout time.Duration, fn AckFunc) (id uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.presentLocked() {
		return 0, ErrDisconnected
	}
	acks := s.more().acks
	for acks[uint64(s.nextAck)] != nil {
		s.nextAck = (s.nextAck + 1) % ownIDs
	}
	id = uint64(s.nextAck)
	s.nextAck = (s.nextAck + 1) % ownIDs
	a := &pendingAck{fn: fn}
	a.timer = time.AfterFunc(timeout, func() {
		if a := s.takeAck(id); a != nil {
			s.settle(a, ErrAckTimeout)
		}
	})
	s.addAckLocked(id, a)
	return id, nil
}

// expect begins to wait for the acknowledgement of that id, to what the hub asks, if the hub still does.
func (s *Socket) expect(id uint64, a *pendingAck) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.presentLocked() {
		return ErrDisconnected
	}
	if a.ask.Expect(s) { // before anybody can say that it has left
		s.addAckLocked(id, a)
	}
	return nil
}

func (s *Socket) addAckLocked(id uint64, a *pendingAck) {
	more := s.more()
	if more.acks == nil {
		more.acks = make(map[uint64]*pendingAck)
	}
	more.acks[id] = a
}

// takeAck ends the wait for an acknowledgement; nil if somebody else did.
func (s *Socket) takeAck(id uint64) *pendingAck {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rare == nil {
		return nil
	}
	a := s.rare.acks[id]
	if a == nil {
		return nil
	}
	if a.timer != nil {
		a.timer.Stop()
	}
	delete(s.rare.acks, id)
	s.less()
	return a
}

// settle tells that no acknowledgement came.
func (s *Socket) settle(a *pendingAck, err error) {
	if !s.client.server.guard(func() { a.done(s, Args{}, err) }) {
		s.client.session.Close()
	}
}

// ack handles an acknowledgement.
func (s *Socket) ack(p *Packet, attachments [][]byte) error {
	if !p.HasID {
		return nil
	}
	a := s.takeAck(p.ID)
	if a == nil { // late, repeated, or never asked for
		return nil
	}
	data := p.Data
	if a.ask != nil {
		data = bytes.Clone(data) // it is kept
	}
	list, err := SplitArray(data)
	if err != nil {
		s.settle(a, ErrDisconnected) // as it will be
		return err
	}
	a.done(s, Args{list, attachments}, nil)
	return nil
}
