package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"crier/io/hub"
	"crier/io/jobs"
)

func TestNewRejects(t *testing.T) {
	const url = "https://user:hunter2@host/p?token=hunter2"
	for name, tt := range map[string]struct {
		opts Options
		want string
	}{
		"no URL":        {Options{}, "no URL"},
		"no scheme":     {Options{URL: "host/hunter2"}, "https://host/path"},
		"other scheme":  {Options{URL: "ftp://hunter2@host/"}, "https://host/path"},
		"no host":       {Options{URL: "http:///hunter2"}, "https://host/path"},
		"unreadable":    {Options{URL: "http://u:hunter2@host:port:x/"}, "https://host/path"},
		"format":        {Options{URL: url, Format: "xml"}, `"xml", but must be json or form`},
		"event":         {Options{URL: url, Events: []string{"user.gone"}}, `no event "user.gone", only user.online and user.offline`},
		"secret":        {Options{URL: url, Secrets: []string{"whsec_hunter2!"}}, "secret 1 of 1"},
		"form, batches": {Options{URL: url, Format: FormatForm, Batch: 2}, "in the format json only"},
		"negative time": {Options{URL: url, Timeout: -1}, "negative"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := New(tt.opts)
			if err == nil {
				t.Fatal("accepted", s.Close(context.Background()))
			}
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %q, want %q", err, tt.want)
			}
		})
	}
}

func TestBodies(t *testing.T) {
	at := time.Date(2026, 2, 3, 4, 5, 6, 789_999_999, time.FixedZone("", 8*3600))
	online := hub.PresenceChange{UID: "中 <文>&é😀", Online: true, Version: 1770062706789123, Connections: 2, Time: at}
	offline := hub.PresenceChange{UID: "a.b+c=d", Version: 18446744073709551615, Cause: hub.CauseLogout, Time: at}
	for _, tt := range []struct {
		c          hub.PresenceChange
		json, form string
	}{
		{
			online,
			`{"id":"msg_X","type":"user.online","time":"2026-02-02T20:05:06.789Z","node":"n1",` +
				`"data":{"uid":"中 <文>&é😀","version":1770062706789123,"connections":2,"cause":""}}`,
			"event=online&uid=%E4%B8%AD+%3C%E6%96%87%3E%26%C3%A9%F0%9F%98%80&version=1770062706789123&time=2026-02-02T20%3A05%3A06.789Z&id=msg_X",
		},
		{
			offline,
			`{"id":"msg_X","type":"user.offline","time":"2026-02-02T20:05:06.789Z","node":"n1",` +
				`"data":{"uid":"a.b+c=d","version":18446744073709551615,"connections":0,"cause":"logout"}}`,
			"event=offline&uid=a.b%2Bc%3Dd&version=18446744073709551615&time=2026-02-02T20%3A05%3A06.789Z&id=msg_X",
		},
	} {
		e := newEvent(tt.c, "n1")
		if !strings.HasPrefix(e.ID, "msg_") || len(e.ID) < 20 || strings.Contains(e.ID, ".") || e.ID == newEvent(tt.c, "n1").ID {
			t.Errorf("id %q", e.ID)
		}
		e.ID = "msg_X"
		got, err := e.encode()
		if err != nil || string(got) != tt.json {
			t.Errorf("got  %s, %v\nwant %s", got, err, tt.json)
		}
		if back, err := decodeEvent(got); err != nil || back != e {
			t.Errorf("read back as %+v, %v", back, err)
		}
		if form := string(e.form()); form != tt.form {
			t.Errorf("got  %s\nwant %s", form, tt.form)
		}
	}
}

