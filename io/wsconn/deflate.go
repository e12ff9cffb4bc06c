package wsconn

import (
	"sync"

	"github.com/klauspost/compress/flate"
)

// DeflateFrom is how many bytes a message has at least that is compressed, as in the Node server: of less there is little to gain.
const DeflateFrom = 1024

// deflateLevel is the fastest: the next ones take as long again for a twentieth less.
const deflateLevel = flate.BestSpeed

// Deflater compresses messages for connections that have agreed on it (RFC 7692). Each is compressed by itself, so the
// frames that it makes may be shared by all of them. Its methods may be called concurrently.
type Deflater struct {
	presses sync.Pool // *press
	frames  sync.Pool // *[]byte
}

// press compresses one message at a time. It has 800 KB, and is held by nobody who waits.
type press struct {
	z   *flate.Writer
	out []byte // what z writes
}

// Write implements [io.Writer] for the compressor.
func (p *press) Write(b []byte) (int, error) {
	p.out = append(p.out, b...)
	return len(b), nil
}

// Append appends whole frames, as AppendText and AppendBinary make them, to dst: those whose payload has DeflateFrom bytes or more
// compressed, if that makes them smaller, and the others as they are.
func (d *Deflater) Append(dst, frames []byte) []byte {
	for len(frames) > 0 {
		h, n, err := parseHeader(frames)
		if err != nil || n == 0 || h.Length > int64(len(frames)-n) {
			return append(dst, frames...) // no frames: not ours to judge
		}
		end := n + int(h.Length)
		dst = d.append(dst, frames[:end], frames[n:end])
		frames = frames[end:]
	}
	return dst
}

// append appends a frame with that payload.
func (d *Deflater) append(dst, frame, payload []byte) []byte {
	if len(payload) < DeflateFrom {
		return append(dst, frame...)
	}
	p, ok := d.presses.Get().(*press)
	if !ok {
		p = new(press)
	}
	if small := p.press(payload); small != nil {
		dst = append(appendHeader(dst, frame[0]|rsvDeflated<<4, len(small)), small...)
	} else {
		dst = append(dst, frame...)
	}
	if cap(p.out) > keepInflated {
		p.out = nil
	}
	d.presses.Put(p)
	return dst
}

// press returns the compressed form of payload (RFC 7692 §7.2.1), which is valid until the next call; nil if it is not smaller.
func (p *press) press(payload []byte) []byte {
	p.out = p.out[:0]
	if p.z == nil {
		z, err := flate.NewWriter(p, deflateLevel)
		if err != nil { // a level that there is not
			return nil
		}
		p.z = z
	} else {
		p.z.Reset(p)
	}
	if _, err := p.z.Write(payload); err != nil {
		return nil
	}
	if err := p.z.Flush(); err != nil {
		return nil
	}
	small := p.out[:len(p.out)-len("\x00\x00\xff\xff")] // with which every flush ends
	if len(small) >= len(payload) {
		return nil
	}
	return small
}

// Deflater compresses what is sent on the connection. Nil means that the client has not agreed on it.
func (c *Conn) Deflater() *Deflater {
	if !c.deflates {
		return nil
	}
	return c.up.deflater
}

// SendCopy is Send of what may change after it: what is kept is a copy. It compresses, where the client has agreed on that.
func (c *Conn) SendCopy(frames []byte, messages int) error {
	d := c.Deflater()
	if d == nil || len(frames) < DeflateFrom {
		return c.output.SendCopy(frames, messages)
	}
	room, ok := d.frames.Get().(*[]byte)
	if !ok {
		room = new([]byte)
	}
	small := d.Append((*room)[:0], frames)
	err := c.output.SendCopy(small, messages)
	if cap(small) <= keepInflated {
		*room = small
		d.frames.Put(room)
	}
	return err
}
