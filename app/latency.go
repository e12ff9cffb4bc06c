package app

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"crier/api"
)

// window tells the quantiles of what a histogram has been given since it was asked before.
type window struct {
	before []uint64 // counts up to each bound
}

// next returns those, or nil if there was nothing.
func (w *window) next(h prometheus.Histogram) *api.Latency {
	var m dto.Metric
	if err := h.Write(&m); err != nil { // only of a metric that was made wrongly
		return nil
	}
	buckets := m.GetHistogram().GetBucket()
	bounds, now := make([]float64, len(buckets)), make([]uint64, len(buckets)+1)
	for i, b := range buckets {
		bounds[i], now[i] = b.GetUpperBound(), b.GetCumulativeCount()
	}
	now[len(buckets)] = m.GetHistogram().GetSampleCount()
	before := w.before
	w.before = now
	if before == nil {
		return nil
	}
	upTo := make([]uint64, len(now))
	for i := range now {
		upTo[i] = now[i] - before[i]
	}
	if upTo[len(upTo)-1] == 0 {
		return nil
	}
	return &api.Latency{P50: quantile(0.5, bounds, upTo), P99: quantile(0.99, bounds, upTo)}
}

// quantile estimates a quantile from how many observations were up to each bound, and then how many there were at all. The bounds
// grow by a factor, and so do the observations inside a bucket, it is assumed; what is above all bounds counts as the last.
func quantile(q float64, bounds []float64, upTo []uint64) float64 {
	rank := q * float64(upTo[len(upTo)-1])
	for i, bound := range bounds {
		if float64(upTo[i]) < rank {
			continue
		}
		low, under := bounds[0]*bounds[0]/bounds[1], uint64(0)
		if i > 0 {
			low, under = bounds[i-1], upTo[i-1]
		}
		share := (rank - float64(under)) / float64(upTo[i]-under)
		return low * math.Pow(bound/low, share)
	}
	return bounds[len(bounds)-1]
}
