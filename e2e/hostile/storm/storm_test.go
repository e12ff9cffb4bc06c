//go:build linux

package storm

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "crier")
	if out, err := exec.Command("go", "build", "-o", binary, "crier").CombinedOutput(); err != nil {
		t.Fatalf("building Crier: %v\n%s", err, out)
	}
	return binary
}

// After kill -9 all come back, get what was stored for them, in order, and the business is told once that each has come, and once
// that it has gone; of one address no more come in than may, the others are told when to come again, and nobody else notices.
func TestStorm(t *testing.T) {
	o := Options{Binary: build(t), Dir: t.TempDir(), Clients: 500, Patience: 2 * time.Minute}
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
	change := func(id, what string, version uint64) event {
		e := event{ID: id, Type: "user." + what}
		e.Data.UID, e.Data.Version = "u", version
		return e
	}
	come, gone := change("1", "online", 1), change("2", "offline", 2)
	for _, c := range []struct {
		name   string
		events []event
		want   string // in the error; empty: none
	}{
		{"once each", []event{come, gone}, ""},
		{"the same again", []event{come, come, gone, come}, ""},
		{"nobody", nil, "of 0 users"},
		{"still there", []event{come}, "has come once and gone once"},
		{"came back", []event{come, gone, change("3", "online", 3), change("4", "offline", 4)}, "has come once and gone once"},
		{"came twice", []event{come, change("3", "online", 3), gone}, "was told"},
		{"in the wrong order", []event{gone, come}, "was told"},
		{"an older version", []event{change("1", "online", 2), change("2", "offline", 1)}, "was told"},
	} {
		t.Run(c.name, func(t *testing.T) {
			told := newCallbacks()
			for _, e := range c.events {
				told.note(e)
			}
			err := told.judge(1)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
