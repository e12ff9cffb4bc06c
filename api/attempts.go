package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"crier/io/jobs"
)

// attempts answers GET /v1/webhooks/attempts.
func (s *Server) attempts(w http.ResponseWriter, r *http.Request, who *caller) {
	page, bad := s.page(r, who)
	callbacks, none := s.callbacks()
	if none != nil {
		bad = none
	}
	var before uint64
	if bad == nil {
		before, bad = numberOf(page.Cursor)
	}
	if bad != nil {
		s.refuseV1(w, r, bad)
		return
	}
	answer := attemptList{Attempts: []attempt{}}
	for more := true; more && answer.Next == ""; {
		var tries []jobs.Try
		tries, more = callbacks.Tries(before, maxLimit)
		for _, one := range tries {
			if !strings.HasPrefix(one.Key, page.Prefix) {
				continue
			}
			if len(answer.Attempts) == page.Limit {
				answer.Next = cursorOf(before)
				break
			}
			before = one.Number
			answer.Attempts = append(answer.Attempts, attemptOf(one))
		}
		if answer.Next == "" && len(tries) > 0 {
			before = tries[len(tries)-1].Number
		}
	}
	s.answer(w, r, answer, nil)
}

// attemptOf shows a try to a caller.
func attemptOf(t jobs.Try) attempt {
	var callback struct {
		ID   string `json:"id"`
		Type string `json:"type"`
	}
	a := attempt{
		UID: t.Key, Time: t.Begun.UTC().Truncate(time.Millisecond), Seconds: t.Took.Seconds(), Attempt: t.Attempt, Result: "delivered", Error: t.Error,
	}
	switch {
	case t.Error != "" && t.Last:
		a.Result = "given_up"
	case t.Error != "":
		a.Result = "failed"
	}
	if err := json.Unmarshal(t.Payload, &callback); err == nil { // others are none of ours
		a.Callback, a.Type = callback.ID, callback.Type
	}
	return a
}