func FuzzEvent(f *testing.F) {
	f.Add([]byte(`{"id":"msg_X","type":"user.online","time":"t","node":"n","data":{"uid":"u","version":1,"connections":2,"cause":""}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := decodeEvent(data)
		if err != nil {
			return
		}
		out, err := e.encode()
		if err != nil || !json.Valid(out) {
			t.Fatalf("%q: %v", out, err)
		}
		if again, err := decodeEvent(out); err != nil || again != e {
			t.Fatalf("%+v became %+v, %v", e, again, err)
		}
	})
}

func TestOrderAndRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &receiver{t: t, answer: func(_ context.Context, e event, tries int) (*http.Response, error) {
			switch {
			case e.Data.UID != "a" || e.Data.Version != 1 || tries > 4:
				return reply(http.StatusOK), nil
			case tries == 1:
				return nil, errors.New("connection refused")
			default:
				return reply(http.StatusInternalServerError), nil
			}
		}}
		s, log := start(t, Options{Transport: rec})
		for v := range uint64(3) {
			tell(t, s, change("a", v+1))
			tell(t, s, change("b", v+1))
		}
		synctest.Wait()
		if got := rec.told(); strings.Count(got, "b") != 3 || strings.Count(got, "a") != 1 {
			t.Errorf("at once: %s", got)
		}
		pass(time.Minute)
		var a []string
		var ids []string
		for _, c := range rec.all() {
			if c.Data.UID == "a" {
				a = append(a, fmt.Sprint(c.Data.Version))
				ids = append(ids, c.ID)
			}
		}
		if !slices.Equal(a, []string{"1", "1", "1", "1", "1", "2", "3"}) {
			t.Errorf("told of a: %v", a)
		}
		if c := slices.Compact(ids); len(c) != 3 {
			t.Errorf("ids %v, want the same on every try", ids)
		}
		lines := log.lines()
		if len(lines) != 2 || !strings.Contains(lines[0], "a callback was not delivered and will be tried again") ||
			!strings.Contains(lines[0], "event=user.online uid=a id="+ids[0]+" attempt=1 error=\"calling the receiver: connection refused\" next_try_in=") ||
			!strings.Contains(lines[1], "is delivered now") {
			t.Errorf("log:\n%s", strings.Join(lines, "\n"))
		}
		if st := s.Stats(); st.Done != 6 || st.Failed != 4 || st.Waiting != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestTimestampsAreOfTheTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &receiver{t: t, answer: func(_ context.Context, _ event, tries int) (*http.Response, error) {
			if tries == 1 {
				return reply(http.StatusServiceUnavailable, "Retry-After", "600"), nil
			}
			return reply(http.StatusOK), nil
		}}
		s, _ := start(t, Options{Transport: rec})
		tell(t, s, change("a", 1))
		pass(time.Hour)
		// The receiver has verified both with a tolerance of a second.
		if c := rec.all(); len(c) != 2 || c[0].body != c[1].body || c[0].header.Get(HeaderTimestamp) == c[1].header.Get(HeaderTimestamp) {
			t.Errorf("calls %v", c)
		}
	})
}

func TestFailures(t *testing.T) {
	answer := func(r *http.Response) func(context.Context) (*http.Response, error) {
		return func(context.Context) (*http.Response, error) { return r, nil }
	}
	for _, tt := range []struct {
		name        string
		answer      func(context.Context) (*http.Response, error)
		least, most time.Duration // until the second try; 0 = there is none
		log         string
	}{
		{"500", answer(reply(500)), time.Second / 2, time.Second, "the receiver answered 500 Internal Server Error"},
		{"404", answer(reply(404)), time.Second / 2, time.Second, "the receiver answered 404 Not Found"},
		{"no such status", answer(reply(599)), time.Second / 2, time.Second, `the receiver answered 599"`},
		{"304", answer(reply(304)), time.Second / 2, time.Second, "the receiver answered 304 Not Modified"},
		{"410", answer(reply(410)), 0, 0, "the receiver answered 410 Gone"},
		{"410 with Retry-After", answer(reply(410, "Retry-After", "5")), 0, 0, "the receiver answered 410 Gone"},
		{
			"redirect", answer(reply(301, "Location", "https://u:hunter2@else.test/x?k=hunter2#f")), time.Second / 2, time.Second,
			"the receiver answered 301, a redirect to https://else.test/x; redirects are not followed, set webhook.url to the final address",
		},
		{"unreadable redirect", answer(reply(302, "Location", "http://a b/")), time.Second / 2, time.Second, "a redirect to an address that cannot be read;"},
		{"long redirect", answer(reply(307, "Location", "/"+strings.Repeat("x", 1000))), time.Second / 2, time.Second, "xxx…; redirects"},
		{"Retry-After in seconds", answer(reply(429, "Retry-After", "120")), 2 * time.Minute, 132 * time.Second, "429 Too Many Requests"},
		// The clock of a synctest bubble starts at 2000-01-01 00:00:00 UTC.
		{"Retry-After as a date", answer(reply(503, "Retry-After", "Sat, 01 Jan 2000 00:05:00 GMT")), 5 * time.Minute, 330 * time.Second, "503 Service"},
		{"Retry-After in the past", answer(reply(503, "Retry-After", "Fri, 31 Dec 1999 00:05:00 GMT")), time.Second / 2, time.Second, "503 Service"},
		{"Retry-After is capped", answer(reply(503, "Retry-After", "99999999999999")), time.Hour, 66 * time.Minute, "503 Service"},
		{"Retry-After is nonsense", answer(reply(503, "Retry-After", "soon")), time.Second / 2, time.Second, "503 Service"},
		{"time-out", func(ctx context.Context) (*http.Response, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, 5500 * time.Millisecond, 6 * time.Second, "the receiver did not answer in time, 5s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rec := &receiver{t: t, answer: func(ctx context.Context, _ event, tries int) (*http.Response, error) {
					if tries == 1 {
						return tt.answer(ctx)
					}
					return reply(http.StatusAccepted), nil
				}}
				s, log := start(t, Options{Transport: rec, Timeout: 5 * time.Second, URL: "http://me:hunter2@receiver.test/hook?key=hunter2"})
				tell(t, s, change("a", 1))
				pass(2 * time.Hour)
				calls := rec.all()
				st := s.Stats()
				switch {
				case tt.most == 0:
					if len(calls) != 1 || st.Parked != 1 || st.Dead != 1 {
						t.Errorf("%d tries, %+v", len(calls), st)
					}
				case len(calls) != 2 || st.Done != 1:
					t.Errorf("%d tries, %+v", len(calls), st)
				default:
					if d := calls[1].at.Sub(calls[0].at); d < tt.least || d > tt.most {
						t.Errorf("second try after %v, want %v to %v", d, tt.least, tt.most)
					}
				}
				text := strings.Join(log.lines(), "\n")
				if !strings.Contains(text, tt.log) || strings.Contains(text, "hunter2") || !strings.Contains(text, "url=http://receiver.test/hook ") {
					t.Errorf("log %s\nwant %s", text, tt.log)
				}
			})
		})
	}
}

