package hop

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestUsed(t *testing.T) {
	now := time.Now()
	for _, tc := range []struct {
		what    string
		numbers []uint64
		want    []bool
	}{
		{"in turn", []uint64{1, 2, 3, 3, 2, 1}, []bool{true, true, true, false, false, false}},
		{"in any order", []uint64{70, 1, 64, 69, 65, 64, 1, 70}, []bool{true, true, true, true, true, false, false, false}},
		{"the window goes on", []uint64{5, usedWindow + 4, 5, 6, usedWindow + 5, 5, 6}, []bool{true, true, false, true, true, false, false}},
		{"a jump", []uint64{5, 3 * usedWindow, 5, 3*usedWindow - 1, 2*usedWindow + 5, 3 * usedWindow}, []bool{true, true, false, true, true, false}},
		{"what is behind the window", []uint64{usedWindow, 1, 2 * usedWindow, usedWindow, usedWindow + 1}, []bool{true, true, true, false, true}},
	} {
		var u used
		var got []bool
		for _, n := range tc.numbers {
			got = append(got, u.take("a", n, now))
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.what, got, tc.want)
		}
		if !u.take("b", tc.numbers[0], now) {
			t.Errorf("%s: of another server", tc.what)
		}
	}
}

func TestUsedForgets(t *testing.T) {
	now := time.Now()
	var u used
	u.take("gone", 1, now)
	u.take("there", 1, now)
	u.take("there", 2, now.Add(2*maxSkew))
	if u.take("gone", 1, now.Add(2*maxSkew)) {
		t.Error("forgotten while its badges may still count")
	}
	u.take("there", 3, now.Add(5*maxSkew))
	if len(u.servers) != 1 {
		t.Errorf("%d servers are known", len(u.servers))
	}
}

// TestRepeated has somebody read what one server passes to another, and send it again, as it is or with another body.
func TestRepeated(t *testing.T) {
	o := newTown()
	taken := make(chan *http.Request, 10)
	owner := newNode(t, o, "owner", nil, func(_ http.ResponseWriter, r *http.Request, p *Passed) { taken <- r })
	passer := newNode(t, o, "other", nil, unknown)
	var read *http.Request // what was on the wire
	wire := newNode(t, o, "wire", nil, unknown)
	o.mu.Lock()
	direct := o.owners["owner"]
	o.owners["owner"] = wire.url
	o.mu.Unlock()
	wire.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		read = r.Clone(r.Context())
		http.Error(w, "dropped", http.StatusBadGateway)
	})
	repeat := func(body string) int {
		return send(t, read.Method, direct+read.RequestURI, body, func(r *http.Request) { r.Host, r.Header = read.Host, read.Header.Clone() }).status
	}
	send(t, http.MethodPost, passer.url+"/?sid=1", "packets", to("owner"))
	if got := repeat("packages"); got != http.StatusBadRequest {
		t.Errorf("another body was answered %d", got)
	}
	if got := repeat("packets"); got != http.StatusForbidden {
		t.Errorf("behind a wrong one the right body was answered %d", got)
	}
	send(t, http.MethodPost, passer.url+"/?sid=1", "packets", to("owner"))
	if got := repeat("packets"); got != http.StatusOK || len(taken) != 1 {
		t.Fatalf("the request itself was answered %d, and came %d times", got, len(taken))
	}
	for range 2 {
		if got := repeat("packets"); got != http.StatusForbidden {
			t.Errorf("once more it was answered %d", got)
		}
	}
	if log := owner.log.String(); len(taken) != 1 || !strings.Contains(log, errAgain.Error()) {
		t.Errorf("it came %d times; the log:\n%s", len(taken), log)
	}
}
