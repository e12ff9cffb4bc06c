package jobs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestNewRejects(t *testing.T) {
	ok := newRecorder(nil).handle
	for name, opts := range map[string]Options{
		"no handler":        {},
		"negative limit":    {Handler: ok, MaxJobs: -1},
		"two handlers":      {Handler: ok, Batch: &Batch{Max: 1, Handler: batchOf(nil)}},
		"batch of none":     {Batch: &Batch{Handler: batchOf(nil)}},
		"batch, no handler": {Batch: &Batch{Max: 1}},
		"negative duration": {Handler: ok, MaxAge: -1},
		"broken queue":      {Handler: ok, Queue: &brokenQueue{Memory: NewMemory(), each: errTest}},
	} {
		t.Run(name, func(t *testing.T) {
			if r, err := New(opts); err == nil {
				r.Close(context.Background())
				t.Fatal("New accepted it")
			}
		})
	}
}

func TestBackoffDefaults(t *testing.T) {
	ok := newRecorder(nil).handle
	for _, tt := range []struct{ low, high, wantLow, wantHigh time.Duration }{
		{0, 0, time.Second, 5 * time.Minute},
		{0, 10 * time.Millisecond, 10 * time.Millisecond, 10 * time.Millisecond},
		{time.Hour, 0, time.Hour, time.Hour},
	} {
		o := Options{Handler: ok, MinBackoff: tt.low, MaxBackoff: tt.high}
		if err := o.complete(); err != nil {
			t.Fatal(err)
		}
		if o.MinBackoff != tt.wantLow || o.MaxBackoff != tt.wantHigh {
			t.Errorf("%v, %v: got %v, %v", tt.low, tt.high, o.MinBackoff, o.MaxBackoff)
		}
	}
}

// Many keys, many goroutines, random failures: each key's jobs succeed in order, never two at a time, and never
// more than Concurrency in all.
func TestOrderUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keys, each, limit = 40, 50, 7
		var mu sync.Mutex
		busy := make(map[string]bool)
		done := make(map[string][]string)
		running, most := 0, 0
		r := start(t, Options{Concurrency: limit, Handler: func(_ context.Context, j Job) (bool, error) {
			mu.Lock()
			if busy[j.Key] {
				t.Errorf("two jobs of %s at a time", j.Key)
			}
			busy[j.Key] = true
			running++
			most = max(most, running)
			mu.Unlock()
			time.Sleep(rand.N(20 * time.Millisecond))
			mu.Lock()
			defer mu.Unlock()
			busy[j.Key] = false
			running--
			if rand.IntN(4) == 0 {
				return true, errTest
			}
			done[j.Key] = append(done[j.Key], string(j.Payload))
			return false, nil
		}})
		var wg sync.WaitGroup
		for k := range keys {
			wg.Go(func() {
				for i := range each {
					put(t, r, job(fmt.Sprint("k", k), fmt.Sprint(i)))
					time.Sleep(rand.N(5 * time.Millisecond))
				}
			})
		}
		wg.Wait()
		pass(time.Hour)
		var want []string
		for i := range each {
			want = append(want, fmt.Sprint(i))
		}
		mu.Lock()
		defer mu.Unlock()
		for k := range keys {
			if got := done[fmt.Sprint("k", k)]; !slices.Equal(got, want) {
				t.Errorf("k%d: done in order %v", k, got)
			}
		}
		if most != limit {
			t.Errorf("at most %d ran at a time, want %d", most, limit)
		}
		s := r.Stats()
		if s.Waiting != 0 || s.Running != 0 || s.Keys != 0 || len(r.lines) != 0 || s.Done != keys*each || s.Failed == 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestSlowKeyDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder(func(_ context.Context, j Job) (bool, error) {
			if j.Key == "slow" {
				time.Sleep(time.Minute)
			}
			return false, nil
		})
		r := start(t, Options{Handler: rec.handle, Concurrency: 2})
		put(t, r, job("slow", "s1"), job("slow", "s2"), job("a", "a1"), job("a", "a2"), job("b", "b1"))
		synctest.Wait()
		if got := rec.payloads(); len(got) != 4 || slices.Contains(got, "s2") {
			t.Errorf("started at once: %v, want s1, a1, a2, b1", got)
		}
		pass(3 * time.Minute)
		if got := rec.payloads(); len(got) != 5 {
			t.Errorf("started in the end: %v", got)
		}
	})
}

func TestDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder(nil)
		r := start(t, Options{Handler: rec.handle})
		now := time.Now()
		put(t, r,
			Job{Payload: []byte("third"), Due: now.Add(3 * time.Second)},
			Job{Payload: []byte("first"), Due: now.Add(-time.Hour)},
			Job{Payload: []byte("second"), Due: now.Add(2 * time.Second)},
			// A key's order is that of Put, whatever the times.
			Job{Key: "k", Payload: []byte("k1"), Due: now.Add(10 * time.Second)},
			Job{Key: "k", Payload: []byte("k2"), Due: now.Add(5 * time.Second)},
		)
		pass(time.Minute)
		want := []try{
			{"", "first", 0, 0},
			{"", "second", 2 * time.Second, 0},
			{"", "third", 3 * time.Second, 0},
			{"k", "k1", 10 * time.Second, 0},
			{"k", "k2", 10 * time.Second, 0},
		}
		if !slices.Equal(rec.all(), want) {
			t.Errorf("got %v\nwant %v", rec.all(), want)
		}
	})
}

func TestBackoff(t *testing.T) {
	const low, high = time.Second, 30 * time.Second
	for attempts, full := range map[int]time.Duration{
		1: 1 * time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 5: 16 * time.Second,
		6: high, 7: high, 1000: high,
	} {
		least, most := high, time.Duration(0)
		for range 2000 {
			d := backoff(attempts, low, high)
			least, most = min(least, d), max(most, d)
		}
		if least < full/2 || most > full {
			t.Errorf("attempt %d: %v to %v, want %v to %v", attempts, least, most, full/2, full)
		}
		if most-least < full/3 {
			t.Errorf("attempt %d: %v to %v is not random enough", attempts, least, most)
		}
	}
	if d := backoff(500, 1, 1<<63-1); d < 1<<61 {
		t.Errorf("a long row of failures overflows: %v", d)
	}
}

func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder(func(_ context.Context, j Job) (bool, error) {
			if j.Key == "k" && j.Attempts < 4 {
				return true, errTest
			}
			return false, nil
		})
		var failed []Job
		r := start(t, Options{Handler: rec.handle, Failed: func(j Job, err error) {
			if !errors.Is(err, errTest) {
				t.Errorf("Failed got %v", err)
			}
			failed = append(failed, j)
		}})
		put(t, r, job("k", "1"), job("k", "2"))
		pass(time.Minute)
		if got := strings.Join(rec.payloads(), ""); got != "1111122222" {
			t.Fatalf("tries %s", got)
		}
		for i, j := range failed[:4] {
			if j.Attempts != i+1 || j.LastError != errTest.Error() || !j.Parked.IsZero() {
				t.Errorf("failure %d reported as %+v", i, j)
			}
			gap := rec.all()[i+1].at - rec.all()[i].at
			if full := time.Second << i; gap < full/2 || gap > full {
				t.Errorf("wait %d was %v, want about %v", i, gap, full)
			}
			if next := j.Due.Sub(rec.start); next != rec.all()[i+1].at {
				t.Errorf("next try announced for %v, was at %v", next, rec.all()[i+1].at)
			}
		}
	})
}

func TestRetryAfter(t *testing.T) {
	for _, tt := range []struct {
		name        string
		asked       time.Duration
		least, most time.Duration
	}{
		{"longer than the back-off", time.Minute, time.Minute, 66 * time.Second},
		{"shorter than the back-off", time.Millisecond, time.Second / 2, time.Second},
		{"none", 0, time.Second / 2, time.Second},
		{"negative", -time.Hour, time.Second / 2, time.Second},
		{"capped", 1000 * time.Hour, 2 * time.Hour, 132 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rec := newRecorder(func(_ context.Context, j Job) (bool, error) {
					if j.Attempts == 0 {
						return true, fmt.Errorf("wrapped: %w", After(errTest, tt.asked))
					}
					return false, nil
				})
				r := start(t, Options{Handler: rec.handle, MaxRetryAfter: 2 * time.Hour})
				put(t, r, job("k", "1"))
				pass(3000 * time.Hour)
				if len(rec.all()) != 2 {
					t.Fatalf("%d tries", len(rec.all()))
				}
				if at := rec.all()[1].at; at < tt.least || at > tt.most {
					t.Errorf("came back after %v, want %v to %v", at, tt.least, tt.most)
				}
			})
		})
	}
	if err := After(errTest, 1); err.Error() != errTest.Error() || !errors.Is(err, errTest) {
		t.Errorf("After changed the error to %v", err)
	}
}

