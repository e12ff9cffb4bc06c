package api

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pagesOfDashboard stands for the files.
func pagesOfDashboard() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Page", r.URL.Path)
	})
}

// withDashboard returns a server whose dashboard is open to who has a key, or may call without.
func withDashboard(t *testing.T, access Access) *Server {
	t.Helper()
	return newServer(t, Options{Pusher: realHub(t), Callbacks: newCallbacks(1), Dashboard: pagesOfDashboard(), Access: access})
}

// browser is one that keeps a cookie, and a page of the dashboard that keeps the token.
type browser struct {
	s      *Server
	peer   string
	cookie *http.Cookie
	token  string
}

// call makes a request as a page of the dashboard does.
func (b *browser) call(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	w := do(b.s, method, path, "application/json", body, header("Peer", b.peer, "User-Agent", chrome, "Sec-Fetch-Site", "same-origin"),
		func(r *http.Request) {
			if b.cookie != nil {
				r.AddCookie(b.cookie)
			}
			if b.token != "" {
				r.Header.Set(tokenHeader, b.token)
			}
			for i := 0; i < len(headers); i += 2 { // in place of what a page sends
				r.Header.Del(headers[i])
				header(headers[i], headers[i+1])(r)
			}
		})
	for _, c := range w.Result().Cookies() {
		b.cookie = c
	}
	return w
}

// signIn signs in and keeps the token.
func (b *browser) signIn(t *testing.T, key string, headers ...string) sessionState {
	t.Helper()
	w := b.call("POST", "/admin/session", `{"key":"`+key+`"}`, headers...)
	var st sessionState
	decodeAnswer(t, w, &st)
	if w.Code != http.StatusOK || st.By != "key" || st.Token == "" || strings.Contains(w.Body.String(), b.cookie.Value) {
		t.Fatalf("signed in with %d %s", w.Code, w.Body)
	}
	b.token = st.Token
	return st
}

func TestSignIn(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, Options{
		Pusher: realHub(t), Dashboard: pagesOfDashboard(), Access: Access{Keys: []string{"the-right-key"}},
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	b := &browser{s: s, peer: stranger}
	checkProblem(t, b.call("GET", "/admin/api/users", ""), codeSignedOut)
	st := b.signIn(t, "the-right-key")
	if !slices.Equal(st.Rights, []string{"push", "read", "admin"}) || st.Ends.Before(time.Now().Add(sessionTime-time.Minute)) {
		t.Errorf("signed in as %+v", st)
	}
	c := b.cookie
	if c.Path != "/admin/" || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure || c.MaxAge != 12*3600 || strings.Contains(c.Value, "the-right-key") {
		t.Errorf("the cookie is %s", c)
	}
	if w := b.call("GET", "/admin/api/users?limit=1", ""); w.Code != http.StatusOK || w.Body.String() != `{"users":[]}` {
		t.Errorf("users: %d %s", w.Code, w.Body)
	}
	if w := b.call("POST", "/admin/api/push", `{"to":{"all":true},"data":1}`); w.Code != http.StatusOK {
		t.Errorf("a push: %d %s", w.Code, w.Body)
	}
	checkProblem(t, b.call("GET", "/admin/api/nothing", ""), codeNotFound)
	checkProblem(t, b.call("PUT", "/admin/session", ""), codeBadMethod)
	// The cookie is for the dashboard alone, whatever a browser sends.
	checkProblem(t, b.call("GET", "/v1/users", ""), codeForbidden)

	old := *b
	if w := b.call("DELETE", "/admin/session", ""); w.Code != http.StatusOK || b.cookie.MaxAge >= 0 || b.cookie.Value != "" {
		t.Errorf("signed out with %d %s, cookie %s", w.Code, w.Body, b.cookie)
	}
	checkProblem(t, old.call("GET", "/admin/api/users", ""), codeSignedOut)
	for _, secret := range []string{"the-right-key", old.cookie.Value, old.token} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q is in the log:\n%s", secret, &log)
		}
	}
}

// Over TLS, here or at a trusted proxy, the cookie goes nowhere else.
func TestSecureCookie(t *testing.T) {
	access := Access{Keys: []string{"the-right-key"}, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}}
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		secure bool
	}{
		{"plain", header(), false},
		{"tls", func(r *http.Request) { r.TLS = &tls.ConnectionState{} }, true},
		{"proxy", header("Peer", "10.0.0.1:1", "X-Forwarded-Proto", "https"), true},
		{"proxy without tls", header("Peer", "10.0.0.1:1", "X-Forwarded-Proto", "http"), false},
		{"a header of anybody's", header("X-Forwarded-Proto", "https"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := do(withDashboard(t, access), "POST", "/admin/session", "", `{"key":"the-right-key"}`, c.change)
			if cookies := w.Result().Cookies(); len(cookies) != 1 || cookies[0].Secure != c.secure {
				t.Errorf("%d %s: cookies %v", w.Code, w.Body, cookies)
			}
		})
	}
}

