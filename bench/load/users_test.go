//go:build linux

package load

import (
	"testing"
	"time"
)

func TestShareGivesEachUserToOneSender(t *testing.T) {
	seen := map[int]int{}
	for _, u := range share(10, 3, StampSize, Form{One: "{uid}{content}"}, NewStamp(), func() time.Duration { return 0 }) {
		for i := range u.seq {
			seen[u.first+i*u.step]++
		}
	}
	for i := range 10 {
		if seen[i] != 1 {
			t.Errorf("user %d has %d senders", i, seen[i])
		}
	}
	if len(seen) != 10 {
		t.Errorf("%d users, want 10", len(seen))
	}
}
