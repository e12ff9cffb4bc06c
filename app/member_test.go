package app

import (
	"net/http"
	"path/filepath"
	"slices"
	"testing"

	"crier/configs"
)

// A membership made by PUT is there after a restart and after a crash, and one undone by DELETE is not.
func TestMembershipsSurvive(t *testing.T) {
	keep := func(path string) func(*configs.Config) {
		return func(c *configs.Config) { c.Store.Path = path }
	}
	change := func(p *program, method, room, uid string) {
		t.Helper()
		same(t, method, p.do(method, "http://"+p.PushAddr()+"/v1/rooms/"+room+"/users/"+uid, "").status, http.StatusOK)
	}
	check := func(p *program, uid string, want ...string) {
		t.Helper()
		pg := p.openAs(uid)
		if got := p.rooms(pg); !slices.Equal(got, want) {
			t.Errorf("user %s is in %q, want %q", uid, got, want)
		}
		pg.leave()
		await(t, "departure", func() bool { return p.hub.Stats().Sockets == 0 }) // or it would count as in its rooms
	}

	path := filepath.Join(t.TempDir(), "crier.db")
	p := start(t, keep(path))
	change(p, http.MethodPut, "a", "7")
	change(p, http.MethodPut, "z", "7")
	change(p, http.MethodPut, "a", "8")
	change(p, http.MethodDelete, "z", "7")
	check(p, "7", "a")
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}

	again := start(t, keep(path))
	check(again, "7", "a")
	check(again, "8", "a")
	change(again, http.MethodDelete, "a", "8")
	change(again, http.MethodPut, "z", "8")

	after := start(t, keep(crashed(t, path)))
	check(after, "7", "a")
	check(after, "8", "z")
}
