//go:build linux

package storm

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"crier/e2e/rig"
	"crier/e2e/rig/rigtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// After kill -9 all come back, get what was stored for them, in order, and the business is told once that each has come, and once
// that it has gone; of one address no more come in than may, the others are told when to come again, and nobody else notices.
func TestStorm(t *testing.T) {
	o := Options{Binary: rigtest.Build(t), Dir: t.TempDir(), Clients: 500, Patience: 2 * time.Minute}
	res, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", *res)
	if err := res.Wrong(); err != nil {
		t.Error(err)
	}
	all, err := Rush(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", all)
	if err := all.Wrong(); err != nil {
		t.Error(err)
	}
}

// TestTold: whatever must not be told is found.
func TestTold(t *testing.T) {
	change := func(id, what string, version uint64) rig.Event {
		e := rig.Event{ID: id, Type: "user." + what}
		e.Data.UID, e.Data.Version = "u", version
		return e
	}
	come, gone := change("1", "online", 1), change("2", "offline", 2)
	for _, c := range []struct {
		name   string
		events []rig.Event
		want   string // in the error; empty: none
	}{
		{"once each", []rig.Event{come, gone}, ""},
		{"the same again", []rig.Event{come, come, gone, come}, ""},
		{"nobody", nil, "of 0 users"},
		{"still there", []rig.Event{come}, "has come once and gone once"},
		{"came back", []rig.Event{come, gone, change("3", "online", 3), change("4", "offline", 4)}, "has come once and gone once"},
		{"came twice", []rig.Event{come, change("3", "online", 3), gone}, "was told"},
		{"in the wrong order", []rig.Event{gone, come}, "was told"},
		{"an older version", []rig.Event{change("1", "online", 2), change("2", "offline", 1)}, "was told"},
	} {
		t.Run(c.name, func(t *testing.T) {
			told := newCallbacks()
			for _, e := range c.events {
				told.take(e)
			}
			err := told.judge(1)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
