package store

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"crier/io/jobs"
)

// BenchmarkAdd is jobs a second that are on the disk when Add returns, by callers at once, and how many fsyncs they cost.
// The first one is the rate of fsyncs.
func BenchmarkAdd(b *testing.B) {
	for _, callers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprint(callers, " callers"), func(b *testing.B) {
			s := open(b, Options{})
			q := queue(b, s)
			payload := make([]byte, 250)
			before := s.Stats()
			began := time.Now()
			var all sync.WaitGroup
			for c := range callers {
				all.Go(func() {
					for range (b.N + callers - 1 - c) / callers {
						if err := q.Add([]jobs.Job{{Key: "user", Payload: payload}}); err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
			st := s.Stats()
			seconds := time.Since(began).Seconds()
			b.ReportMetric(float64(st.Ops-before.Ops)/seconds, "jobs/s")
			b.ReportMetric(float64(st.Commits-before.Commits)/seconds, "fsyncs/s")
		})
	}
}
