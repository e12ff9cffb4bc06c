package fallback

// queued is a line, or a stream, that knows how many bytes wait in it. Where the kernel or an HTTP/2 stream takes everything at
// once, nothing does.
type queued interface{ Queued() int }

// Backlog is how many bytes wait for clients to read. It looks at each of them.
func (s *Server) Backlog() int {
	sum := 0
	for _, c := range s.list() {
		if q, knows := c.line.(queued); knows {
			sum += q.Queued()
		}
	}
	return sum
}

// Queued is how many bytes wait for the next GET; [engineio.Server.Backlog] asks for it.
func (t *polling) Queued() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bytes
}

func (l *socket) Queued() int { return l.conn.Queued() }

func (l *events) Queued() int {
	if q, knows := l.out.(queued); knows {
		return q.Queued()
	}
	return 0
}

func (l *comet) Queued() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.box.bytes
}

func (l *sockSession) Queued() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.box.bytes
}
