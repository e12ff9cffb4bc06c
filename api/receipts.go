package api

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"crier/io/hub"
)

// Receipts know what became of messages.
type Receipts interface {
	// Note adds to a receipt, or begins one. It does not wait.
	Note(n hub.Note)
	// Receipt returns the receipt of a message, of that scope or else, with anyScope, of another; or hub.ErrNoReceipt.
	Receipt(scope, id string, anyScope bool) (hub.Receipt, error)
	// Addressees returns users for whom the message was stored, by uid: the first behind after, at most so many, that
	// begin with prefix; and whether there are more.
	Addressees(scope, id string, anyScope bool, after, prefix string, limit int) (list []hub.Addressee, more bool, err error)
}

// errNoReceipts says that there are none.
var errNoReceipts = errors.New("this server keeps no receipts")

// The answers about receipts, as JSON.
type (
	receipt struct {
		ID        string      `json:"id"`
		Time      time.Time   `json:"time"`
		Matched   matched     `json:"matched"`
		Delivered int         `json:"delivered"`
		Acked     *ackedCount `json:"acked,omitempty"`
		Stored    int         `json:"stored"`
		Waiting   int         `json:"waiting"`
		Confirmed int         `json:"confirmed"`
		Expired   int         `json:"expired"`
		Evicted   int         `json:"evicted"`
		Expires   time.Time   `json:"expires,omitzero"`

		Users *[]addressee `json:"users,omitempty"` // if asked for
		Next  string       `json:"next,omitempty"`
	}
	matched struct {
		Users       int `json:"users"`
		Connections int `json:"connections"`
	}
	ackedCount struct {
		Users       int `json:"users"`
		Connections int `json:"connections"`
	}
	addressee struct {
		UID   string `json:"uid"`
		State string `json:"state"`
	}
)

// note notes what became of a push. a has its acknowledgements, nil if there are none yet.
func (s *Server) note(who *caller, r hub.Result, at time.Time, a *hub.Answers) {
	if s.receipts == nil {
		return
	}
	n := hub.Note{Scope: who.scope, ID: r.ID, Time: at, Users: r.Users, Connections: r.Connections, Delivered: r.Delivered}
	if a != nil {
		n.Acked = &hub.Acked{Users: a.Users, Connections: a.Connections}
	}
	s.receipts.Note(n)
}

// receipt answers GET /v1/messages/{id}.
func (s *Server) receipt(w http.ResponseWriter, r *http.Request, who *caller) {
	if s.receipts == nil {
		s.refuseV1(w, r, receiptFault(errNoReceipts))
		return
	}
	page, users, bad := s.receiptPage(r, who)
	if bad != nil {
		s.refuseV1(w, r, bad)
		return
	}
	id := r.PathValue("id")
	found, err := s.receipts.Receipt(who.scope, id, who.audience == "")
	answer := receipt{
		ID: found.ID, Time: found.Time.UTC(), Matched: matched{found.Users, found.Connections}, Delivered: found.Delivered,
		Stored: found.Stored, Waiting: found.Waiting, Confirmed: found.Confirmed, Expired: found.Expired, Evicted: found.Evicted,
		Expires: found.Expires.UTC(),
	}
	if found.Acked != nil {
		answer.Acked = (*ackedCount)(found.Acked)
	}
	if err == nil && users {
		answer.Users, answer.Next, err = s.addressees(who, id, page)
	}
	if err != nil {
		bad := receiptFault(err)
		if bad.code == codeStoreFailed {
			s.log.ErrorContext(r.Context(), "call failed", "error", err)
		}
		s.refuseV1(w, r, bad)
		return
	}
	s.answer(w, r, answer, nil)
}

// addressees returns a page of the users that a message was stored for, and the cursor of the next one.
func (s *Server) addressees(who *caller, id string, page hub.Page) (*[]addressee, string, error) {
	list, more, err := s.receipts.Addressees(who.scope, id, who.audience == "", page.Cursor, page.Prefix, page.Limit)
	if err != nil {
		return nil, "", err
	}
	users, next := make([]addressee, len(list)), ""
	for i, one := range list {
		users[i] = addressee{one.UID, one.Fate.String()}
	}
	if more {
		next = list[len(list)-1].UID
	}
	return &users, next, nil
}

// receiptPage reads the parameters: those of a list, and users, which asks for that list.
func (s *Server) receiptPage(r *http.Request, who *caller) (page hub.Page, users bool, bad *fault) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return page, false, errBadQuery()
	}
	if values := query["users"]; len(values) == 1 {
		users, bad = boolValue([]byte(values[0]), "users")
		delete(query, "users")
	}
	if bad == nil {
		page, bad = pageOf(query, who)
	}
	switch {
	case bad == nil && len(query) > 0 && !users:
		bad = invalid("cursor and limit", "are those of the users: ask for them with users=true")
	case bad == nil && page.Cursor != "" && hub.CheckUID(page.Cursor) != nil:
		bad = &fault{code: codeInvalidCursor, detail: hub.ErrBadCursor.Error() + "."}
	}
	return page, users, bad
}

// receiptFault returns what to tell the caller of an error of the receipts.
func receiptFault(err error) *fault {
	switch {
	case errors.Is(err, errNoReceipts):
		return &fault{code: codeUnsupported, detail: "This server keeps no receipts."}
	case errors.Is(err, hub.ErrNoReceipt):
		return &fault{
			code:   codeNoMessage,
			detail: "There is no receipt of that id: the message was pushed without store, ack and receipt, or more than a day ago, or by somebody else.",
		}
	}
	return &fault{code: codeStoreFailed, retry: stopRetry, detail: "The receipt could not be read: try again. The log has more."}
}
