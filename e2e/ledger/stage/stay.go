package stage

// A Stay is one connection, as far as it is certain that the server had it: from the answer to the login to the sending of
// the last event that was answered. If there was none it is not proven, and nothing is certain: the answer to the login may
// have lain about until the connection was gone already.
type Stay struct {
	From, To Stamp
	Proven   bool
	Out      Stamp // when the browser noticed its end; Never if it did not
}

// Stays are those of one tab. They are made of its lines, in their order.
type Stays struct {
	All  []Stay
	open bool // the last one goes on
}

// Add takes a line into account.
func (s *Stays) Add(line TabLine) {
	switch line.On {
	case TabIn:
		s.All = append(s.All, Stay{From: line.At, To: line.At, Out: Never})
		s.open = true
	case TabGone:
		s.open = false
	}
	if !s.open {
		return
	}
	last := &s.All[len(s.All)-1]
	switch line.On {
	case TabProof:
		if line.Sent >= last.From {
			last.To, last.Proven = line.Sent, true
		}
	case TabOut:
		last.Out, s.open = line.At, false
	}
}

// Since returns when the present connection was logged in; at that time, if there is none.
func (s *Stays) Since(at Stamp) Stamp {
	if !s.open {
		return at
	}
	return s.All[len(s.All)-1].From
}
