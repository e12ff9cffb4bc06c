package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// business is an http.RoundTripper that plays the business API. It checks every signature.
type business struct {
	t      *testing.T
	answer func(r *http.Request, e ClientEvent) (*http.Response, error)

	mu      sync.Mutex
	got     []string // connection and event of each request, in the order of their arrival
	now, at int      // requests under way, and the most there have been
}

func (b *business) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if err := Verify(testSecret, r.Header, body, time.Second); err != nil {
		b.t.Error(err)
	}
	var e struct {
		ID, Type, Time, Node string
		Data                 ClientEvent
	}
	if err := json.Unmarshal(body, &e); err != nil {
		b.t.Error(err)
	}
	if e.Type != ClientEventType || e.ID == "" || e.ID != r.Header.Get(HeaderID) || e.Node != "n1" || e.Data.Args == nil {
		b.t.Errorf("body %s, headers %v", body, r.Header)
	}
	if _, err := time.Parse(time.RFC3339, e.Time); err != nil {
		b.t.Error(err)
	}
	b.mu.Lock()
	b.got = append(b.got, e.Data.Connection+" "+e.Data.Event)
	b.now++
	b.at = max(b.at, b.now)
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.now--
	}()
	return b.answer(r, e.Data)
}

func startForwarder(t *testing.T, answer func(*http.Request, ClientEvent) (*http.Response, error)) (*Forwarder, *business, *logBuffer) {
	t.Helper()
	log := &logBuffer{}
	b := &business{t: t, answer: answer}
	f, err := NewForwarder(ForwardOptions{
		URL: "http://me:secret@business.test/events?k=secret", Secrets: []string{testSecret}, Node: "n1",
		MaxAnswer: 100, Transport: b, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		f.Close(ctx)
		f.Close(ctx)
	})
	return f, b, log
}

// told is what an event's sender hears.
type told struct {
	answer json.RawMessage
	err    error
}

// send forwards an event and returns where its answer comes.
func send(t *testing.T, f *Forwarder, connection, event string) <-chan told {
	t.Helper()
	c := make(chan told, 2)
	e := ClientEvent{Connection: connection, Event: event}
	if err := f.Forward(e, func(answer json.RawMessage, err error) { c <- told{answer, err} }); err != nil {
		t.Fatalf("forwarding %s: %v", event, err)
	}
	return c
}

func answerWith(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: make(http.Header), Body: io.NopCloser(strings.NewReader(body))}
}

func TestForwardAnswers(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		want   string
		err    error
	}{
		{"JSON", 200, ` {"ok":true} ` + "\n", `{"ok":true}`, nil},
		{"another 2xx", 201, `[1]`, `[1]`, nil},
		{"nothing", 204, "", "", nil},
		{"blanks", 200, " \n", "", nil},
		{"as large as can be", 200, `"` + strings.Repeat("x", 98) + `"`, `"` + strings.Repeat("x", 98) + `"`, nil},
		{"too large", 200, `"` + strings.Repeat("x", 99) + `"`, "", ErrBadAnswer},
		{"no JSON", 200, "<html>", "", ErrBadAnswer},
		{"JSON that breaks off", 200, `{`, "", ErrBadAnswer},
		{"not UTF-8", 200, "\"\xff\"", "", ErrBadAnswer},
		{"bad request", 400, `{"ok":true}`, "", ErrRefused},
		{"forbidden", 403, "", "", ErrRefused},
		{"redirect", 302, `{"ok":true}`, "", ErrUnavailable},
		{"failure", 500, `{"ok":true}`, "", ErrUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, _, _ := startForwarder(t, func(*http.Request, ClientEvent) (*http.Response, error) { return answerWith(tt.status, tt.body), nil })
				got := <-send(t, f, "c", "e")
				if string(got.answer) != tt.want || !errors.Is(got.err, tt.err) || (got.err == nil) != (tt.err == nil) {
					t.Errorf("got %s, %v", got.answer, got.err)
				}
			})
		})
	}
}

func TestForwardRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var body, auth, target string
		f, _, _ := startForwarder(t, func(r *http.Request, e ClientEvent) (*http.Response, error) {
			text, err := json.Marshal(e)
			if err != nil {
				return nil, err
			}
			body, auth, target = string(text), r.Header.Get("Authorization"), r.URL.String()
			return answerWith(200, "1"), nil
		})
		args := []json.RawMessage{json.RawMessage(`{"a":"<é😀>"}`), json.RawMessage(`7`)}
		done := make(chan told, 1)
		if err := f.Forward(ClientEvent{UID: "u", Connection: "c", Event: "order", Args: args}, func(a json.RawMessage, err error) { done <- told{a, err} }); err != nil {
			t.Fatal(err)
		}
		args[0][0] = 'x' // it is the caller's again
		if got := <-done; got.err != nil {
			t.Fatal(got.err)
		}
		if want := `{"uid":"u","connection":"c","event":"order","args":[{"a":"\u003cé😀\u003e"},7]}`; body != want {
			t.Errorf("body %s, want %s", body, want)
		}
		if !strings.HasPrefix(auth, "Basic ") || target != "http://business.test/events?k=secret" {
			t.Errorf("%s with authorization %q", target, auth)
		}
	})
}

