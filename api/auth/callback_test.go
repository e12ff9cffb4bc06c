package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func newCallback(t *testing.T, o CallbackOptions) *Callback {
	t.Helper()
	if o.Logger == nil {
		o.Logger, _ = logger(t)
	}
	c, err := NewCallback(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// serve starts a business API; its address has secrets in it.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "http://", "http://u:"+canary+"@", 1) + "/who?key=" + canary
}

func TestQuestion(t *testing.T) {
	type asked struct {
		body   string
		header http.Header
		query  string
	}
	got := make(chan asked, 1)
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- asked{string(body), r.Header, r.URL.RawQuery}
		fmt.Fprint(w, `{"uid":"7"}`)
	})
	var signed string
	c := newCallback(t, CallbackOptions{URL: address, Sign: func(h http.Header, id string, at time.Time, body []byte) {
		signed = string(body)
		h.Set("Webhook-Id", id)
		if time.Since(at) > time.Minute || !strings.HasPrefix(id, "auth_") {
			t.Errorf("signed as %q of %v", id, at)
		}
	}})
	_, err := c.Authenticate(t.Context(), Request{
		UID: "7", Token: canary, IP: "192.0.2.1",
		Header: http.Header{
			"Cookie": {"a=1", "b=2"}, "Authorization": {"Bearer x"}, "X-Own": {"1", "2"}, "User-Agent": {"browser"}, "Connection": {"Upgrade"},
			"Upgrade": {"websocket"}, "Sec-Websocket-Key": {"k"}, "Content-Length": {"2"}, "Proxy-Authorization": {"p"},
		},
		Query: url.Values{"EIO": {"4"}, "transport": {"websocket"}, "t": {"x"}, "shop": {"1", "2"}},
	})
	wantError(t, err, nil)
	q := <-got
	want := `{"uid":"7","token":"` + canary + `","headers":{"authorization":"Bearer x","cookie":"a=1; b=2","user-agent":"browser","x-own":"1, 2"},"query":{"shop":"2"},"ip":"192.0.2.1"}`
	if q.body != want || signed != want {
		t.Errorf("asked\n%s\nsigned\n%s\nwant\n%s", q.body, signed, want)
	}
	if q.query != "key="+canary || q.header.Get("Authorization") == "" || q.header.Get("Webhook-Id") == "" || q.header.Get("Content-Type") != "application/json" {
		t.Errorf("query %q, header %v", q.query, q.header)
	}
	_, err = c.Authenticate(t.Context(), Request{})
	wantError(t, err, nil)
	if q := <-got; q.body != `{"headers":{},"query":{},"ip":""}` {
		t.Errorf("with nothing known: %s", q.body)
	}
}

func TestAnswers(t *testing.T) {
	past, future := time.Now().Add(-time.Minute), time.Now().Add(time.Hour).Truncate(time.Second)
	tests := []struct {
		name   string
		status int
		body   string
		want   error
	}{
		{"who it is", 200, `{"uid":"7"}`, nil},
		{"an integer", 200, `{"uid":7,"rooms":null,"expires":null,"name":"x"}`, nil},
		{"expires in seconds", 200, fmt.Sprintf(`{"uid":"7","expires":%d}`, future.Unix()), nil},
		{"expires as text", 200, `{"uid":"7","expires":"` + future.Format(time.RFC3339) + `"}`, nil},
		{"expired", 200, fmt.Sprintf(`{"uid":"7","expires":%d}`, past.Unix()), ErrExpired},
		{"unauthorized", 401, canary, ErrRefused},
		{"forbidden", 403, `{"uid":"7"}`, ErrRefused},
		{"not found", 404, canary, ErrUnavailable},
		{"too many", 429, "", ErrUnavailable},
		{"error", 500, canary, ErrUnavailable},
		{"down", 503, "", ErrUnavailable},
		{"redirect", 302, "", ErrUnavailable},
		{"redirect that keeps the method", 307, "", ErrUnavailable},
		{"no content", 204, "", ErrUnavailable},
		{"created", 201, `{"uid":"7"}`, ErrUnavailable},
		{"nothing", 200, "", ErrUnavailable},
		{"no JSON", 200, "<html>" + canary, ErrUnavailable},
		{"more than JSON", 200, `{"uid":"7"}` + canary, ErrUnavailable},
		{"no uid", 200, `{}`, ErrUnavailable},
		{"an empty uid", 200, `{"uid":""}`, ErrUnavailable},
		{"uid of null", 200, `{"uid":null}`, ErrUnavailable},
		{"uid of true", 200, `{"uid":true}`, ErrUnavailable},
		{"uid with a fraction", 200, `{"uid":7.0}`, ErrUnavailable},
		{"rooms of one text", 200, `{"uid":"7","rooms":"` + canary + `"}`, ErrUnavailable},
		{"expires of words", 200, `{"uid":"7","expires":"` + canary + `"}`, ErrUnavailable},
		{"expires without end", 200, `{"uid":"7","expires":1e300}`, ErrUnavailable},
		{"null", 200, `null`, ErrUnavailable},
		{"a list", 200, `[]`, ErrUnavailable},
		{"too large", 200, `{"uid":"7","x":"` + strings.Repeat("x", maxReply) + `"}`, ErrUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var asked atomic.Int32
			log, book := logger(t)
			c := newCallback(t, CallbackOptions{Logger: log, URL: serve(t, func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				w.Header().Set("Location", "/"+canary)
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.body)
			})})
			id, err := authenticate(t, c, canary)
			wantError(t, err, tt.want)
			if err == nil && id.UID != "7" {
				t.Errorf("uid %q", id.UID)
			}
			if strings.HasPrefix(tt.name, "expires ") && err == nil && !id.Expires.Equal(future) {
				t.Errorf("expires %v, want %v", id.Expires, future)
			}
			if asked.Load() != 1 {
				t.Errorf("asked %d times", asked.Load())
			}
			if logged := book.String() != ""; logged != Retryable(err) && err != nil {
				t.Errorf("in the log: %s", book)
			}
		})
	}
}

