package hub

// Run is some messages that connections are given in one piece, one behind the other.
type Run struct {
	messages []*Message
	forms    variants
}

// Taker is a [Conn] that can take several messages in one piece.
type Taker interface {
	Conn
	// DeliverAll is Deliver of each message of r in its turn, all of them or none. It returns false, having done nothing, if
	// they are to be delivered one by one.
	DeliverAll(r *Run) (done bool, err error)
}

// Messages returns what the run has, in order: none of them volatile or asked for. Nobody may modify it.
func (r *Run) Messages() []*Message { return r.messages }

// Encoded is what [Message.Encoded] is, of all messages together.
func (r *Run) Encoded(key any, encode func(*Run) any) any {
	if v := r.forms.find(key); v != nil {
		return v.value
	}
	return r.forms.add(key, encode(r))
}
