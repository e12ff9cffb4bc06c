package app

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"crier/configs"
)

// While the disk is full browsers are served all the same, and who came is reported when there is room again.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	rec := listen(t, nil)
	p := start(t, func(c *configs.Config) {
		rec.keep(filepath.Join(dir, "crier.db"), time.Hour)(c)
		c.Inbox.Open = true
	})
	junk := filepath.Join(dir, "junk")
	if err := os.WriteFile(junk, make([]byte, 2<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	const crowd = 50
	users := map[string]bool{}
	var last *page
	for n := range crowd {
		uid := strings.Repeat(string(rune('a'+n%26)), 200+n)
		users[uid] = true
		last = p.openAs(uid)
	}
	await(t, "the disk to be full", func() bool { return p.store.Stats().Failures > 0 })
	same(t, "a push", p.push("", "hello"), "ok")
	last.want(`42["new_msg","hello"]`)
	keep := func(id string) answer {
		return p.do("POST", "http://"+p.PushAddr()+"/v1/push", `{"id":"`+id+`","to":{"users":["`+strings.Repeat("a", 200)+`"]},"data":"`+strings.Repeat("x", 300_000)+`","ttl":"1h"}`)
	}
	if got := keep("full"); got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, `"store_failed"`) {
		t.Errorf("a message to be stored: %.300s", got.body)
	}
	if got := p.do("GET", "http://"+p.PushAddr()+"/v1/stats", ""); !strings.Contains(got.body, `"error":"`) {
		t.Errorf("%+v", got)
	}
	if err := os.Remove(junk); err != nil {
		t.Fatal(err)
	}
	for range crowd {
		c := take(t, "callback", rec.got)
		if c.Type != "user.online" || !users[c.Data.UID] {
			t.Errorf("callback %+v", c)
		}
		delete(users, c.Data.UID)
	}
	if got := keep("full"); got.status != http.StatusOK || !strings.Contains(got.body, `"stored":true,"duplicate":false`) {
		t.Errorf("with room again: %.300s", got.body)
	}
	await(t, "the log to say that it is over", func() bool { return strings.Contains(p.log.String(), "who came and who went is stored again") })
}
