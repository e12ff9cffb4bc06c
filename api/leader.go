package api

import (
	"context"
	"net/http"
)

// Leader is the server of a cluster that sees to timed pushes and callbacks for all, where that is another one.
type Leader interface {
	// Pass has it answer a call of somebody who may make it, with what that caller may do. After an error, which says why it
	// could not, nothing has been answered.
	Pass(w http.ResponseWriter, r *http.Request, as Introduction) error
}

// Introduction is what one server tells another of who makes a call: what his key may do. The server that he has called has
// seen to it that he has it, and to its rate.
type Introduction struct {
	Rights   Right  `json:"rights"`
	Audience string `json:"audience,omitempty"`
	Scope    []byte `json:"scope,omitempty"`
}

// introduction is for the server that answers instead.
func (c *caller) introduction() Introduction {
	return Introduction{Rights: c.rights, Audience: c.audience, Scope: []byte(c.scope)}
}

// led is a handler of the leader's. Where another server leads, that one is asked; if it cannot be, h says so.
func (s *Server) led(h handler, spends bool) handler {
	return func(w http.ResponseWriter, r *http.Request, who *caller) {
		_, passed := r.Context().Value(introduced{}).(*caller)
		if _, here := s.lead(); here || passed || s.leader == nil {
			h(w, r, who)
			return
		}
		if spends {
			if refused := who.spend(); refused != nil {
				s.refuseV1(w, r, refused.fault())
				return
			}
		}
		if err := s.leader.Pass(w, r, who.introduction()); err != nil {
			s.log.DebugContext(r.Context(), "the call was not passed to the server that leads", "error", err)
			h(w, r, who)
		}
	}
}

// introduced is the key of the caller in the context of a call that another server has passed on.
type introduced struct{}

// ServeIntroduced answers a call that another server has passed on. Whoever calls it vouches for that.
func (s *Server) ServeIntroduced(w http.ResponseWriter, r *http.Request, as Introduction) {
	who := &caller{rights: as.Rights & allRights, audience: as.Audience, scope: string(as.Scope)}
	s.passed.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), introduced{}, who)))
}

// vouched returns who makes a call that another server has passed on.
func vouched(r *http.Request, right Right) (*caller, *problem) {
	who, _ := r.Context().Value(introduced{}).(*caller)
	if who == nil {
		return nil, forbid("This call was not passed on by another server.") // only ServeIntroduced has this handler
	}
	return who, who.may(right)
}