func TestParking(t *testing.T) {
	for _, tt := range []struct {
		name  string
		opts  Options
		retry bool
		tries int
		at    time.Duration // of the last try, if not 0
	}{
		{"no retry", Options{}, false, 1, 0},
		{"too many failures", Options{MaxAttempts: 3}, true, 3, 0},
		{"too old", Options{MaxAge: time.Hour, MinBackoff: 20 * time.Minute, MaxBackoff: 20 * time.Minute}, true, 0, time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rec := newRecorder(func(_ context.Context, j Job) (bool, error) {
					if string(j.Payload) == "bad" {
						return tt.retry, errTest
					}
					return false, nil
				})
				var parked []Job
				tt.opts.Handler = rec.handle
				tt.opts.Failed = func(j Job, _ error) {
					if !j.Parked.IsZero() {
						parked = append(parked, j)
					}
				}
				r := start(t, tt.opts)
				put(t, r, job("k", "bad"), job("k", "good"))
				pass(2 * time.Hour)
				got := rec.all()
				if n := len(got); got[n-1].payload != "good" {
					t.Errorf("the next job of the key was not done: %v", got)
				} else if tt.tries != 0 && n-1 != tt.tries {
					t.Errorf("%d tries, want %d", n-1, tt.tries)
				} else if tt.at != 0 && got[n-2].at != tt.at {
					t.Errorf("last try at %v, want %v", got[n-2].at, tt.at)
				}
				dead, _, err := r.Dead(0, 100)
				if err != nil || len(dead) != 1 || len(parked) != 1 {
					t.Fatalf("dead %v, %v; reported %v", dead, err, parked)
				}
				if d := dead[0]; string(d.Payload) != "bad" || d.LastError != errTest.Error() || d.Parked.IsZero() ||
					d.ID != parked[0].ID || d.Attempts != len(got)-1 {
					t.Errorf("dead %+v", d)
				}
				if s := r.Stats(); s.Parked != 1 || s.Dead != 1 || s.Waiting != 0 || s.Done != 1 {
					t.Errorf("stats %+v", s)
				}
			})
		})
	}
}

func TestExpiredJobsGetOneTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder(func(context.Context, Job) (bool, error) { return true, errTest })
		r := start(t, Options{Handler: rec.handle})
		put(t, r, Job{Key: "k", Expires: time.Now().Add(-time.Hour)})
		pass(time.Hour)
		if len(rec.all()) != 1 || r.Stats().Parked != 1 {
			t.Errorf("%d tries, %+v", len(rec.all()), r.Stats())
		}
	})
}

func TestDeadListIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewMemory()
		rec := newRecorder(func(context.Context, Job) (bool, error) { return false, errTest })
		r := start(t, Options{Handler: rec.handle, Queue: q, MaxDead: 3})
		for i := range 10 {
			put(t, r, job("k", fmt.Sprint(i)))
		}
		synctest.Wait()
		dead, _, err := r.Dead(0, 100)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range dead {
			got = append(got, string(d.Payload))
		}
		if !slices.Equal(got, []string{"7", "8", "9"}) || len(q.jobs) != 3 {
			t.Errorf("kept %v, %d in the queue", got, len(q.jobs))
		}
		if s := r.Stats(); s.Parked != 10 || s.Forgotten != 7 || s.Dead != 3 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		rec := newRecorder(func(context.Context, Job) (bool, error) { <-release; return false, nil })
		r := start(t, Options{Handler: rec.handle, MaxJobs: 3})
		put(t, r, job("k", "1"), job("k", "2"))
		if err := r.Put(job("k", "3"), job("k", "4")); !errors.Is(err, ErrFull) {
			t.Errorf("two jobs for one place: %v", err)
		}
		put(t, r, job("k", "5"))
		if err := r.Put(job("x", "6")); !errors.Is(err, ErrFull) {
			t.Errorf("no place: %v", err)
		}
		if s := r.Stats(); s.RefusedFull != 3 || s.Waiting != 3 {
			t.Errorf("stats %+v", s)
		}
		close(release)
		synctest.Wait()
		put(t, r, job("k", "7"), job("k", "8"), job("k", "9"))
		synctest.Wait()
		if got := strings.Join(rec.payloads(), ""); got != "125789" {
			t.Errorf("done: %s", got)
		}
	})
}

// What others add to the queue is done as soon as the Runner is told, in its turn; what is parked stays so.
func TestTakeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder(nil)
		queue := NewMemory()
		r := start(t, Options{Handler: rec.handle, Queue: queue, MaxJobs: 1})
		others := []Job{job("k", "1"), job("k", "2"), job("l", "3"), job("k", "4")}
		others[1].Parked = time.Now()
		if err := queue.Add(others); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := rec.payloads(); len(got) != 0 {
			t.Errorf("done without being told: %q", got)
		}
		r.TakeUp(others...)
		synctest.Wait()
		got := rec.payloads()
		if slices.Index(got, "1") > slices.Index(got, "4") || len(got) != 3 || slices.Contains(got, "2") {
			t.Errorf("done %q, want 1, 3 and 4, 1 before 4", got)
		}
		if s := r.Stats(); s.Waiting != 0 || s.Done != 3 {
			t.Errorf("%+v", s)
		}
	})
}
