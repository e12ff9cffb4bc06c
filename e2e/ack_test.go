package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// tryAcknowledgement has the client acknowledge a push, with text and bytes.
func tryAcknowledgement(t *testing.T, d *driver, c client, r route) {
	crier := d.startCrier(t, nil)
	user := d.open(t, "user", opening{client: c, route: r, url: crier.publicURL(""), login: "7", watch: []string{"ask"}})
	user.loggedIn(t)
	answer := do(t, http.MethodPost, crier.pushURL("/v1/push"),
		`{"to":{"users":["7"]},"event":"ask","args":["`+hard+`",{"bytes":{"$binary":"AAEC/w=="}}],"ack":"30s"}`,
		http.Header{"Content-Type": {"application/json"}})
	want := `"acked":{"users":1,"connections":1,"answers":[{"connection":"`
	if !strings.Contains(answer.body, want) || !strings.Contains(answer.body, `"uid":"7","args":["`+hard+`",{"bytes":{"$binary":"AAEC/w=="}}]}]}`) {
		t.Errorf("got %s", answer.body)
	}
}
