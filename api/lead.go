package api

import "crier/api/schedule"

// Lead is what one of several servers does for all.
type Lead struct {
	Callbacks Callbacks      // nil: there are none
	Schedules *schedule.Book // nil: there are none
}

// leading returns what this server does for all, or what to say if another one does.
func (s *Server) leading() (Lead, *fault) {
	lead, here := s.lead()
	if here {
		return lead, nil
	}
	return Lead{}, &fault{
		code: codeNoLeader, retry: stopRetry,
		detail: "Another server of the cluster sees to timed pushes and callbacks, or is about to: try again.",
	}
}
