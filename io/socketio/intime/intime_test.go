package intime

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// judge is a test that only notes that it has failed.
type judge struct {
	testing.TB
	failed int
}

func (j *judge) Fatal(...any)          { j.failed++ }
func (j *judge) Fatalf(string, ...any) { j.failed++ }

func TestRun(t *testing.T) {
	for name, test := range map[string]struct {
		run    func(t *Test, limit time.Duration)
		limits []time.Duration // of the runs
		failed int
	}{
		"in time": {func(t *Test, _ time.Duration) { t.Done() }, []time.Duration{time.Second}, 0},
		"too slow at first": {func(t *Test, limit time.Duration) {
			time.Sleep(3 * time.Second)
			if limit < 3*time.Second {
				t.Fatal("the time is over")
			}
		}, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}, 0},
		"wrong in time": {func(t *Test, limit time.Duration) {
			time.Sleep(limit)
			t.Fatalf("wrong within %v", limit)
		}, []time.Duration{time.Second}, 1},
		"wrong later": {func(t *Test, limit time.Duration) {
			t.Done()
			time.Sleep(2 * limit)
			t.Fatal("wrong")
		}, []time.Duration{time.Second}, 1},
		"never in time": {func(t *Test, limit time.Duration) {
			time.Sleep(2 * limit)
			t.Fatal("hangs")
		}, []time.Duration{1e9, 2e9, 4e9, 8e9, 16e9, 32e9, 64e9}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := &judge{TB: t}
				var limits []time.Duration
				Run(j, time.Second, func(t *Test, limit time.Duration) {
					limits = append(limits, limit)
					test.run(t, limit)
				})
				if !slices.Equal(limits, test.limits) || j.failed != test.failed {
					t.Errorf("ran with %v and failed %d times, want %v and %d", limits, j.failed, test.limits, test.failed)
				}
			})
		})
	}
}
