package wsconn

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// sent is one push as the model sees it.
type sent struct{ left, size, messages int }

// compare checks the counts of q, and that what was written is let go.
func compare(t *testing.T, q *queue, model []sent) {
	t.Helper()
	bytes, kept, messages := 0, 0, 0
	for _, s := range model {
		bytes += s.left
		kept += s.size
		messages += s.messages
	}
	if q.kept() != kept {
		t.Fatalf("%d bytes are kept, want %d", q.kept(), kept)
	}
	if q.bytes != bytes || q.messages != messages || q.empty() != (len(model) == 0) {
		t.Fatalf("%d bytes, %d messages, empty %v; want %d, %d, %v", q.bytes, q.messages, q.empty(), bytes, messages, len(model) == 0)
	}
	for i, it := range q.items[:cap(q.items)] {
		if (i < q.head || i >= len(q.items)) && it.frames != nil {
			t.Fatalf("item %d of %d is out of use and kept", i, len(q.items))
		}
	}
}

// Random use against a plain model: what comes out is what went in, and the
// counts are right at every moment.
func TestQueueAgainstModel(t *testing.T) {
	const capacity = 100
	rnd := rand.New(rand.NewPCG(3, 4))
	q := new(queue)
	var in, out []byte
	var model []sent
	for step := range 20_000 {
		switch n := 1 + rnd.IntN(150); {
		case rnd.IntN(2) == 0:
			frames := bytes.Repeat([]byte{byte(step)}, n)
			in = append(in, frames...)
			q.push(frames, n%3)
			model = append(model, sent{n, n, n % 3})
		case !q.empty():
			p := q.join(make([]byte, 0, capacity))
			if len(p) < min(capacity, q.bytes) || len(p) > max(capacity, len(q.first())) {
				t.Fatalf("joined %d bytes of %d", len(p), q.bytes)
			}
			p = p[:min(n, len(p))]
			out = append(out, p...)
			q.advance(len(p))
			for n := len(p); n > 0; {
				k := min(n, model[0].left)
				n -= k
				model[0].left -= k
				if model[0].left == 0 {
					model = model[1:]
				}
			}
		}
		compare(t, q, model)
	}
	for !q.empty() {
		p := q.join(make([]byte, 0, capacity))
		out = append(out, p...)
		q.advance(len(p))
	}
	if !bytes.Equal(in, out) {
		t.Error("other bytes came out than went in")
	}
}

// What begins within so many bytes stays, whole, and the counts are right.
func TestQueueCut(t *testing.T) {
	for _, tt := range []struct {
		name          string
		written       int // before
		within, items int
		bytes         int
	}{
		{"all but the first", 0, 1, 1, 10},
		{"all but what is left of it", 4, 1, 1, 6},
		{"within the first two", 4, 7, 2, 26},
		{"up to a pong", 4, 26, 2, 26},
		{"with a pong", 4, 27, 3, 31},
		{"nothing", 0, 1000, 4, 65},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := new(queue)
			q.push(make([]byte, 10), 1)
			q.push(make([]byte, 20), 2)
			q.pushPong([]byte("abc")) // 5
			q.push(make([]byte, 30), 3)
			q.advance(tt.written)
			if got := q.cut(tt.within); got != tt.bytes || q.bytes != tt.bytes || len(q.items)-q.head != tt.items || q.hasPong {
				t.Errorf("%d bytes (%d) in %d items, pong %v", got, q.bytes, len(q.items)-q.head, q.hasPong)
			}
			if want := []int{0, 1, 3, 3, 6}[tt.items]; q.messages != want {
				t.Errorf("%d messages, want %d", q.messages, want)
			}
			q.pushPong([]byte("d"))
			q.push([]byte("more"), 1)
			for !q.empty() {
				q.advance(len(q.join(make([]byte, 0, 100))))
			}
			if q.bytes != 0 || q.messages != 0 || q.hasPong {
				t.Errorf("not empty: %+v", q)
			}
		})
	}
}

// A pong keeps its place among the frames, with the newest payload until it is
// being written; from then on there is a next one.
func TestQueuePongs(t *testing.T) {
	q := new(queue)
	q.push([]byte("first,"), 1)
	for i := range 5 {
		q.pushPong(fmt.Append(nil, "old", i))
	}
	q.push([]byte("second,"), 1)
	if got := string(q.join(make([]byte, 0, 8))); got != "first,\x8a\x04" {
		t.Fatalf("joined %q", got)
	}
	q.advance(7) // one byte of the pong is written
	q.pushPong([]byte("new"))
	q.pushPong([]byte("newer"))
	want := "\x04old4second,\x8a\x05newer"
	if got := string(q.join(make([]byte, 0, 100))); got != want {
		t.Errorf("joined %q, want %q", got, want)
	}
	if q.bytes != len(want) || q.messages != 1 {
		t.Errorf("%d bytes, %d messages", q.bytes, q.messages)
	}
	q.advance(len(want))
	if !q.empty() || q.bytes != 0 || q.messages != 0 || q.hasPong {
		t.Errorf("not empty: %+v", q)
	}
}
