package fallback

import "crier/io/hub"

// joiner is a line that takes several messages in one piece.
type joiner interface {
	form() form
	// sendAll takes so many messages in that form, one behind the other, as send takes one.
	sendAll(pieces []byte, messages int) error
}

// runKey is the key under which a run keeps what is sent of it in a form.
type runKey struct{ form }

// DeliverAll implements [hub.Taker]. Who can come back is given ids of his own.
func (c *Client) DeliverAll(r *hub.Run) (done bool, err error) {
	l, ok := c.line.(joiner)
	if !ok || c.tracked {
		return false, nil
	}
	list := r.Messages()
	pieces, ok := r.Encoded(runKey{l.form()}, func(*hub.Run) any { return c.server.pieceOf(list, l.form()) }).([]byte)
	if !ok { // nobody else has the key
		panic("fallback: foreign value under a key of ours")
	}
	if pieces == nil {
		return false, nil
	}
	return true, c.taken(l.sendAll(pieces, len(list)))
}

// pieceOf returns messages one behind the other; nil if one of them cannot be sent.
func (s *Server) pieceOf(list []*hub.Message, f form) []byte {
	wires := make([]*wire, len(list))
	for i, m := range list {
		if wires[i] = s.wireOf(m); wires[i].err != nil {
			return nil
		}
	}
	return joined(wires, f)
}

// Cork has what is sent from now on leave in one write, if the client is on a WebSocket; see [wsconn.Conn.Cork].
func (c *Client) Cork() {
	if l, ok := c.line.(*socket); ok {
		l.conn.Cork()
	}
}

// Uncork sends what Cork has held back.
func (c *Client) Uncork() {
	if l, ok := c.line.(*socket); ok {
		l.conn.Uncork()
	}
}
