package hub

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestEncodedKeepsOneResultPerKey(t *testing.T) {
	type key struct {
		rev  int
		text bool
	}
	const keys, readers = 6, 32
	m := message("m")
	var encoded [keys]atomic.Int64
	var results [readers][keys]any
	var wg sync.WaitGroup
	start := make(chan struct{})
	for r := range readers {
		wg.Go(func() {
			<-start
			for i := range keys {
				k := (i + r) % keys
				results[r][k] = m.Encoded(key{k, k%2 == 0}, func(got *Message) any {
					if got != m {
						t.Error("encode got another message")
					}
					encoded[k].Add(1)
					return &key{rev: k}
				})
			}
		})
	}
	close(start)
	wg.Wait()
	for k := range keys {
		if encoded[k].Load() == 0 {
			t.Errorf("key %d was never encoded", k)
		}
		before := encoded[k].Load()
		again := m.Encoded(key{k, k%2 == 0}, func(*Message) any { encoded[k].Add(1); return nil })
		if encoded[k].Load() != before {
			t.Errorf("key %d was encoded although it was there", k)
		}
		if again.(*key).rev != k {
			t.Errorf("key %d has the result of %d", k, again.(*key).rev)
		}
		for r := range readers {
			if results[r][k] != again {
				t.Errorf("reader %d got a result of its own for key %d", r, k)
			}
		}
	}
	if n := kept(m); n != keys {
		t.Errorf("%d variants kept, want %d", n, keys)
	}
}

// Whoever encodes a variant that another has finished meanwhile throws the own one away.
func TestEncodedFirstToFinishWins(t *testing.T) {
	m := message("m")
	late := m.Encoded("key", func(m *Message) any {
		m.Encoded("other", func(*Message) any { return "other" })
		return m.Encoded("key", func(*Message) any { return "first" }).(string) + " is late"
	})
	if late != "first" || kept(m) != 2 {
		t.Errorf("got %v of %d variants, want the first of 2", late, kept(m))
	}
}

func kept(m *Message) int {
	n := 0
	for v := m.forms.first.Load(); v != nil; v = v.next {
		n++
	}
	return n
}

func TestEncodedKeysDifferByType(t *testing.T) {
	type other int
	m := message("m")
	m.Encoded(1, func(*Message) any { return "int" })
	if got := m.Encoded(other(1), func(*Message) any { return "other" }); got != "other" {
		t.Errorf("a key of another type got %v", got)
	}
}

func TestEncodedReadDoesNotAllocate(t *testing.T) {
	type key byte
	m := message("m")
	encode := func(*Message) any { return "frame" }
	m.Encoded(key(3), encode)
	if n := testing.AllocsPerRun(100, func() { m.Encoded(key(3), encode) }); n != 0 {
		t.Errorf("%v allocations for a result that is there, want 0", n)
	}
}
