package api

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// sessionCookie holds the secret of a session, for the paths of the dashboard alone.
	sessionCookie = "crier_session"
	dashboardPath = "/admin/"
	// tokenHeader is what pages of the dashboard send with every call. No form can, nor a WebSocket, and a page of another
	// origin would have to ask first, which nobody answers.
	tokenHeader = "X-Crier-Token"
	// maxSignIn is how many bytes the body of a sign-in may have.
	maxSignIn = 4 << 10
)

// signedIn is who uses the dashboard.
type signedIn struct {
	caller *caller
	token  string
	ends   time.Time // zero for who needs no key
}

// sessionState is the answer to calls of /admin/session, as JSON.
type sessionState struct {
	By       string    `json:"by"`               // "key", "address" of who may call without one, or "" of who has to sign in
	Keys     bool      `json:"keys"`             // there are keys to sign in with
	Reason   string    `json:"reason,omitempty"` // why the address is not enough
	Rights   []string  `json:"rights"`
	Audience string    `json:"audience"`
	Token    string    `json:"token,omitempty"`
	Ends     time.Time `json:"ends,omitzero"`
}

// serveDashboard answers /admin and what is under it: the session; the calls of the JSON form under /admin/api, for who is
// signed in; and the pages, to anybody.
func (s *Server) serveDashboard(w http.ResponseWriter, r *http.Request) {
	switch path := strings.TrimPrefix(r.URL.Path, dashboardPath); {
	case path == "session":
		s.serveSession(w, r)
	case strings.HasPrefix(path, "api/"):
		s.dashed.ServeHTTP(w, asV1(r))
	default:
		s.dashboard.ServeHTTP(w, r)
	}
}

// asV1 returns a call under /admin/api as one under /v1.
func asV1(r *http.Request) *http.Request {
	const prefix = dashboardPath + "api/"
	q := r.WithContext(context.WithValue(r.Context(), fromDashboard{}, true))
	q.URL = new(url.URL)
	*q.URL = *r.URL
	q.URL.Path = "/v1/" + strings.TrimPrefix(r.URL.Path, prefix)
	if raw, escaped := strings.CutPrefix(r.URL.RawPath, prefix); escaped {
		q.URL.RawPath = "/v1/" + raw
	}
	return q
}

// fromDashboard is the key of what marks a call as one of the dashboard.
type fromDashboard struct{}

// serveSession answers /admin/session: GET says who one is, POST signs in, DELETE signs out.
func (s *Server) serveSession(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		s.answer(w, r, s.state(s.visitor(r)), nil)
	case http.MethodPost:
		s.signIn(w, r)
	case http.MethodDelete:
		s.signOut(w, r)
	default:
		const allowed = "DELETE, GET, HEAD, POST"
		s.refuseV1(w, r, &fault{code: codeBadMethod, allow: allowed, detail: "This path answers " + allowed + " only."})
	}
}

// state describes a visitor for the page.
func (s *Server) state(who signedIn, refused *problem) sessionState {
	st := sessionState{Keys: len(s.rules.Load().keys) > 0, Rights: []string{}}
	if refused != nil {
		st.Reason = refused.text
		return st
	}
	st.By, st.Token, st.Ends, st.Audience = "key", who.token, who.ends.UTC().Truncate(time.Second), who.caller.audience
	if who.ends.IsZero() {
		st.By, st.Ends = "address", time.Time{}
	}
	for _, right := range []Right{RightPush, RightRead, RightAdmin} {
		if who.caller.may(right) == nil {
			st.Rights = append(st.Rights, right.String())
		}
	}
	return st
}

// fromOtherPage guards the dashboard against pages of others: a browser sends a cookie whatever page makes it. Unlike
// [fromBrowser] it lets in who says no Sec-Fetch-Site, as browsers do not where the dashboard came without TLS from another
// machine: a page of another origin can read no answer, and so does not know the token.
func fromOtherPage(q *http.Request, hosts map[string]struct{}) *problem {
	refused := fromElsewhere(q, hosts)
	if site := q.Header.Get("Sec-Fetch-Site"); refused == nil && site != "" {
		return fromSite(site)
	}
	return refused
}

