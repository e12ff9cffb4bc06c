package schedule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeKeeper remembers in memory what a file would.
type fakeKeeper struct {
	mu      sync.Mutex
	records map[string][]byte
	err     error
	saves   int
}

func (k *fakeKeeper) Save(records map[string][]byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return k.err
	}
	k.saves++
	maps.Copy(k.records, records)
	maps.DeleteFunc(k.records, func(_ string, record []byte) bool { return record == nil })
	return nil
}

func (k *fakeKeeper) Each(fn func(string, []byte) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, record := range k.records {
		if err := fn(id, record); err != nil {
			return err
		}
	}
	return nil
}

func (k *fakeKeeper) fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err = err
}

// copy is what a crash leaves.
func (k *fakeKeeper) copy() *fakeKeeper {
	k.mu.Lock()
	defer k.mu.Unlock()
	return &fakeKeeper{records: maps.Clone(k.records)}
}

// pushes keeps what is pushed.
type pushes struct {
	mu    sync.Mutex
	ids   []string
	err   error
	retry bool
}

func (p *pushes) push(_ context.Context, id string, _ json.RawMessage) func() (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if retry, err := p.retry, p.err; err != nil {
		return func() (bool, error) { return retry, err }
	}
	p.ids = append(p.ids, id)
	return func() (bool, error) { return false, nil }
}

func (p *pushes) fail(retry bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retry, p.err = retry, err
}

// want checks what has been pushed since the last call, when everything that is due has been.
func (p *pushes) want(t *testing.T, ids ...string) {
	t.Helper()
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Equal(p.ids, ids) {
		t.Errorf("pushed %q, want %q", p.ids, ids)
	}
	p.ids = nil
}

func open(t *testing.T, k *fakeKeeper, p *pushes, change ...func(*Options)) *Book {
	t.Helper()
	o := Options{Logger: slog.New(slog.DiscardHandler)}
	if k != nil {
		o.Keeper = k
	}
	for _, c := range change {
		c(&o)
	}
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	b.Start(p.push)
	t.Cleanup(func() { shut(t, b) })
	return b
}

func shut(t *testing.T, b *Book) {
	t.Helper()
	if err := b.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func all(json.RawMessage) bool  { return true }
func none(json.RawMessage) bool { return false }

func put(t *testing.T, b *Book, id string, spec Spec) State {
	t.Helper()
	spec.Push = json.RawMessage(`{"data":"<é>"}`)
	s, err := b.Put(t.Context(), id, spec, 3, all)
	if err != nil {
		t.Fatalf("%s: %v", id, err)
	}
	return s
}

// The clock of a bubble begins at midnight UTC, 2000-01-01.
func TestRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pushes{}
		b := open(t, nil, p)
		put(t, b, "at", Spec{At: "2000-01-01T00:00:10Z"})
		put(t, b, "now", Spec{Delay: "0s"})
		put(t, b, "every", Spec{Every: "20s", MaxRuns: 2})
		put(t, b, "cron", Spec{Cron: "* * * * *", Until: "2000-01-01T00:02:00Z"})
		p.want(t, "now@2000-01-01T00:00:00Z")
		time.Sleep(10 * time.Second)
		p.want(t, "at@2000-01-01T00:00:10Z")
		time.Sleep(10 * time.Second)
		p.want(t, "every@2000-01-01T00:00:20Z")
		if s, err := b.Get("every", 5, all); err != nil || s.Runs != 1 || len(s.Next) != 1 || s.Last != s.Made.Add(20*time.Second) {
			t.Errorf("%+v, %v", s, err)
		}
		time.Sleep(time.Hour)
		p.want(t, "every@2000-01-01T00:00:40Z", "cron@2000-01-01T00:01:00Z", "cron@2000-01-01T00:02:00Z")
		if n := b.Len(); n != 0 {
			t.Errorf("%d schedules are left", n)
		}
	})
}

