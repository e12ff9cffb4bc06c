package app

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"crier/configs"
)

// returning joins with an auth object, given without its braces, and returns what the answer says.
func (p *page) returning(auth string) (sid, pid string) {
	p.t.Helper()
	p.send(`40{` + auth + `}`)
	var a struct{ SID, PID string }
	if err := json.Unmarshal([]byte(p.wantPrefix("40")), &a); err != nil {
		p.t.Fatal(err)
	}
	return a.SID, a.PID
}

// Behind the gate, who comes back proves again who it is, and that it may be in the rooms that it was in.
func TestRecoveryBehindTheGate(t *testing.T) {
	token := func(uid string, rooms ...string) string {
		return fmt.Sprintf(`"token":%q,"recovery":true`, sign(t, uid, time.Hour, rooms...))
	}
	for _, tt := range []struct {
		name, again string
		recovered   bool
	}{
		{"the same user and rooms", token("42", "news"), true},
		{"more rooms", token("42", "news", "sport"), true},
		{"another user", token("43", "news"), false},
		{"fewer rooms", token("42"), false},
		{"nobody", `"recovery":true`, false},
		{"does not ask", fmt.Sprintf(`"token":%q`, sign(t, "42", time.Hour, "news")), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, func(c *configs.Config) {
				withJWT(c)
				c.Rooms.ClientJoin = "token"
			})
			a := dialWith(t, p.Addr(), "EIO=4", nil)
			sid, pid := a.returning(token("42", "news"))
			a.send(`420["subscribe","news"]`)
			a.wantPrefix(`430[{"ok":true`)
			a.leave()
			await(t, "departure", func() bool { return p.hub.Stats().Sockets == 0 })
			if got := p.push("42", "missed"); got != "offline" {
				t.Errorf("pushed: %s", got)
			}
			b := dialWith(t, p.Addr(), "EIO=4", nil)
			again, _ := b.returning(tt.again + fmt.Sprintf(`,"pid":%q`, pid))
			if (again == sid) != tt.recovered {
				t.Fatalf("sid %s after %s, want recovered %v", again, sid, tt.recovered)
			}
			if tt.recovered {
				b.wantPrefix(`42["new_msg","missed","`)
			}
		})
	}
}

// Recovery is off where it is switched off, and survives a stop and a start where there is a store.
func TestRecoverySettings(t *testing.T) {
	const hello = `"uid":"42","recovery":true`
	off := start(t, func(c *configs.Config) { c.Recovery.Clients = "off" })
	if _, pid := dialWith(t, off.Addr(), "EIO=4", nil).returning(hello); pid != "" {
		t.Error("a pid although recovery is off")
	}
	all := start(t, func(c *configs.Config) { c.Recovery.Clients = "all" })
	if _, pid := dialWith(t, all.Addr(), "EIO=4", nil).returning(`"uid":"42"`); pid == "" {
		t.Error("no pid although all can recover")
	}
	path := filepath.Join(t.TempDir(), "crier.db")
	sid, pid := "", ""
	for _, tt := range []struct {
		name      string
		window    time.Duration
		recovered bool
	}{{"the first time", time.Hour, false}, {"after a stop", time.Hour, true}, {"after a window that has become short", time.Nanosecond, false}} {
		p := start(t, func(c *configs.Config) { c.Store.Path, c.Recovery.Window = path, tt.window })
		page := dialWith(t, p.Addr(), "EIO=4", nil)
		auth := hello
		if pid != "" {
			auth += fmt.Sprintf(`,"pid":%q`, pid)
		}
		before := sid
		if sid, pid = page.returning(auth); (sid == before) != tt.recovered {
			t.Errorf("%s: sid %s after %s", tt.name, sid, before)
		}
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// The count that a client is shown at its login has an offset, too, if the client can recover.
func TestRecoveryCount(t *testing.T) {
	p := start(t, func(c *configs.Config) { c.Presence.CountEvent, c.Presence.CountInterval = "json", time.Hour })
	for auth, want := range map[string]string{
		`"uid":"42"`:                 `42["update_online_count",{"users":1,"connections":1}]`,
		`"uid":"42","recovery":true`: `42["update_online_count",{"users":1,"connections":1},"`,
	} {
		page := dialWith(t, p.Addr(), "EIO=4", nil)
		page.returning(auth)
		page.wantPrefix(want)
		page.leave()
		await(t, "departure", func() bool { return p.hub.Stats().Sockets == 0 })
	}
}
