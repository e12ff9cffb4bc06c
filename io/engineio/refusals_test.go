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
		if got := log.String(); strings.Count(got, "reads too slowly") != 2 || !strings.Contains(got, "more_since_last=99") {
			t.Error(got)
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
