package client

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	for _, c := range []struct {
		name        string
		first, most time.Duration
		random      float64
		want        []time.Duration
	}{
		{"as the official client", 0, 0, 0.5, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second}},
		{"least", 0, 0, 0, []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second}},
		{"most", 0, 0, 1, []time.Duration{1500 * time.Millisecond, 3 * time.Second, 5 * time.Second, 5 * time.Second}},
		{"long", time.Hour, 0, 0.5, []time.Duration{time.Hour, time.Hour}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBackoff(c.first, c.most)
			for i, want := range c.want {
				if got := b.next(c.random); got != want {
					t.Errorf("pause %d is %s, want %s", i+1, got, want)
				}
			}
			for range 200 {
				if got := b.next(c.random); got <= 0 || got > b.most {
					t.Fatalf("a later pause is %s", got)
				}
			}
			b.reset()
			if got := b.next(c.random); got != c.want[0] {
				t.Errorf("after a reset %s", got)
			}
		})
	}
}
