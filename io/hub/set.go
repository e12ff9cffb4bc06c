package hub

import "slices"

// From indexFrom members on a set keeps an index beside its list; at indexUntil it lets go of it. Below, a scan is faster
// and costs no memory.
const (
	indexFrom  = 64
	indexUntil = 32
)

// memberSet holds distinct members: a list that is quick to copy and, only for many, an index that makes removal O(1).
// Guarded by the lock of the shard it belongs to.
type memberSet struct {
	list  []*Member
	index map[*Member]int
}

// add appends m, which must not be in the set.
func (s *memberSet) add(m *Member) {
	s.list = append(s.list, m)
	switch {
	case s.index != nil:
		s.index[m] = len(s.list) - 1
	case len(s.list) >= indexFrom:
		s.index = make(map[*Member]int, 2*indexFrom)
		for i, member := range s.list {
			s.index[member] = i
		}
	}
}

// remove takes m out and tells whether it was there. The last member takes its place.
func (s *memberSet) remove(m *Member) bool {
	i := s.find(m)
	if i < 0 {
		return false
	}
	last := len(s.list) - 1
	moved := s.list[last]
	s.list[i] = moved
	s.list[last] = nil
	s.list = shrink(s.list[:last])
	if s.index != nil {
		s.index[moved] = i
		delete(s.index, m)
		if last <= indexUntil {
			s.index = nil
		}
	}
	return true
}

func (s *memberSet) find(m *Member) int {
	if s.index == nil {
		return slices.Index(s.list, m)
	}
	if i, ok := s.index[m]; ok {
		return i
	}
	return -1
}

// shrink gives memory back when three quarters of a large list are unused.
func shrink(list []*Member) []*Member {
	if cap(list) < indexFrom || len(list) > cap(list)/4 {
		return list
	}
	return append(make([]*Member, 0, cap(list)/2), list...)
}