func TestNoAnswer(t *testing.T) {
	release := make(chan struct{})
	silent := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	c := newCallback(t, CallbackOptions{URL: silent, Timeout: 20 * time.Millisecond})
	_, err := authenticate(t, c, canary)
	wantError(t, err, ErrUnavailable)
	nobody := newCallback(t, CallbackOptions{URL: "http://u:" + canary + "@127.0.0.1:1/?" + canary})
	_, err = authenticate(t, nobody, canary)
	wantError(t, err, ErrUnavailable)
	slow := newCallback(t, CallbackOptions{URL: silent, Timeout: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = slow.Authenticate(ctx, Request{Token: canary})
	wantError(t, err, ErrUnavailable)
	slow.Close() // ends what is under way
	_, err = authenticate(t, slow, canary)
	wantError(t, err, ErrUnavailable)
	for _, bad := range []string{"", "h", "ftp://u:" + canary + "@h/", "http://u:" + canary + "@:%zz/"} {
		if _, err := NewCallback(CallbackOptions{URL: bad}); err == nil {
			t.Errorf("%q is taken", bad)
		} else {
			discreet(t, err)
		}
	}
}

// fake is a business API without a network.
type fake struct {
	mu     sync.Mutex
	asked  int
	now    int
	most   int
	delay  time.Duration
	answer func(asked int) (int, string)
}

func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	f.asked++
	f.now++
	f.most = max(f.most, f.now)
	status, body := f.answer(f.asked)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.now--
	}()
	select {
	case <-time.After(f.delay):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(bytes.NewReader([]byte(body)))}, nil
}

func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

func faked(t *testing.T, f *fake, timeout time.Duration) *Callback {
	return newCallback(t, CallbackOptions{URL: "http://h/", Timeout: timeout, Transport: f})
}

func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(asked int) (int, string) {
			return 200, fmt.Sprintf(`{"uid":"u%d","expires":%d}`, asked, time.Now().Add(time.Minute).Unix())
		}}
		c := faked(t, f, 0)
		ask := func(token, ip, want string) {
			t.Helper()
			id, err := c.Authenticate(t.Context(), Request{Token: token, IP: ip})
			if err != nil || id.UID != want {
				t.Errorf("%s of %s is %q, %v, want %q", token, ip, id.UID, err, want)
			}
		}
		ask("a", "1", "u1")
		ask("a", "1", "u1")
		ask("b", "1", "u2")
		ask("a", "2", "u3") // something else is asked
		time.Sleep(time.Minute - time.Nanosecond)
		ask("a", "1", "u1")
		time.Sleep(time.Nanosecond)
		ask("a", "1", "u4")
		ask("b", "1", "u5")
		ask("a", "1", "u4")
	})
}

func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{delay: time.Second, answer: func(int) (int, string) { return 200, `{"uid":"7","expires":4102444800}` }}
		c := faked(t, f, 0)
		ask := func(want int) {
			t.Helper()
			if id, err := c.Authenticate(t.Context(), Request{Token: "t"}); err != nil || id.UID != "7" || f.count() != want {
				t.Errorf("%+v, %v, asked %d times, want %d", id, err, f.count(), want)
			}
		}
		ask(1)
		c.Forget("8")
		ask(1)
		c.Forget("7")
		ask(2)
		ask(2)
		c.Forget("7")
		var asking sync.WaitGroup
		asking.Go(func() { ask(3) })
		synctest.Wait()
		c.Forget("7") // the answer under way may be from before
		asking.Wait()
		ask(4)
	})
}