// A schedule of a zone with two changes of its clocks runs through a year of days.
func TestRunsThroughAYear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pushes{}
		b := open(t, nil, p)
		put(t, b, "daily", Spec{Cron: "30 2 * * *", Timezone: "Europe/Berlin"})
		time.Sleep(366 * 24 * time.Hour)
		synctest.Wait()
		if len(p.ids) != 366 || !slices.Contains(p.ids, "daily@2000-03-26T01:30:00Z") || !slices.Contains(p.ids, "daily@2000-10-29T00:30:00Z") {
			t.Errorf("%d runs", len(p.ids))
		}
	})
}

func TestPauseReplaceRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, ctx := &pushes{}, t.Context()
		b := open(t, nil, p)
		put(t, b, "a", Spec{Every: "10s"})
		put(t, b, "b", Spec{Delay: "15s"})
		put(t, b, "c", Spec{Delay: "15s", Late: LateSkip})
		for _, id := range []string{"a", "b", "c", "a"} {
			if s, err := b.Pause(ctx, id, all); err != nil || !s.Paused || len(s.Next) != 0 {
				t.Fatalf("%+v, %v", s, err)
			}
		}
		time.Sleep(time.Minute + 5*time.Second)
		p.want(t)
		for id, want := range map[string]int{"a": 2, "b": 1, "c": 0} {
			if s, err := b.Resume(ctx, id, 2, all); err != nil || s.Paused && want > 0 || len(s.Next) != want {
				t.Errorf("%s: %+v, %v", id, s, err)
			}
		}
		p.want(t, "b@2000-01-01T00:00:15Z")
		time.Sleep(5 * time.Second)
		p.want(t, "a@2000-01-01T00:01:10Z")
		put(t, b, "a", Spec{Every: "1m"}) // from now on
		time.Sleep(time.Minute)
		p.want(t, "a@2000-01-01T00:02:10Z")
		if s, err := b.Get("a", 1, all); err != nil || s.Runs != 1 {
			t.Errorf("%+v, %v", s, err)
		}
		if _, err := b.Remove(ctx, "a", all); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		p.want(t)
		for _, err := range []error{
			second(b.Get("a", 1, all)), second(b.Remove(ctx, "a", all)), second(b.Pause(ctx, "c", all)), second(b.Resume(ctx, "x", 1, all)),
		} {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("got %v", err)
			}
		}
	})
}

func second(_ State, err error) error { return err }

// Who may not see a schedule finds none, and cannot take its id.
func TestMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, ctx := open(t, nil, &pushes{}), t.Context()
		made := put(t, b, "", Spec{Every: "10s"})
		for _, err := range []error{
			second(b.Get(made.ID, 1, none)), second(b.Remove(ctx, made.ID, none)), second(b.Pause(ctx, made.ID, none)), second(b.Resume(ctx, made.ID, 1, none)),
		} {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("got %v", err)
			}
		}
		if _, err := b.Put(ctx, made.ID, Spec{Delay: "1s"}, 1, none); !errors.Is(err, ErrTaken) {
			t.Errorf("got %v", err)
		}
		if got, more := b.List("", 10, 1, none); len(got) > 0 || more {
			t.Errorf("listed %+v", got)
		}
	})
}

func TestList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, nil, &pushes{})
		for i := range 2500 {
			put(t, b, fmt.Sprintf("s%04d", (i*7)%2500), Spec{Every: "100h"})
		}
		seen, after := 0, ""
		for more := true; more; {
			var page []State
			page, more = b.List(after, 7, 1, all)
			for _, s := range page {
				if after = s.ID; after != fmt.Sprintf("s%04d", seen) {
					t.Fatalf("number %d is %s", seen, after)
				}
				seen++
			}
		}
		if seen != 2500 {
			t.Errorf("listed %d", seen)
		}
	})
}

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, nil, &pushes{}, func(o *Options) { o.Max, o.MaxBytes = 2, 100 })
		put(t, b, "a", Spec{Every: "1h"})
		put(t, b, "b", Spec{Every: "1h"})
		spec := Spec{Every: "1h", Push: json.RawMessage(`{}`)}
		if _, err := b.Put(t.Context(), "c", spec, 1, all); !errors.Is(err, ErrFull) {
			t.Errorf("got %v", err)
		}
		if _, err := b.Remove(t.Context(), "a", all); err != nil {
			t.Error(err)
		}
		spec.Push = json.RawMessage(fmt.Sprintf("%100s", "{}"))
		if _, err := b.Put(t.Context(), "b", spec, 1, all); !errors.Is(err, ErrFull) {
			t.Errorf("got %v", err)
		}
		put(t, b, "c", Spec{Every: "1h"})
	})
}

