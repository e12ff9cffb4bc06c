package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"crier/api/schedule"
	"crier/io/hub"
)

// calls are requests that succeed, one for each call of /v1 that anybody with a key can make, and the right they need.
func calls() []struct {
	method, path, body string
	right              Right
} {
	return []struct {
		method, path, body string
		right              Right
	}{
		{"POST", "/v1/push", `{"to":{"users":["shop:1"]},"data":1}`, RightPush},
		{"POST", "/v1/push/batch", `[{"to":{"users":["shop:1"]},"data":1}]`, RightPush},
		{"GET", "/v1/users", "", RightRead},
		{"GET", "/v1/users/shop:1", "", RightRead},
		{"GET", "/v1/users/shop:1/messages", "", RightRead},
		{"DELETE", "/v1/users/shop:1", "", RightAdmin},
		{"GET", "/v1/rooms", "", RightRead},
		{"GET", "/v1/rooms/shop:r", "", RightRead},
		{"PUT", "/v1/rooms/shop:r/users/shop:1", "", RightAdmin},
		{"DELETE", "/v1/rooms/shop:r/users/shop:1", "", RightAdmin},
		{"POST", "/v1/schedules", hourly, RightPush},
		{"GET", "/v1/schedules", "", RightRead},
		{"GET", "/v1/schedules/made", "", RightRead},
		{"PUT", "/v1/schedules/new", hourly, RightPush},
		{"POST", "/v1/schedules/made/pause", "", RightPush},
		{"POST", "/v1/schedules/made/resume", "", RightPush},
		{"DELETE", "/v1/schedules/made", "", RightPush},
		{"GET", "/v1/webhooks/attempts", "", RightRead},
		{"GET", "/v1/webhooks/dead", "", RightRead},
		{"POST", "/v1/webhooks/replay", `{"all":true}`, RightAdmin},
		{"GET", "/v1/stats", "", RightRead},
		{"GET", "/v1/stats/live", "", RightRead},
		{"GET", "/openapi.json", "", 0},
	}
}

// wholeServer returns a server that answers all calls.
func wholeServer(t *testing.T, access Access) *Server {
	t.Helper()
	s, _ := withSchedules(t, Options{
		Pusher: realHub(t), Callbacks: newCallbacks(1), Mail: &fakeMail{}, Pulse: threeSamples(), Access: access,
	}, schedule.Options{})
	spec := schedule.Spec{Push: json.RawMessage(`{"to":{"users":["shop:1"]},"data":1}`), Every: "1h"}
	if _, err := s.bookOf(t).Put(t.Context(), "made", spec, 1, s.maySchedule(&caller{})); err != nil {
		t.Fatal(err)
	}
	return s
}

// The JSON form has the same rules as the legacy form, whose own tests have the whole table.
func TestV1Access(t *testing.T) {
	keys := Access{Keys: []string{"right"}}
	for _, call := range calls() {
		for _, c := range []struct {
			name    string
			access  Access
			headers []string
			code    code // "": let in
		}{
			{"loopback", Access{}, nil, ""},
			{"bearer", keys, []string{"Peer", stranger, "Authorization", "Bearer right"}, ""},
			{"x-api-key", keys, []string{"Peer", stranger, "X-Api-Key", "right", "Origin", "https://evil.example"}, ""},
			{"wrong key", keys, []string{"X-Api-Key", "wrong"}, codeWrongKey},
			{"no key", keys, nil, codeForbidden},
			{"stranger", Access{}, []string{"Peer", stranger}, codeForbidden},
			{"proxy", Access{}, []string{"X-Forwarded-For", "1.2.3.4"}, codeForbidden},
			{"rebound name", Access{}, []string{"Host", "evil.example"}, codeForbidden},
			{"page of another origin", Access{}, []string{"Origin", "https://evil.example"}, codeForbidden},
			{"page that sends text", Access{}, []string{"Origin", "https://evil.example", "Content-Type", "text/plain"}, codeForbidden},
			{"no-cors", Access{}, []string{"User-Agent", chrome, "Sec-Fetch-Site", "cross-site"}, codeForbidden},
			{"null origin", Access{}, []string{"Origin", "null"}, codeForbidden},
			{"own page", Access{}, []string{"Origin", "http://127.0.0.1:8080", "User-Agent", chrome, "Sec-Fetch-Site", "same-site"}, ""},
		} {
			t.Run(call.method+" "+call.path+"/"+c.name, func(t *testing.T) {
				s := wholeServer(t, c.access)
				w := do(s, call.method, call.path, "", call.body, header(c.headers...))
				if c.code != "" {
					checkProblem(t, w, c.code)
				} else if w.Code != 200 {
					t.Errorf("%d %s", w.Code, w.Body)
				}
			})
		}
	}
	// A key in the query would be in the logs of proxies: it does not count here.
	s := newServer(t, Options{Pusher: realHub(t), Callbacks: newCallbacks(1), Access: keys})
	checkProblem(t, do(s, "GET", "/v1/stats?key=right", "", ""), codeForbidden)
}

