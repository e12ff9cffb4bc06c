package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"crier/api/schedule"
	"crier/io/hub"
)

// fakeKeeper remembers no schedules, or fails to.
type fakeKeeper struct {
	mu  sync.Mutex
	err error
}

func (k *fakeKeeper) Save(map[string][]byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.err
}

func (k *fakeKeeper) Each(func(string, []byte) error) error { return nil }

func (k *fakeKeeper) fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err = err
}

// withSchedules returns a server with timed pushes, and what keeps them.
func withSchedules(t *testing.T, o Options, so schedule.Options) (*Server, *fakeKeeper) {
	t.Helper()
	k := &fakeKeeper{}
	so.Keeper, so.Logger = k, slog.New(slog.DiscardHandler)
	b, err := schedule.New(so)
	if err != nil {
		t.Fatal(err)
	}
	o.Schedules = b
	s := newServer(t, o)
	b.Start(s.PushScheduled)
	t.Cleanup(func() {
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s, k
}

const hourly = `{"push":{"to":{"users":["a"]},"event":"e","data":{"<n>":1.0}},"every":"1h","max_runs":3}`

func TestSchedules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := realHub(t)
		s, _ := withSchedules(t, Options{Pusher: h}, schedule.Options{})
		e := listen(t, h, "c", "a")
		const (
			begin = `{"id":"a/b","push":{"to":{"users":["a"]},"event":"e","data":{"\u003cn\u003e":1.0}},"every":"1h","max_runs":3,"made":"2000-01-01T00:00:00Z",`
			three = `"next_runs":["2000-01-01T01:00:00Z","2000-01-01T02:00:00Z","2000-01-01T03:00:00Z"]}`
			fresh = begin + `"runs":0,"paused":false,` + three
			still = begin + `"runs":0,"paused":true,"next_runs":[]}`
		)
		for _, c := range []struct{ method, path, body, want string }{
			{"GET", "/v1/schedules", "", `{"schedules":[]}`},
			{"PUT", "/v1/schedules/a%2Fb", hourly, fresh},
			{"GET", "/v1/schedules/a%2Fb", "", fresh},
			{"POST", "/v1/schedules/a%2Fb/pause", "", still},
			{"POST", "/v1/schedules/a%2Fb/resume", "", fresh},
			{"GET", "/v1/schedules?limit=1", "", `{"schedules":[` + fresh + `]}`},
		} {
			if w := do(s, c.method, c.path, "", c.body); w.Code != 200 || w.Body.String() != c.want {
				t.Errorf("%s %s: %d %s\nwant %s", c.method, c.path, w.Code, w.Body, c.want)
			}
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		got := e.take()
		if len(got) != 1 || got[0].ID != "a/b@2000-01-01T01:00:00Z" || got[0].Event != "e" || string(got[0].Args[0]) != `{"<n>":1.0}` {
			t.Errorf("got %+v", got)
		}
		want := begin + `"runs":1,"last":"2000-01-01T01:00:00Z","paused":false,"next_runs":[]}`
		if w := do(s, "DELETE", "/v1/schedules/a%2Fb", "", ""); w.Body.String() != want {
			t.Errorf("got %s", w.Body)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if got := e.take(); len(got) > 0 {
			t.Errorf("it went on: %+v", got)
		}
	})
}

func TestScheduleList(t *testing.T) {
	s, _ := withSchedules(t, Options{Pusher: realHub(t)}, schedule.Options{})
	made := map[string]bool{}
	for range 25 {
		var one struct{ ID string }
		decodeAnswer(t, do(s, "POST", "/v1/schedules", "", hourly), &one)
		made[one.ID] = true
	}
	var listed []string
	for cursor := ""; ; {
		var page struct {
			Schedules []struct{ ID string }
			Next      string
		}
		decodeAnswer(t, do(s, "GET", "/v1/schedules?limit=10&cursor="+cursor, "", ""), &page)
		for _, one := range page.Schedules {
			listed = append(listed, one.ID)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if len(made) != 25 || !slices.Equal(listed, slices.Sorted(maps.Keys(made))) {
		t.Errorf("listed %q of %v", listed, made)
	}
}

// A key with an audience has to do with the schedules that it could make, and needs the right.
func TestScheduleRights(t *testing.T) {
	s, _ := withSchedules(t, Options{Pusher: realHub(t), Access: Access{Limited: []Key{
		{Key: "root"},
		{Key: "shop", Audience: "shop-"},
		{Key: "reader", Rights: RightRead},
		{Key: "pusher", Rights: RightPush},
		{Key: "slow", Rate: 1},
	}}}, schedule.Options{})
	as := func(key string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+key) }
	}
	shops := strings.Replace(hourly, `"a"`, `"shop-1"`, 1)
	for _, c := range []struct {
		key, method, path, body string
		want                    code // "": done
	}{
		{"root", "PUT", "/v1/schedules/x", hourly, ""},
		{"shop", "PUT", "/v1/schedules/x", shops, codeAudienceDenied},
		{"shop", "PUT", "/v1/schedules/y", hourly, codeAudienceDenied},
		{"shop", "POST", "/v1/schedules", hourly, codeAudienceDenied},
		{"shop", "PUT", "/v1/schedules/s", shops, ""},
		{"shop", "GET", "/v1/schedules/s", "", ""},
		{"root", "GET", "/v1/schedules/s", "", ""},
		{"shop", "GET", "/v1/schedules/x", "", codeNoSchedule},
		{"shop", "DELETE", "/v1/schedules/x", "", codeNoSchedule},
		{"shop", "POST", "/v1/schedules/x/pause", "", codeNoSchedule},
		{"shop", "POST", "/v1/schedules/x/resume", "", codeNoSchedule},
		{"reader", "GET", "/v1/schedules/x", "", ""},
		{"reader", "POST", "/v1/schedules", hourly, codeNoRight},
		{"reader", "DELETE", "/v1/schedules/x", "", codeNoRight},
		{"reader", "POST", "/v1/schedules/x/pause", "", codeNoRight},
		{"pusher", "GET", "/v1/schedules", "", codeNoRight},
		{"pusher", "POST", "/v1/schedules/x/resume", "", ""},
		{"slow", "POST", "/v1/schedules", hourly, ""},
		{"slow", "POST", "/v1/schedules", hourly, codeRateLimited},
	} {
		w := do(s, c.method, c.path, "", c.body, as(c.key))
		if c.want != "" {
			checkProblem(t, w, c.want)
		} else if w.Code != 200 {
			t.Errorf("%s: %s %s: %d %s", c.key, c.method, c.path, w.Code, w.Body)
		}
	}
	if got := do(s, "GET", "/v1/schedules", "", "", as("shop")).Body.String(); strings.Count(got, `"made"`) != 1 || !strings.Contains(got, `"id":"s"`) {
		t.Errorf("the key sees %s", got)
	}
}

func TestScheduleMistakes(t *testing.T) {
	s, _ := withSchedules(t, Options{Pusher: realHub(t), MaxBody: 1000, MaxContent: 100}, schedule.Options{})
	with := func(rest string) string { return `{"push":{"to":{"users":["a"]},"data":1}` + rest + `}` }
	for _, c := range []struct {
		name, body string
		want       code
	}{
		{"nothing", "", codeBadJSON},
		{"no JSON", "{", codeBadJSON},
		{"no object", "[]", codeInvalidField},
		{"no push", `{"every":"1h"}`, codeMissingField},
		{"null push", `{"push":null,"every":"1h"}`, codeInvalidField},
		{"no time", with(""), codeMissingField},
		{"two times", with(`,"every":"1h","delay":"1s"`), codeInvalidField},
		{"twice", with(`,"every":"1h","every":"1h"`), codeInvalidField},
		{"unknown", with(`,"evry":"1h"`), codeUnknownField},
		{"number", with(`,"delay":5`), codeInvalidField},
		{"negative delay", with(`,"delay":"-5s"`), codeInvalidField},
		{"year 9999", with(`,"at":"9999-12-31T23:59:59Z"`), codeInvalidField},
		{"too often", with(`,"every":"0.5s"`), codeInvalidField},
		{"cron", with(`,"cron":"* * * *"`), codeInvalidField},
		{"zone", with(`,"cron":"@daily","timezone":"Moon/Base"`), codeInvalidField},
		{"no runs", with(`,"every":"1h","max_runs":0`), codeInvalidField},
		{"half a run", with(`,"every":"1h","max_runs":0.5`), codeInvalidField},
		{"late", with(`,"delay":"1h","late":"perhaps"`), codeInvalidField},
		{"push without to", `{"push":{"data":1},"every":"1h"}`, codeMissingField},
		{"push with an id", `{"push":{"id":"x","to":{"all":true},"data":1},"every":"1h"}`, codeInvalidField},
		{"push with ack", `{"push":{"ack":"1s","to":{"all":true},"data":1},"every":"1h"}`, codeInvalidField},
		{"push that only counts", `{"push":{"dry_run":true,"to":{"all":true},"data":1},"every":"1h"}`, codeInvalidField},
		{"push to nobody's name", `{"push":{"to":{"except":{"rooms":["\n"]},"all":true},"data":1},"every":"1h"}`, codeInvalidField},
		{"push of a reserved event", `{"push":{"to":{"all":true},"event":"connect"},"every":"1h"}`, codeReservedEvent},
		{"large push", `{"push":{"to":{"all":true},"data":"` + strings.Repeat("x", 100) + `"},"every":"1h"}`, codeMessageTooLarge},
		{"large body", strings.Repeat(" ", 1001), codeBodyTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkProblem(t, do(s, "POST", "/v1/schedules", "", c.body), c.want)
			checkProblem(t, do(s, "PUT", "/v1/schedules/x", "", c.body), c.want)
		})
	}
	checkProblem(t, do(s, "PUT", "/v1/schedules/"+strings.Repeat("x", 129), "", hourly), codeInvalidField)
	checkProblem(t, do(s, "PUT", "/v1/schedules/%0A", "", hourly), codeInvalidField)
	checkProblem(t, do(s, "GET", "/v1/schedules?limit=0", "", ""), codeInvalidField)
	if w := do(s, "POST", "/v1/schedules", "", with(`,"delay":"1h","at":null,"max_runs":null`)); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, one := range []struct{ method, path string }{{"GET", ""}, {"DELETE", ""}, {"POST", "/pause"}, {"POST", "/resume"}} {
		checkProblem(t, do(s, one.method, "/v1/schedules/unknown"+one.path, "", ""), codeNoSchedule)
	}
}