// What was missed while the program did not run is pushed once, after a grace, or left out.
func TestMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, p := &fakeKeeper{records: map[string][]byte{}}, &pushes{}
		b := open(t, k, p)
		put(t, b, "fire", Spec{Delay: "30s"})
		put(t, b, "skip", Spec{Delay: "31s", Late: LateSkip})
		put(t, b, "cron", Spec{Cron: "*/10 * * * * *"})
		put(t, b, "pause", Spec{Delay: "32s"})
		if _, err := b.Pause(t.Context(), "pause", all); err != nil {
			t.Fatal(err)
		}
		put(t, b, "later", Spec{Delay: "10m"})
		time.Sleep(time.Second)
		shut(t, b)
		time.Sleep(time.Minute)
		p.want(t)
		b = open(t, k, p, func(o *Options) { o.Grace = 8 * time.Second })
		time.Sleep(7 * time.Second)
		p.want(t)
		time.Sleep(time.Second)
		p.want(t, "cron@2000-01-01T00:00:10Z", "fire@2000-01-01T00:00:30Z")
		time.Sleep(time.Second)
		p.want(t, "cron@2000-01-01T00:01:10Z")
		if got := slices.Sorted(maps.Keys(k.copy().records)); !slices.Equal(got, []string{"cron", "later", "pause"}) {
			t.Errorf("kept %q", got)
		}
		if s, err := b.Get("cron", 1, all); err != nil || s.Runs != 2 || string(s.Push) != `{"data":"<é>"}` {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// What has been due since another Book made the pushes, a moment ago, is not missed: it is pushed at once, and nothing left out.
func TestHandover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, p := &fakeKeeper{records: map[string][]byte{}}, &pushes{}
		b := open(t, k, p)
		put(t, b, "long ago", Spec{Delay: "2s", Late: LateSkip})
		put(t, b, "missed", Spec{Delay: "3s"})
		put(t, b, "skip", Spec{Delay: "31s", Late: LateSkip})
		put(t, b, "fire", Spec{Delay: "32s"})
		shut(t, b)
		time.Sleep(40 * time.Second)
		b = open(t, k, p, func(o *Options) { o.Grace, o.Handover = time.Minute, 10*time.Second })
		synctest.Wait()
		p.want(t, "skip@2000-01-01T00:00:31Z", "fire@2000-01-01T00:00:32Z")
		time.Sleep(time.Minute)
		p.want(t, "missed@2000-01-01T00:00:03Z")
		if n := b.Len(); n != 0 {
			t.Errorf("%d schedules are left", n)
		}
	})
}

// A crash after a push, before it was noted, makes the same push again; one at any other time does not.
func TestCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, p := &fakeKeeper{records: map[string][]byte{}}, &pushes{}
		b := open(t, k, p)
		put(t, b, "a", Spec{Every: "10s", MaxRuns: 2})
		before := k.copy()
		time.Sleep(10 * time.Second)
		p.want(t, "a@2000-01-01T00:00:10Z")
		after := k.copy()
		shut(t, b)
		time.Sleep(time.Second)
		again := open(t, before, p)
		p.want(t, "a@2000-01-01T00:00:10Z")
		shut(t, again)
		once := open(t, after, p)
		p.want(t)
		time.Sleep(time.Hour)
		p.want(t, "a@2000-01-01T00:00:20Z")
		if len(after.copy().records) != 0 || once.Len() != 0 {
			t.Error("it is still kept")
		}
	})
}