func TestRights(t *testing.T) {
	for _, rights := range []Right{0, RightPush, RightRead, RightAdmin, RightPush | RightAdmin, allRights} {
		s := wholeServer(t, Access{Limited: []Key{{Key: "k", Rights: rights}}})
		for _, call := range calls() {
			w := do(s, call.method, call.path, "", call.body, header("X-Api-Key", "k"))
			if rights == 0 || call.right == 0 || rights&call.right != 0 {
				if w.Code != 200 {
					t.Errorf("rights %b: %s %s: %s", rights, call.method, call.path, w.Body)
				}
				continue
			}
			if detail := checkProblem(t, w, codeNoRight); !strings.Contains(detail, call.right.String()) {
				t.Errorf("the detail is %q", detail)
			}
		}
		w := do(s, "GET", "/?type=publish&to=u&content=x", "", "", header("X-Api-Key", "k"))
		if want := map[bool]int{true: 200, false: 403}[rights == 0 || rights&RightPush != 0]; w.Code != want {
			t.Errorf("rights %b: the legacy form answers %d", rights, w.Code)
		}
	}
}

func TestAudience(t *testing.T) {
	h := realHub(t)
	listen(t, h, "c1", "shop:1", "shop:r", "bank:r")
	listen(t, h, "c2", "bank:1", "shop:r", "bank:r")
	for uid, room := range map[string]string{"shop:2": "bank:m", "bank:2": "shop:m"} {
		if _, err := h.AddMembership(t.Context(), uid, room); err != nil {
			t.Fatal(err)
		}
	}
	s := newServer(t, Options{Pusher: h, Access: Access{Limited: []Key{{Key: "k", Audience: "shop:"}}}})
	for _, c := range []struct {
		method, path, body string
		code               code
		want               string // part of the answer
	}{
		{"POST", "/v1/push", `{"to":{"users":["shop:1"],"rooms":["shop:r"]},"data":1}`, "", `"connections":2`},
		{"POST", "/v1/push", `{"to":{"rooms":["shop:r"],"except":{"users":["shop:1"]}},"data":1}`, "", `"connections":1`},
		{"POST", "/v1/push", `{"to":{"users":["bank:1"]},"data":1}`, codeAudienceDenied, ""},
		{"POST", "/v1/push", `{"to":{"users":["shop:1","shop"]},"data":1}`, codeAudienceDenied, ""},
		{"POST", "/v1/push", `{"to":{"rooms":["bank:r"]},"data":1}`, codeAudienceDenied, ""},
		{"POST", "/v1/push", `{"to":{"connections":["c1"]},"data":1}`, codeAudienceDenied, ""},
		{"POST", "/v1/push", `{"to":{"all":true},"data":1}`, codeAudienceDenied, ""},
		{"POST", "/v1/push", `{"to":{"all":true},"data":1,"dry_run":true}`, codeAudienceDenied, ""},
		{"POST", "/v1/push", `{"to":{"rooms":["shop:r"],"except":{"users":["bank:1"]}},"data":1}`, codeAudienceDenied, ""},
		{"PUT", "/v1/rooms/shop:m/users/bank:1", "", codeAudienceDenied, ""},
		{"PUT", "/v1/rooms/bank:m/users/shop:1", "", codeAudienceDenied, ""},
		{"DELETE", "/v1/rooms/bank:m/users/shop:2", "", codeAudienceDenied, ""},
		{"PUT", "/v1/rooms/shop:m/users/shop:2", "", "", `{"room":"shop:m","uid":"shop:2","member":true,"connections":0}`},
		{"GET", "/v1/users/shop:2", "", "", `"online":false,"rooms":["shop:m"],"connections":[]}`},
		{"GET", "/v1/rooms/shop:m", "", "", `{"room":"shop:m","members":[{"uid":"shop:2"}]}`},
		{"GET", "/v1/users", "", "", `{"users":[{"uid":"shop:1","connections":1}]}`},
		{"GET", "/v1/rooms", "", "", `{"rooms":[{"room":"shop:r","connections":2}]}`},
		{"GET", "/v1/users/shop:1", "", "", `"rooms":["shop:r"]`},
		{"GET", "/v1/rooms/shop:r", "", "", `{"room":"shop:r","members":[{"connection":"c1","uid":"shop:1"},{"connection":"c2"}]}`},
		{"GET", "/v1/users/bank:1", "", codeAudienceDenied, ""},
		{"GET", "/v1/rooms/bank:r", "", codeAudienceDenied, ""},
		{"DELETE", "/v1/users/bank:1", "", codeAudienceDenied, ""},
		{"GET", "/v1/stats", "", codeAudienceDenied, ""},
	} {
		t.Run(c.method+" "+c.path+" "+c.body, func(t *testing.T) {
			w := do(s, c.method, c.path, "", c.body, header("X-Api-Key", "k"))
			if c.code != "" {
				checkProblem(t, w, c.code)
			} else if w.Code != 200 || !strings.Contains(w.Body.String(), c.want) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	for query, want := range map[string]int{"to=shop:1": 200, "to=bank:1": 403, "to=": 403} {
		if w := do(s, "GET", "/?type=publish&content=x&"+query, "", "", header("X-Api-Key", "k")); w.Code != want {
			t.Errorf("the legacy form answers %s with %d", query, w.Code)
		}
	}
}

// Two tenants may use the same ids.
func TestAudienceID(t *testing.T) {
	h := realHub(t)
	s := newServer(t, Options{Pusher: h, Access: Access{Keys: []string{"old", "new"}, Limited: []Key{{Key: "a", Audience: "a"}, {Key: "b", Audience: "b"}}}})
	for _, c := range []struct {
		key, user string
		duplicate bool
	}{{"a", "a1", false}, {"b", "b1", false}, {"a", "a1", true}, {"old", "a1", false}, {"new", "a1", true}} {
		w := do(s, "POST", "/v1/push", "", `{"id":"1","to":{"users":["`+c.user+`"]},"data":1}`, header("X-Api-Key", c.key))
		if want := fmt.Sprintf(`"duplicate":%v`, c.duplicate); !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %s", c.key, w.Body)
		}
	}
}

func TestKeyRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		access := Access{Limited: []Key{{Key: "k", Rate: 2}}}
		s := newServer(t, Options{Access: access})
		push := func() int {
			w := do(s, "POST", "/v1/push", "", `{"to":{"users":["u"]},"data":1}`, header("X-Api-Key", "k"))
			if w.Code == 429 {
				checkProblem(t, w, codeRateLimited)
				if got := w.Header().Get("Retry-After"); got != "1" {
					t.Errorf("Retry-After: %q", got)
				}
			}
			return w.Code
		}
		if got := fmt.Sprint(push(), push(), push()); got != "200 200 429" {
			t.Error(got)
		}
		if err := s.SetAccess(access); err != nil {
			t.Fatal(err)
		}
		if push() != 429 {
			t.Error("a reload gave a fresh allowance")
		}
		w := do(s, "GET", "/?type=publish&to=u1&content=x", "", "", header("X-Api-Key", "k"))
		if w.Code != 429 || w.Header().Get("Retry-After") != "1" {
			t.Errorf("the legacy form answers %d", w.Code)
		}
		time.Sleep(time.Second)
		w = do(s, "POST", "/v1/push/batch", "", `[{"to":{"users":["u"]},"data":1},{"to":{"users":["u"]},"data":1},{"to":{"users":["u"]},"data":1}]`, header("X-Api-Key", "k"))
		if got := w.Body.String(); strings.Count(got, "matched") != 2 || strings.Count(got, "rate_limited\"}") != 1 {
			t.Error(got)
		}
		if w := do(s, "GET", "/openapi.json", "", "", header("X-Api-Key", "k")); w.Code != 200 {
			t.Errorf("what is no push is answered with %d", w.Code)
		}
	})
}

