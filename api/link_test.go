package api

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws/wsutil"

	"crier/io/hub"
)

// diary is a hub that notes whom it is warmed for and pushed to.
type diary struct {
	fakeHub
	entries []string // guarded by mu
}

func (d *diary) note(entry string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, entry)
}

func (d *diary) check(t *testing.T, want []string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.entries, want) {
		t.Errorf("%q, want %q", d.entries, want)
	}
}

func (d *diary) Warm(uids []string) { d.note("warm " + strings.Join(uids, " ")) }

func (d *diary) Push(ctx context.Context, p hub.Push) (hub.Result, error) {
	d.note(strings.Join(slices.Concat(p.To.Users, p.To.Rooms), " "))
	p.Message.ID = "m"
	return d.fakeHub.Push(ctx, p)
}

// manyLines are more than a handful, of which some are for one user each; wanted is what comes of them.
func manyLines() (lines string, wanted []string, answers []code) {
	var b strings.Builder
	b.WriteString("{}\n\n" + `{"to":{"rooms":["r"]},"data":1}` + "\n" + `{"to":{"users":["x","y"]},"data":1}` + "\n")
	answers = []code{codeMissingField, "", ""}
	first, second := []string{"r", "x y"}, []string(nil)
	var warm [2][]string
	for i := range handful {
		uid := fmt.Sprint("u", i)
		fmt.Fprintf(&b, `{"to":{"users":[%q]},"data":1}`+"\n", uid)
		answers = append(answers, "")
		if i < handful-3 {
			first, warm[0] = append(first, uid), append(warm[0], uid)
		} else {
			second, warm[1] = append(second, uid), append(warm[1], uid)
		}
	}
	wanted = slices.Concat([]string{"warm " + strings.Join(warm[0], " ")}, first, []string{"warm " + strings.Join(warm[1], " ")}, second)
	return b.String(), wanted, answers
}

// The hub is told whom a handful of lines are for before the first of them is pushed.
func TestLinesWarm(t *testing.T) {
	lines, want, answers := manyLines()
	d := &diary{}
	s := newServer(t, Options{Pusher: d})
	r := httptest.NewRequest(http.MethodPost, "/v1/push/batch", strings.NewReader(lines))
	r.RemoteAddr = "127.0.0.1:1"
	r.Host = "localhost"
	r.Header.Set("Content-Type", "application/x-ndjson")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	got := strings.Split(strings.TrimSuffix(w.Body.String(), "\n"), "\n")
	if len(got) != len(answers) {
		t.Fatalf("%d answers to %d lines: %s", len(got), len(answers), w.Body)
	}
	for i, want := range answers {
		checkLine(t, []byte(got[i]), want)
	}
	d.check(t, want)
}

func TestStreamWarms(t *testing.T) {
	lines, want, answers := manyLines()
	d := &diary{}
	_, server := streaming(t, Options{Pusher: d})
	conn, err := dial(t, server, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := wsutil.WriteClientText(conn, []byte(lines)); err != nil {
		t.Fatal(err)
	}
	for _, want := range answers {
		line, err := wsutil.ReadServerText(conn)
		if err != nil {
			t.Fatal(err)
		}
		checkLine(t, line, want)
	}
	d.check(t, want)
}