func TestNotCached(t *testing.T) {
	for name, body := range map[string]string{"without expires": `{"uid":"7"}`, "refused": "401", "failed": "500"} {
		t.Run(name, func(t *testing.T) {
			f := &fake{answer: func(int) (int, string) {
				if len(body) == 3 {
					status := 500
					if body == "401" {
						status = 401
					}
					return status, ""
				}
				return 200, body
			}}
			c := faked(t, f, 0)
			for range 3 {
				if _, err := authenticate(t, c, canary); (err == nil) != (name == "without expires") {
					t.Error(err)
				}
			}
			if f.count() != 3 {
				t.Errorf("asked %d times", f.count())
			}
		})
	}
}

func TestSingleFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{delay: time.Second, answer: func(int) (int, string) { return 200, `{"uid":"7"}` }}
		c := faked(t, f, 0)
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if i == 0 {
					cancel() // the first one's haste is not the others'
				}
				if _, err := c.Authenticate(ctx, Request{Token: "t"}); err != nil && i > 0 {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if f.count() > 2 { // the first may have gone before the others came
			t.Errorf("asked %d times", f.count())
		}
	})
}

func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{delay: time.Second, answer: func(int) (int, string) { return 200, `{"uid":"7"}` }}
		c := faked(t, f, 2500*time.Millisecond)
		var wg sync.WaitGroup
		var fine, late, atOnce atomic.Int32
		begin := time.Now()
		for i := range maxWaiting + 100 {
			wg.Go(func() {
				_, err := c.Authenticate(t.Context(), Request{Token: fmt.Sprint(i)})
				switch {
				case err == nil:
					fine.Add(1)
				case time.Since(begin) == 0:
					atOnce.Add(1)
				default:
					late.Add(1)
				}
			})
		}
		wg.Wait()
		if fine.Load() != 2*maxAsking || atOnce.Load() != 100 || late.Load() != maxWaiting-2*maxAsking || f.most != maxAsking {
			t.Errorf("%d answered, %d too late, %d at once, %d at the same time", fine.Load(), late.Load(), atOnce.Load(), f.most)
		}
		if took := time.Since(begin); took != 2500*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

func TestMemory(t *testing.T) {
	var m memory
	now := time.Now()
	key := func(n int) question {
		var q question
		copy(q[:], fmt.Sprint(n))
		return q
	}
	const all = 2*maxRemembered + 5
	for i := range all {
		m.keep(key(i), Identity{UID: fmt.Sprint(i), Expires: now.Add(time.Hour)})
		if i%3 == 0 { // forgotten, and then there again
			m.find(key(i), now.Add(2*time.Hour))
			m.keep(key(i), Identity{UID: fmt.Sprint(i), Expires: now.Add(time.Hour)})
		}
	}
	if len(m.answers) > maxRemembered || len(m.order) != maxRemembered {
		t.Errorf("%d answers, %d places", len(m.answers), len(m.order))
	}
	for i := range all {
		id, ok := m.find(key(i), now)
		if ok != (i >= all-len(m.answers)) || ok && id.UID != fmt.Sprint(i) {
			t.Fatalf("%d: %+v, %v", i, id, ok)
		}
	}
}

// What is kept has neither the token nor a cookie in it.
func TestMemoryHasNoToken(t *testing.T) {
	f := &fake{answer: func(int) (int, string) { return 200, `{"uid":"7","rooms":["r"],"expires":4102444800}` }}
	c := faked(t, f, 0)
	if _, err := c.Authenticate(t.Context(), Request{Token: canary, Header: http.Header{"Cookie": {canary}}}); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%+v", c.known)
	if len(c.known.answers) != 1 || strings.Contains(text, canary) {
		t.Errorf("kept: %s", text)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(200, []byte(`{"uid":"7","rooms":["a"],"expires":4102444800}`))
	f.Add(200, []byte(`{"uid":7,"expires":"2100-01-01T00:00:00Z"}`))
	f.Add(401, []byte(""))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		id, err := judge(status, body)
		if err != nil {
			discreet(t, err)
			return
		}
		if status != 200 || id.UID == "" {
			t.Fatalf("%d %q is taken for %+v", status, body, id)
		}
		again, err := json.Marshal(map[string]any{"uid": id.UID, "rooms": id.Rooms})
		if err != nil {
			t.Fatal(err)
		}
		if second, err := judge(200, again); err != nil || second.UID != id.UID || !slices.Equal(second.Rooms, id.Rooms) {
			t.Errorf("%q becomes %+v, %v", again, second, err)
		}
	})
}
