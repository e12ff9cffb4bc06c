package jobs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// batchTry is one call of a BatchHandler.
type batchTry struct {
	id   string
	jobs []string // payloads
	at   time.Duration
}

// batches writes down the calls of a BatchHandler; do says what each returns.
type batches struct {
	start time.Time
	do    func(b batchTry, tries int) (bool, error)

	mu    sync.Mutex
	tries []batchTry
}

func (b *batches) handle(_ context.Context, id string, jobs []Job) (bool, error) {
	t := batchTry{id: id, at: time.Since(b.start)}
	for _, j := range jobs {
		t.jobs = append(t.jobs, string(j.Payload))
	}
	b.mu.Lock()
	b.tries = append(b.tries, t)
	n := len(b.tries)
	b.mu.Unlock()
	if b.do == nil {
		return false, nil
	}
	return b.do(t, n)
}

// all returns the calls as "a,b c": the payloads of each.
func (b *batches) all() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for _, t := range b.tries {
		all = append(all, strings.Join(t.jobs, ","))
	}
	return strings.Join(all, " ")
}

func batchOf(do func(b batchTry, tries int) (bool, error)) BatchHandler {
	b := &batches{start: time.Now(), do: do}
	return b.handle
}

// What gathers while one batch is tried makes the next ones, in order, none larger than allowed.
func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &batches{start: time.Now(), do: func(batchTry, int) (bool, error) { time.Sleep(time.Second); return false, nil }}
		r := start(t, Options{Batch: &Batch{Handler: b.handle, Max: 3, Lines: 1}})
		put(t, r, job("u1", "1"))
		synctest.Wait()
		for i := range 7 {
			put(t, r, job(fmt.Sprint("u", i), fmt.Sprint(i+2)))
		}
		put(t, r, Job{Key: "later", Payload: []byte("later"), Due: time.Now().Add(time.Minute)})
		pass(time.Hour)
		if got := b.all(); got != "1 2,3,4 5,6,7 8 later" {
			t.Errorf("batches %s", got)
		}
		if s := r.Stats(); s.Done != 9 || s.Waiting != 0 || s.Keys != 0 {
			t.Errorf("%+v", s)
		}
		ids := map[string]bool{}
		for _, one := range b.tries {
			ids[one.id] = true
		}
		if len(ids) != 5 || ids[""] {
			t.Errorf("ids %v", ids)
		}
	})
}

// A batch that fails comes again as it was, and what came meanwhile waits behind it.
func TestBatchRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &batches{start: time.Now(), do: func(_ batchTry, tries int) (bool, error) {
			if tries < 4 {
				return true, errTest
			}
			return false, nil
		}}
		var failed []string
		r := start(t, Options{Batch: &Batch{Handler: b.handle, Max: 10, Lines: 1}, Failed: func(j Job, _ error) {
			failed = append(failed, fmt.Sprint(string(j.Payload), j.Attempts))
		}})
		put(t, r, job("a", "1"), job("b", "2"))
		synctest.Wait()
		put(t, r, job("a", "3"))
		pass(time.Minute)
		if got := b.all(); got != "1,2 1,2 1,2 1,2 3" {
			t.Errorf("batches %s", got)
		}
		for _, one := range b.tries[:4] {
			if one.id != b.tries[0].id {
				t.Errorf("ids %v", b.tries)
			}
		}
		if b.tries[4].id == b.tries[0].id {
			t.Error("another batch has the same id")
		}
		if !slices.Equal(failed, []string{"11", "21", "12", "22", "13", "23"}) {
			t.Errorf("failures %v", failed)
		}
	})
}

// After a crash a batch that had been tried comes again as it was, whatever else waits by then.
func TestBatchAfterACrash(t *testing.T) {
	for _, tt := range []struct {
		name  string
		batch Batch // after the restart
		want  string
	}{
		{"the same settings", Batch{Max: 3, Lines: 1}, "3,4,1 5,6,7"},
		{"smaller batches", Batch{Max: 1, Lines: 1}, "3,4,1 5 6 7"},
		{"other lines", Batch{Max: 9, Lines: 7}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := NewMemory()
				b := &batches{start: time.Now(), do: func(batchTry, int) (bool, error) { return false, errTest }}
				opts := Options{Queue: q, Batch: &Batch{Handler: b.handle, Max: 3, Lines: 1}}
				r := start(t, opts)
				put(t, r, job("a", "1"), job("b", "2"))
				synctest.Wait() // both are parked
				b.do = func(one batchTry, _ int) (bool, error) {
					if one.jobs[0] == "slow" {
						time.Sleep(time.Second)
						return false, nil
					}
					return true, errTest
				}
				put(t, r, job("a", "slow"))
				synctest.Wait()
				put(t, r, job("a", "3"), job("b", "4"))
				if n, err := r.Replay(1); n != 1 || err != nil { // 1 has a smaller ID, but comes behind
					t.Fatal(n, err)
				}
				pass(time.Minute)
				first := b.tries[len(b.tries)-1]
				put(t, r, job("a", "5"), job("b", "6"), job("a", "7"))
				if got := strings.Join(first.jobs, ","); got != "3,4,1" {
					t.Fatalf("batch %s", got)
				}
				// The crash: another Runner on what the queue holds now.
				after := &batches{start: time.Now()}
				tt.batch.Handler = after.handle
				crashed := start(t, Options{Queue: snapshot(t, q), Batch: &tt.batch})
				pass(time.Hour)
				if s := crashed.Stats(); s.Done != 6 || s.Dead != 1 {
					t.Errorf("%+v", s)
				}
				if tt.want == "" {
					return
				}
				if got := after.all(); got != tt.want || after.tries[0].id != first.id {
					t.Errorf("batches %s, want %s; id %s, want %s", got, tt.want, after.tries[0].id, first.id)
				}
			})
		})
	}
}

// snapshot copies a queue.
func snapshot(t *testing.T, q *Memory) *Memory {
	t.Helper()
	c := NewMemory()
	err := q.Each(func(j Job) error {
		c.jobs[j.ID] = &j
		c.last = max(c.last, j.ID)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Jobs of one key are in order and never in two batches at a time.
func TestBatchOrderUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keys, each = 50, 40
		var mu sync.Mutex
		busy := map[string]bool{}
		done := map[string]int{}
		calls := 0
		r := start(t, Options{Concurrency: 4, Batch: &Batch{Max: 8, Handler: func(_ context.Context, _ string, jobs []Job) (bool, error) {
			mu.Lock()
			calls++
			fails := calls%5 == 0
			mine := map[string]bool{}
			for _, j := range jobs {
				if busy[j.Key] {
					t.Errorf("%s is in two batches", j.Key)
				}
				mine[j.Key] = true
			}
			for k := range mine {
				busy[k] = true
			}
			mu.Unlock()
			time.Sleep(time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			for k := range mine {
				delete(busy, k)
			}
			if fails {
				return true, errTest
			}
			for _, j := range jobs {
				if string(j.Payload) != fmt.Sprint(done[j.Key]) {
					t.Errorf("%s of %s, want %d", j.Payload, j.Key, done[j.Key])
				}
				done[j.Key]++
			}
			return false, nil
		}}})
		for i := range each {
			for k := range keys {
				put(t, r, job(fmt.Sprint("k", k), fmt.Sprint(i)))
			}
		}
		pass(time.Hour)
		if s := r.Stats(); s.Done != keys*each || calls > keys*each/4 {
			t.Errorf("%+v in %d calls", s, calls)
		}
	})
}
