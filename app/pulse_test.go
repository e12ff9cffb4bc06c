package app

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"crier/api"
)

// Samples are taken often while somebody watches, seldom otherwise, and who comes later gets those of before.
func TestPulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var taken atomic.Int64
		p := newPulse(func() *api.Sample { return &api.Sample{Time: time.Now(), Users: int(taken.Add(1))} })
		defer p.close()
		time.Sleep(10*pulseAlone + time.Millisecond)
		if synctest.Wait(); taken.Load() != 10 {
			t.Errorf("%d samples while nobody watched", taken.Load())
		}
		ctx, cancel := context.WithCancel(t.Context())
		var seen []int
		ended := make(chan error, 1)
		go func() {
			ended <- p.Follow(ctx, time.Time{}, func(one *api.Sample) error {
				seen = append(seen, one.Users)
				return nil
			})
		}()
		time.Sleep(5*pulseWatched + time.Millisecond)
		if synctest.Wait(); len(seen) != 16 || seen[0] != 1 || seen[15] != 16 {
			t.Errorf("a watcher saw %v", seen)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
		time.Sleep(pulseWatched)
		synctest.Wait()
		before := taken.Load()
		time.Sleep(pulseAlone)
		if synctest.Wait(); taken.Load() != before+1 {
			t.Errorf("%d samples after the watcher had gone", taken.Load()-before)
		}
	})
}

// It keeps so many, tells nobody twice, and passes on what a watcher says.
func TestPulseKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPulse(func() *api.Sample { return &api.Sample{Time: time.Now()} })
		time.Sleep((pulseKept+100)*pulseAlone + time.Millisecond)
		synctest.Wait()
		n, stop := 0, errors.New("enough")
		err := p.Follow(t.Context(), time.Now().Add(-5*pulseAlone-time.Second), func(*api.Sample) error {
			if n++; n == 6 {
				return stop
			}
			return nil
		})
		if !errors.Is(err, stop) {
			t.Errorf("it ended with %v", err)
		}
		news, _, _ := p.since(0)
		if len(news) != pulseKept {
			t.Errorf("%d samples are kept", len(news))
		}
		ended := make(chan error, 1)
		go func() {
			ended <- p.Follow(context.Background(), time.Now(), func(*api.Sample) error { return nil })
		}()
		synctest.Wait()
		p.close()
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
}
