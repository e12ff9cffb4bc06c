package app

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestTidyAfterAWave(t *testing.T) {
	for _, tc := range []struct {
		name    string
		clients []int // second by second
		want    []int // the seconds in which memory is given back
	}{
		{"few come", []int{0, 100, 999, 999, 999}, nil},
		{"a wave comes in", []int{0, 4000, 9000, 10_000, 10_000, 10_000}, []int{4}},
		{"once it is almost over", []int{9000, 10_000, 10_090, 10_100}, []int{2}},
		{"it never ends", []int{1000, 2000, 3000, 4000, 5000}, nil},
		{"it goes out again", []int{10_000, 10_000, 4000, 0, 0, 0}, []int{1, 4}},
		{"some come and go among many", []int{10_000, 10_000, 11_000, 11_000, 9000, 9000, 12_499, 12_499}, []int{1}},
		{"a quarter of them is new", []int{10_000, 10_000, 13_400, 13_400}, []int{1, 3}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var d tidy
			var got []int
			for second, n := range tc.clients {
				if d.over(n) {
					got = append(got, second)
				}
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("memory is given back in %v, want %v", got, tc.want)
			}
		})
	}
}

func TestTidyLooksEverySecondWhileClientsCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks, collected atomic.Int32
		d := newTidy(func() int { return int(min(2000*looks.Add(1), 8000)) }, func() { collected.Add(1) })
		time.Sleep(5*tidyEvery + tidyEvery/2)
		if looks.Load() != 5 || collected.Load() != 1 {
			t.Errorf("looked %d times and gave back %d times, want 5 and 1", looks.Load(), collected.Load())
		}
		time.Sleep(2 * tidyRest)
		d.close()
		if looks.Load() != 7 || collected.Load() != 1 {
			t.Errorf("looked %d times and gave back %d times, want 7 and 1 when nobody has come since", looks.Load(), collected.Load())
		}
	})
}
