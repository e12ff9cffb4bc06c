package hub

import (
	"math/rand/v2"
	"testing"
)

func TestMemberSetAgainstModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var s memberSet
	model := make(map[*Member]bool)
	var pool [300]*Member
	for i := range pool {
		pool[i] = &Member{conn: &fakeConn{id: "c"}}
	}
	sawIndex, sawNone := false, false
	for step := range 20_000 {
		// The set grows and shrinks by turns, past both thresholds.
		m := pool[rnd.IntN(len(pool))]
		grow := step/2000%2 == 0
		switch {
		case !model[m] && (grow || rnd.IntN(16) == 0):
			s.add(m)
			model[m] = true
		case model[m] && (!grow || rnd.IntN(16) == 0):
			if !s.remove(m) {
				t.Fatal("remove did not find a member")
			}
			delete(model, m)
		case !model[m]:
			if s.remove(m) {
				t.Fatal("remove found a stranger")
			}
		}
		if len(s.list) != len(model) {
			t.Fatalf("step %d: %d members, want %d", step, len(s.list), len(model))
		}
		if s.index != nil {
			sawIndex = true
		} else if step > 4000 {
			sawNone = true
		}
		if step%97 == 0 {
			checkSet(t, "set", &s, func(m *Member) bool { return model[m] })
		}
	}
	if !sawIndex || !sawNone {
		t.Errorf("index seen: %v, none seen again: %v; want both", sawIndex, sawNone)
	}
}

func TestMemberSetGivesMemoryBack(t *testing.T) {
	var s memberSet
	members := make([]*Member, 5000)
	for i := range members {
		members[i] = &Member{}
		s.add(members[i])
	}
	for _, m := range members[1:] {
		s.remove(m)
	}
	if len(s.list) != 1 || s.list[0] != members[0] || cap(s.list) > indexFrom || s.index != nil {
		t.Errorf("len %d, cap %d, index %v after all but one left", len(s.list), cap(s.list), s.index)
	}
}
