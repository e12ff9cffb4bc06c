package app

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// The push port answers /v1 beside the legacy form.
func TestV1Push(t *testing.T) {
	p := start(t, nil)
	alice, bob := p.openAs("alice"), p.openAs("bob")
	got := p.do(http.MethodPost, "http://"+p.PushAddr()+"/v1/push",
		`{"to":{"users":["alice"]},"event":"order","data":{"id":1,"file":{"$binary":"AQID"}}}`,
		"Content-Type", "application/json")
	if got.status != http.StatusOK || !strings.Contains(got.body, `"matched":{"users":1,"connections":1}`) {
		t.Fatalf("%+v", got)
	}
	alice.want(`451-["order",{"id":1,"file":{"_placeholder":true,"num":0}}]`)
	bob.wantNothing()
}

// A link over a WebSocket takes pushes, and a stop ends it at once.
func TestV1Stream(t *testing.T) {
	p := start(t, nil)
	alice := p.openAs("alice")
	conn, _, _, err := ws.Dial(context.Background(), "ws://"+p.PushAddr()+"/v1/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := wsutil.WriteClientText(conn, []byte(`{"to":{"users":["alice"]},"data":"hi"}`)); err != nil {
		t.Fatal(err)
	}
	answer, err := wsutil.ReadServerText(conn)
	if err != nil || !strings.Contains(string(answer), `"connections":1`) {
		t.Fatalf("%q, %v", answer, err)
	}
	alice.want(`42["new_msg","hi"]`)
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if _, err := wsutil.ReadServerText(conn); err == nil {
		t.Error("the link outlived the server")
	}
}

// The manual is made of what the API really describes: each command has a whole path, each body a kind.
func TestManual(t *testing.T) {
	p := start(t, nil)
	page := p.do(http.MethodGet, "http://"+p.PushAddr()+"/docs", "").body
	same(t, "commands", strings.Count(page, "curl ") > 10, true)
	for _, wrong := range []string{"/&#34; -H", "/v1/rooms//", "any JSON or any JSON"} {
		same(t, "the manual has "+wrong, strings.Contains(page, wrong), false)
	}
}
