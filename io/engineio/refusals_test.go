package engineio_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"crier/io/engineio"
	"crier/io/wsconn"
)

// Nor do clients that all read too slowly at once.
func TestSlowClientsAreLoggedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := newFakeRig(t, engineio.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		overflow := func(n int) {
			for range n {
				rc, _ := r.open(eio4)
				rc.session.Overflow()
			}
			synctest.Wait()
		}
		overflow(100)
		time.Sleep(time.Second)
		overflow(1)
		const line = `transport=polling bytes=1234 reason="its queue is full" settings="limits.queue_bytes, limits.queue_messages"`
		if got := log.String(); strings.Count(got, "reads too slowly") != 2 || strings.Count(got, line) != 2 || !strings.Contains(got, "more_since_last=99") {
			t.Error(got)
		}
		if got := r.srv.Stats().SlowConsumers; got != (wsconn.LagCounts{Full: 101}) {
			t.Errorf("counted %+v", got)
		}
	})
}

// Who takes nothing for too long of what waits is counted, and logged, as the like.
func TestStalledClientsAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := newRig(t, false, engineio.Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), PingInterval: time.Hour})
		conn, _, _ := r.handshake(ws4) // not read any more
		t.Cleanup(func() { conn.Close() })
		rc := next(t, r.handler.accepted)
		want(t, rc.events, "opened")
		send(t, rc.session, strings.Repeat("x", 10_000))
		want(t, rc.events, "closed: transport close")
		if got := log.String(); strings.Count(got, "reads too slowly") != 1 || !strings.Contains(got, `reason="it has taken nothing for too long"`) {
			t.Error(got)
		}
		if got := r.srv.Stats().SlowConsumers; got != (wsconn.LagCounts{Stalled: 1}) {
			t.Errorf("counted %+v", got)
		}
	})
}

// A storm of requests for sessions that are gone does not fill the log.
func TestRefusalsAreLoggedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := newFakeRig(t, engineio.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		lines := func() string {
			defer log.Reset()
			return log.String()
		}
		for range 100 {
			request(r.srv, http.MethodGet, eio4+"&sid=gone")
		}
		if got := lines(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "Session ID unknown") {
			t.Errorf("a hundred refusals: %s", got)
		}
		request(r.srv, http.MethodGet, "EIO=4&transport=abc")
		if got := lines(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "Transport unknown") {
			t.Errorf("another kind: %s", got)
		}
		time.Sleep(time.Second)
		request(r.srv, http.MethodGet, eio4+"&sid=gone")
		if got := lines(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "more_since_last=99") {
			t.Errorf("later: %s", got)
		}
	})
}
