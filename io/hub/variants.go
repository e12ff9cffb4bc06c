package hub

import "sync/atomic"

// variants are what messages look like to connections, made once for each protocol variant that somebody speaks.
type variants struct {
	first atomic.Pointer[variant] // each is static once it is there
	room  variant                 // for one of them, which saves an object
	taken atomic.Bool             // room is
}

// variant is what there is under one key.
type variant struct {
	key, value any
	next       *variant
}

// find returns the variant for key, or nil. There are a handful at most.
func (s *variants) find(key any) *variant { return s.first.Load().find(key) }

func (v *variant) find(key any) *variant {
	for ; v != nil; v = v.next {
		if v.key == key {
			return v
		}
	}
	return nil
}

// add keeps value under key, unless there is one already, and returns the one that is kept.
func (s *variants) add(key, value any) any {
	made := s.newVariant()
	made.key, made.value = key, value
	for {
		first := s.first.Load()
		if v := first.find(key); v != nil {
			return v.value
		}
		made.next = first
		if s.first.CompareAndSwap(first, made) {
			return made.value
		}
	}
}

// newVariant returns memory for one.
func (s *variants) newVariant() *variant {
	if s.taken.CompareAndSwap(false, true) {
		return &s.room
	}
	return new(variant)
}
