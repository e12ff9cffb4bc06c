package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func within(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}

func TestCloseDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder(func(context.Context, Job) (bool, error) { time.Sleep(time.Second); return false, nil })
		r := start(t, Options{Handler: rec.handle, Concurrency: 2})
		for i := range 8 {
			put(t, r, job(fmt.Sprint("k", i%3), fmt.Sprint(i)))
		}
		put(t, r, Job{Key: "later", Payload: []byte("x"), Due: time.Now().Add(3 * time.Second)})
		ctx, cancel := within(10 * time.Second)
		defer cancel()
		before := time.Now()
		if left := r.Close(ctx); left != 1 {
			t.Errorf("%d left, want the one of a later time", left)
		}
		if d := time.Since(before); d > 5*time.Second {
			t.Errorf("took %v", d)
		}
		if s := r.Stats(); s.Done != 8 {
			t.Errorf("stats %+v", s)
		}
		if err := r.Put(job("k", "y")); !errors.Is(err, ErrClosed) {
			t.Errorf("Put after Close: %v", err)
		}
		if left := r.Close(context.Background()); left != 1 || r.Stats().Refused != 1 {
			t.Errorf("second Close: %d left, %+v", left, r.Stats())
		}
	})
}

func TestCloseGivesWaitingRetriesOneTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := false
		rec := newRecorder(func(_ context.Context, j Job) (bool, error) {
			if up && j.Key == "a" {
				return false, nil
			}
			return true, errTest
		})
		r := start(t, Options{Handler: rec.handle, MinBackoff: time.Hour, MaxBackoff: time.Hour})
		put(t, r, job("a", "a1"), job("a", "a2"), job("b", "b1"), job("b", "b2"))
		synctest.Wait()
		up = true
		ctx, cancel := within(10 * time.Second)
		defer cancel()
		before := time.Now()
		if left := r.Close(ctx); left != 2 {
			t.Errorf("%d left, want those of b", left)
		}
		if d := time.Since(before); d > 0 {
			t.Errorf("took %v", d)
		}
		if got := len(rec.all()); got != 5 {
			t.Errorf("tries %v, want a1 and b1 twice, a2 once", rec.all())
		}
	})
}

func TestCloseDoesNotHurryLaterJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder(func(_ context.Context, j Job) (bool, error) {
			if j.Attempts == 0 {
				return true, errTest
			}
			return false, nil
		})
		r := start(t, Options{Handler: rec.handle})
		put(t, r, job("k", "1"), Job{Key: "k", Payload: []byte("2"), Due: time.Now().Add(time.Hour)})
		pass(time.Minute)
		if left := r.Close(context.Background()); left != 1 || len(rec.all()) != 2 {
			t.Errorf("%d left after %v", left, rec.all())
		}
	})
}

func TestCloseRetriesWhileThereIsTime(t *testing.T) {
	for _, tt := range []struct {
		name     string
		deadline bool
		left     int
		tries    int
	}{
		{"deadline", true, 0, 3},
		{"no deadline", false, 1, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rec := newRecorder(func(_ context.Context, j Job) (bool, error) {
					if j.Attempts < 2 {
						return true, errTest
					}
					return false, nil
				})
				r := start(t, Options{Handler: rec.handle})
				put(t, r, job("k", "1"))
				synctest.Wait() // the first try has failed
				ctx := context.Background()
				if tt.deadline {
					var cancel context.CancelFunc
					ctx, cancel = within(10 * time.Second)
					defer cancel()
				}
				if left := r.Close(ctx); left != tt.left || len(rec.all()) != tt.tries {
					t.Errorf("%d left after %d tries, want %d after %d", left, len(rec.all()), tt.left, tt.tries)
				}
			})
		})
	}
}

func TestCloseBreaksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewMemory()
		rec := newRecorder(func(ctx context.Context, _ Job) (bool, error) { <-ctx.Done(); return true, ctx.Err() })
		failed := false
		r := start(t, Options{Handler: rec.handle, Queue: q, Failed: func(Job, error) { failed = true }})
		put(t, r, job("a", "1"), job("a", "2"), job("b", "3"))
		ctx, cancel := within(2 * time.Second)
		defer cancel()
		before := time.Now()
		if left := r.Close(ctx); left != 3 {
			t.Errorf("%d left, want 3", left)
		}
		if d := time.Since(before); d != 2*time.Second {
			t.Errorf("took %v", d)
		}
		if s := r.Stats(); failed || s.Failed != 0 || s.Running != 0 {
			t.Errorf("what was broken off counts as failed: %+v", s)
		}

		// A Runner on the same queue goes on where this one stopped.
		rec2 := newRecorder(nil)
		r2 := start(t, Options{Handler: rec2.handle, Queue: q, Concurrency: 1})
		synctest.Wait()
		if got := strings.Join(rec2.payloads(), ""); len(got) != 3 || strings.Index(got, "1") > strings.Index(got, "2") {
			t.Errorf("after a restart: %s", got)
		}
		if s := r2.Stats(); s.Done != 3 || len(q.jobs) != 0 {
			t.Errorf("%+v, %d in the queue", s, len(q.jobs))
		}
	})
}

func TestRestartKeepsAttemptsAndDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewMemory()
		fail := newRecorder(func(_ context.Context, j Job) (bool, error) { return j.Key == "again", errTest })
		r := start(t, Options{Handler: fail.handle, Queue: q, MinBackoff: time.Hour})
		put(t, r, job("again", "1"), job("dead", "2"))
		synctest.Wait()
		if left := r.Close(context.Background()); left != 1 {
			t.Fatalf("%d left", left)
		}
		rec := newRecorder(nil)
		r = start(t, Options{Handler: rec.handle, Queue: q})
		pass(time.Minute)
		if len(rec.all()) != 0 {
			t.Errorf("tried before its time: %v", rec.all())
		}
		pass(3 * time.Hour)
		if len(rec.all()) != 1 || rec.all()[0].attempts != 2 {
			t.Errorf("tries %v, want one after two failures", rec.all())
		}
		if dead, _, err := r.Dead(0, 100); err != nil || len(dead) != 1 || dead[0].Key != "dead" {
			t.Errorf("dead %v, %v", dead, err)
		}
	})
}

// brokenQueue is a Memory of which single methods fail.
type brokenQueue struct {
	*Memory
	add, get, save, remove, each error
}

func (q *brokenQueue) Add(j []Job) error {
	if q.add != nil {
		return q.add
	}
	return q.Memory.Add(j)
}

func (q *brokenQueue) Get(id uint64) (Job, error) {
	if q.get != nil {
		return Job{}, q.get
	}
	return q.Memory.Get(id)
}

func (q *brokenQueue) Save(j ...Job) error {
	if q.save != nil {
		return q.save
	}
	return q.Memory.Save(j...)
}

func (q *brokenQueue) Remove(ids ...uint64) error {
	if q.remove != nil && len(ids) > 0 {
		return q.remove
	}
	return q.Memory.Remove(ids...)
}

func (q *brokenQueue) Each(fn func(Job) error) error {
	if q.each != nil {
		return q.each
	}
	return q.Memory.Each(fn)
}

func TestBrokenQueue(t *testing.T) {
	fails := func(context.Context, Job) (bool, error) { return true, errTest }
	for _, tt := range []struct {
		name  string
		queue brokenQueue
		do    func(context.Context, Job) (bool, error)
		put   error
		log   string
		tries int
		stats Stats
	}{
		{"add", brokenQueue{add: errTest}, nil, errTest, "", 0, Stats{Refused: 1}},
		{"get", brokenQueue{get: errTest}, nil, nil, "cannot be read", 0, Stats{Waiting: 1, Keys: 1}},
		{"get: gone", brokenQueue{get: ErrNotFound}, nil, nil, "is gone", 0, Stats{Parked: 1, Forgotten: 1}},
		{"remove", brokenQueue{remove: errTest}, nil, nil, "could not be removed", 1, Stats{Waiting: 1, Keys: 1}},
		{"save", brokenQueue{save: errTest}, fails, nil, "could not be stored", 1, Stats{Waiting: 1, Keys: 1, Failed: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				rec := newRecorder(tt.do)
				tt.queue.Memory = NewMemory()
				r := start(t, Options{Handler: rec.handle, Queue: &tt.queue, Logger: slog.New(slog.NewTextHandler(&log, nil))})
				if err := r.Put(job("k", "1")); !errors.Is(err, tt.put) {
					t.Errorf("Put: %v, want %v", err, tt.put)
				}
				synctest.Wait()
				if !strings.Contains(log.String(), tt.log) || (tt.log == "") != (log.Len() == 0) {
					t.Errorf("log %q, want %q", log.String(), tt.log)
				}
				if s := r.Stats(); s != tt.stats || len(rec.all()) != tt.tries {
					t.Errorf("%+v and %d tries, want %+v and %d", s, len(rec.all()), tt.stats, tt.tries)
				}
			})
		})
	}
}

// awayQueue cannot be read while it is away.
type awayQueue struct {
	*Memory
	away atomic.Bool
}

func (q *awayQueue) Get(id uint64) (Job, error) {
	if q.away.Load() {
		return Job{}, errTest
	}
	return q.Memory.Get(id)
}

// A job that could not be read, as when Redis was away, is tried soon after it can be, and what is behind it.
func TestQueueIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &awayQueue{Memory: NewMemory()}
		q.away.Store(true)
		rec := newRecorder(nil)
		r := start(t, Options{Handler: rec.handle, Queue: q, MaxBackoff: time.Hour})
		for _, text := range []string{"1", "2"} {
			if err := r.Put(job("k", text)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		q.away.Store(false)
		time.Sleep(storeRetry)
		synctest.Wait()
		if n := len(rec.all()); n != 2 {
			t.Errorf("%d jobs were done", n)
		}
	})
}

// BenchmarkPut is one job in, tried and done.
func BenchmarkPut(b *testing.B) {
	r, err := New(Options{Handler: func(context.Context, Job) (bool, error) { return false, nil }, MaxJobs: b.N + 1})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := range b.N {
		if err := r.Put(job(fmt.Sprint(i%1000), "x")); err != nil {
			b.Fatal(err)
		}
	}
	r.Close(context.Background())
}