// A store that fails refuses changes, and delays no push nor repeats one.
func TestStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, p := &fakeKeeper{records: map[string][]byte{}}, &pushes{}
		b := open(t, k, p)
		put(t, b, "a", Spec{Every: "10s"})
		put(t, b, "b", Spec{Delay: "10s"})
		full := errors.New("no space left")
		k.fail(full)
		spec := Spec{Every: "1h", Push: json.RawMessage(`{}`)}
		if _, err := b.Put(t.Context(), "c", spec, 1, all); !errors.Is(err, ErrStore) || !errors.Is(err, full) {
			t.Errorf("got %v", err)
		}
		if _, err := b.Remove(t.Context(), "a", all); !errors.Is(err, ErrStore) || b.Len() != 2 {
			t.Errorf("got %v, %d schedules", err, b.Len())
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		slices.Sort(p.ids)
		p.want(t, "a@2000-01-01T00:00:10Z", "a@2000-01-01T00:00:20Z", "b@2000-01-01T00:00:10Z")
		k.fail(nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := k.copy().records; len(got) != 1 || b.Len() != 1 {
			t.Errorf("kept %q", got)
		}
		shut(t, b)
		after := open(t, k.copy(), p)
		if s, err := after.Get("a", 1, all); err != nil || s.Runs != 2 {
			t.Errorf("%+v, %v", s, err)
		}
		p.want(t)
	})
}

// A push that fails is tried again under the same id, or given up.
func TestPushFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pushes{}
		b := open(t, nil, p)
		put(t, b, "a", Spec{Every: "10s"})
		p.fail(true, errors.New("busy"))
		time.Sleep(12 * time.Second)
		p.want(t)
		p.fail(false, nil)
		time.Sleep(2 * time.Second)
		p.want(t, "a@2000-01-01T00:00:10Z")
		p.fail(false, errors.New("refused"))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if s, err := b.Get("a", 1, all); err != nil || s.Runs != 2 || s.Error != "refused" {
			t.Errorf("%+v, %v", s, err)
		}
		p.fail(false, nil)
		time.Sleep(10 * time.Second)
		p.want(t, "a@2000-01-01T00:00:30Z")
		if s, err := b.Get("a", 1, all); err != nil || s.Error != "" {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

func TestClosed(t *testing.T) {
	b, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	shut(t, b)
	shut(t, b)
	b.Start((&pushes{}).push)
	if _, err := b.Remove(t.Context(), "a", all); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := New(Options{Max: -1}); err == nil {
		t.Error("a negative limit is taken")
	}
	for _, record := range []string{"", "{", `{"spec":{"cron":"?"}}`} {
		if _, err := New(Options{Keeper: &fakeKeeper{records: map[string][]byte{"bad": []byte(record)}}}); err == nil {
			t.Errorf("%q is taken", record)
		}
	}
}

// BenchmarkOpen takes up 100,000 schedules.
func BenchmarkOpen(b *testing.B) {
	k := &fakeKeeper{records: map[string][]byte{}}
	for i := range 100_000 {
		e := &entry{id: fmt.Sprint("schedule-", i), record: record{
			Spec: Spec{Push: json.RawMessage(`{"to":{"users":["42"]},"data":"Your order has shipped"}`), Cron: fmt.Sprintf("%d %d * * *", i%60, i%24), Timezone: "Europe/Berlin"},
			Made: testNow, Next: testNow.Add(time.Duration(i) * time.Second),
		}}
		record, err := e.encode()
		if err != nil {
			b.Fatal(err)
		}
		k.records[e.id] = record
	}
	for b.Loop() {
		book, err := New(Options{Keeper: k})
		if err != nil || book.Len() != 100_000 {
			b.Fatal(err)
		}
	}
}
