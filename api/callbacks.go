package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"crier/io/hub"
	"crier/io/jobs"
	"crier/io/rawjson"
)

// Callbacks are those to the business server. *webhook.Sender has them.
type Callbacks interface {
	// Stats counts them; a job of it is a callback.
	Stats() jobs.Stats
	// Dead returns up to limit callbacks that were given up, those with a greater ID than after, by ID, and whether there
	// are more. The Key of each is the uid, the Payload the callback as JSON, with a member "id".
	Dead(after uint64, limit int) (dead []jobs.Job, more bool, err error)
	// Replay sends some of them again and returns how many there were. It fails, for all, with jobs.ErrFull or
	// jobs.ErrClosed, or because they cannot be stored.
	Replay(ids ...uint64) (int, error)
	// Tries returns the latest tries, the newest first: up to limit of those whose Number is less than before, or all if that
	// is 0; and whether there are more.
	Tries(before uint64, limit int) (tries []jobs.Try, more bool)
}

// The answers about callbacks, as JSON.
type (
	deadList struct {
		Dead []deadLetter `json:"dead"`
		Next string       `json:"next,omitempty"`
	}
	deadLetter struct {
		ID       string          `json:"id"`
		Callback json.RawMessage `json:"callback"`
		Attempts int             `json:"attempts"`
		Error    string          `json:"error"`
		Parked   time.Time       `json:"parked"`
	}
	attemptList struct {
		Attempts []attempt `json:"attempts"`
		Next     string    `json:"next,omitempty"`
	}
	attempt struct {
		Callback string    `json:"callback"`
		Type     string    `json:"type"`
		UID      string    `json:"uid"`
		Time     time.Time `json:"time"`
		Seconds  float64   `json:"seconds"`
		Attempt  int       `json:"attempt"`
		Result   string    `json:"result"`
		Error    string    `json:"error,omitempty"`
	}
	replayed struct {
		Replayed int      `json:"replayed"`
		Unknown  []string `json:"unknown,omitempty"`
	}
	callbackFigures struct {
		Waiting   int    `json:"waiting"`
		Dead      int    `json:"dead"`
		Delivered uint64 `json:"delivered"`
		Failed    uint64 `json:"failed"`
	}
)

// maxReplay is how many ids one call may name.
const maxReplay = 1000

// dead answers GET /v1/webhooks/dead.
func (s *Server) dead(w http.ResponseWriter, r *http.Request, who *caller) {
	page, bad := s.page(r, who)
	callbacks, none := s.callbacks()
	if none != nil {
		bad = none
	}
	var after uint64
	if bad == nil {
		after, bad = numberOf(page.Cursor)
	}
	if bad != nil {
		s.refuseV1(w, r, bad)
		return
	}
	answer := deadList{Dead: []deadLetter{}}
	err := eachDead(callbacks, after, func(job jobs.Job) bool {
		if !strings.HasPrefix(job.Key, page.Prefix) {
			return true
		}
		if len(answer.Dead) == page.Limit {
			answer.Next = cursorOf(after)
			return false
		}
		after = job.ID
		answer.Dead = append(answer.Dead, deadLetter{
			ID: callbackID(job), Callback: json.RawMessage(job.Payload),
			Attempts: job.Attempts, Error: job.LastError, Parked: job.Parked.UTC().Truncate(time.Millisecond),
		})
		return true
	})
	if err != nil {
		s.refuseV1(w, r, s.callbackFault(r, err))
		return
	}
	s.answer(w, r, answer, nil)
}

// eachDead calls fn for the callbacks that were given up, from behind a number on, until fn returns false.
func eachDead(callbacks Callbacks, after uint64, fn func(jobs.Job) bool) error {
	for {
		dead, more, err := callbacks.Dead(after, maxLimit)
		if err != nil {
			return err
		}
		for _, job := range dead {
			if !fn(job) {
				return nil
			}
			after = job.ID
		}
		if !more || len(dead) == 0 {
			return nil
		}
	}
}

// callbackID is the id by which callers know a callback, its webhook-id.
func callbackID(job jobs.Job) string {
	var callback struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(job.Payload, &callback); err != nil {
		return "" // not one of ours
	}
	return callback.ID
}

