package hub

import "sync"

const (
	// mostShrunk is of how many users is remembered that they are given less than a whole portion.
	mostShrunk = 4096
	// leastPart is the smallest part of a portion: 1/2^leastPart. One message is given in any case.
	leastPart = 16
)

// portions says how much of their inboxes users are given at once. A portion is confirmed as a whole: whose connections always break
// off before that would be given the same again and again. So the next one is half of one that was not confirmed, and twice as
// much, up to a whole one, as one that was.
type portions struct {
	mu    sync.Mutex
	parts map[string]uint8 // by the user: 1/2^n of a whole portion; there is no 0
}

// part is how small the user's next portion is: 1/2^n of a whole one.
func (p *portions) part(uid string) uint8 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.parts[uid]
}

// broken says that one of that part was not confirmed. If the user's is another one by now, as after several at once, nothing changes.
func (p *portions) broken(uid string, part uint8) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.parts[uid] != part || part == leastPart {
		return
	}
	if p.parts == nil {
		p.parts = make(map[string]uint8)
	}
	if part == 0 && len(p.parts) == mostShrunk {
		for other := range p.parts { // any: he is found out again
			delete(p.parts, other)
			break
		}
	}
	p.parts[uid] = part + 1
}

// confirmed says that one was.
func (p *portions) confirmed(uid string, part uint8) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case part == 0 || p.parts[uid] != part:
	case part == 1:
		delete(p.parts, uid)
	default:
		p.parts[uid] = part - 1
	}
}