func TestSignInRefused(t *testing.T) {
	for _, c := range []struct {
		name, body string
		keys       []string
		headers    []string
		code       code
	}{
		{"wrong key", `{"key":"wrong"}`, []string{"the-right-key"}, nil, codeWrongKey},
		{"no key", `{"key":""}`, []string{"the-right-key"}, nil, codeMissingField},
		{"no JSON", `key=right`, []string{"the-right-key"}, nil, codeBadJSON},
		{"too long", `{"key":"` + strings.Repeat("x", maxSignIn) + `"}`, []string{"the-right-key"}, nil, codeBadJSON},
		{"no keys at all", `{"key":"the-right-key"}`, nil, nil, codeForbidden},
		{"form of another site", `{"key":"the-right-key"}`, []string{"the-right-key"}, []string{"Sec-Fetch-Site", "cross-site"}, codeForbidden},
		{"page of another origin", `{"key":"the-right-key"}`, []string{"the-right-key"}, []string{"Origin", "https://evil.example"}, codeForbidden},
		{"rebound name", `{"key":"the-right-key"}`, []string{"the-right-key"}, []string{"Host", "evil.example"}, codeForbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &browser{s: withDashboard(t, Access{Keys: c.keys}), peer: "127.0.0.1:1"}
			checkProblem(t, b.call("POST", "/admin/session", c.body, c.headers...), c.code)
			if b.cookie != nil {
				t.Errorf("there is a cookie: %s", b.cookie)
			}
		})
	}
}

// untouched fails the test when it is read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("the body is read")
	return 0, io.EOF
}

func (untouched) Close() error { return nil }

// A sign-in that is announced with a terabyte is refused, and not waited for.
func TestSignInOfATerabyte(t *testing.T) {
	w := do(withDashboard(t, Access{Keys: []string{"the-right-key"}}), "POST", "/admin/session", "", "", func(r *http.Request) {
		r.Body, r.ContentLength = untouched{t}, 1<<40
	})
	checkProblem(t, w, codeBadJSON)
}

// Guesses at the sign-in count with those in headers.
func TestSignInThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &browser{s: withDashboard(t, Access{Keys: []string{"the-right-key"}}), peer: stranger}
		for i := range guesses {
			checkProblem(t, b.call("POST", "/admin/session", `{"key":"wrong`+string(rune('a'+i))+`"}`), codeWrongKey)
		}
		w := b.call("POST", "/admin/session", `{"key":"the-right-key"}`)
		checkProblem(t, w, codeManyAttempts)
		if w.Header().Get("Retry-After") == "" {
			t.Error("nobody says when to come back")
		}
		time.Sleep(guessEvery)
		b.signIn(t, "the-right-key")
	})
}

// Every call needs the token, which another page cannot have.
func TestDashboardToken(t *testing.T) {
	s := withDashboard(t, Access{Keys: []string{"the-right-key"}})
	b := &browser{s: s, peer: stranger}
	b.signIn(t, "the-right-key")
	for _, c := range []struct {
		method, path, body string
		headers            []string
		code               code
	}{
		{"GET", "/admin/api/users", "", nil, ""},
		{"HEAD", "/admin/api/users", "", nil, ""},
		{"GET", "/admin/api/users", "", []string{tokenHeader, ""}, codeWrongToken},
		{"GET", "/admin/api/users", "", []string{"Sec-Fetch-Site", ""}, ""}, // as over plain HTTP from another machine
		{"GET", "/admin/api/users", "", []string{"Sec-Fetch-Site", "", tokenHeader, ""}, codeWrongToken},
		{"POST", "/admin/api/push", `{"to":{"all":true},"data":1}`, []string{tokenHeader, ""}, codeWrongToken},
		{"POST", "/admin/api/push", `{"to":{"all":true},"data":1}`, []string{tokenHeader, "another"}, codeWrongToken},
		{"DELETE", "/admin/api/users/42", "", []string{tokenHeader, ""}, codeWrongToken},
		{"POST", "/admin/api/webhooks/replay", `{"all":true}`, []string{tokenHeader, ""}, codeWrongToken},
		{"DELETE", "/admin/session", "", []string{tokenHeader, ""}, codeWrongToken},
		{"GET", "/admin/api/stream", "", []string{"Upgrade", "websocket", "Connection", "Upgrade", tokenHeader, ""}, codeWrongToken},
		{"GET", "/admin/api/users", "", []string{"Sec-Fetch-Site", "cross-site"}, codeForbidden},
		{"GET", "/admin/api/users", "", []string{"Origin", "https://evil.example"}, codeForbidden},
		{"GET", "/admin/api/users", "", []string{"Host", "evil.example"}, codeForbidden},
		{"POST", "/admin/api/push", `{"to":{"all":true},"data":1}`, []string{"Origin", "https://evil.example"}, codeForbidden},
	} {
		w := b.call(c.method, c.path, c.body, c.headers...)
		switch {
		case c.code != "":
			checkProblem(t, w, c.code)
		case w.Code != http.StatusOK:
			t.Errorf("%s %s: %d %s", c.method, c.path, w.Code, w.Body)
		}
	}
}