func TestAccessLimitedErrors(t *testing.T) {
	for name, a := range map[string]Access{
		"empty":        {Limited: []Key{{}}},
		"twice":        {Limited: []Key{{Key: "a"}, {Key: "a"}}},
		"also without": {Keys: []string{"a"}, Limited: []Key{{Key: "a"}}},
		"rights":       {Limited: []Key{{Key: "a", Rights: 64}}},
		"rate":         {Limited: []Key{{Key: "a", Rate: -1}}},
		"audience":     {Limited: []Key{{Key: "a", Audience: "\n"}}},
	} {
		if _, err := New(Options{Pusher: &fakeHub{}, Access: a}); err == nil || !strings.Contains(err.Error(), "api.keys") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Options{Access: Access{Keys: []string{"right"}}})
		call := func(key, peer string) code {
			w := do(s, "POST", "/v1/push", "", `{"to":{"users":["u"]},"data":1}`, header("X-Api-Key", key, "Peer", peer))
			switch w.Code {
			case 200:
				return ""
			case 403:
				checkProblem(t, w, codeWrongKey)
				return codeWrongKey
			}
			checkProblem(t, w, codeManyAttempts)
			if got := w.Header().Get("Retry-After"); got != "1" {
				t.Errorf("Retry-After: %q", got)
			}
			return codeManyAttempts
		}
		for range 1000 { // the same key again is no guess
			if got := call("old", stranger); got != codeWrongKey {
				t.Fatal(got)
			}
		}
		for i := range guesses - 1 {
			if got := call(fmt.Sprint("guess", i), stranger); got != codeWrongKey {
				t.Fatalf("guess %d: %s", i, got)
			}
		}
		for _, c := range []struct {
			key, peer string
			want      code
		}{
			{"guess", stranger, codeManyAttempts},
			{"right", stranger, codeManyAttempts}, // or guessing would be as fast as ever
			{"right", "203.0.113.10:1", ""},
			{"guess", "203.0.113.10:1", codeWrongKey},
		} {
			if got := call(c.key, c.peer); got != c.want {
				t.Errorf("%s from %s: %q", c.key, c.peer, got)
			}
		}
		w := do(s, "GET", "/?type=publish&to=u&content=x&key=guess", "", "", header("Peer", stranger))
		if w.Code != 429 || w.Header().Get("Retry-After") != "1" {
			t.Errorf("the legacy form answers %d", w.Code)
		}
		w = do(s, "POST", "/", "application/x-www-form-urlencoded", "type=publish&to=u&content=x&key=guess", header("Peer", stranger))
		if w.Code != 429 {
			t.Errorf("a key in the body is answered with %d", w.Code)
		}
		for _, one := range calls() { // whatever is called
			checkProblem(t, do(s, one.method, one.path, "", one.body, header("X-Api-Key", "right", "Peer", stranger)), codeManyAttempts)
		}
		checkProblem(t, do(s, "GET", "/v1/stream", "", "", header("X-Api-Key", "right", "Peer", stranger)), codeManyAttempts)
		time.Sleep(guessEvery)
		if got := fmt.Sprintf("%q %q", call("right", stranger), call("guess", stranger)); got != `"" "wrong_key"` {
			t.Error(got)
		}
		if got := call("right", stranger); got != codeManyAttempts {
			t.Errorf("right: %q", got)
		}
	})
}

