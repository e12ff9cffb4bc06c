package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"crier/api/schedule"
)

// fakeLeader passes calls to another server of the same process, in the form in which they travel.
type fakeLeader struct {
	to    *Server // nil: it cannot be reached
	calls int
}

func (l *fakeLeader) Pass(w http.ResponseWriter, r *http.Request, as Introduction) error {
	if l.to == nil {
		return errors.New("nobody leads")
	}
	l.calls++
	text, err := json.Marshal(as)
	if err != nil {
		return err
	}
	var of Introduction
	if err := json.Unmarshal(text, &of); err != nil {
		return err
	}
	l.to.ServeIntroduced(w, r, of)
	return nil
}

// follower returns a server that does nothing for all, with the leader that it asks.
func follower(t *testing.T, access Access) (*Server, *fakeLeader) {
	t.Helper()
	l := &fakeLeader{to: wholeServer(t, Access{Keys: []string{"of the leader alone"}})}
	return newServer(t, Options{
		Pusher: realHub(t), Mail: &fakeMail{}, Pulse: threeSamples(), Access: access, Leader: l, Lead: func() (Lead, bool) { return Lead{}, false },
	}), l
}

// leaders says whether a call is the leader's.
func leaders(path string) bool {
	return strings.HasPrefix(path, "/v1/schedules") || strings.HasPrefix(path, "/v1/webhooks")
}

// The leader answers what it answers for all, and only that; who calls is known there by what his key may do.
func TestLeaderAnswers(t *testing.T) {
	for _, rights := range []Right{0, RightPush, RightRead, RightAdmin} {
		s, l := follower(t, Access{Limited: []Key{{Key: "k", Rights: rights}}})
		for _, call := range calls() {
			l.calls = 0
			w := do(s, call.method, call.path, "", call.body, header("X-Api-Key", "k"))
			may := rights == 0 || call.right == 0 || rights&call.right != 0
			if asked := l.calls == 1; asked != (may && leaders(call.path)) {
				t.Errorf("rights %b: %s %s: the leader was asked %d times", rights, call.method, call.path, l.calls)
			}
			if may {
				if w.Code != 200 {
					t.Errorf("rights %b: %s %s: %s", rights, call.method, call.path, w.Body)
				}
				continue
			}
			checkProblem(t, w, codeNoRight)
		}
	}
}

// The audience of a key holds at the leader too, whatever that has for keys of its own.
func TestLeaderAudience(t *testing.T) {
	s, _ := follower(t, Access{Limited: []Key{{Key: "k", Audience: "bank:"}}})
	key := header("X-Api-Key", "k")
	checkProblem(t, do(s, "GET", "/v1/schedules/made", "", "", key), codeNoSchedule)
	if w := do(s, "GET", "/v1/schedules", "", "", key); w.Body.String() != `{"schedules":[]}` {
		t.Errorf("the list is %s", w.Body)
	}
	checkProblem(t, do(s, "PUT", "/v1/schedules/made", "", strings.ReplaceAll(hourly, `"a"`, `"bank:1"`), key), codeAudienceDenied)
	checkProblem(t, do(s, "POST", "/v1/schedules", "", hourly, key), codeAudienceDenied)
	if w := do(s, "POST", "/v1/schedules", "", strings.ReplaceAll(hourly, `"a"`, `"bank:1"`), key); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// The rate of a key is seen to once, where the call comes in.
func TestLeaderRate(t *testing.T) {
	s, l := follower(t, Access{Limited: []Key{{Key: "k", Rate: 1e-9}}})
	key := header("X-Api-Key", "k")
	if w := do(s, "POST", "/v1/schedules", "", hourly, key); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	checkProblem(t, do(s, "POST", "/v1/schedules", "", hourly, key), codeRateLimited)
	if w := do(s, "GET", "/v1/schedules", "", "", key); w.Code != 200 || l.calls != 2 {
		t.Errorf("%d %s after %d calls", w.Code, w.Body, l.calls)
	}
}

// Without a leader the caller is told to try again; a server that is taken for the leader and is not passes nothing on.
func TestNoLeader(t *testing.T) {
	s, l := follower(t, Access{})
	other, second := follower(t, Access{})
	for name, to := range map[string]*Server{"nobody leads": nil, "another one leads": other} {
		l.to = to
		for _, call := range calls() {
			if !leaders(call.path) {
				continue
			}
			w := do(s, call.method, call.path, "", call.body)
			if checkProblem(t, w, codeNoLeader); w.Header().Get("Retry-After") != "1" {
				t.Errorf("%s: %s %s: Retry-After %q", name, call.method, call.path, w.Header().Get("Retry-After"))
			}
		}
	}
	if second.calls > 0 {
		t.Errorf("%d calls were passed on twice", second.calls)
	}
}

// Nobody is introduced but by another server.
func TestVouched(t *testing.T) {
	s, _ := withSchedules(t, Options{Pusher: realHub(t)}, schedule.Options{})
	w := httptest.NewRecorder()
	s.passed.ServeHTTP(w, httptest.NewRequest("GET", "/v1/schedules", nil))
	checkProblem(t, w, codeForbidden)
	w = httptest.NewRecorder()
	s.ServeIntroduced(w, httptest.NewRequest("GET", "/v1/schedules", nil), Introduction{})
	checkProblem(t, w, codeNoRight)
	w = httptest.NewRecorder()
	s.ServeIntroduced(w, httptest.NewRequest("GET", "/v1/schedules", nil), Introduction{Rights: RightRead})
	if w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
