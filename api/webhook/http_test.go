package webhook

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func closeAll(t *testing.T, s *Sender) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
}

// A real server: the form, the headers, Basic authorization, the query, and one connection for everything.
func TestOverHTTP(t *testing.T) {
	var conns atomic.Int32
	var mu sync.Mutex
	var got []string
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if err := Verify(testSecret, r.Header, body, 0); err != nil {
			t.Error(err)
		}
		user, pass, ok := r.BasicAuth()
		if !ok || user != "me" || pass != "se/cret" || r.URL.RequestURI() != "/hook?k=v" || r.Method != http.MethodPost {
			t.Errorf("%s %s as %s, %s", r.Method, r.URL, user, pass)
		}
		if r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.Header.Get("User-Agent") != "crier" ||
			r.Header.Values("Idempotency-Key") != nil {
			t.Errorf("headers %v", r.Header)
		}
		mu.Lock()
		got = append(got, string(body[:len("event=online&uid=a&version=1")]))
		mu.Unlock()
		if _, err := io.WriteString(w, strings.Repeat("x", 60<<10)); err != nil {
			t.Error(err)
		}
	}))
	srv.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			conns.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	s, _ := start(t, Options{URL: "http://me:se%2Fcret@" + srv.Listener.Addr().String() + "/hook?k=v#f", Format: FormatForm})
	for v := range uint64(9) {
		tell(t, s, change("a", v+1))
	}
	closeAll(t, s)
	if len(got) != 9 || got[0] != "event=online&uid=a&version=1" || got[1] != "event=offline&uid=a&version=" {
		t.Errorf("got %v", got)
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	var hits atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/new" {
			t.Error("the redirect was followed")
		}
		if hits.Add(1) == 1 {
			http.Redirect(w, r, "/new?k=hunter2", http.StatusPermanentRedirect)
		}
	}))
	defer srv.Close()
	s, log := start(t, Options{URL: srv.URL + "/old"})
	tell(t, s, change("a", 1))
	closeAll(t, s)
	text := strings.Join(log.lines(), "\n")
	if hits.Load() != 2 || !strings.Contains(text, "a redirect to "+srv.URL+"/new; redirects are not followed") {
		t.Errorf("%d hits, log %s", hits.Load(), text)
	}
}

// A reply without end is read up to a limit, and counts by its status.
func TestEndlessReply(t *testing.T) {
	var sent atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for chunk := make([]byte, 16<<10); ; {
			n, err := w.Write(chunk)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	}))
	defer srv.Close()
	s, _ := start(t, Options{URL: srv.URL})
	tell(t, s, change("a", 1))
	closeAll(t, s)
	srv.Close() // waits for the handler
	if st := s.Stats(); st.Done != 1 || sent.Load() == 0 {
		t.Errorf("%+v after %d bytes", st, sent.Load())
	}
}

// A receiver that is not there: Presence returns at once, Close gives up in time and says what was left.
func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s, log := start(t, Options{URL: "http://" + addr + "/hook"})
	tell(t, s, change("a", 1))
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	late := time.After(20 * time.Second)
	for text := ""; !strings.Contains(text, "connection refused"); text += strings.Join(log.lines(), "\n") {
		select {
		case <-ticker.C:
		case <-late:
			t.Fatalf("log %s", text)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if err := s.Close(ctx); err == nil || err.Error() != "1 callbacks were not delivered to http://"+addr+"/hook" {
		t.Errorf("Close: %v", err)
	}
}

// A kept connection that turns out to be dead when it is used again costs no failed try.
func TestDeadConnectionIsNoFailure(t *testing.T) {
	var requests atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1)%2 == 1 {
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		if err := conn.Close(); err != nil { // it never answers the second request
			t.Error(err)
		}
	}))
	defer srv.Close()
	s, _ := start(t, Options{URL: srv.URL})
	for v := range uint64(5) {
		tell(t, s, change("a", v+1))
	}
	closeAll(t, s)
	if st := s.Stats(); st.Done != 5 || st.Failed != 0 || requests.Load() < 9 {
		t.Errorf("%+v after %d requests", st, requests.Load())
	}
}
