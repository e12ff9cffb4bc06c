package app

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"crier/configs"
)

// Schedules survive a restart with a store, and push to who is there.
func TestSchedulesSurvive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crier.db")
	kept := func(c *configs.Config) { c.Store.Path = path }
	p := start(t, kept)
	for id, when := range map[string]string{"later": `"delay":"1h"`, "often": `"every":"1s"`} {
		got := p.do(http.MethodPut, "http://"+p.PushAddr()+"/v1/schedules/"+id, `{"push":{"to":{"users":["alice"]},"event":"tick"},`+when+`}`,
			"Content-Type", "application/json")
		if got.status != http.StatusOK {
			t.Fatalf("%+v", got)
		}
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	p = start(t, kept)
	alice := p.openAs("alice")
	alice.want(`42["tick"]`)
	for _, id := range []string{"later", "often"} {
		got := p.do(http.MethodGet, "http://"+p.PushAddr()+"/v1/schedules/"+id, "")
		if got.status != http.StatusOK || !strings.Contains(got.body, `"id":"`+id+`"`) {
			t.Errorf("%+v", got)
		}
	}
}
