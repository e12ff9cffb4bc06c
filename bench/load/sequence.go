package load

import "slices"

// Arrival is what a message turns out to be by its number.
type Arrival uint8

// What a message can be.
const (
	Next  Arrival = iota // later than all before it; what is between them is missing, for now
	Late                 // one that was missing: it is out of order
	Again                // one that has come before
)

// Sequence tells which messages of one sender to one client have come. Its zero value is for numbers that
// begin with 1.
type Sequence struct {
	last    uint32
	missing []span // before last, in order
}

type span struct{ from, to uint32 } // both included

// Take notes message n.
func (s *Sequence) Take(n uint32) Arrival {
	if n > s.last {
		if n > s.last+1 {
			s.missing = append(s.missing, span{s.last + 1, n - 1})
		}
		s.last = n
		return Next
	}
	i, found := slices.BinarySearchFunc(s.missing, n, func(m span, n uint32) int {
		switch {
		case m.to < n:
			return -1
		case m.from > n:
			return 1
		}
		return 0
	})
	if !found {
		return Again
	}
	m := s.missing[i]
	var left []span // of m
	if m.from < n {
		left = append(left, span{m.from, n - 1})
	}
	if n < m.to {
		left = append(left, span{n + 1, m.to})
	}
	s.missing = slices.Replace(s.missing, i, i+1, left...)
	return Late
}

// Has reports whether message n has come.
func (s *Sequence) Has(n uint32) bool {
	return n <= s.last && !slices.ContainsFunc(s.missing, func(m span) bool { return m.from <= n && n <= m.to })
}

// Distinct is how many different messages have come.
func (s *Sequence) Distinct() int {
	n := int(s.last)
	for _, m := range s.missing {
		n -= int(m.to-m.from) + 1
	}
	return n
}