// Events of one connection are forwarded one by one and in order, those of others beside them, and at most so many at once.
func TestForwardOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, b, _ := startForwarder(t, func(*http.Request, ClientEvent) (*http.Response, error) {
			time.Sleep(10 * time.Millisecond)
			return answerWith(200, "1"), nil
		})
		var all []<-chan told
		const connections, each = 2 * forwardsAtOnce, 5
		for i := range each {
			for c := range connections {
				all = append(all, send(t, f, fmt.Sprint("c", c), fmt.Sprint(i)))
			}
		}
		for _, c := range all {
			if got := <-c; got.err != nil {
				t.Fatal(got.err)
			}
		}
		next := make(map[string]int)
		for _, line := range b.got {
			connection, event, _ := strings.Cut(line, " ")
			if event != fmt.Sprint(next[connection]) {
				t.Fatalf("%s got event %s as number %d", connection, event, next[connection])
			}
			next[connection]++
		}
		if len(next) != connections || b.at != forwardsAtOnce {
			t.Errorf("%d connections, want %d; %d requests at once, want %d", len(next), connections, b.at, forwardsAtOnce)
		}
		synctest.Wait()
		if len(f.lines) != 0 || f.waiting != 0 || f.bytes != 0 {
			t.Errorf("left: %d lines, %d events, %d bytes", len(f.lines), f.waiting, f.bytes)
		}
	})
}

// A business API that hangs costs each event its time-out, the wait for its turn included, and no more.
func TestForwardTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, b, log := startForwarder(t, func(r *http.Request, _ ClientEvent) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		begin := time.Now()
		first, second := send(t, f, "c", "1"), send(t, f, "c", "2")
		for _, c := range []<-chan told{first, second} {
			if got := <-c; !errors.Is(got.err, ErrNoAnswer) {
				t.Errorf("got %v", got.err)
			}
		}
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("took %v", took)
		}
		if len(b.got) != 1 {
			t.Errorf("%d requests: one whose time is up must not be made", len(b.got))
		}
		if lines := log.lines(); len(lines) != 1 || strings.Contains(lines[0], "secret") {
			t.Errorf("logged %q", lines)
		}
	})
}

// One connection, and all of them, can have so much waiting; then others still get through, or hear that it is too much.
func TestForwardBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := make(chan struct{})
		f, _, _ := startForwarder(t, func(*http.Request, ClientEvent) (*http.Response, error) {
			<-open
			return answerWith(200, "1"), nil
		})
		busy := func(connection string) bool {
			synctest.Wait()
			err := f.Forward(ClientEvent{Connection: connection, Event: "e"}, func(json.RawMessage, error) {})
			if err != nil && !errors.Is(err, ErrBusy) {
				t.Error(err)
			}
			return err != nil
		}
		n := 0
		for !busy("greedy") {
			n++
		}
		if n != maxForwardsOfOne+1 { // one is under way
			t.Errorf("one connection has %d", n)
		}
		for i := 0; !busy(fmt.Sprint("c", i)); i++ {
			n++
		}
		if n != maxForwards {
			t.Errorf("all have %d", n)
		}
		close(open)
		synctest.Wait()
		if busy("greedy") {
			t.Error("still busy")
		}
		large := json.RawMessage(`"` + strings.Repeat("x", maxForwardBytes) + `"`)
		if err := f.Forward(ClientEvent{Connection: "c", Event: "e", Args: []json.RawMessage{large}}, nil); !errors.Is(err, ErrBusy) {
			t.Errorf("too many bytes: %v", err)
		}
	})
}

// Close waits for what is under way as long as it may, and answers the rest.
func TestForwardClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, _ := startForwarder(t, func(r *http.Request, e ClientEvent) (*http.Response, error) {
			wait := time.Second
			if e.Event == "slow" {
				wait = time.Hour
			}
			select {
			case <-time.After(wait):
				return answerWith(200, "1"), nil
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		})
		quick, slow, behind := send(t, f, "a", "quick"), send(t, f, "b", "slow"), send(t, f, "b", "behind")
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		f.Close(ctx)
		if got := <-quick; got.err != nil {
			t.Error(got.err)
		}
		for _, c := range []<-chan told{slow, behind} {
			if got := <-c; !errors.Is(got.err, ErrStopping) {
				t.Errorf("got %v", got.err)
			}
		}
		if err := f.Forward(ClientEvent{Connection: "a", Event: "e"}, nil); !errors.Is(err, ErrStopping) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestForwarderOptions(t *testing.T) {
	for name, o := range map[string]ForwardOptions{
		"no URL":     {},
		"a bad URL":  {URL: "secret"},
		"a secret":   {URL: "http://h/", Secrets: []string{"whsec_*secret*"}},
		"a time-out": {URL: "http://h/", Timeout: -1},
		"an answer":  {URL: "http://h/", MaxAnswer: -1},
	} {
		if f, err := NewForwarder(o); f != nil || err == nil || strings.Contains(err.Error(), "*secret*") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
