package app

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"crier/configs"
)

func TestSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		var at []time.Duration
		calls := make([]func(), 5)
		for i := range calls {
			calls[i] = func() { at = append(at, time.Since(begun)) }
		}
		spread(t.Context(), calls, 10*time.Second)
		for i, got := range at {
			if want := time.Duration(i) * 2 * time.Second; got != want {
				t.Errorf("call %d after %v, want %v", i, got, want)
			}
		}
		same(t, "calls", len(at), len(calls))

		at = nil
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		begun = time.Now()
		spread(ctx, calls, 10*time.Second)
		same(t, "calls until the context ends", len(at), 3)
		same(t, "time", time.Since(begun), 5*time.Second)

		at = nil
		begun = time.Now()
		spread(t.Context(), calls, 0)
		same(t, "calls at once", len(at), len(calls))
		same(t, "their time", time.Since(begun), 0)
		spread(t.Context(), nil, time.Second)
	})
}

// While the clients are closed one after the other, the others and the business servers are served as ever; nobody new is let in.
func TestDrain(t *testing.T) {
	p := start(t, func(c *configs.Config) { c.Drain.Spread = time.Hour })
	p.leaveTime = time.Hour // until the context ends, one client has been closed
	ended := make(chan string, 3)
	for _, uid := range []string{"1", "2", "3"} {
		told := p.openAs(uid).answering()
		go func() { ended <- <-told }()
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- p.Stop(ctx) }()
	same(t, "the first client", take(t, "the end of one client", ended), errEnded.Error())

	public, push := "http://"+p.Addr(), "http://"+p.PushAddr()
	for _, port := range []string{public, push} {
		same(t, "readyz", p.do("GET", port+"/readyz", "").status, 503)
		same(t, "healthz", p.do("GET", port+"/healthz", "").status, 200)
	}
	for path, want := range map[string]int{
		"/socket.io/?EIO=4&transport=polling":       503,
		"/socket.io/?EIO=3&transport=polling":       503,
		"/socket.io/?EIO=4&transport=polling&sid=x": 400,
		"/comet?wait=0": 503,
	} {
		got := p.do("GET", public+path, "")
		same(t, path, got.status, want)
		if want == 503 && !strings.Contains(got.body, "come back in a moment") {
			t.Errorf("%s: %q", path, got.body)
		}
	}
	same(t, "push", p.push("", "still here"), "ok")
	cancel()
	for range 2 {
		if got := take(t, "the end", ended); !strings.HasPrefix(got, `42["new_msg","still here"] `) {
			t.Errorf("another client got %q", got)
		}
	}
	if err := take(t, "Stop", stopped); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	p.stopErr = nil // the context's end is the test's doing
}

func TestStopTimeout(t *testing.T) {
	cfg := settings()
	cfg.Drain.Spread = time.Minute
	same(t, "the most that a stop takes", StopTimeout(cfg), time.Minute+25*time.Second)
}
