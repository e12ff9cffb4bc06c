package app

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"crier/configs"
)

// keep sets the settings of a server that calls r back and keeps what it owes in a file.
func (r *receiver) keep(path string, grace time.Duration) func(*configs.Config) {
	return func(c *configs.Config) {
		r.tell(10 * time.Millisecond)(c)
		c.Store.Path, c.Presence.RestartGrace = path, grace
	}
}

// crashed returns a copy of a store as it is now, which is what a kill -9 would leave.
func crashed(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "crier.db")
	if err := os.WriteFile(copied, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return copied
}

// idle waits until nothing is owed.
func (p *program) idle() {
	p.t.Helper()
	await(p.t, "callbacks to be delivered", func() bool { return p.sender.Stats().Waiting == 0 })
}

// After a crash, who is back in time goes unmentioned, who is not is reported offline, and the versions go on growing.
func TestCrash(t *testing.T) {
	rec := listen(t, nil)
	path := filepath.Join(t.TempDir(), "data", "crier.db")
	p := start(t, rec.keep(path, time.Hour))
	p.openAs("back")
	first := rec.want(t, "user.online", "back", "")
	p.openAs("away")
	last := rec.want(t, "user.online", "away", "")
	p.idle()

	second := start(t, rec.keep(crashed(t, path), time.Hour))
	if !strings.Contains(second.log.String(), "users were online when the program ended") {
		t.Error("the log does not say that users were online")
	}
	second.openAs("back").leave()
	left := rec.want(t, "user.offline", "back", "disconnect")
	second.openAs("new")
	rec.want(t, "user.online", "new", "")
	second.idle()

	start(t, rec.keep(crashed(t, second.store.Path()), time.Millisecond))
	gone := map[string]callback{}
	for range 2 {
		c := take(t, "callback", rec.got)
		gone[c.Data.UID] = c
		same(t, "cause", c.Type+" "+c.Data.Cause, "user.offline restart")
	}
	if len(gone) != 2 || first.Data.Version >= left.Data.Version || last.Data.Version >= gone["away"].Data.Version {
		t.Errorf("versions %d, %d, then %d, and %+v", first.Data.Version, last.Data.Version, left.Data.Version, gone)
	}
	same(t, "callbacks too many", len(rec.got), 0)
}

// A stop owes no offline: a restart between goes unmentioned.
func TestStopAndStart(t *testing.T) {
	rec := listen(t, nil)
	path := filepath.Join(t.TempDir(), "crier.db")
	p := start(t, rec.keep(path, time.Hour))
	ended := p.openAs("stays").answering()
	rec.want(t, "user.online", "stays", "")
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	take(t, "the end", ended)
	again := start(t, rec.keep(path, time.Hour))
	pg := again.openAs("stays")
	again.openAs("new")
	rec.want(t, "user.online", "new", "")
	pg.leave()
	rec.want(t, "user.offline", "stays", "disconnect")
	same(t, "callbacks too many", len(rec.got), 0)
}

// What a receiver did not take before a crash, it gets after it, with the same id.
func TestCrashWithCallbacksOwed(t *testing.T) {
	var up atomic.Bool
	tried := make(chan string, 100)
	rec := listen(t, func(r *http.Request) int {
		if up.Load() {
			return http.StatusNoContent
		}
		tried <- r.Header.Get("webhook-id")
		return http.StatusServiceUnavailable
	})
	path := filepath.Join(t.TempDir(), "crier.db")
	p := start(t, rec.keep(path, time.Hour))
	p.openAs("7").leave()
	id := take(t, "a try", tried)
	await(t, "offline to be stored", func() bool { return p.sender.Stats().Waiting == 2 })
	after := crashed(t, path)
	up.Store(true)
	start(t, rec.keep(after, time.Hour))
	for _, want := range []string{"user.online", "user.offline"} {
		// The server of before the crash goes on, and may be heard first.
		if c := take(t, want, rec.got); want == "user.online" && (c.ID != id || c.Type != want) {
			t.Errorf("got %+v, want %s with the id %s", c, want, id)
		}
	}
}

// The store's figures, and callbacks that were given up, are on the push port.
func TestDeadLetters(t *testing.T) {
	var up atomic.Bool
	rec := listen(t, func(*http.Request) int {
		if up.Load() {
			return http.StatusNoContent
		}
		return http.StatusGone
	})
	p := start(t, rec.keep(filepath.Join(t.TempDir(), "crier.db"), time.Hour))
	p.openAs("7")
	address := "http://" + p.PushAddr() + "/v1/"
	await(t, "a dead letter", func() bool { return p.sender.Stats().Dead == 1 })
	if got := p.do("GET", address+"webhooks/dead", ""); got.status != 200 || !strings.Contains(got.body, `"uid":"7"`) || !strings.Contains(got.body, "410 Gone") {
		t.Errorf("%+v", got)
	}
	if got := p.do("GET", address+"stats", ""); !strings.Contains(got.body, `"webhooks":{"waiting":0,"dead":1,`) || !strings.Contains(got.body, `"store":{"bytes":`) {
		t.Errorf("%+v", got)
	}
	up.Store(true)
	same(t, "replay", p.do("POST", address+"webhooks/replay", `{"all":true}`).body, `{"replayed":1}`)
	rec.want(t, "user.online", "7", "")
}

// Many users who come at once cost few writes.
func TestOneWriteForMany(t *testing.T) {
	rec := listen(t, nil)
	p := start(t, func(c *configs.Config) {
		rec.keep(filepath.Join(t.TempDir(), "crier.db"), time.Hour)(c)
		c.Webhook.Events = []string{"user.offline"} // so that nothing but presence is written
	})
	const crowd = 200
	before := p.store.Stats()
	began := time.Now()
	for range crowd {
		p.openAs(strings.Repeat("u", 1+p.hub.Stats().Users))
	}
	await(t, "presence records", func() bool {
		version, err := p.store.LastVersion()
		return err == nil && version > 0 && p.store.Stats().Ops > before.Ops
	})
	ticks := uint64(time.Since(began)/presenceTick) + 2
	if n := p.store.Stats().Commits - before.Commits; n > ticks || n > crowd {
		t.Errorf("%d commits for %d users in %d ticks", n, crowd, ticks)
	}
}

// What is wrong with the store stops the start, with the setting that names it.
func TestStoreRefused(t *testing.T) {
	taken := filepath.Join(t.TempDir(), "taken.db")
	build(t, func(c *configs.Config) { c.Store.Path = taken })
	text := filepath.Join(t.TempDir(), "text.db")
	if err := os.WriteFile(text, []byte("not a store"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{taken: "another process uses the store", text: "the store is damaged"} {
		cfg := settings()
		cfg.Store.Path = path
		app, err := New(cfg, slog.New(slog.DiscardHandler))
		if err == nil || app != nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "store.path") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Without callbacks nobody's presence is recorded; without a store the start says so.
func TestNoStoreOrNoCallbacks(t *testing.T) {
	p := start(t, func(c *configs.Config) { c.Store.Path = filepath.Join(t.TempDir(), "crier.db") })
	p.openAs("7")
	if version, err := p.store.LastVersion(); version != 0 || err != nil {
		t.Errorf("version %d, %v", version, err)
	}
	if none := build(t, nil); none.store != nil || !strings.Contains(none.log.String(), "nothing is kept beyond the end") {
		t.Error("the log does not say that nothing is kept")
	}
}
