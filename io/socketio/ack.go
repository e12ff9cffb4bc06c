package socketio

import (
	"errors"
	"time"
)

// Errors of an acknowledgement that did not come.
var (
	ErrAckTimeout   = errors.New("socketio: the client did not acknowledge in time")
	ErrDisconnected = errors.New("socketio: the client is not in the namespace (any more)")
)

// AckFunc is called once: with what the client answered, or with
// [ErrAckTimeout] or [ErrDisconnected]. Like a function of OnDisconnect it
// must be quick.
type AckFunc func(Args, error)

type pendingAck struct {
	fn    AckFunc
	timer *time.Timer
}

// EmitWithAck sends an event and calls fn when the client has acknowledged it,
// or after timeout, or when it is gone. If EmitWithAck returns an error, which
// is one of [Socket.Emit], fn is not called.
func (s *Socket) EmitWithAck(timeout time.Duration, fn AckFunc, event string, args ...Arg) error {
	if reservedName(event) {
		return ErrReserved
	}
	list, attachments, err := join(args)
	if err != nil {
		return err
	}
	id, err := s.expectAck(timeout, fn)
	if err != nil {
		return err
	}
	p := Packet{Type: PacketEvent, ID: uint64(id), HasID: true}
	if err := s.send(p, eventList(event, list), attachments); err != nil && s.takeAck(uint64(id)) != nil {
		return err
	}
	return nil
}

func (s *Socket) expectAck(timeout time.Duration, fn AckFunc) (id uint32, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.present() {
		return 0, ErrDisconnected
	}
	id = s.nextAck
	s.nextAck++
	if s.acks == nil {
		s.acks = make(map[uint64]*pendingAck)
	}
	s.acks[uint64(id)] = &pendingAck{fn: fn, timer: time.AfterFunc(timeout, func() {
		if a := s.takeAck(uint64(id)); a != nil {
			s.settle(a, ErrAckTimeout)
		}
	})}
	return id, nil
}

// takeAck ends the wait for an acknowledgement; nil if somebody else did.
func (s *Socket) takeAck(id uint64) *pendingAck {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.acks[id]
	if a == nil {
		return nil
	}
	a.timer.Stop()
	delete(s.acks, id)
	if len(s.acks) == 0 {
		s.acks = nil
	}
	return a
}

// settle tells that no acknowledgement came.
func (s *Socket) settle(a *pendingAck, err error) {
	if !s.client.server.guard(func() { a.fn(Args{}, err) }) {
		s.client.session.Close()
	}
}

// ack handles an acknowledgement.
func (s *Socket) ack(p Packet, attachments [][]byte) error {
	list, err := SplitArray(p.Data)
	if err != nil || !p.HasID {
		return err
	}
	if a := s.takeAck(p.ID); a != nil { // else late, repeated, or never asked for
		a.fn(Args{list, attachments}, nil)
	}
	return nil
}
