package fallback_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"crier/fallback"
	"crier/io/wsconn"
)

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// slow returns the lines about clients that read too slowly.
func (l *lines) slow() (list []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, "reads too slowly") {
			list = append(list, line)
		}
	}
	return list
}

// On each transport it is counted and logged, once, that a client reads too slowly: with the transport, how much has waited for it,
// the reason, and what to set.
func TestSlowClientsAreLogged(t *testing.T) {
	unread := func(path string) func(d *desk) { // a client that reads no more than the head of the answer
		return func(d *desk) {
			conn := d.stall(path)
			d.t.Cleanup(func() { conn.Close() })
		}
	}
	for _, tt := range []struct {
		name, transport string
		open            func(d *desk) // for user 7
		stalls          bool          // there is a connection that is written to
	}{
		{"ws", "ws", unread("/ws?uid=7"), true},
		{"sse", "sse", unread("/sse?uid=7"), true},
		{"comet", "comet", func(d *desk) { d.poll("uid=7&wait=0") }, false},
		{"sockjs websocket", "sockjs", unread("/sockjs/000/s/websocket?uid=7"), true},
		{"sockjs stream", "sockjs", unread("/sockjs/000/s/eventsource?uid=7"), true},
		{"sockjs poll", "sockjs", func(d *desk) {
			wantAnswer(d.t, d.do(http.MethodPost, "/sockjs/000/s/xhr?uid=7", ""), http.StatusOK, "o\n")
		}, false},
	} {
		// check opens the client, and wants it closed by what does, with those counts and that line of the log.
		check := func(t *testing.T, do func(d *desk), counts wsconn.LagCounts, line string) {
			synctest.Test(t, func(t *testing.T) {
				var log lines
				d := newDesk(t, false, fallback.Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), QueueMessages: 5})
				tt.open(d)
				d.awaitUser("7", 1)
				do(d)
				want(t, d.events, "7 has gone")
				d.awaitUser("7", 0)
				if got := d.srv.Stats().SlowConsumers; got != counts {
					t.Errorf("counted %+v, want %+v", got, counts)
				}
				if got := log.slow(); len(got) != 1 || !strings.Contains(got[0], "transport="+tt.transport+" bytes=") ||
					strings.Contains(got[0], "bytes=0") || !strings.HasSuffix(got[0], line+"\n") {
					t.Errorf("logged %q, want one line that ends with %s", got, line)
				}
			})
		}
		t.Run(tt.name+"/full", func(t *testing.T) {
			full := func(d *desk) { d.overflow("7") }
			check(t, full, wsconn.LagCounts{Full: 1}, `reason="its queue is full" settings="limits.queue_bytes, limits.queue_messages"`)
		})
		if !tt.stalls {
			continue
		}
		t.Run(tt.name+"/stalled", func(t *testing.T) {
			push := func(d *desk) {
				d.push("m", "7", "e")
				time.Sleep(time.Minute)
			}
			check(t, push, wsconn.LagCounts{Stalled: 1}, `reason="it has taken nothing for too long"`)
		})
	}
}

// Many at once are counted, and logged in one line.
func TestManySlowClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lines
		d := newDesk(t, false, fallback.Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), QueueMessages: 5})
		const n = 50
		for range n {
			d.poll("uid=7&wait=0")
		}
		d.awaitUser("7", n)
		d.overflow("7")
		for range n {
			want(t, d.events, "7 has gone")
		}
		if got := d.srv.Stats().SlowConsumers; got != (wsconn.LagCounts{Full: n}) {
			t.Errorf("counted %+v", got)
		}
		d.poll("uid=8&wait=0")
		time.Sleep(time.Second)
		d.overflow("8")
		want(t, d.events, "8 has gone")
		if got := log.slow(); len(got) != 2 || !strings.Contains(got[1], fmt.Sprint("more_since_last=", n-1)) {
			t.Errorf("logged %q", got)
		}
	})
}

// A stream over HTTP/2 has a queue of its own; what it cannot write is told by the time, since the error could be anything.
func TestBodyStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lines
		d := newDesk(t, false, fallback.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		w := &stuck{header: make(http.Header)}
		d.srv.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/sse?uid=7", nil))
		want(t, d.events, "7 has gone")
		if got := d.srv.Stats().SlowConsumers; got != (wsconn.LagCounts{Stalled: 1}) {
			t.Errorf("counted %+v", got)
		}
		if got := log.slow(); len(got) != 1 || !strings.Contains(got[0], "transport=sse") || strings.Contains(got[0], "bytes=0") {
			t.Errorf("logged %q", got)
		}
	})
}

// stuck is an answer whose client takes nothing: a write lasts until its deadline.
type stuck struct {
	header http.Header
	mu     sync.Mutex
	until  time.Time
}

func (s *stuck) Header() http.Header { return s.header }
func (*stuck) WriteHeader(int)       {}
func (*stuck) Flush()                {}

func (s *stuck) SetWriteDeadline(at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = at
	return nil
}

func (s *stuck) Write([]byte) (int, error) {
	s.mu.Lock()
	until := s.until
	s.mu.Unlock()
	time.Sleep(time.Until(until))
	return 0, fmt.Errorf("the stream was reset")
}
