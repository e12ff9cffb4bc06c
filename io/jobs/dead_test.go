package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestDeadPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder(func(context.Context, Job) (bool, error) { return false, errTest })
		r := start(t, Options{Handler: rec.handle})
		for i := range 10 {
			put(t, r, job("k", fmt.Sprint(i)))
		}
		synctest.Wait()
		for _, limit := range []int{1, 3, 10, 11} {
			var got string
			after, more := uint64(0), true
			for more {
				page, next, err := r.Dead(after, limit)
				if err != nil || len(page) == 0 {
					t.Fatalf("%d after %d: %v", len(page), after, err)
				}
				for _, j := range page {
					got += string(j.Payload)
				}
				after, more = page[len(page)-1].ID, next
			}
			if got != "0123456789" {
				t.Errorf("by %d: %s", limit, got)
			}
		}
	})
}

func TestReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := false
		rec := newRecorder(func(context.Context, Job) (bool, error) {
			if up {
				return false, nil
			}
			return false, errTest
		})
		q := NewMemory()
		r := start(t, Options{Handler: rec.handle, Queue: q, MaxAge: time.Hour, MaxJobs: 3})
		put(t, r, job("a", "1"), job("b", "2"), job("a", "3"))
		synctest.Wait()
		if n, err := r.Replay(99); n != 0 || err != nil {
			t.Errorf("of an unknown job: %d, %v", n, err)
		}
		pass(2 * time.Hour) // they are too old by now
		up = true
		if n, err := r.Replay(3, 1, 1, 99); n != 2 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		synctest.Wait()
		if got := strings.ReplaceAll(strings.Join(rec.payloads(), ""), "2", ""); got != "1313" {
			t.Errorf("tries of a: %s", got)
		}
		if s := r.Stats(); s.Dead != 1 || s.Replayed != 2 || s.Done != 2 || s.Waiting != 0 || len(q.jobs) != 1 {
			t.Errorf("%+v", s)
		}
		if rec.all()[3].attempts != 0 {
			t.Error("a replayed job counts its earlier failures")
		}
	})
}

func TestReplayRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		rec := newRecorder(func(_ context.Context, j Job) (bool, error) {
			if j.Key == "hang" {
				<-hang
				return false, nil
			}
			return false, errTest
		})
		q := &brokenQueue{Memory: NewMemory()}
		r := start(t, Options{Handler: rec.handle, Queue: q, MaxJobs: 2})
		put(t, r, job("a", "1"), job("b", "2"))
		synctest.Wait()
		put(t, r, job("hang", "3"))
		if n, err := r.Replay(1, 2); n != 0 || !errors.Is(err, ErrFull) {
			t.Errorf("without room: %d, %v", n, err)
		}
		q.save = errTest
		if n, err := r.Replay(1); n != 0 || !errors.Is(err, errTest) {
			t.Errorf("with a broken queue: %d, %v", n, err)
		}
		if s := r.Stats(); s.Dead != 2 || s.Waiting != 1 || s.Replayed != 0 {
			t.Errorf("%+v", s)
		}
		close(hang)
		r.Close(context.Background())
		if n, err := r.Replay(1); n != 0 || !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %d, %v", n, err)
		}
	})
}

// A job that is done stays until the queue has forgotten it; it is not done again, and nothing overtakes it.
func TestRemovalIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &brokenQueue{Memory: NewMemory(), remove: errTest}
		rec := newRecorder(nil)
		r := start(t, Options{Handler: rec.handle, Queue: q})
		put(t, r, job("k", "1"), job("k", "2"), job("other", "3"))
		pass(time.Minute)
		if got := strings.Join(rec.payloads(), ""); got != "13" && got != "31" {
			t.Errorf("done: %s", got)
		}
		q.remove = nil
		r.Stats() // its lock orders the line above before the next try
		pass(time.Minute)
		if s := r.Stats(); len(rec.all()) != 3 || s.Done != 3 || s.Waiting != 0 || len(q.jobs) != 0 {
			t.Errorf("%d tries, %+v", len(rec.all()), s)
		}
	})
}

// The clock was set back while the program was down: nothing waits until it has caught up.
func TestClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ahead := time.Now().Add(1000 * time.Hour)
		q := NewMemory()
		all := []Job{
			{Key: "new", Payload: []byte("new"), Due: ahead, Created: ahead},
			{Key: "failed", Payload: []byte("failed"), Due: ahead.Add(time.Minute), Created: ahead, Attempts: 3},
			{Key: "planned", Payload: []byte("planned"), Due: ahead.Add(time.Hour), Created: ahead},
		}
		if err := q.Add(all); err != nil {
			t.Fatal(err)
		}
		rec := newRecorder(nil)
		start(t, Options{Handler: rec.handle, Queue: q})
		synctest.Wait()
		if got := strings.Join(rec.payloads(), " "); got != "new" {
			t.Errorf("at once: %s", got)
		}
		pass(time.Hour)
		if got := strings.Join(rec.payloads(), " "); got != "new failed" {
			t.Errorf("within an hour: %s", got)
		}
	})
}

// Stop begins nothing any more, and lets what is under way end.
func TestStop(t *testing.T) {
	for _, tt := range []struct {
		name string
		wait time.Duration
		left int
	}{{"in time", 10 * time.Second, 2}, {"not in time", time.Second, 3}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rec := newRecorder(func(ctx context.Context, _ Job) (bool, error) {
					select {
					case <-time.After(5 * time.Second):
						return false, nil
					case <-ctx.Done():
						return true, ctx.Err()
					}
				})
				q := NewMemory()
				r := start(t, Options{Handler: rec.handle, Queue: q, Concurrency: 1})
				put(t, r, job("a", "1"), job("a", "2"), job("b", "3"))
				synctest.Wait()
				ctx, cancel := within(tt.wait)
				defer cancel()
				if left := r.Stop(ctx); left != tt.left || len(q.jobs) != tt.left || len(rec.all()) != 1 {
					t.Errorf("%d left, %d stored, tries %v", left, len(q.jobs), rec.all())
				}
				if err := r.Put(job("k", "x")); !errors.Is(err, ErrClosed) {
					t.Errorf("Put after Stop: %v", err)
				}
			})
		})
	}
}
