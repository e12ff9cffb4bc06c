package wsconn

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"slices"

	"github.com/gobwas/ws"
)

// rsvDeflated is the reserved bit, as in [ws.Header], of a message that is compressed (RFC 7692 §6).
const rsvDeflated = 4

// deflateTail is what a sender has taken off (RFC 7692 §7.2.2), and behind it an empty last block, by which a message that ends
// where a block does is told from one that is cut.
const deflateTail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

const (
	// keepInflated is the largest buffer that is kept for the next compressed message.
	keepInflated = 64 << 10
	// firstInflated is the size of the first piece of a message.
	firstInflated = 4 << 10
)

// inflater undoes the compression of one message at a time. It has 40 KB, so connections have none: not even one whose message comes in fragments,
// of which the compressed bytes wait, as many as of any other message.
//
// It reads with compress/flate, not with the package of the [Deflater]: that one, to v1.20.4, goes on with the tables of the message before,
// another client's, where a block has a code of no symbols (TestEmptyCodes).
type inflater struct {
	z    io.ReadCloser // reads from
	from bytes.Reader
	in   []byte
}

func newInflater() *inflater {
	f := new(inflater)
	f.z = flate.NewReader(&f.from)
	return f
}

// takeDeflated takes the bit of a compressed message off h, if it may stand there: on the first frame of a message (§6.1).
func (d *decoder) takeDeflated(h *ws.Header) bool {
	if !d.inflates || h.Rsv&rsvDeflated == 0 || h.OpCode != ws.OpText && h.OpCode != ws.OpBinary {
		return false
	}
	h.Rsv &^= rsvDeflated
	return true
}

// most is how many bytes a message may have on its way. What does not get smaller is a little larger when it has been compressed; how much is
// zlib's bound for its least memory (deflateBound).
func (d *decoder) most(deflated bool) int64 {
	if !deflated {
		return d.max
	}
	return d.max + d.max>>5 + 64
}

// emitInflated is [emit] of a message that has been compressed. The memory of both is another one's when it returns.
func (d *decoder) emitInflated(s sink, op ws.OpCode, deflated []byte) error {
	room, ok := d.inflated.Get().(*[]byte)
	if !ok {
		room = new([]byte)
	}
	f, ok := d.inflaters.Get().(*inflater)
	if !ok {
		f = newInflater()
	}
	payload, err := f.inflate((*room)[:0], deflated, d.max)
	f.from.Reset(nil)
	if cap(f.in) > keepInflated {
		f.in = nil
	}
	d.inflaters.Put(f) // before the message is handled, which may take its time
	if err == nil {
		err = emit(s, op, payload)
	}
	if cap(payload) <= keepInflated {
		*room = payload
		d.inflated.Put(room)
	}
	return err
}

// inflate appends to dst, which is empty, what p is the compressed form of, limit bytes at most. Whatever comes behind a last block is one more series of
// blocks (RFC 7692 §7.2.1: the next block follows).
func (f *inflater) inflate(dst, p []byte, limit int64) ([]byte, error) {
	if len(p) == 0 { // nobody sends it: nothing is a byte of 0 (§7.2.3.6). Taken as ws takes it
		return dst, nil
	}
	f.in = append(append(f.in[:0], p...), deflateTail...)
	f.from.Reset(f.in)
	for f.from.Len() > len(deflateTail) {
		if err := f.z.(flate.Resetter).Reset(&f.from, nil); err != nil {
			return dst, violation(ws.StatusInvalidFramePayloadData, "cannot be inflated")
		}
		var err error
		for err == nil {
			if len(dst) == cap(dst) {
				dst = slices.Grow(dst, int(min(max(int64(len(dst)), firstInflated), limit+1-int64(len(dst)))))
			}
			var n int
			n, err = f.z.Read(dst[len(dst):min(int64(cap(dst)), limit+1)])
			dst = dst[:len(dst)+n]
			if int64(len(dst)) > limit {
				return dst, violation(ws.StatusMessageTooBig, "message too big")
			}
		}
		if !errors.Is(err, io.EOF) {
			return dst, violation(ws.StatusInvalidFramePayloadData, "cannot be inflated")
		}
	}
	return dst, nil
}
