package app

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"crier/configs"
)

// v1 makes a call of the push port.
func (p *program) v1(method, path, body string) answer {
	p.t.Helper()
	return p.do(method, "http://"+p.PushAddr()+path, body, "Content-Type", "application/json")
}

// What is stored survives a restart, comes at the login in order, and is known by its id.
func TestInboxSurvives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crier.db")
	kept := func(c *configs.Config) { c.Store.Path, c.Inbox.Open, c.Inbox.MessageID = path, true, true }
	const push = `{"id":"one","to":{"users":["alice","bob"]},"data":1,"store":true}`
	p := start(t, kept)
	if got := p.v1("POST", "/v1/push", push); !strings.Contains(got.body, `"stored":true,"duplicate":false`) {
		t.Fatalf("%+v", got)
	}
	if got := p.v1("POST", "/v1/push", `{"id":"two","to":{"users":["alice"]},"event":"e","args":[2,3],"ttl":"1h"}`); got.status != http.StatusOK {
		t.Fatalf("%+v", got)
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	p = start(t, kept)
	if !strings.Contains(p.log.String(), "stored messages wait for users") {
		t.Error("the log does not say that messages wait")
	}
	if got := p.v1("POST", "/v1/push", push); !strings.Contains(got.body, `"stored":true,"duplicate":true`) {
		t.Errorf("again: %+v", got)
	}
	alice := p.open(`{"uid":"alice"}`)
	alice.want(`42["new_msg",1,"one"]`)
	alice.want(`42["e",2,3,"two"]`)
	same(t, "a push", p.push("alice", "now"), "ok")
	if got := alice.wantPrefix(`42["new_msg","now","`); len(got) < 10 || !strings.HasSuffix(got, `"]`) {
		t.Errorf("got %s", got)
	}
	await(t, "the confirmation", func() bool {
		return strings.Contains(p.v1("GET", "/v1/messages/one?users=true", "").body, `[{"uid":"alice","state":"confirmed"},{"uid":"bob","state":"waiting"}]`)
	})
	if got := p.v1("GET", "/v1/stats", ""); !strings.Contains(got.body, `"inbox":{"messages":1,"waiting":1,`) {
		t.Errorf("%+v", got)
	}
}

// Where messages cannot be stored, the answer names the setting.
func TestNoInbox(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(*configs.Config)
		want string
	}{
		"open":     {func(c *configs.Config) { c.Store.Path = filepath.Join(t.TempDir(), "crier.db") }, "inbox.open"},
		"no store": {func(c *configs.Config) { c.Inbox.Open = true }, "store.path"},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, c.set)
			got := p.v1("POST", "/v1/push", `{"to":{"users":["u"]},"data":1,"store":true}`)
			if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, `"unsupported"`) || !strings.Contains(got.body, c.want) {
				t.Errorf("%+v", got)
			}
			if got := p.v1("POST", "/v1/push", `{"id":"x","to":{"users":["u"]},"data":1,"receipt":true}`); got.status != http.StatusOK {
				t.Errorf("%+v", got)
			}
			if got := p.v1("GET", "/v1/messages/x?users=true", ""); !strings.Contains(got.body, `"stored":0,"waiting":0,"confirmed":0,"expired":0,"evicted":0,"users":[]}`) {
				t.Errorf("%+v", got)
			}
			if got := p.v1("GET", "/v1/stats", ""); strings.Contains(got.body, `"inbox"`) {
				t.Errorf("%+v", got)
			}
		})
	}
}
