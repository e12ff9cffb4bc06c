package jobs

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestTriesKept(t *testing.T) {
	var r Runner
	if latest, more := r.Tries(0, 10); len(latest) > 0 || more {
		t.Errorf("a new runner has %v", latest)
	}
	const all = maxTries + 234
	for i := range all {
		r.tries.note(Try{Key: fmt.Sprint(i + 1)})
	}
	var got []Try
	for before, more := uint64(0), true; more; before = got[len(got)-1].Number {
		var page []Try
		page, more = r.Tries(before, 300)
		got = append(got, page...)
	}
	if len(got) != maxTries {
		t.Fatalf("%d are kept", len(got))
	}
	for i, one := range got {
		if n := all - i; one.Number != uint64(n) || one.Key != fmt.Sprint(n) {
			t.Fatalf("entry %d is %d of %s", i, one.Number, one.Key)
		}
	}
	if latest, more := r.Tries(1, 10); len(latest) > 0 || more {
		t.Errorf("before all there is %v", latest)
	}
}

// A Runner tells of each try: which it was, how it went, and which was the last.
func TestTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Options{MaxAttempts: 2, Handler: func(_ context.Context, job Job) (bool, error) {
			time.Sleep(time.Millisecond)
			if job.Key == "never" || job.Attempts == 0 {
				return true, errTest
			}
			return false, nil
		}})
		for _, key := range []string{"later", "never"} {
			if err := r.Put(Job{Key: key, Payload: []byte(key)}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		latest, more := r.Tries(0, 10)
		var got []string
		for _, one := range latest {
			if one.Took != time.Millisecond || one.Begun.IsZero() || string(one.Payload) != one.Key {
				t.Errorf("a try is %+v", one)
			}
			got = append(got, fmt.Sprint(one.Number, " ", one.Key, " ", one.Attempt, " ", one.Error, " ", one.Last))
		}
		want := []string{"4 never 2 it did not work true", "3 never 1 it did not work false", "2 later 2  false", "1 later 1 it did not work false"}
		if !slices.Equal(got, want) || more {
			t.Errorf("the tries are %q", got)
		}
	})
}
