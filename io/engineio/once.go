package engineio

import "bytes"

// SendText is [Session.Send] of the message that [PrepareText] makes of buf, for this session alone: buf is the caller's again when it
// returns. Where the frame can be made in buf and written from there, nothing is allocated.
func (s *Session) SendText(buf []byte, jsonAt int) error { return s.sendOnce(Message, buf, jsonAt) }

// Warm reads what SendText will, and does nothing.
func (s *Session) Warm() {
	if t := &s.first; t.conn != nil && !s.dialect.twice {
		t.conn.Warm()
	}
}

// sendOnce sends the packet whose text is buf[Headroom:], which is JSON from jsonAt on.
func (s *Session) sendOnce(kind PacketType, buf []byte, jsonAt int) error {
	if t := s.own(); t != nil && !s.dialect.twice {
		if s.load() != stateOpen {
			return ErrClosed
		}
		return s.sent(t.sendCopy(frameText(kind, buf)))
	}
	s.mu.Lock()
	err := ErrClosed
	if s.load() == stateOpen {
		if t, ok := s.transport.(*webSocket); ok && !s.dialect.twice {
			err = t.sendCopy(frameText(kind, buf))
		} else {
			err = s.transport.Send(prepareText(kind, bytes.Clone(buf), jsonAt))
		}
	}
	s.mu.Unlock()
	return s.sent(err)
}
