package wsconn_test

import (
	"testing"
	"time"

	"crier/io/wsconn"
)

func TestPace(t *testing.T) {
	const ms = time.Millisecond
	type message struct{ at, pause time.Duration }
	burst := func(n int, at, pause time.Duration) (list []message) {
		for range n {
			list = append(list, message{at, pause})
		}
		return list
	}
	for name, list := range map[string][]message{
		"as many as in a second come at once": append(burst(10, 0, 0), message{0, 100 * ms}),
		"who waits goes on":                   append(burst(10, 5*time.Second, 0), message{5 * time.Second, 100 * ms}, message{5100 * ms, 100 * ms}, message{5400 * ms, 0}),
		"no more than that is saved up":       append(burst(1, 0, 0), append(burst(10, time.Hour, 0), message{time.Hour, 100 * ms})...),
		"an even pace":                        {{0, 0}, {100 * ms, 0}, {200 * ms, 0}, {300 * ms, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			var p wsconn.Pace
			for i, m := range list {
				if got := p.Next(m.at, 10); got != m.pause {
					t.Fatalf("message %d, at %v: a pause of %v, want %v", i, m.at, got, m.pause)
				}
			}
		})
	}
}
