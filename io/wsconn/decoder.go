package wsconn

import (
	"sync"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// partial is what is known of a message or frame cut by the end of a read. A
// connection has one only while something is incomplete.
type partial struct {
	// early holds bytes that came with the handshake, until Start.
	early []byte

	// A header cut short.
	head  [ws.MaxHeaderSize]byte
	nhead int

	// The frame whose payload is arriving.
	inFrame bool
	hdr     ws.Header
	got     int64 // payload bytes of it that have arrived

	// The data message that is arriving, and a control frame within it.
	op       ws.OpCode // OpContinuation (0): none
	deflated bool      // it is compressed
	msg      []byte    // unmasked, all fragments so far
	nctl     int
	ctl      [ws.MaxControlFramePayloadSize]byte
}

// sink takes what a decoder has completed: a data message or a control frame,
// unmasked. The payload is valid only during the call. An error stops decoding.
type sink interface {
	complete(op ws.OpCode, payload []byte) error
}

// decoder turns the bytes of clients into messages (RFC 6455 §5). It is shared
// by all connections and keeps nothing about any of them. The messages do not
// depend on how the bytes are split.
type decoder struct {
	max  int64     // bytes in a message
	keep int       // bytes of the largest message buffer that a pooled partial keeps
	pool sync.Pool // *partial

	inflates  bool      // messages may be compressed (RFC 7692)
	inflaters sync.Pool // *inflater
	inflated  sync.Pool // *[]byte for what comes out
}

// feed decodes p, which it overwrites, given the state in *st, which is nil
// when the last feed ended between two messages. Its errors are those of the
// sink, and *CloseError for what breaks the protocol.
func (d *decoder) feed(st **partial, p []byte, s sink) error {
	for len(p) > 0 {
		in := *st
		if in == nil {
			if n := short(p, d.max); n > 0 {
				if err := emitShort(s, p[:n]); err != nil {
					return err
				}
				p = p[n:]
				continue
			}
		}
		if in != nil && in.inFrame {
			n, err := d.payload(st, p, s)
			if err != nil {
				return err
			}
			p = p[n:]
			continue
		}
		h, n, ok, err := d.header(st, p)
		if err != nil {
			return err
		}
		p = p[n:]
		if !ok {
			return nil
		}
		n, err = d.begin(st, h, p, s)
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// header reads a header from the start of p, of which it uses n bytes. When
// the header is not complete, what there is of it is kept and ok is false.
func (d *decoder) header(st **partial, p []byte) (h ws.Header, n int, ok bool, err error) {
	in := *st
	if in == nil || in.nhead == 0 {
		h, n, err = parseHeader(p)
		if err != nil {
			return h, n, false, violation(ws.StatusProtocolError, err.Error())
		}
		if n > 0 {
			return h, n, true, nil
		}
		in = d.partial(st)
		in.nhead = copy(in.head[:], p)
		return h, len(p), false, nil
	}
	had := in.nhead
	have := had + copy(in.head[had:], p)
	h, n, err = parseHeader(in.head[:have])
	if err != nil {
		return h, n, false, violation(ws.StatusProtocolError, err.Error())
	}
	if n == 0 {
		in.nhead = have
		return h, len(p), false, nil
	}
	in.nhead = 0
	return h, n - had, true, nil
}

// begin checks the header of a frame whose payload starts at p, and takes from
// p what belongs to it: n bytes.
func (d *decoder) begin(st **partial, h ws.Header, p []byte, s sink) (n int, err error) {
	in := *st
	deflated := h.Rsv != 0 && d.takeDeflated(&h)
	if err := d.check(in, h, deflated); err != nil {
		return 0, err
	}
	alone := h.OpCode.IsControl() || h.Fin && h.OpCode != ws.OpContinuation
	if alone && h.Length <= int64(len(p)) {
		n = int(h.Length)
		ws.Cipher(p[:n], h.Mask, 0)
		if in != nil && in.op == 0 {
			d.release(st) // it held a cut header only
		}
		if deflated {
			return n, d.emitInflated(s, h.OpCode, p[:n])
		}
		return n, emit(s, h.OpCode, p[:n])
	}
	in = d.partial(st)
	in.inFrame, in.hdr, in.got, in.nctl = true, h, 0, 0
	if h.OpCode == ws.OpText || h.OpCode == ws.OpBinary {
		in.op, in.deflated = h.OpCode, deflated
	}
	return d.payload(st, p, s)
}

// check applies the rules for a header (RFC 6455 §5.1 to §5.5) and the limit,
// before anything is allocated for the payload.
func (d *decoder) check(in *partial, h ws.Header, deflated bool) error {
	state, have := ws.StateServerSide, int64(0)
	if in != nil && in.op != 0 {
		state = state.Set(ws.StateFragmented)
		have = int64(len(in.msg))
		deflated = in.deflated
	}
	if err := ws.CheckHeader(h, state); err != nil {
		return violation(ws.StatusProtocolError, err.Error())
	}
	if h.OpCode.IsData() && h.Length > d.most(deflated)-have {
		return violation(ws.StatusMessageTooBig, "message too big")
	}
	return nil
}

// payload takes bytes of the frame in progress from p, n of them.
func (d *decoder) payload(st **partial, p []byte, s sink) (n int, err error) {
	in := *st
	n = int(min(in.hdr.Length-in.got, int64(len(p))))
	ws.Cipher(p[:n], in.hdr.Mask, int(in.got&3))
	if in.hdr.OpCode.IsControl() {
		in.nctl += copy(in.ctl[in.nctl:], p[:n])
	} else {
		in.grow(n, d.most(in.deflated))
		in.msg = append(in.msg, p[:n]...)
	}
	in.got += int64(n)
	if in.got < in.hdr.Length {
		return n, nil
	}
	in.inFrame = false
	switch {
	case in.hdr.OpCode.IsControl():
		err = emit(s, in.hdr.OpCode, in.ctl[:in.nctl])
	case in.hdr.Fin && in.deflated:
		err = d.emitInflated(s, in.op, in.msg)
		in.op, in.deflated = 0, false
	case in.hdr.Fin:
		err = emit(s, in.op, in.msg)
		in.op = 0
	}
	if in.op == 0 {
		d.release(st)
	}
	return n, err
}

// grow makes room for n more bytes of the message. A buffer at most doubles,
// and never exceeds what the last frame announces.
func (in *partial) grow(n int, limit int64) {
	need := len(in.msg) + n
	if need <= cap(in.msg) {
		return
	}
	if in.hdr.Fin {
		limit = int64(len(in.msg)) + in.hdr.Length - in.got
	}
	size := min(max(int64(2*cap(in.msg)), int64(need), 64), max(limit, int64(need)))
	msg := make([]byte, len(in.msg), size)
	copy(msg, in.msg)
	in.msg = msg
}

// emit gives a complete message or control frame to s.
func emit(s sink, op ws.OpCode, payload []byte) error {
	if op == ws.OpText && !utf8.Valid(payload) {
		return violation(ws.StatusInvalidFramePayloadData, "text is not UTF-8")
	}
	return s.complete(op, payload)
}

// partial returns *st, after making one if there is none.
func (d *decoder) partial(st **partial) *partial {
	if *st == nil {
		in, ok := d.pool.Get().(*partial)
		if !ok {
			in = new(partial)
		}
		*st = in
	}
	return *st
}

// release gives *st back, if there is one.
func (d *decoder) release(st **partial) {
	in := *st
	if in == nil {
		return
	}
	*st = nil
	msg := in.msg[:0]
	if cap(msg) > d.keep {
		msg = nil
	}
	in.early, in.nhead, in.inFrame, in.op, in.deflated, in.msg = nil, 0, false, 0, false, msg
	d.pool.Put(in)
}
