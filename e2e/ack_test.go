package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// TestAcknowledgement has every client on every route acknowledge a push, with text and bytes.
func TestAcknowledgement(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c client, r route) {
		crier := startCrier(t, nil)
		d := startDriver(t)
		user := d.open(t, "user", opening{client: c, route: r, url: crier.publicURL(""), login: "7", watch: []string{"ask"}})
		user.loggedIn(t)
		answer := do(t, http.MethodPost, crier.pushURL("/v1/push"),
			`{"to":{"users":["7"]},"event":"ask","args":["`+hard+`",{"bytes":{"$binary":"AAEC/w=="}}],"ack":"30s"}`,
			http.Header{"Content-Type": {"application/json"}})
		want := `"acked":{"users":1,"connections":1,"answers":[{"connection":"`
		if !strings.Contains(answer.body, want) || !strings.Contains(answer.body, `"uid":"7","args":["`+hard+`",{"bytes":{"$binary":"AAEC/w=="}}]}]}`) {
			t.Errorf("got %s", answer.body)
		}
	})
}
