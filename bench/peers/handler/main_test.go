//go:build linux

package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"crier/bench"
)

// Pushes are answered as Crier answers them, so that the same load measures both.
func TestPushesAreAnswered(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(servePush))
	t.Cleanup(server.Close)
	for _, via := range []bench.Via{bench.KeepAlive, bench.Fresh} {
		o := bench.Options{
			Mode: bench.Push, Via: via, PushURL: server.URL, Server: bench.Servers()["handler"],
			Clients: 50, Concurrency: 8, Duration: 100 * time.Millisecond, Patience: 30 * time.Second,
		}
		r, err := bench.Run(context.Background(), o, nil)
		for ; err == nil && r.Work.Count == 0 && o.Duration < o.Patience; o.Duration *= 2 { // a busy machine may not come to anything at once
			r, err = bench.Run(context.Background(), o, nil)
		}
		if err != nil || !r.Complete || r.Refused > 0 || r.Work == nil || r.Work.Count == 0 || r.Work.Count != r.Sent {
			t.Errorf("%s: %+v: %v", via, r, err)
		}
	}
}

func TestWhatIsNoPushIsRefused(t *testing.T) {
	for _, body := range []string{``, `{`, `{}`, `{"to":{"users":["a"]},"event":"e"}`, `{"to":{"users":["a","b"]},"event":"e","data":1}`, `{"to":{"all":true},"event":"e","data":1}`} {
		w := httptest.NewRecorder()
		servePush(w, httptest.NewRequest(http.MethodPost, "/v1/push", strings.NewReader(body)))
		if w.Code != http.StatusBadRequest {
			t.Errorf("%q: %d", body, w.Code)
		}
	}
}