// visitor returns who uses the dashboard: who has signed in, or may call from there without a key; or why nobody does.
func (s *Server) visitor(r *http.Request) (signedIn, *problem) {
	access := s.rules.Load()
	if refused := fromOtherPage(r, access.hosts); refused != nil {
		return signedIn{}, refused
	}
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		if found, there := s.sessions.find(cookie.Value); there {
			if c := access.holder(found.key); c != nil {
				return signedIn{caller: c, token: found.token, ends: found.ends}, nil
			}
		}
	}
	if refused := access.byAddressIf(r, fromOtherPage); refused != nil {
		refused.code = codeSignedOut
		return signedIn{}, refused
	}
	return signedIn{caller: access.anybody, token: s.doorToken}, nil
}

// admit returns who makes a call of the dashboard, or why he may not: [authorize] for those under /admin/api.
func (s *Server) admit(r *http.Request, right Right) (*caller, *problem) {
	who, refused := s.visitor(r)
	if refused == nil {
		refused = who.proves(r)
	}
	if refused != nil {
		return nil, refused
	}
	return who.caller, who.caller.may(right)
}

// proves says whether r has the token that only pages of the dashboard can have read: nil, or why not.
func (v signedIn) proves(r *http.Request) *problem {
	if sameToken(r.Header.Get(tokenHeader), v.token) {
		return nil
	}
	p := forbid("The call lacks the token of the session in " + tokenHeader + ": only pages of the dashboard may make it; load the page again.")
	p.code = codeWrongToken
	return p
}

// signIn answers POST /admin/session, {"key":"…"}: with a cookie, if the key is right.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	access := s.rules.Load()
	if refused := fromOtherPage(r, access.hosts); refused != nil {
		s.refuseV1(w, r, refused.fault())
		return
	}
	var form struct {
		Key string `json:"key"`
	}
	if r.ContentLength > maxSignIn { // which is not waited for
		s.refuseV1(w, r, &fault{code: codeBadJSON, detail: `The body has to be {"key":"…"}.`})
		return
	}
	leave := s.strange(w, r)
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxSignIn))
	err := d.Decode(&form)
	leave()
	if err != nil {
		s.refuseV1(w, r, &fault{code: codeBadJSON, detail: `The body has to be {"key":"…"}.`})
		return
	}
	shown := access.credentials(form.Key)
	if shown.credential == noKey {
		s.refuseV1(w, r, s.noSuchSignIn(access))
		return
	}
	if refused := s.judge(r, access, shown); refused != nil {
		s.refuseV1(w, r, refused.fault())
		return
	}
	secret, made := s.sessions.open(sha256.Sum256([]byte(form.Key)))
	s.log.LogAttrs(r.Context(), slog.LevelInfo, "signed in at the dashboard", slog.String("remote", r.RemoteAddr))
	http.SetCookie(w, s.cookie(r, secret, int(sessionTime.Seconds())))
	s.answer(w, r, s.state(signedIn{caller: shown.caller, token: made.token, ends: made.ends}, nil), nil)
}

// noSuchSignIn is the answer to who shows no key, or any while there are none.
func (s *Server) noSuchSignIn(access *rules) *fault {
	if len(access.keys) == 0 {
		return &fault{code: codeForbidden, detail: "There is no key to sign in with: set api.keys."}
	}
	return &fault{code: codeMissingField, detail: "key is missing: send one of api.keys."}
}

// signOut answers DELETE /admin/session.
func (s *Server) signOut(w http.ResponseWriter, r *http.Request) {
	who, refused := s.visitor(r)
	if refused == nil {
		refused = who.proves(r)
	}
	if refused != nil {
		s.refuseV1(w, r, refused.fault())
		return
	}
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		s.sessions.end(cookie.Value)
	}
	http.SetCookie(w, s.cookie(r, "", -1))
	r.Header.Del("Cookie")
	s.answer(w, r, s.state(s.visitor(r)), nil)
}

// cookie holds the secret of a session for so many seconds. No script can read it, and no other site's page sends it.
func (s *Server) cookie(r *http.Request, secret string, age int) *http.Cookie {
	return &http.Cookie{
		Name: sessionCookie, Value: secret, Path: dashboardPath, MaxAge: age,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: s.encrypted(r),
	}
}

// encrypted says whether the browser has reached us, or a trusted proxy, by TLS.
func (s *Server) encrypted(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	return within(s.rules.Load().proxies, address(r.RemoteAddr)) && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// still says whether who made a call that lasts may go on: nil, or why not.
func (s *Server) still(r *http.Request, right Right) *problem {
	ask := s.authorize
	if r.Context().Value(fromDashboard{}) != nil {
		ask = s.admit
	}
	_, refused := ask(r, right)
	return refused
}
