package app

import (
	"math"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestWindow(t *testing.T) {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "x", Buckets: prometheus.ExponentialBuckets(1, 2, 5)}) // to 16
	var w window
	if got := w.next(h); got != nil {
		t.Errorf("before anything was pushed: %+v", got)
	}
	give := func(n int, v float64) {
		for range n {
			h.Observe(v)
		}
	}
	for _, c := range []struct {
		name     string
		give     func()
		p50, p99 float64
	}{
		{"one bucket", func() { give(100, 3) }, math.Sqrt(8), 2 * math.Pow(2, 0.99)},
		{"two", func() { give(98, 1.5); give(2, 10) }, math.Pow(2, 50.0/98), 8 * math.Sqrt2},
		{"the first", func() { give(2, 0.7) }, math.Sqrt2 / 2, 0.5 * math.Pow(2, 0.99)},
		{"above all", func() { give(2, 100) }, 16, 16},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.give()
			got := w.next(h)
			if got == nil || math.Abs(got.P50-c.p50) > 1e-9 || math.Abs(got.P99-c.p99) > 1e-9 {
				t.Errorf("got %+v, want %v and %v", got, c.p50, c.p99)
			}
			if again := w.next(h); again != nil {
				t.Errorf("nothing since, but %+v", again)
			}
		})
	}
}
