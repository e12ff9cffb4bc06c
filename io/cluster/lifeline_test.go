package cluster

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Many servers lose the same Redis in the same moment. When it is there again, all of them are within a second, and they do not come
// together, however often they have tried meanwhile.
func TestNoStorm(t *testing.T) {
	const servers, outage = 500, 17*time.Second + 300*time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		begun := time.Now()
		var mu sync.Mutex
		var back []time.Duration // when each had a connection, behind Redis
		tries := 0
		var running sync.WaitGroup
		for range servers {
			l := &lifeline{log: slog.New(slog.DiscardHandler), status: Status{Since: begun}}
			first := true
			running.Go(func() {
				l.run(ctx, func(ctx context.Context) (bool, error) {
					if first { // there is a connection, and it is lost
						first = false
						l.up("")
						return true, errors.New("lost")
					}
					mu.Lock()
					tries++
					late := time.Since(begun) - outage
					if late >= 0 {
						back = append(back, late)
					}
					mu.Unlock()
					if late < 0 {
						return false, errors.New("refused")
					}
					l.up("")
					<-ctx.Done()
					return true, nil
				})
			})
		}
		time.Sleep(outage + lastWait)
		synctest.Wait()
		cancel()
		running.Wait()
		if len(back) != servers {
			t.Errorf("%d of %d are back after %v", len(back), servers, lastWait)
		}
		var parts [10]int // of lastWait
		for _, at := range back {
			parts[min(at*10/lastWait, 9)]++
		}
		for i, n := range parts {
			if n > servers/4 {
				t.Errorf("%d of %d come in the tenth %d of the second: %v", n, servers, i, parts)
			}
		}
		if most := servers * int(2*outage/lastWait+6); tries > most {
			t.Errorf("%d tries, not more than %d are expected", tries, most)
		}
	})
}
