package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"crier/io/hub"
	"crier/io/jobs"
)

// outbox is an Outbox in memory, which outlives a Sender.
type outbox struct {
	*jobs.Memory
	err error // what AddPresence answers

	mu      sync.Mutex
	changes []string // "+uid" and "-uid"
}

func newOutbox() *outbox { return &outbox{Memory: jobs.NewMemory()} }

func (o *outbox) AddPresence(all []jobs.Job, changes []hub.PresenceChange) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return o.err
	}
	for _, c := range changes {
		sign := "-"
		if c.Online {
			sign = "+"
		}
		o.changes = append(o.changes, sign+c.UID)
	}
	return o.Add(all)
}

// Changes are recorded whether or not their event is wanted, and a failure takes none of them.
func TestOutboxGetsEveryChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &receiver{t: t}
		box := newOutbox()
		s, _ := start(t, Options{Transport: rec, Outbox: box, Events: []string{UserOffline}})
		tell(t, s, change("a", 1), change("b", 3), change("a", 4))
		tell(t, s, change("c", 5))
		box.err = errors.New("no space left")
		if err := s.Presence([]hub.PresenceChange{change("b", 6)}); !errors.Is(err, box.err) {
			t.Errorf("Presence: %v", err)
		}
		synctest.Wait()
		if !slices.Equal(box.changes, []string{"+a", "+b", "-a", "+c"}) || rec.told() != "a4" {
			t.Errorf("recorded %v, told %s", box.changes, rec.told())
		}
		if st := s.Stats(); st.Waiting != 0 || st.Done != 1 || st.Refused != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// A stop with an Outbox begins no request; the next Sender makes it, with the same id.
func TestStopKeepsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &receiver{t: t, answer: func(context.Context, event, int) (*http.Response, error) { return reply(500), nil }}
		box := newOutbox()
		s, log := start(t, Options{Transport: rec, Outbox: box})
		tell(t, s, change("a", 1), change("a", 2), change("b", 1))
		synctest.Wait()
		began := time.Now()
		if err := s.Close(t.Context()); err != nil || time.Since(began) != 0 {
			t.Errorf("Close: %v after %v", err, time.Since(began))
		}
		if text := strings.Join(log.lines(), "\n"); !strings.Contains(text, "callbacks wait in the store for the next start") ||
			!strings.Contains(text, "callbacks=3") || len(rec.all()) != 2 {
			t.Errorf("%d calls, log %s", len(rec.all()), text)
		}
		next := &receiver{t: t}
		start(t, Options{Transport: next, Outbox: box})
		pass(time.Minute)
		ids := map[string]string{}
		for _, c := range append(rec.all(), next.all()...) {
			if known := ids[c.body]; known != "" && known != c.ID {
				t.Errorf("%s came as %s and %s", c.body, known, c.ID)
			}
			ids[c.body] = c.ID
		}
		if len(ids) != 3 || len(next.all()) != 3 {
			t.Errorf("told %s, then %s", rec.told(), next.told())
		}
	})
}

// batchReceiver is an http.RoundTripper that takes batches.
type batchReceiver struct {
	t      *testing.T
	answer func(tries int) (*http.Response, error)

	mu    sync.Mutex
	calls []batchCall
}

type batchCall struct {
	id, body string
	events   []event
}

func (r *batchReceiver) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	if err := Verify(testSecret, req.Header, body, time.Second); err != nil {
		r.t.Error(err)
	}
	var got struct{ Events []event }
	if err := json.Unmarshal(body, &got); err != nil || len(got.Events) == 0 {
		r.t.Errorf("body %s: %v", body, err)
	}
	r.mu.Lock()
	r.calls = append(r.calls, batchCall{req.Header.Get(HeaderID), string(body), got.Events})
	n := len(r.calls)
	r.mu.Unlock()
	return r.answer(n)
}

// A batch that was not taken comes again the same, also after a crash; the versions of a user grow.
func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &batchReceiver{t: t, answer: func(int) (*http.Response, error) { return reply(503), nil }}
		box := newOutbox()
		opts := Options{Transport: rec, Outbox: box, Batch: 100, Concurrency: 1}
		s, _ := start(t, opts)
		tell(t, s, change("a", 1), change("b", 2), change("a", 4))
		pass(time.Minute)
		tell(t, s, change("b", 5), change("a", 7))
		pass(time.Minute)
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := len(rec.calls)
		if before < 3 {
			t.Fatalf("%d tries", before)
		}
		rec.answer = func(int) (*http.Response, error) { return reply(204), nil }
		s, _ = start(t, opts)
		pass(10 * time.Minute)
		if len(rec.calls) != before+2 || s.Stats().Done != 5 {
			t.Fatalf("%d calls after %d, %+v", len(rec.calls), before, s.Stats())
		}
		for _, c := range rec.calls[:before+1] {
			if c.id != rec.calls[0].id || c.body != rec.calls[0].body || len(c.events) != 3 {
				t.Errorf("another batch: %+v", c)
			}
		}
		if last := rec.calls[before+1]; len(last.events) != 2 || last.id == rec.calls[0].id {
			t.Errorf("last batch %+v", last)
		}
	})
}

func TestDeadAndReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := true
		rec := &receiver{t: t, answer: func(context.Context, event, int) (*http.Response, error) {
			if gone {
				return reply(410), nil
			}
			return reply(200), nil
		}}
		s, _ := start(t, Options{Transport: rec})
		tell(t, s, change("a", 1), change("b", 1))
		synctest.Wait()
		dead, more, err := s.Dead(0, 1)
		if err != nil || len(dead) != 1 || !more || dead[0].Key != "a" || !json.Valid(dead[0].Payload) {
			t.Fatalf("dead %+v, %v, %v", dead, more, err)
		}
		gone = false
		if n, err := s.Replay(dead[0].ID); n != 1 || err != nil {
			t.Errorf("Replay: %d, %v", n, err)
		}
		synctest.Wait()
		calls := rec.all()
		if last := calls[len(calls)-1]; len(calls) != 3 || last.Data.UID != "a" || last.ID != calls[0].ID && last.ID != calls[1].ID {
			t.Errorf("told %s", rec.told())
		}
	})
}
