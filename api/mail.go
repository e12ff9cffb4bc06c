package api

import (
	"encoding/json"
	"net/http"

	"crier/io/hub"
)

// mailBytes is how much of stored messages a page has at most, but one in any case.
const mailBytes = 1 << 20

// Mail shows what is stored for users. Every [hub.Inbox] is one.
type Mail interface {
	// Next returns the first messages of a user's behind the place after, in their order: at most so many, and of so many
	// bytes, but one in any case; none if there are none.
	Next(uid string, after uint64, messages, bytes int) ([]hub.Letter, error)
}

// The answer about stored messages, as JSON.
type (
	mailList struct {
		UID      string     `json:"uid"`
		Messages []mailItem `json:"messages"`
		Next     string     `json:"next,omitempty"`
	}
	mailItem struct {
		ID    string            `json:"id"`
		Event string            `json:"event"`
		Args  []json.RawMessage `json:"args"`
	}
)

// waiting answers GET /v1/users/{uid}/messages.
func (s *Server) waiting(w http.ResponseWriter, r *http.Request, who *caller) {
	uid := r.PathValue("uid")
	page, bad := s.page(r, who)
	if bad == nil {
		bad = s.lookup(who, &hub.Audience{Users: []string{uid}})
	}
	switch {
	case bad != nil:
	case s.mail == nil:
		bad = &fault{code: codeUnsupported, detail: s.whyNotKept}
	case hub.CheckUID(uid) != nil:
		bad = invalid("uid:", hub.ErrBadUID.Error())
	}
	var after uint64
	if bad == nil {
		after, bad = numberOf(page.Cursor)
	}
	if bad != nil {
		s.refuseV1(w, r, bad)
		return
	}
	answer, err := s.mailOf(uid, after, page.Limit)
	if err != nil {
		s.log.ErrorContext(r.Context(), "call failed", "error", err)
		s.refuseV1(w, r, &fault{code: codeStoreFailed, retry: stopRetry, detail: "The stored messages could not be read: try again. The log has more."})
		return
	}
	s.answer(w, r, answer, nil)
}

// mailOf returns a page of what is stored for a user.
func (s *Server) mailOf(uid string, after uint64, limit int) (mailList, error) {
	list := mailList{UID: uid, Messages: []mailItem{}}
	letters, err := s.mail.Next(uid, after, limit, mailBytes)
	for _, one := range letters {
		m := one.Message
		item := mailItem{ID: m.ID, Event: m.Event, Args: make([]json.RawMessage, len(m.Args))}
		for i, arg := range m.Args {
			item.Args[i] = inlined(arg, m.Attachments)
		}
		list.Messages = append(list.Messages, item)
	}
	if err != nil || len(letters) == 0 {
		return list, err
	}
	last := letters[len(letters)-1].Place
	more, err := s.mail.Next(uid, last, 1, 1)
	if len(more) > 0 {
		list.Next = cursorOf(last)
	}
	return list, err
}

// inlined returns an argument with its attachments as {"$binary":"<base64>"}.
func inlined(arg json.RawMessage, attachments [][]byte) json.RawMessage {
	most := len(arg)
	for _, a := range attachments {
		most += 2*len(a) + 32
	}
	b, whole := appendInlined(nil, arg, attachments, most)
	if !whole { // it was checked when it was stored
		return json.RawMessage("null")
	}
	return b
}
