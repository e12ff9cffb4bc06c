package api

import (
	"net/http"
	"testing"
)

// What tells of the whole server is for who may see all of it, and looks like any other path where it is not.
func TestMetricsAndProfiles(t *testing.T) {
	shown := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := w.Write([]byte(text + " " + r.URL.Path)); err != nil {
				t.Error(err)
			}
		})
	}
	s := newServer(t, Options{Metrics: shown("figures"), Profiles: shown("profile"), Access: Access{Limited: []Key{
		{Key: "reader", Rights: RightRead},
		{Key: "pusher", Rights: RightPush},
		{Key: "admin", Rights: RightAdmin},
		{Key: "partial", Rights: allRights, Audience: "shop:"},
	}}})
	for _, c := range []struct {
		path, key string
		code      code // "": shown
		want      string
	}{
		{"/metrics", "reader", "", "figures /metrics"},
		{"/metrics", "pusher", codeNoRight, ""},
		{"/metrics", "partial", codeAudienceDenied, ""},
		{"/metrics", "wrong", codeWrongKey, ""},
		{"/metrics", "", codeForbidden, ""},
		{"/debug/pprof/heap", "admin", "", "profile /debug/pprof/heap"},
		{"/debug/pprof/heap", "reader", codeNoRight, ""},
		{"/debug/pprof/heap", "partial", codeAudienceDenied, ""},
		{"/debug/pprof/", "", codeForbidden, ""},
	} {
		var more []string
		if c.key != "" {
			more = []string{"X-Api-Key", c.key}
		}
		w := do(s, "GET", c.path, "", "", header(more...))
		if c.code != "" {
			checkProblem(t, w, c.code)
		} else if w.Code != http.StatusOK || w.Body.String() != c.want {
			t.Errorf("%s by %q: %d %s", c.path, c.key, w.Code, w.Body)
		}
	}
	plain := newServer(t, Options{})
	for _, path := range []string{"/metrics", "/debug/pprof/"} {
		checkAnswer(t, do(plain, "GET", path+"?type=publish&to=u1&content=x", "", ""), "ok")
	}
}