// Who may call without a key may use the dashboard without a session, but only from its pages.
func TestDashboardWithoutKeys(t *testing.T) {
	for _, c := range []struct {
		name, peer string
		access     Access
		in         bool
	}{
		{"this machine", "127.0.0.1:1", Access{}, true},
		{"another one", stranger, Access{}, false},
		{"an allowed one", "10.1.2.3:1", Access{Keys: []string{"k"}, Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, true},
		{"keys", "127.0.0.1:1", Access{Keys: []string{"k"}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &browser{s: withDashboard(t, c.access), peer: c.peer}
			var st sessionState
			decodeAnswer(t, b.call("GET", "/admin/session", ""), &st)
			if in := st.By == "address" && st.Token != ""; in != c.in || st.Keys != (len(c.access.Keys) > 0) || !c.in && (st.Reason == "" || st.Token != "") {
				t.Fatalf("the session is %+v", st)
			}
			if !c.in {
				checkProblem(t, b.call("GET", "/admin/api/users", ""), codeSignedOut)
				return
			}
			const push = `{"to":{"all":true},"data":1}`
			checkProblem(t, b.call("POST", "/admin/api/push", push), codeWrongToken)
			b.token = st.Token
			if w := b.call("POST", "/admin/api/push", push); w.Code != http.StatusOK {
				t.Errorf("a push: %d %s", w.Code, w.Body)
			}
		})
	}
}

// The rights and the audience of the key hold, as they are at the moment.
func TestDashboardRights(t *testing.T) {
	s := withDashboard(t, Access{Limited: []Key{{Key: "k", Rights: RightRead, Audience: "shop:"}}})
	b := &browser{s: s, peer: stranger}
	if st := b.signIn(t, "k"); !slices.Equal(st.Rights, []string{"read"}) || st.Audience != "shop:" {
		t.Errorf("signed in as %+v", st)
	}
	checkProblem(t, b.call("POST", "/admin/api/push", `{"to":{"users":["shop:1"]},"data":1}`), codeNoRight)
	checkProblem(t, b.call("GET", "/admin/api/users/bank:1", ""), codeAudienceDenied)
	if w := b.call("GET", "/admin/api/users/shop:a%2Fb", ""); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"uid":"shop:a/b"`) {
		t.Errorf("a name with a slash: %d %s", w.Code, w.Body)
	}
	if err := s.SetAccess(Access{Limited: []Key{{Key: "k"}}}); err != nil {
		t.Fatal(err)
	}
	if w := b.call("GET", "/admin/api/users/bank:1", ""); w.Code != http.StatusOK {
		t.Errorf("after the key was given more: %d %s", w.Code, w.Body)
	}
	if err := s.SetAccess(Access{Keys: []string{"another"}}); err != nil {
		t.Fatal(err)
	}
	checkProblem(t, b.call("GET", "/admin/api/users", ""), codeSignedOut)
}

func TestSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := withDashboard(t, Access{Keys: []string{"a", "b"}})
		other := &browser{s: s, peer: stranger}
		other.signIn(t, "b")
		var all []*browser
		for range sessionsOfKey + 1 {
			b := &browser{s: s, peer: stranger}
			b.signIn(t, "a")
			all = append(all, b)
			time.Sleep(time.Second)
		}
		for i, b := range all {
			if w := b.call("GET", "/admin/api/users", ""); (w.Code == http.StatusOK) != (i > 0) {
				t.Errorf("session %d: %d", i, w.Code)
			}
		}
		if w := other.call("GET", "/admin/api/users", ""); w.Code != http.StatusOK {
			t.Errorf("that of another key: %d", w.Code)
		}
		time.Sleep(sessionTime)
		checkProblem(t, all[sessionsOfKey].call("GET", "/admin/api/users", ""), codeSignedOut)
		other.signIn(t, "b")
		if n := len(s.sessions.by); n != 1 {
			t.Errorf("%d sessions are kept", n)
		}
	})
}

// The pages are for anybody to load, and the path is like any other without a dashboard.
func TestDashboardPages(t *testing.T) {
	s := withDashboard(t, Access{Keys: []string{"k"}})
	for _, path := range []string{"/admin", "/admin/", "/admin/admin.js", "/admin/sessions"} {
		if w := do(s, "GET", path, "", "", header("Peer", stranger)); w.Code != http.StatusOK || w.Header().Get("X-Page") != path {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	for _, path := range []string{"/administer", "/admins/"} {
		checkAnswer(t, do(withDashboard(t, Access{}), "GET", path+"?type=publish&to=u1&content=x", "", ""), "offline")
	}
	checkAnswer(t, do(newServer(t, Options{}), "GET", "/admin/?type=publish&to=u1&content=x", "", ""), "ok")
}
