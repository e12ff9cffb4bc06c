package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"crier/api/client"
	"crier/io/socketio"
)

func TestReadable(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{`[]`, ``},
		{`["hi <b> \"you\""]`, `hi <b> "you"`},
		{`["a\nb\r\tc\u0007"]`, `a\nb\r\tc\u0007`},
		{`["\ud83d\udc68\u200d\ud83d\udc69"]`, "👨‍👩"},
		{`["\u202e\udb40\udc01"]`, `\u202e\udb40\udc01`},
		{`["a","b"]`, `"a" "b"`},
		{`[{"x": [1, 2.0]}, null]`, `{"x":[1,2.0]} null`},
		{"[\"x\u009b\", 1]", `"x\u009b" 1`},
	} {
		var args []json.RawMessage
		if err := json.Unmarshal([]byte(c.args), &args); err != nil {
			t.Fatal(err)
		}
		if got := readable(args); got != c.want {
			t.Errorf("%s: got %s, want %s", c.args, got, c.want)
		}
	}
	const escaped = `{"a":"\u009b\u0085"}`
	if got := escapeControls("{\"a\":\"\u009b\u0085\"}"); got != escaped || !json.Valid([]byte(got)) {
		t.Errorf("got %s", got)
	}
}

func TestOutcome(t *testing.T) {
	for _, c := range []struct {
		result client.Result
		dryRun bool
		want   string
	}{
		{client.Result{}, true, "would match nobody"},
		{client.Result{ID: "x"}, false, "matched nobody (id x)"},
		{client.Result{ID: "x", Matched: client.Matched{Users: 1, Connections: 2}, Duplicate: true}, false, "matched 1 user, 2 connections (pushed before, and not again; id x)"},
		{
			client.Result{ID: "x", Matched: client.Matched{Users: 2, Connections: 3}, Stored: true, Acked: &client.Acked{Connections: 1}},
			false, "matched 2 users, 3 connections (1 of 3 acknowledged; stored; id x)",
		},
	} {
		if got := outcome(c.result, c.dryRun); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestPrintStats(t *testing.T) {
	for _, c := range []struct {
		name  string
		stats client.Stats
		want  []string // the last lines
	}{
		{"without store and callbacks", client.Stats{Failed: 3}, []string{"failed       3  dropped for another reason"}},
		{
			"with both",
			client.Stats{Callbacks: &client.CallbackStats{Waiting: 1, Dead: 2}, Store: &client.StoreStats{Bytes: 32768, Failures: 4, Error: "no space"}},
			[]string{
				"callbacks       1      not delivered yet", "dead            2      callbacks that were given up",
				"store           32768  bytes of the file", "store failures  4      transactions that failed, since the start",
				"store error            no space",
			},
		},
		{"with Redis", client.Stats{Redis: &client.RedisStats{Up: true, Pushes: 7, Dropped: 2}}, []string{
			"emitters          7  messages that they pushed through Redis, since the start", "emitters dropped  2  broken, too large, or refused",
		}},
		{"without its Redis", client.Stats{Redis: &client.RedisStats{Since: time.Unix(0, 0).UTC()}}, []string{
			"Redis                away since 1970-01-01T00:00:00Z",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			if err := printStats(&out, c.stats); err != nil {
				t.Fatal(err)
			}
			if want := strings.Join(c.want, "\n") + "\n"; !strings.HasSuffix(out.String(), want) || !strings.HasPrefix(out.String(), "users ") {
				t.Errorf("got\n%swant, at the end,\n%s", out.String(), want)
			}
		})
	}
}

// A first attempt that fails is the end, a later one is not; but what the server has decided stays.
func TestLost(t *testing.T) {
	for _, c := range []struct {
		name      string
		connected bool
		err       error
		ends      bool
		want      string // part of the error or the note
	}{
		{"first", false, errRefused, true, "is the server running"},
		{"later", true, errRefused, false, "trying again in 1.2s"},
		{"refused", true, refusedBy("no", "refused"), true, "no (refused)"},
		{"unavailable", false, refusedBy("wait", "unavailable"), false, "wait (unavailable); trying again"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var notes strings.Builder
			l := &listener{notes: &notes, connected: c.connected}
			err := l.Lost(c.err, 1234*time.Millisecond)
			text := notes.String()
			if err != nil {
				text = err.Error()
			}
			if (err != nil) != c.ends || !strings.Contains(text, c.want) {
				t.Errorf("%v, %q", err, notes.String())
			}
		})
	}
}

func refusedBy(message, code string) error {
	return &socketio.ConnectError{Message: message, Data: json.RawMessage(`{"code":"` + code + `"}`)}
}
