package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"crier/io/jobs"
)

var _ Callbacks = (*jobs.Runner)(nil)

// fakeCallbacks keeps callbacks that were given up.
type fakeCallbacks struct {
	err  error // what Replay answers
	lost error // what Dead answers

	mu   sync.Mutex
	dead []jobs.Job
	sent []uint64

	tries []jobs.Try // by Number, from 1 on
}

// newCallbacks returns n of user-0, user-1, …, with the ids msg_0, msg_1, …
func newCallbacks(n int) *fakeCallbacks {
	f := &fakeCallbacks{}
	for i := range n {
		f.dead = append(f.dead, jobs.Job{
			ID: uint64(i + 1), Key: fmt.Sprint("user-", i), Attempts: 3, LastError: "the receiver answered 410 Gone",
			Payload: fmt.Appendf(nil, `{"id":"msg_%d","type":"user.online"}`, i), Parked: time.Unix(1770000000, 123456789),
		})
	}
	return f
}

func (f *fakeCallbacks) Stats() jobs.Stats {
	return jobs.Stats{Waiting: 1, Dead: len(f.dead), Done: 3, Failed: 4}
}

func (f *fakeCallbacks) Dead(after uint64, limit int) ([]jobs.Job, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lost != nil {
		return nil, false, f.lost
	}
	var page []jobs.Job
	for _, job := range f.dead {
		if job.ID <= after {
			continue
		}
		if len(page) == limit {
			return page, true, nil
		}
		page = append(page, job)
	}
	return page, false, nil
}

func (f *fakeCallbacks) Replay(ids ...uint64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return 0, f.err
	}
	f.sent = append(f.sent, ids...)
	n := len(f.dead)
	f.dead = slices.DeleteFunc(f.dead, func(j jobs.Job) bool { return slices.Contains(ids, j.ID) })
	return n - len(f.dead), nil
}

func (f *fakeCallbacks) Tries(before uint64, limit int) ([]jobs.Try, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := uint64(len(f.tries))
	if before > 0 {
		n = min(n, before-1)
	}
	var page []jobs.Try
	for ; n > 0; n-- {
		if len(page) == limit {
			return page, true
		}
		page = append(page, f.tries[n-1])
	}
	return page, false
}

func TestDead(t *testing.T) {
	s := newServer(t, Options{Pusher: realHub(t), Callbacks: newCallbacks(2500)})
	want := `{"dead":[{"id":"msg_0","callback":{"id":"msg_0","type":"user.online"},"attempts":3,` +
		`"error":"the receiver answered 410 Gone","parked":"2026-02-02T02:40:00.123Z"}],"next":"1"}`
	if got := do(s, "GET", "/v1/webhooks/dead?limit=1", "", "").Body.String(); got != want {
		t.Errorf("got %s", got)
	}
	for _, limit := range []int{7, 100, 1000} {
		seen, cursor := 0, ""
		for pages := 0; pages == 0 || cursor != ""; pages++ {
			var page struct {
				Dead []struct{ ID string }
				Next string
			}
			decodeAnswer(t, do(s, "GET", fmt.Sprintf("/v1/webhooks/dead?limit=%d&cursor=%s", limit, cursor), "", ""), &page)
			for _, d := range page.Dead {
				if d.ID != fmt.Sprint("msg_", seen) {
					t.Fatalf("%s is number %d", d.ID, seen)
				}
				seen++
			}
			cursor = page.Next
		}
		if seen != 2500 {
			t.Errorf("by %d: %d of 2500", limit, seen)
		}
	}
	empty := newServer(t, Options{Pusher: realHub(t), Callbacks: newCallbacks(0)})
	if got := do(empty, "GET", "/v1/webhooks/dead", "", "").Body.String(); got != `{"dead":[]}` {
		t.Errorf("got %s", got)
	}
}

func TestReplay(t *testing.T) {
	for _, c := range []struct {
		body, want string
		sent       []uint64
	}{
		{`{"ids":["msg_2","msg_0","msg_2","msg_77"]}`, `{"replayed":2,"unknown":["msg_77"]}`, []uint64{1, 3}},
		{`{"ids":["msg_3"],"all":false}`, `{"replayed":1}`, []uint64{4}},
		{`{"ids":[]}`, `{"replayed":0}`, nil},
		{` {"all":true} `, `{"replayed":5}`, []uint64{1, 2, 3, 4, 5}},
	} {
		f := newCallbacks(5)
		s := newServer(t, Options{Pusher: realHub(t), Callbacks: f})
		if got := do(s, "POST", "/v1/webhooks/replay", "application/json", c.body).Body.String(); got != c.want || !slices.Equal(f.sent, c.sent) {
			t.Errorf("%s: got %s, sent %v", c.body, got, f.sent)
		}
	}
}

