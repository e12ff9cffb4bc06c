package hub

import "sync"

// maxTurns is how many turns of others the holder of a baton takes before it hands the baton on.
const maxTurns = 64

// baton puts pushes one behind the other, in the order in which they came. Its holder takes the turns of those who wait as
// well, so that they need not be woken for each other, and hands it on after a while. It is no lock: sockets are written by
// who holds it, and mutexes are taken. So nobody asks for it with a mutex of the package held, or within a turn.
type baton struct {
	mu    sync.Mutex
	taken bool
	queue []*turn
}

// turn is what somebody waits for.
type turn struct {
	take func()
	over chan bool // true: it has been taken; false: the baton is here, take it
}

// with calls take while nobody else's turn is taken, on this goroutine or on that of another caller, and waits for its end.
func (b *baton) with(take func()) {
	b.mu.Lock()
	if b.taken {
		t := &turn{take, make(chan bool, 1)}
		b.queue = append(b.queue, t)
		b.mu.Unlock()
		if <-t.over {
			return
		}
	} else {
		b.taken = true
		b.mu.Unlock()
	}
	take()
	for range maxTurns {
		t := b.next()
		if t == nil {
			return
		}
		t.take()
		t.over <- true
	}
	if t := b.next(); t != nil {
		t.over <- false
	}
}

// next returns whose turn it is, or lets the baton lie.
func (b *baton) next() *turn {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		b.taken, b.queue = false, nil
		return nil
	}
	t := b.queue[0]
	b.queue[0] = nil
	b.queue = b.queue[1:]
	return t
}