func TestScheduleErrors(t *testing.T) {
	var log strings.Builder
	s, k := withSchedules(t, Options{Pusher: realHub(t), Logger: slog.New(slog.NewTextHandler(&log, nil))}, schedule.Options{Max: 1})
	if w := do(s, "PUT", "/v1/schedules/x", "", hourly); w.Code != 200 {
		t.Fatal(w.Body)
	}
	w := do(s, "POST", "/v1/schedules", "", hourly)
	if checkProblem(t, w, codeSchedulesFull); w.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	changes := []struct{ method, path string }{
		{"POST", "/v1/schedules/x/pause"}, {"POST", "/v1/schedules/x/resume"}, {"PUT", "/v1/schedules/x"}, {"DELETE", "/v1/schedules/x"},
	}
	k.fail(errors.New("no space left"))
	for _, c := range changes[:1] {
		if detail := checkProblem(t, do(s, c.method, c.path, "", hourly), codeStoreFailed); strings.Contains(detail, "space") {
			t.Errorf("detail %q", detail)
		}
	}
	if !strings.Contains(log.String(), "no space left") {
		t.Errorf("the log is %q", log.String())
	}
	if err := s.bookOf(t).Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		checkProblem(t, do(s, c.method, c.path, "", hourly), codeStopping)
	}
	for _, c := range append(changes, []struct{ method, path string }{{"POST", "/v1/schedules"}, {"GET", "/v1/schedules"}, {"GET", "/v1/schedules/x"}}...) {
		checkProblem(t, do(newServer(t, Options{Pusher: realHub(t)}), c.method, c.path, "", hourly), codeUnsupported)
	}
}

// closedHub takes no pushes.
type closedHub struct{ *hub.Hub }

func (closedHub) Push(context.Context, hub.Push) (hub.Result, error) {
	return hub.Result{}, fmt.Errorf("wrapped: %w", hub.ErrClosed)
}

// What a push of a schedule fails with says whether to try again.
func TestPushScheduledFails(t *testing.T) {
	for _, c := range []struct {
		name, push string
		pusher     Pusher
		retry      bool
	}{
		{"the hub is closed", `{"to":{"all":true},"data":1}`, closedHub{realHub(t)}, true},
		{"the limit is lower now", `{"to":{"all":true},"data":"123456789012345678901234567890"}`, realHub(t), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t, Options{Pusher: c.pusher, MaxContent: 20})
			if retry, err := s.PushScheduled(t.Context(), "x@1", []byte(c.push))(); err == nil || retry != c.retry {
				t.Errorf("retry %v, %v", retry, err)
			}
		})
	}
}

// bookOf returns the schedules of a server that has them.
func (s *Server) bookOf(t *testing.T) *schedule.Book {
	t.Helper()
	book, none := s.book()
	if none != nil {
		t.Fatal(none)
	}
	return book
}