// A call can show several keys. Each is a guess, or guessing would be as fast as ever.
func TestThrottleSeveralKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Options{Access: Access{Keys: []string{"right"}}})
		call := func(path, bearer, apiKey string) int {
			return do(s, "POST", path, "", `{"to":{"users":["u"]},"data":1}`,
				header("Authorization", "Bearer "+bearer, "X-Api-Key", apiKey, "Peer", stranger)).Code
		}
		for i := range 1000 { // a wrong one again and again, to hide the others behind
			call("/v1/push", "old", fmt.Sprint("guess", i))
		}
		if got := call("/v1/push", "old", "right"); got != 429 {
			t.Errorf("after 1000 guesses behind the same key: %d", got)
		}
		time.Sleep(time.Hour)
		tried := 0
		for call("/?key="+fmt.Sprint("query", tried), fmt.Sprint("bearer", tried), fmt.Sprint("header", tried)) == 403 {
			tried++
		}
		if tried != (guesses+2)/3 {
			t.Errorf("%d calls with three keys each were looked at", tried)
		}
		time.Sleep(2 * guessEvery) // the last one took one more than there was
		for range 1000 {           // a token for somebody else beside the right key is no guess
			if got := call("/v1/push", "a token of the day", "right"); got != 200 {
				t.Fatalf("the right key beside another: %d", got)
			}
		}
	})
}

func TestThrottleBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		v6 := netip.MustParseAddr("2001:db8::1")
		for i := range guesses {
			a := v6.As16()
			a[15] = byte(i)
			th.admit(netip.AddrFrom16(a), []string{fmt.Sprint(i)})
		}
		if th.admit(v6, nil) == 0 {
			t.Error("addresses of one network are told apart")
		}
		a := netip.MustParseAddr("10.0.0.0")
		for range 3 * maxGuessers {
			th.admit(a, []string{"x"})
			a = a.Next()
		}
		if n := len(th.by); n > maxGuessers || n != int(th.known.Load()) {
			t.Errorf("%d addresses are remembered, %d counted", n, th.known.Load())
		}
		time.Sleep(time.Hour)
		before := len(th.by)
		for added := 1; ; added++ { // until there are too many again
			th.admit(a, []string{"x"})
			a = a.Next()
			if n := len(th.by); n < before+added {
				if n != added {
					t.Errorf("%d addresses are remembered an hour later, want the %d new ones", n, added)
				}
				return
			}
		}
	})
}

// What is secret is in no log and no answer.
func TestCanary(t *testing.T) {
	const key, body = "canary-key-8d1", "canary-body-5f2"
	var log bytes.Buffer
	answers := &strings.Builder{}
	h := realHub(t)
	listen(t, h, "c", "u")
	s := newServer(t, Options{
		Pusher: h, MaxContent: 1000, MaxBody: 5000, Access: Access{Keys: []string{key}},
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	quoted := `"` + body + `"`
	encoded := base64.StdEncoding.EncodeToString([]byte(body))
	for _, text := range []string{
		body, quoted, `{"to":` + quoted + `}`, `{"to":{"all":true},"data":` + quoted + `}`, `{"to":{"all":true},"data":` + quoted + `,"ttl":1}`,
		`{"to":{"all":true},"data":` + quoted, `{"to":{"all":` + quoted + `}}`, `{"data":` + quoted + `}`, `{"to":{"users":[{"x":` + quoted + `}]}}`,
		`{"to":{"all":true},"data":` + quoted + `,"x":1}`, `{"to":{"all":true},"args":` + quoted + `}`, `{"to":{"all":true},"data":1,"volatile":` + quoted + `}`,
		`{"to":{"all":true},"data":{"$binary":` + quoted + `}}`, `{"to":{"all":true},"data":{"$binary":"` + encoded + `"}}`,
		`{"to":{"all":true},"data":"` + strings.Repeat(body, 100) + `"}`, `{"to":{"all":true},"data":"` + strings.Repeat(body, 500) + `"}`,
		`{"to":{"all":true},"event":"connect","data":` + quoted + `}`, `{"to":{"users":["\n"]},"data":` + quoted + `}`,
	} {
		for _, sent := range []string{key, key + "x", ""} {
			for path, contentType := range map[string]string{"/v1/push": "application/json", "/v1/push/batch": "application/x-ndjson", "/v1/push/batch?": "", "/v1/" + body: ""} {
				for _, method := range []string{"POST", "GET"} {
					w := do(s, method, path+"?key="+key, contentType, text, header("Authorization", "Bearer "+sent, "X-Api-Key", sent))
					fmt.Fprintln(answers, w.Code, w.Header(), w.Body)
				}
			}
		}
	}
	if log.Len() == 0 || !strings.Contains(answers.String(), "matched") || !strings.Contains(answers.String(), `"code"`) {
		t.Fatal("nothing was logged or answered")
	}
	for name, text := range map[string]string{"log": log.String(), "answers": answers.String()} {
		for _, secret := range []string{key, body, encoded} {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("the %s: …%s…", name, text[max(0, i-100):min(len(text), i+100)])
			}
		}
	}
}

var (
	_ Directory    = (*hub.Hub)(nil)
	_ http.Handler = (*Server)(nil)
)