func TestGivenUp(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts Options
		at   time.Duration
	}{
		{"after 72 hours", Options{}, 72 * time.Hour},
		{"after the retention", Options{Retention: time.Hour}, time.Hour},
		{"after too many failures", Options{MaxAttempts: 2}, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rec := &receiver{t: t, answer: func(_ context.Context, e event, _ int) (*http.Response, error) {
					if e.Data.Version == 1 {
						return reply(http.StatusBadGateway), nil
					}
					return reply(http.StatusOK), nil
				}}
				tt.opts.Transport = rec
				s, log := start(t, tt.opts)
				tell(t, s, change("a", 1))
				tell(t, s, change("a", 2))
				begin := time.Now()
				pass(tt.at - time.Second)
				if s.Stats().Parked != 0 {
					t.Error("given up too early")
				}
				pass(100 * time.Hour)
				calls := rec.all()
				last := calls[len(calls)-1]
				if last.Data.Version != 2 || last.at.Sub(begin) > tt.at || last.at.Sub(begin) < tt.at/2 {
					t.Errorf("the next one came as %d after %v", last.Data.Version, last.at.Sub(begin))
				}
				if st := s.Stats(); st.Parked != 1 || st.Done != 1 {
					t.Errorf("%+v", st)
				}
				text := strings.Join(log.lines(), "\n")
				if strings.Count(text, "a callback was given up and will not be tried again") != 1 {
					t.Errorf("log %s", text)
				}
			})
		})
	}
}

func TestSlowUserDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &receiver{t: t, answer: func(ctx context.Context, e event, _ int) (*http.Response, error) {
			if e.Data.UID == "slow" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return reply(http.StatusOK), nil
		}}
		s, _ := start(t, Options{Transport: rec, Concurrency: 2})
		tell(t, s, change("slow", 1))
		tell(t, s, change("slow", 2))
		for v := range uint64(50) {
			tell(t, s, change(fmt.Sprint("u", v), 1))
		}
		synctest.Wait() // no time passes
		if st := s.Stats(); st.Done != 50 || st.Running != 1 {
			t.Errorf("%+v", st)
		}
	})
}

func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &receiver{t: t}
		s, _ := start(t, Options{Transport: rec, Events: []string{UserOffline}})
		tell(t, s, change("a", 1))
		tell(t, s, change("a", 2))
		synctest.Wait()
		if got := rec.told(); got != "a2" {
			t.Errorf("told %s", got)
		}
	})
}

func TestDeadReceiverDoesNotFloodTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		rec := &receiver{t: t, answer: func(context.Context, event, int) (*http.Response, error) {
			if !up.Load() {
				return nil, errors.New("connection refused")
			}
			return reply(http.StatusOK), nil
		}}
		s, log := start(t, Options{Transport: rec})
		for u := range 500 {
			tell(t, s, change(fmt.Sprint("u", u), 1))
		}
		pass(10 * time.Minute)
		failed := s.Stats().Failed
		lines := log.lines()
		if failed < 2500 || len(lines) < 5 || len(lines) > 11 {
			t.Errorf("%d failures, %d lines", failed, len(lines))
		}
		var sum, n uint64
		for _, l := range lines[1:] {
			_, rest, _ := strings.Cut(l, "failures_since_last_report=")
			if _, err := fmt.Sscan(rest, &n); err != nil || !strings.Contains(l, "users_waiting=500") {
				t.Fatalf("%v in %s", err, l)
			}
			sum += n
		}
		if sum+1 > failed || sum == 0 {
			t.Errorf("the log tells of %d failures of %d", sum, failed)
		}
		up.Store(true)
		pass(time.Hour)
		lines = log.lines()
		if len(lines) == 0 || !strings.Contains(lines[len(lines)-1], "every callback that had failed is delivered now") {
			t.Errorf("log: %v", lines)
		}
	})
}

func TestFullQueueRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &receiver{t: t, answer: func(context.Context, event, int) (*http.Response, error) { return reply(500), nil }}
		s, _ := start(t, Options{Transport: rec, MaxPending: 3})
		tell(t, s, change("a", 1), change("b", 1))
		if err := s.Presence([]hub.PresenceChange{change("a", 2), change("b", 2)}); !errors.Is(err, jobs.ErrFull) {
			t.Errorf("two for one place: %v", err)
		}
		tell(t, s, change("a", 2))
		if st := s.Stats(); st.RefusedFull != 2 || st.Waiting != 3 {
			t.Errorf("%+v", st)
		}
	})
}

// That callbacks pile up is said once, and again when they have doubled.
func TestGrowthIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		rec := &receiver{t: t, answer: func(context.Context, event, int) (*http.Response, error) {
			if up.Load() {
				return reply(200), nil
			}
			return reply(500), nil
		}}
		s, log := start(t, Options{Transport: rec})
		grow := func(n int) (lines int) {
			for i := range n {
				tell(t, s, change(fmt.Sprint("u", i), 1))
				time.Sleep(100 * time.Millisecond)
			}
			return strings.Count(strings.Join(log.lines(), "\n"), "callbacks pile up")
		}
		for i, tt := range []struct{ add, want int }{{999, 0}, {1, 1}, {999, 0}, {500, 1}, {500, 0}} {
			if got := grow(tt.add); got != tt.want {
				t.Errorf("step %d: %d lines, want %d", i, got, tt.want)
			}
		}
		up.Store(true)
		pass(time.Hour)
		if s.Stats().Waiting != 0 {
			t.Fatalf("%+v", s.Stats())
		}
		up.Store(false)
		if got := grow(1100); got != 1 {
			t.Errorf("after it was over: %d lines", got)
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &receiver{t: t, answer: func(ctx context.Context, e event, _ int) (*http.Response, error) {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			if e.Data.UID == "bad" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return reply(http.StatusOK), nil
		}}
		s, _ := start(t, Options{Transport: rec, Concurrency: 4, Timeout: time.Minute, URL: "http://u:hunter2@receiver.test/hook?k=hunter2"})
		for u := range 20 {
			tell(t, s, change(fmt.Sprint("u", u), 1))
		}
		tell(t, s, change("bad", 1))
		tell(t, s, change("bad", 2))
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		begin := time.Now()
		err := s.Close(ctx)
		if !errors.Is(err, ErrUndelivered) || err.Error() != "2 callbacks were not delivered to http://receiver.test/hook" {
			t.Errorf("Close: %v", err)
		}
		if d := time.Since(begin); d != 10*time.Second {
			t.Errorf("took %v", d)
		}
		if st := s.Stats(); st.Done != 20 || st.Failed != 0 {
			t.Errorf("%+v", st)
		}
		if err := s.Presence([]hub.PresenceChange{change("late", 1)}); !errors.Is(err, jobs.ErrClosed) {
			t.Errorf("Presence after Close: %v", err)
		}
	})
}
