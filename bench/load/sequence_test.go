package load

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestSequence(t *testing.T) {
	for _, c := range []struct {
		name     string
		take     []uint32
		late     int
		again    int
		distinct int
		missing  []span
	}{
		{name: "in order", take: []uint32{1, 2, 3}, distinct: 3},
		{name: "twice", take: []uint32{1, 1, 2, 2, 1}, again: 3, distinct: 2},
		{name: "lost", take: []uint32{1, 4, 9}, distinct: 3, missing: []span{{2, 3}, {5, 8}}},
		{name: "swapped", take: []uint32{2, 1, 3}, late: 1, distinct: 3},
		{name: "late, and twice", take: []uint32{5, 3, 3, 1, 5}, late: 2, again: 2, distinct: 3, missing: []span{{2, 2}, {4, 4}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s Sequence
			late, again := 0, 0
			for _, n := range c.take {
				switch s.Take(n) {
				case Late:
					late++
				case Again:
					again++
				case Next:
				}
			}
			if late != c.late || again != c.again || s.Distinct() != c.distinct || !slices.Equal(s.missing, c.missing) {
				t.Errorf("%d late, %d again, %d distinct, missing %v", late, again, s.Distinct(), s.missing)
			}
		})
	}
}

// Any order with doubles comes to the same set.
func TestSequenceOfAnyOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var s Sequence
		seen := map[uint32]bool{}
		for range rng.IntN(60) {
			n := uint32(1 + rng.IntN(40))
			if again := s.Take(n) == Again; again != seen[n] {
				t.Fatalf("message %d: again %v after %v", n, again, seen)
			}
			seen[n] = true
			for i := uint32(1); i <= 41; i++ {
				if s.Has(i) != seen[i] {
					t.Fatalf("message %d: has %v after %v", i, s.Has(i), seen)
				}
			}
		}
		if s.Distinct() != len(seen) {
			t.Fatalf("%d distinct of %v", s.Distinct(), seen)
		}
	}
}
