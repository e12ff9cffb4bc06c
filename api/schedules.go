package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"crier/api/schedule"
	"crier/io/hub"
	"crier/io/rawjson"
)

const (
	// maxScheduleID is how many bytes the id of a schedule may have: the ids of its pushes are longer.
	maxScheduleID = 128
	// nextRuns is how many of a schedule's next runs are shown.
	nextRuns = 5
)

// The answers about schedules, as JSON.
type (
	scheduleState struct {
		ID string `json:"id"`
		schedule.Spec
		Made   time.Time   `json:"made"`
		Runs   int         `json:"runs"`
		Last   time.Time   `json:"last,omitzero"`
		Error  string      `json:"error,omitempty"`
		Paused bool        `json:"paused"`
		Next   []time.Time `json:"next_runs"`
	}
	scheduleList struct {
		Schedules []scheduleState `json:"schedules"`
		Next      string          `json:"next,omitempty"`
	}
)

// PushScheduled makes the push of a schedule: it is a schedule.Push, for calls one after the other. Whoever made the schedule
// was asked for his rights then, and is not again. One whose id is stored already has been made.
func (s *Server) PushScheduled(ctx context.Context, id string, push json.RawMessage) (end func() (retry bool, err error)) {
	var o order
	if bad := s.parse(push, &o); bad != nil { // it was taken with other settings
		return func() (bool, error) { return false, bad }
	}
	o.parcel.message.ID, o.turns = id, &s.scheduled
	f := newFlight()
	nobody := new(caller)
	if s.waits(&o) {
		if err := s.launch(ctx, nobody, &o, f.land); err != nil {
			f.land(outcome{}, err)
		}
	} else {
		f.land(s.hand(ctx, nobody, &o))
	}
	return func() (retry bool, err error) {
		select {
		case <-f.landed:
			err = f.err
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err == nil {
			return false, nil
		}
		bad := s.blame(ctx, err)
		status, _ := bad.code.about()
		return status >= http.StatusInternalServerError, bad
	}
}

// addSchedule answers POST /v1/schedules.
func (s *Server) addSchedule(w http.ResponseWriter, r *http.Request, who *caller) {
	s.makeSchedule(w, r, who, "")
}

// putSchedule answers PUT /v1/schedules/{id}.
func (s *Server) putSchedule(w http.ResponseWriter, r *http.Request, who *caller) {
	id := r.PathValue("id")
	if hub.CheckUID(id) != nil || len(id) > maxScheduleID {
		s.refuseV1(w, r, invalid("id", "has to be 1 to "+strconv.Itoa(maxScheduleID)+" bytes without control characters"))
		return
	}
	s.makeSchedule(w, r, who, id)
}

func (s *Server) makeSchedule(w http.ResponseWriter, r *http.Request, who *caller, id string) {
	book, none := s.book()
	if none != nil {
		s.refuseV1(w, r, none)
		return
	}
	k := s.borrow()
	defer s.giveBack(k)
	var refused *problem
	if k.in, refused = s.readBody(w, r, k.in[:0]); refused == nil {
		refused = who.spend()
	}
	if refused != nil {
		s.refuseV1(w, r, refused.fault())
		return
	}
	spec, bad := s.parseSchedule(r.Context(), k.in, who)
	if bad != nil {
		s.refuseV1(w, r, bad)
		return
	}
	state, err := book.Put(r.Context(), id, spec, nextRuns, s.maySchedule(who))
	s.answerSchedule(w, r, state, err)
}

// listSchedules answers GET /v1/schedules.
func (s *Server) listSchedules(w http.ResponseWriter, r *http.Request, who *caller) {
	page, bad := s.page(r, who)
	book, none := s.book()
	if none != nil {
		bad = none
	}
	if bad != nil {
		s.refuseV1(w, r, bad)
		return
	}
	states, more := book.List(page.Cursor, page.Limit, nextRuns, s.maySchedule(who))
	answer := scheduleList{Schedules: make([]scheduleState, len(states))}
	for i, state := range states {
		answer.Schedules[i] = scheduleState(state)
	}
	if more {
		answer.Next = states[len(states)-1].ID
	}
	s.answer(w, r, answer, nil)
}

// schedule answers GET /v1/schedules/{id}.
func (s *Server) schedule(w http.ResponseWriter, r *http.Request, who *caller) {
	s.onSchedule(w, r, func(b *schedule.Book, id string) (schedule.State, error) {
		return b.Get(id, nextRuns, s.maySchedule(who))
	})
}

// removeSchedule answers DELETE /v1/schedules/{id}.
func (s *Server) removeSchedule(w http.ResponseWriter, r *http.Request, who *caller) {
	s.onSchedule(w, r, func(b *schedule.Book, id string) (schedule.State, error) {
		return b.Remove(r.Context(), id, s.maySchedule(who))
	})
}

// pauseSchedule answers POST /v1/schedules/{id}/pause.
func (s *Server) pauseSchedule(w http.ResponseWriter, r *http.Request, who *caller) {
	s.onSchedule(w, r, func(b *schedule.Book, id string) (schedule.State, error) {
		return b.Pause(r.Context(), id, s.maySchedule(who))
	})
}

// resumeSchedule answers POST /v1/schedules/{id}/resume.
func (s *Server) resumeSchedule(w http.ResponseWriter, r *http.Request, who *caller) {
	s.onSchedule(w, r, func(b *schedule.Book, id string) (schedule.State, error) {
		return b.Resume(r.Context(), id, nextRuns, s.maySchedule(who))
	})
}

// onSchedule answers with what do makes of the schedule that the path names.
func (s *Server) onSchedule(w http.ResponseWriter, r *http.Request, do func(b *schedule.Book, id string) (schedule.State, error)) {
	book, none := s.book()
	if none != nil {
		s.refuseV1(w, r, none)
		return
	}
	state, err := do(book, r.PathValue("id"))
	s.answerSchedule(w, r, state, err)
}

// answerSchedule sends a schedule, or what to say about err.
func (s *Server) answerSchedule(w http.ResponseWriter, r *http.Request, state schedule.State, err error) {
	if err == nil {
		s.answer(w, r, scheduleState(state), nil)
		return
	}
	bad := scheduleFault(err)
	if bad.code == codeInternal || bad.code == codeStoreFailed {
		s.log.LogAttrs(r.Context(), slog.LevelError, "call failed", slog.Any("error", err))
	}
	s.refuseV1(w, r, bad)
}

// maySchedule says whether who may see and change schedules with a push: with one that he may make.
func (s *Server) maySchedule(who *caller) schedule.May {
	return func(push json.RawMessage) bool {
		if who.audience == "" {
			return true
		}
		var o order
		return s.parse(push, &o) == nil && who.reaches(&o.to) == nil
	}
}

// book returns the schedules, or what to say if there are none.
func (s *Server) book() (*schedule.Book, *fault) {
	lead, bad := s.leading()
	if bad == nil && lead.Schedules == nil {
		bad = &fault{code: codeUnsupported, detail: "This server makes no timed pushes."}
	}
	return lead.Schedules, bad
}

// scheduleFault returns what to tell the caller of an error of the schedules.
func scheduleFault(err error) *fault {
	var field *schedule.FieldError
	switch {
	case errors.As(err, &field):
		return invalid(field.Field, field.Want)
	case errors.Is(err, schedule.ErrNotFound):
		return &fault{code: codeNoSchedule, detail: "There is no schedule of that id: it was removed, or has made its last push."}
	case errors.Is(err, schedule.ErrTaken):
		return &fault{code: codeAudienceDenied, detail: "The schedule of that id is outside the audience of the key: choose another id."}
	case errors.Is(err, schedule.ErrFull):
		return &fault{code: codeSchedulesFull, retry: time.Minute, detail: "There are as many schedules as there may be, or as many bytes of them: remove some, or wait until some have ended."}
	case errors.Is(err, hub.ErrAway):
		return pushFault(err)
	case errors.Is(err, schedule.ErrStore):
		return &fault{code: codeStoreFailed, retry: stopRetry, detail: "The schedule could not be stored, and stays as it was: try again. The log has more."}
	case errors.Is(err, schedule.ErrClosed):
		return &fault{code: codeStopping, retry: stopRetry, detail: "The server is stopping: try again."}
	}
	return pushFault(err)
}

// parseSchedule reads a schedule, whose push is checked as if who made it now.
func (s *Server) parseSchedule(ctx context.Context, body []byte, who *caller) (spec schedule.Spec, bad *fault) {
	body = trimSpace(body)
	if !rawjson.Valid(body) {
		return spec, &fault{code: codeBadJSON, detail: "The body has to be one JSON value in UTF-8."}
	}
	if body[0] != '{' {
		return spec, invalid("The body", "has to be an object")
	}
	texts := map[string]*string{
		"at": &spec.At, "delay": &spec.Delay, "every": &spec.Every, "cron": &spec.Cron,
		"timezone": &spec.Timezone, "until": &spec.Until, "late": &spec.Late,
	}
	seen := map[string]bool{}
	for token, value := range members(body) {
		name := string(unquoted(token))
		if seen[name] {
			return spec, invalid(name, "is there twice")
		}
		seen[name] = true
		text, is := texts[name]
		switch {
		case name == "push":
			bad = s.checkScheduled(ctx, value, who)
			spec.Push = value
		case name == "max_runs" && string(value) != "null":
			if spec.MaxRuns, bad = countOf(value); bad != nil {
				return spec, bad
			}
		case name == "max_runs" || is && string(value) == "null":
		case is:
			*text, bad = stringValue(value, name)
		default:
			bad = unknownField("", []byte(name))
		}
		if bad != nil {
			return spec, bad
		}
	}
	if spec.Push == nil {
		return spec, &fault{code: codeMissingField, detail: "push is missing: give it the message, as POST /v1/push takes it."}
	}
	if strings.Join([]string{spec.At, spec.Delay, spec.Every, spec.Cron}, "") == "" {
		return spec, &fault{code: codeMissingField, detail: "at, delay, every or cron is missing: say when."}
	}
	return spec, nil
}

// countOf reads max_runs.
func countOf(value []byte) (int, *fault) {
	n, err := strconv.Atoi(string(value))
	if err != nil || n < 1 {
		return 0, invalid("max_runs", "has to be a number from 1 on")
	}
	return n, nil
}

// checkScheduled checks the push of a schedule.
func (s *Server) checkScheduled(ctx context.Context, push []byte, who *caller) *fault {
	var o order
	if bad := s.parse(push, &o); bad != nil {
		return bad
	}
	if denied := who.reaches(&o.to); denied != nil {
		return denied.fault()
	}
	if s.directory != nil { // it knows what names can be
		if _, err := s.directory.Count(ctx, o.to); err != nil {
			return pushFault(err)
		}
	}
	for field, bit := range map[string]uint32{"id": hasID, "ack": hasAck, "dry_run": hasDryRun} {
		if o.given&bit != 0 {
			return invalid("push."+field, "cannot be there: each push of a schedule has an id of its own, and nobody waits for its result")
		}
	}
	return nil
}
