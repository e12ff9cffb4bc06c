package netpoll

// streamBuffer is the size in bytes of the buffer a blocking reader keeps.
const streamBuffer = 2 << 10

// readStream reads by blocking calls, which need a buffer while they wait. It
// is a small one; when a read fills it there is more to come, and the next read
// gets a pooled buffer.
func (c *Conn) readStream(initial []byte) {
	var err error
	if len(initial) > 0 {
		err = c.h.Data(initial)
		initial = nil
	}
	small := make([]byte, streamBuffer)
	for full := false; err == nil; {
		full, err = c.readOnce(small, full)
	}
	c.finish(err)
}

// readOnce reads once, and reports whether the read filled at least the small
// buffer.
func (c *Conn) readOnce(small []byte, pooled bool) (full bool, err error) {
	b := small
	if pooled {
		rd := c.poller.buffer()
		defer c.poller.bufs.Put(rd)
		b = rd.b
	}
	n, rerr := c.net.conn.Read(b)
	if n > 0 {
		if err = c.h.Data(b[:n]); err != nil {
			return false, err
		}
	}
	if rerr != nil {
		return false, c.readError(rerr)
	}
	return n >= len(small), nil
}