// A key with an audience has to do with the callbacks of its users only, and needs the right.
func TestCallbackRights(t *testing.T) {
	f := newCallbacks(20)
	s := newServer(t, Options{Pusher: realHub(t), Callbacks: f, Access: Access{Limited: []Key{
		{Key: "some", Audience: "user-1"},
		{Key: "reader", Rights: RightRead},
		{Key: "pusher", Rights: RightPush},
	}}})
	as := func(key string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+key) }
	}
	var page struct {
		Dead []struct{ ID string }
		Next string
	}
	decodeAnswer(t, do(s, "GET", "/v1/webhooks/dead?limit=11", "", "", as("some")), &page)
	if len(page.Dead) != 11 || page.Next != "" { // 1, and 10 to 19
		t.Errorf("the key sees %+v", page)
	}
	checkProblem(t, do(s, "GET", "/v1/webhooks/dead", "", "", as("pusher")), codeNoRight)
	checkProblem(t, do(s, "POST", "/v1/webhooks/replay", "", `{"all":true}`, as("reader")), codeNoRight)
	if got := do(s, "POST", "/v1/webhooks/replay", "", `{"ids":["msg_1","msg_2"]}`, as("some")).Body.String(); got != `{"replayed":1,"unknown":["msg_2"]}` {
		t.Errorf("got %s", got)
	}
	if got := do(s, "POST", "/v1/webhooks/replay", "", `{"all":true}`, as("some")).Body.String(); got != `{"replayed":10}` || len(f.dead) != 9 {
		t.Errorf("got %s, %d left", got, len(f.dead))
	}
}

func TestCallbackErrors(t *testing.T) {
	f := newCallbacks(3)
	s := newServer(t, Options{Pusher: realHub(t), Callbacks: f})
	for body, want := range map[string]code{
		"": codeBadJSON, "{": codeBadJSON, "[]": codeInvalidField, "{}": codeMissingField, `{"all":false}`: codeMissingField,
		`{"all":1}`: codeInvalidField, `{"ids":"msg_1"}`: codeInvalidField, `{"ids":[1]}`: codeInvalidField, `{"ids":null}`: codeInvalidField,
		`{"all":true,"ids":[]}`: codeInvalidField, `{"id":"msg_1"}`: codeUnknownField,
		`{"ids":[` + strings.Repeat(`"x",`, 1000) + `"x"]}`: codeTooMany,
	} {
		t.Run(body[:min(len(body), 30)], func(t *testing.T) {
			checkProblem(t, do(s, "POST", "/v1/webhooks/replay", "", body), want)
		})
	}
	for err, want := range map[error]code{jobs.ErrFull: codeOutboxFull, jobs.ErrClosed: codeStopping, errors.New("no space left"): codeInternal} {
		f.err = fmt.Errorf("wrapped: %w", err)
		detail := checkProblem(t, do(s, "POST", "/v1/webhooks/replay", "", `{"all":true}`), want)
		if strings.Contains(detail, "no space") {
			t.Errorf("detail %s", detail)
		}
	}
	f.lost = errors.New("no such file")
	checkProblem(t, do(s, "GET", "/v1/webhooks/dead", "", ""), codeInternal)
	small := newServer(t, Options{Pusher: realHub(t), Callbacks: f, MaxBody: 100})
	checkProblem(t, do(small, "POST", "/v1/webhooks/replay", "", strings.Repeat(" ", 101)), codeBodyTooLarge)
	checkProblem(t, do(s, "GET", "/v1/webhooks/dead?cursor=!", "", ""), codeInvalidCursor)
	checkProblem(t, do(s, "GET", "/v1/webhooks/dead?limit=0", "", ""), codeInvalidField)
	none := newServer(t, Options{Pusher: realHub(t)})
	checkProblem(t, do(none, "GET", "/v1/webhooks/dead", "", ""), codeUnsupported)
	checkProblem(t, do(none, "POST", "/v1/webhooks/replay", "", `{"all":true}`), codeUnsupported)
}

func TestStatsOfParts(t *testing.T) {
	s := newServer(t, Options{
		Pusher: realHub(t), Callbacks: newCallbacks(2),
		Store: func() StoreFigures {
			return StoreFigures{Bytes: 1, Free: 2, Commits: 3, Writes: 4, Failures: 5, Compactions: 6, Error: "e"}
		},
		Limits: func() LimitFigures {
			return LimitFigures{Connections: 1, Full: 2, TooMany: 3, TooFast: 4, TurnedAway: 5, Slow: 6, PutOff: 7, Queued: 8, QueueTotal: 9, Evicted: 10}
		},
		Redis: func() RedisFigures {
			return RedisFigures{Up: true, Since: time.Unix(0, 0).UTC(), Lost: 1, Pushes: 2, Requests: 3, Repeated: 4, Passed: 5, Dropped: 6}
		},
	})
	var got struct {
		Users                  *int
		Webhooks, Store, Redis json.RawMessage
	}
	decodeAnswer(t, do(s, "GET", "/v1/stats", "", ""), &got)
	if got.Users == nil || string(got.Webhooks) != `{"waiting":1,"dead":2,"delivered":3,"failed":4}` ||
		string(got.Store) != `{"bytes":1,"free":2,"commits":3,"writes":4,"failures":5,"compactions":6,"error":"e"}` {
		t.Errorf("webhooks %s, store %s", got.Webhooks, got.Store)
	}
	if string(got.Redis) != `{"up":true,"since":"1970-01-01T00:00:00Z","lost":1,"pushes":2,"requests":3,"repeated":4,"passed":5,"dropped":6}` {
		t.Errorf("redis %s", got.Redis)
	}
}
