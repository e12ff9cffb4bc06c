package app

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"crier/api/schedule"
	"crier/configs"
)

// BenchmarkStartWithSchedules starts a server whose store has 100,000 timed pushes, until its ports are open.
func BenchmarkStartWithSchedules(b *testing.B) {
	const n = 100_000
	path := filepath.Join(b.TempDir(), "crier.db")
	kept := func(c *configs.Config) { c.Store.Path = path }
	p := start(b, kept)
	var work sync.WaitGroup
	for worker := range 256 {
		work.Go(func() {
			for i := worker; i < n; i += 256 {
				spec := schedule.Spec{Push: json.RawMessage(fmt.Sprintf(`{"to":{"users":["%d"]},"data":"Your order has shipped"}`, i))}
				switch i % 4 {
				case 0:
					spec.At = "2100-12-24T18:00:00Z"
				case 1:
					spec.Delay = "720h"
				case 2:
					spec.Every = "24h"
				default:
					spec.Cron, spec.Timezone = fmt.Sprintf("%d %d * * *", i%60, i%24), "Europe/Berlin"
				}
				if _, err := p.schedules.Put(b.Context(), fmt.Sprintf("schedule-%d", i), spec, 0, nil); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
	if err := p.stop(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		p := start(b, kept)
		if p.schedules.Len() != n {
			b.Fatalf("there are %d schedules", p.schedules.Len())
		}
		b.StopTimer()
		if err := p.stop(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
