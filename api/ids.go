package api

import (
	"context"
	"encoding/json"

	"crier/io/hub"
)

// maxSharedAnswers is how many bytes of acknowledgements other servers are told of with the result of a push.
const maxSharedAnswers = 64 << 10

// IDs know the ids of the pushes of several servers, so that a push is made once, whichever of them it is repeated at.
type IDs interface {
	// Take asks for an id. It fails if they cannot be reached.
	Take(ctx context.Context, scope, id string) (hub.Taken, error)
	// Follow calls done when the push that somebody else makes has been made, or is the caller's to make. done must not wait.
	Follow(scope, id string, done func(hub.Taken, error))
	// Land notes the result of what was taken, nil if the push was not made. It does not wait.
	Land(token string, result []byte)
}

// launchOnce is launch for a push with an id, which may have been made at another server. What is stored is known by its id
// to who stores it. While nobody knows the ids of other servers it is made: then it reaches the clients of this one alone.
func (s *Server) launchOnce(ctx context.Context, who *caller, o *order, land func(outcome, error)) error {
	if s.ids == nil || o.store {
		return s.launch(ctx, who, o, land)
	}
	if err := o.turns.wait(ctx); err != nil {
		return err
	}
	taken, err := s.ids.Take(ctx, who.scope, o.id)
	if err != nil {
		return s.launch(ctx, who, o, land)
	}
	if !pending(&taken) {
		return s.launchTaken(ctx, who, o, &taken, land)
	}
	order, ctx := *o, context.WithoutCancel(ctx)
	order.turns = nil // it has had its turn elsewhere
	s.ids.Follow(who.scope, o.id, func(taken hub.Taken, err error) {
		if err == nil {
			err = s.launchTaken(ctx, who, &order, &taken, land)
		}
		if err != nil {
			land(outcome{}, err)
		}
	})
	return nil
}

// pending tells whether somebody else is making the push.
func pending(t *hub.Taken) bool { return t.Token == "" && t.Result == nil && !t.Made }

// launchTaken makes a push if it is to be made, or lands what came of it.
func (s *Server) launchTaken(ctx context.Context, who *caller, o *order, t *hub.Taken, land func(outcome, error)) error {
	switch {
	case t.Made:
		land(outcome{users: t.Users, connections: t.Connections, partial: true, known: true}, nil)
		return nil
	case t.Token == "":
		result, err := decodeOutcome(t.Result)
		if err == nil {
			land(result, nil)
		}
		return err
	}
	o.claim = t.Token
	err := s.launch(ctx, who, o, func(result outcome, err error) {
		if err != nil {
			s.ids.Land(t.Token, nil)
		} else {
			s.ids.Land(t.Token, encodeOutcome(&result))
		}
		land(result, err)
	})
	if err != nil {
		s.ids.Land(t.Token, nil)
	}
	return err
}

// sharedOutcome is an outcome as other servers read it.
type sharedOutcome struct {
	Users       int          `json:"u"`
	Connections int          `json:"c"`
	Partial     bool         `json:"p,omitempty"`
	Acked       *sharedAcked `json:"a,omitempty"`
}

type sharedAcked struct {
	Users       int             `json:"u"`
	Connections int             `json:"c"`
	Answers     json.RawMessage `json:"l"`
	Truncated   bool            `json:"t,omitempty"`
}

func encodeOutcome(o *outcome) []byte {
	shared := sharedOutcome{Users: o.users, Connections: o.connections, Partial: o.partial}
	if a := o.acked; a != nil {
		shared.Acked = &sharedAcked{a.users, a.connections, a.answers, a.truncated}
		if len(a.answers) > maxSharedAnswers {
			shared.Acked.Answers, shared.Acked.Truncated = json.RawMessage("[]"), true
		}
	}
	text, err := json.Marshal(&shared)
	if err != nil { // the answers are not valid JSON, which they have been checked to be
		return []byte("{}")
	}
	return text
}

// decodeOutcome undoes encodeOutcome. The outcome is that of a push before.
func decodeOutcome(text []byte) (outcome, error) {
	var shared sharedOutcome
	if err := json.Unmarshal(text, &shared); err != nil {
		return outcome{}, err
	}
	o := outcome{users: shared.Users, connections: shared.Connections, partial: shared.Partial, known: true}
	if a := shared.Acked; a != nil {
		o.acked = &acked{users: a.Users, connections: a.Connections, answers: a.Answers, truncated: a.Truncated}
	}
	return o, nil
}
