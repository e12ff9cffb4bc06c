package cluster

import (
	"hash/maphash"
	"slices"
	"strings"
)

// repeated tells whether a frame is a further copy of one that has come already: emitters before 3.0, and those in Python,
// publish a message for several rooms once in the channel of each, and each copy names them all. The first room's counts.
func (f *frame) repeated(where string) bool {
	if len(f.rooms) < 2 {
		return false
	}
	room, ok := strings.CutPrefix(where, f.namespace+"#")
	if !ok {
		return false
	}
	i := slices.Index(f.rooms, strings.TrimSuffix(room, "#"))
	if i < 0 {
		i = slices.Index(f.rooms, room) // the name itself ends with #
	}
	return i > 0
}

// twiceFrames is how many of the latest frames that will come again are remembered.
const twiceFrames = 64

// twice remembers frames that will come again: socket.io-python-emitter, as it was before 0.1.5, publishes each message for
// the oldest servers, without a uid, and right after that in the usual form.
type twice struct {
	seed   maphash.Seed
	latest [twiceFrames]uint64 // hashes of their tails; 0: none
	next   int
}

func newTwice() twice { return twice{seed: maphash.MakeSeed()} }

// again tells whether f was there without a uid just now. That frame is then forgotten, and f is remembered if it is one.
func (t *twice) again(f frame) bool {
	if !f.textFlags {
		return false
	}
	hash := max(1, maphash.Bytes(t.seed, f.tail))
	if f.old {
		t.latest[t.next] = hash
		t.next = (t.next + 1) % twiceFrames
		return false
	}
	i := slices.Index(t.latest[:], hash)
	if i >= 0 {
		t.latest[i] = 0
	}
	return i >= 0
}
