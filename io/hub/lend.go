package hub

// Borrower is what a Conn may be in addition: one that can send a message and keep nothing of it. Then whoever pushes to one
// user needs no new memory for each message, which with the collector's share is a tenth to a fifth of such a push.
type Borrower interface {
	// Borrow is Deliver, but that the message is the caller's again when it returns. ok is false if that cannot be, for this
	// message or at this time; then it has done nothing, and Deliver has to.
	Borrow(m *Message) (ok bool, err error)
}

// lend is give of a message that is for nobody else. It reports whether that is free to be used again.
func (m *Member) lend(msg *Message) (free bool, err error) {
	m.catchUpWithLane()
	if b, ok := m.conn.(Borrower); ok && msg.place == 0 && m.mail() == nil {
		if free, err = b.Borrow(msg); free {
			return true, err
		}
	}
	return false, m.hand(msg)
}
