package app

import (
	"net/http"
	"strings"
	"testing"

	"crier/configs"
)

// A key with limits is a key, for the push port and the page, and its limits hold; a reload changes them.
func TestLimitedKey(t *testing.T) {
	limited := func(keys ...configs.APIKey) func(*configs.Config) {
		return func(c *configs.Config) { c.API.Limited = keys }
	}
	p := start(t, limited(
		configs.APIKey{Key: "shop", Rights: []string{"push"}, Audience: "shop-"},
		configs.APIKey{Key: "slow", Rate: 1.0 / 60},
	))
	if page := p.do(http.MethodGet, "http://"+p.Addr()+"/", "").body; !strings.Contains(page, `"access":"keys"`) {
		t.Error("the page does not know that there are keys")
	}
	inside, outside := p.openAs("shop-1"), p.openAs("7")
	status := func(key, method, path, body string) int {
		t.Helper()
		return p.do(method, "http://"+p.PushAddr()+path, body, "Content-Type", "application/json", "X-Api-Key", key).status
	}
	push := func(key, uid string) int {
		t.Helper()
		return status(key, http.MethodPost, "/v1/push", `{"to":{"users":["`+uid+`"]},"data":"hi"}`)
	}
	same(t, "without a key", push("", "shop-1"), http.StatusForbidden)
	same(t, "within the audience", push("shop", "shop-1"), http.StatusOK)
	inside.want(`42["new_msg","hi"]`)
	same(t, "outside the audience", push("shop", "7"), http.StatusForbidden)
	same(t, "without the right", status("shop", http.MethodGet, "/v1/stats", ""), http.StatusForbidden)
	same(t, "with all rights", status("slow", http.MethodGet, "/v1/stats", ""), http.StatusOK)
	same(t, "first of a minute", push("slow", "7"), http.StatusOK)
	outside.want(`42["new_msg","hi"]`)
	same(t, "second of a minute", push("slow", "7"), http.StatusTooManyRequests)

	bad := settings()
	limited(configs.APIKey{Key: "shop", Rights: []string{"everything"}})(bad)
	if err := p.Reload(t.Context(), bad); err == nil {
		t.Error("Reload took a right that there is not")
	}
	same(t, "after a refused reload", push("shop", "7"), http.StatusForbidden)
	changed := settings()
	limited(configs.APIKey{Key: "shop", Rights: []string{"read", "push", "admin"}})(changed)
	if err := p.Reload(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	same(t, "without an audience", push("shop", "7"), http.StatusOK)
	outside.want(`42["new_msg","hi"]`)
	same(t, "with the right", status("shop", http.MethodGet, "/v1/stats", ""), http.StatusOK)
	inside.wantNothing()
}
