package api

import (
	"fmt"
	"net/http"
	"strings"

	"crier/io/hub"
)

// legacyEvent is the event that the legacy form pushes, with one string.
const legacyEvent = "new_msg"

// maxScratch is the most bytes that a buffer may have to be kept for the next request.
const maxScratch = 64 << 10

// scratch is the memory that one legacy call works in.
type scratch struct {
	query, body []byte // what was parsed, in place
	escaped     []byte
	inQuery     form
	inBody      form
}

// release makes sc ready for the next call and gives it back.
func (s *Server) release(sc *scratch) {
	if cap(sc.query)+cap(sc.body)+cap(sc.escaped) > maxScratch {
		return
	}
	sc.inQuery, sc.inBody = form{}, form{}
	s.scratch.Put(sc)
}

// legacy answers the push form of web-msg-sender: type=publish&to=UID&content=TEXT in the query or the body, which wins
// when it has any variable. The answer is ok, offline or fail, with status 200.
func (s *Server) legacy(w http.ResponseWriter, r *http.Request) {
	sc, _ := s.scratch.Get().(*scratch)
	defer s.release(sc)
	f, who, refused := s.readForm(w, r, sc)
	if refused == nil {
		refused = who.may(RightPush)
	}
	if refused == nil && r.Method != http.MethodGet && r.Method != http.MethodPost {
		refused = &problem{kind: badMethod, allow: "GET, POST", text: "Push with GET or POST."}
	}
	if refused != nil {
		s.refuse(w, r, refused)
		return
	}
	online, bad := s.publish(r, f, who, sc)
	switch {
	case bad != nil:
		s.refuse(w, r, bad)
	case online:
		s.write(w, r, http.StatusOK, s.ok)
	default:
		s.write(w, r, http.StatusOK, s.offline)
	}
}

// readForm returns the form that counts and who sent it, once the caller has shown that he may call. A key can be in the body, so with
// keys set, the body of a caller who has shown nothing yet is read before he is refused.
func (s *Server) readForm(w http.ResponseWriter, r *http.Request, sc *scratch) (*form, *caller, *problem) {
	access := s.rules.Load()
	sc.query = append(sc.query[:0], r.URL.RawQuery...)
	sc.inQuery.parseQuery(sc.query)

	authorization, apiKey := inHeader(r)
	key := access.credentials(authorization, apiKey, string(sc.inQuery.key.text))
	if wrong := s.judge(r, access, key); wrong != nil {
		return nil, nil, wrong
	}
	var unknown *problem
	if key.credential == noKey {
		unknown = access.byAddress(r)
		key.caller = access.anybody
	}
	if unknown != nil {
		if len(access.keys) == 0 || r.ContentLength == 0 {
			return nil, nil, unknown
		}
		defer s.strange(w, r)()
	} else {
		s.unhurried(w, r)
	}

	var bad *problem
	if r.ContentLength != 0 {
		if sc.body, bad = s.readBody(w, r, sc.body[:0]); bad != nil {
			return nil, nil, bad
		}
		bad = sc.inBody.parseBody(r.Header.Get("Content-Type"), sc.body)
	}
	if key.credential == noKey && sc.inBody.key.set {
		inBody := access.credentials(string(sc.inBody.key.text))
		if wrong := s.judge(r, access, inBody); wrong != nil {
			return nil, nil, wrong
		}
		if inBody.credential == rightKey {
			key, unknown = inBody, nil
		}
	}
	switch {
	case unknown != nil:
		return nil, nil, unknown
	case bad != nil:
		return nil, nil, bad
	case sc.inBody.any:
		return &sc.inBody, key.caller, nil
	}
	return &sc.inQuery, key.caller, nil
}

// publish pushes what f says, and says whether anybody it is for was online; a push to everybody always counts as such.
func (s *Server) publish(r *http.Request, f *form, who *caller, sc *scratch) (online bool, bad *problem) {
	if f.typ.invalid != "" || f.typ.values != nil || string(f.typ.text) != "publish" {
		return false, fail("type has to be publish" + hint(r, f))
	}
	p := &parcel{message: hub.Message{Event: legacyEvent, ShowID: s.showIDs}}
	users, bad := audience(&f.to, &p.user)
	if bad != nil {
		return false, bad
	}
	if f.content.invalid != "" || f.content.values != nil {
		return false, fail("content has to be one string")
	}
	sc.escaped = appendEscaped(sc.escaped[:0], f.content.text)
	p.args[0] = appendJSONString(p.buffer(len(sc.escaped)+len(sc.escaped)/8+2), sc.escaped)
	p.message.Args = p.args[:]
	if size := len(p.args[0]); s.maxContent > 0 && int64(size) > s.maxContent {
		return false, fail(fmt.Sprintf("content has %d bytes once escaped, and at most %d can be sent", size, s.maxContent))
	}
	to := hub.Audience{Users: users, All: users == nil}
	if denied := who.reaches(&to); denied != nil {
		return false, denied
	}
	if bad := who.spend(); bad != nil {
		return false, bad
	}
	result, err := s.pusher.Push(r.Context(), hub.Push{To: to, Message: &p.message, Soon: users == nil})
	if err != nil {
		return false, fail(err.Error())
	}
	if users != nil && result.Delivered == 0 && result.Partial {
		return false, fail("nobody got the message: Redis is away, and it is not known who is online at other servers")
	}
	if result.Delivered == 0 && result.Slow+result.Failed > 0 {
		return false, fail("nobody got the message: the connections it was for take no more, as their queues are full")
	}
	return users == nil || result.Delivered > 0, nil
}

// audience returns the users that to names, or nil for every connected socket; a single one is put into room. An empty list
// is refused: who computed one hardly meant everybody.
func audience(to *variable, room *[1]string) ([]string, *problem) {
	switch {
	case to.invalid != "":
		return nil, fail("to: " + to.invalid)
	case to.values == nil && len(to.text) == 0:
		return nil, nil
	case to.values == nil:
		room[0] = string(to.text)
		return room[:], nil
	case len(to.values.values) == 0:
		return nil, fail("to is an empty list: name a user, or leave it out to reach everybody")
	}
	users := make([]string, len(to.values.values))
	for i, user := range to.values.values {
		users[i] = string(user)
	}
	return users, nil
}

// hint guesses why a form has no type.
func hint(r *http.Request, f *form) string {
	switch {
	case f.typ.set:
		return ""
	case !f.any:
		return ": the query and the body are empty"
	case !strings.Contains(r.Header.Get("Content-Type"), "json") && r.ContentLength != 0:
		return ": the body has no such field (a JSON body needs Content-Type: application/json)"
	}
	return ": there is no such field"
}
