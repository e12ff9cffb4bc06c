package cluster

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"crier/io/hub"
)

// TestInboxRedisKilled kills a Redis that writes everything to the disk at once, in the middle of puts, and starts it again: what was
// said to be stored is there, once and in the order of each caller, and so is what was tried again under the same ID.
func TestInboxRedisKilled(t *testing.T) {
	t.Parallel()
	server := startRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	o := newDepot(t, server, "n", nil)
	const callers = 4
	var mu sync.Mutex
	stored, failed, again := make([][]string, callers), 0, 0
	quit := make(chan struct{})
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-quit:
					return
				default:
				}
				id := fmt.Sprintf("%d-%06d", c, n)
				d := keep(t, o, id, users("all", fmt.Sprint("u", c)))
				for ; d.Err != nil; d = keep(t, o, id, users("all", fmt.Sprint("u", c))) {
					mu.Lock()
					failed++
					mu.Unlock()
					time.Sleep(5 * time.Millisecond)
				}
				mu.Lock()
				stored[c] = append(stored[c], id)
				if d.Known {
					again++
				}
				mu.Unlock()
			}
		})
	}
	count := func() (n int) {
		mu.Lock()
		defer mu.Unlock()
		for _, list := range stored {
			n += len(list)
		}
		return n
	}
	for range 3 {
		before := count()
		await(t, "some are stored", func() bool { return count() > before+100 })
		server.Kill(t)
		server.Start(t)
	}
	before := count()
	await(t, "some are stored", func() bool { return count() > before+100 })
	close(quit)
	all.Wait()
	t.Logf("%d stored, %d tries failed, %d of them had been done", count(), failed, again)
	for c, want := range stored {
		if got := everything(t, o.inbox, fmt.Sprint("u", c)); !slices.Equal(got, want) && !slices.Equal(got, want[max(0, len(want)-1000):]) {
			t.Errorf("caller %d: %d messages are kept, %d were stored", c, len(got), len(want))
		}
	}
}

// everything are the IDs of all that waits for a user, a page at a time.
func everything(t *testing.T, q *Inbox, uid string) (ids []string) {
	t.Helper()
	var letters []hub.Letter
	for after := uint64(0); ; after = letters[len(letters)-1].Place {
		var err error
		if letters, err = q.Next(uid, after, 100, 1<<20); err != nil {
			t.Fatal(err)
		}
		if len(letters) == 0 {
			return ids
		}
		for _, l := range letters {
			ids = append(ids, l.Message.ID)
		}
	}
}
