package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// TestForeignPage has a page in Chromium try every way to push. One of another origin reaches nobody, even if its own name
// leads to the push port (DNS rebinding). One of the same host may, which shows that the ways are ways.
func TestForeignPage(t *testing.T) {
	t.Parallel()
	files := httptest.NewServer(http.FileServer(http.Dir("pages")))
	t.Cleanup(files.Close)
	u, err := url.Parse(files.URL)
	if err != nil {
		t.Fatal(err)
	}
	// Browsers do not say of a WebSocket that its page is of the same host, so that is refused always. JSON and PUT depend on
	// a preflight, which Playwright answers itself.
	sent := []string{"no-cors", "array", "urlencoded", "get", "image", "script", "frame", "form", "text=", "beacon"}
	for _, test := range []struct {
		name, host, push string // push "": the push port itself
		want             []string
	}{
		{"another origin", "evil.example:8080", "", nil},
		{"rebound name", "evil.example:8080", "http://evil.example:2121", nil},
		{"same host", u.Host, "", sent},
	} {
		t.Run(test.name, func(t *testing.T) {
			crier := startCrier(t, settings{"log.level": "debug"})
			d := startDriver(t)
			alice := d.open(t, "alice", opening{client: latest, route: byWebSocket, url: crier.publicURL(""), login: "alice"})
			alice.loggedIn(t)
			push := test.push
			if push == "" {
				push = crier.pushURL("")
			}
			rules := fmt.Sprintf("MAP evil.example:8080 %s, MAP evil.example:2121 %s", u.Host, crier.push)
			b := openPage(t, "http://"+test.host+"/foreign.html?push="+url.QueryEscape(push), rules, desktop)
			b.wait(t, "#done", "all tried")

			if test.want == nil {
				crier.log.await(t, crier.exited, "call refused", "method=GET")
				crier.log.await(t, crier.exited, "call refused", "method=POST")
			}
			crier.deliver(t, "alice", "the end")
			got := alice.until(t, "the end")
			if test.want != nil {
				got = slices.DeleteFunc(got, func(how string) bool { return how == "cors" })
			}
			want := append(slices.Clone(test.want), "the end")
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
			state := do(t, http.MethodGet, crier.pushURL("/v1/users/alice"), "", nil)
			if test.want == nil && !strings.Contains(state.body, `"rooms":[],"connections"`) {
				t.Errorf("the user was made a member of a room: %s", state.body)
			}
		})
	}
}