// replay answers POST /v1/webhooks/replay.
func (s *Server) replay(w http.ResponseWriter, r *http.Request, who *caller) {
	callbacks, none := s.callbacks()
	if none != nil {
		s.refuseV1(w, r, none)
		return
	}
	k := s.borrow()
	defer s.giveBack(k)
	if !s.read(w, r, k) {
		return
	}
	ids, bad := parseReplay(k.in)
	if bad != nil {
		s.refuseV1(w, r, bad)
		return
	}
	answer, err := replayThose(callbacks, who, ids)
	if err != nil {
		s.refuseV1(w, r, s.callbackFault(r, err))
		return
	}
	s.answer(w, r, answer, nil)
}

// replayThose sends the callbacks with these ids again, or all if ids is nil; those that who may see.
func replayThose(callbacks Callbacks, who *caller, ids []string) (replayed, error) {
	var found []uint64
	unknown := slices.Clone(ids)
	err := eachDead(callbacks, 0, func(job jobs.Job) bool {
		if !strings.HasPrefix(job.Key, who.audience) {
			return true
		}
		if ids != nil {
			i := slices.Index(unknown, callbackID(job))
			if i < 0 {
				return true
			}
			unknown = slices.Delete(unknown, i, i+1)
		}
		found = append(found, job.ID)
		return ids == nil || len(unknown) > 0
	})
	if err != nil {
		return replayed{}, err
	}
	n, err := callbacks.Replay(found...)
	return replayed{Replayed: n, Unknown: unknown}, err
}

// parseReplay reads {"ids":[…]} or {"all":true}. For all, ids is nil.
func parseReplay(body []byte) (ids []string, bad *fault) {
	body = trimSpace(body)
	if !rawjson.Valid(body) {
		return nil, &fault{code: codeBadJSON, detail: "The body has to be one JSON value in UTF-8."}
	}
	if body[0] != '{' {
		return nil, invalid("The body", "has to be an object")
	}
	all := false
	for name, value := range members(body) {
		switch string(unquoted(name)) {
		case "all":
			all = string(value) == "true"
			if !all && string(value) != "false" {
				return nil, invalid("all", "has to be true or false")
			}
		case "ids":
			ids = []string{}
			if err := json.Unmarshal(value, &ids); err != nil || ids == nil {
				return nil, invalid("ids", "has to be an array of strings")
			}
			if len(ids) > maxReplay {
				return nil, &fault{code: codeTooMany, detail: "ids: at most " + strconv.Itoa(maxReplay) + " at once."}
			}
			slices.Sort(ids)
			ids = slices.Compact(ids)
		default:
			return nil, unknownField("", unquoted(name))
		}
	}
	switch {
	case all && ids != nil:
		return nil, invalid("all", "cannot be true beside ids")
	case !all && ids == nil:
		return nil, &fault{code: codeMissingField, detail: "ids, or all, has to say which callbacks."}
	}
	return ids, nil
}

// callbackFault is what to tell the caller of an error of Callbacks.
func (s *Server) callbackFault(r *http.Request, err error) *fault {
	switch {
	case errors.Is(err, jobs.ErrFull):
		return &fault{code: codeOutboxFull, retry: time.Minute, detail: "Too many callbacks wait already: try again when the receiver has taken some."}
	case errors.Is(err, jobs.ErrClosed):
		return pushFault(hub.ErrClosed)
	case errors.Is(err, hub.ErrAway):
		return pushFault(err)
	}
	s.log.ErrorContext(r.Context(), "callbacks that were given up could not be read or sent again", "error", err)
	return &fault{code: codeInternal, detail: "The callbacks could not be read or put back; the log has more."}
}

// callbacks returns those there are, or what to say if there are none.
func (s *Server) callbacks() (Callbacks, *fault) {
	lead, bad := s.leading()
	if bad == nil && lead.Callbacks == nil {
		bad = &fault{code: codeUnsupported, detail: "This server makes no callbacks: set webhook.url."}
	}
	return lead.Callbacks, bad
}
