package webhook

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"crier/io/hub"
	"crier/io/jobs"
)

// What a Composer writes, with a version in its middle, is what Presence sends, id apart.
func TestComposer(t *testing.T) {
	c, err := NewComposer(nil, "web-1")
	if err != nil {
		t.Fatal(err)
	}
	for _, uid := range []string{"7", `,"version":0,"`, "a\\b", "中文é😀 <&>"} {
		for _, change := range []hub.PresenceChange{
			{UID: uid, Online: true, Connections: 3, Time: time.Unix(1, 0)},
			{UID: uid, Cause: hub.CauseNode, Time: time.Unix(2, 5e6), Version: 17},
		} {
			head, tail, err := c.Compose(change)
			if err != nil {
				t.Fatal(err)
			}
			const version = 1795851246000123
			text := append(strconv.AppendUint(head, version, 10), tail...)
			var got event
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			change.Version = version
			want := newEvent(change, "web-1")
			want.ID = got.ID
			if !reflect.DeepEqual(got, want) || len(got.ID) < 20 {
				t.Errorf("got %+v, want %+v", got, want)
			}
		}
	}
	if c, err = NewComposer([]string{UserOffline}, "web-1"); err != nil {
		t.Fatal(err)
	}
	if head, tail, err := c.Compose(hub.PresenceChange{UID: "7", Online: true}); err != nil || len(head)+len(tail) != 0 {
		t.Errorf("an event that is not wanted: %q, %q, %v", head, tail, err)
	}
	if _, err := NewComposer([]string{"user.gone"}, "web-1"); err == nil {
		t.Error("an event that does not exist was taken")
	}
}

// With a Queue a Sender sends what it finds there and what others add, and leaves there what it could not.
func TestSharedQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &receiver{t: t}
		queue := jobs.NewMemory()
		c, err := NewComposer(nil, "web-1")
		if err != nil {
			t.Fatal(err)
		}
		add := func(uid string, version int) jobs.Job {
			t.Helper()
			head, tail, err := c.Compose(hub.PresenceChange{UID: uid, Online: true, Connections: 1, Time: time.Now()})
			if err != nil {
				t.Fatal(err)
			}
			all := []jobs.Job{{Key: uid, Payload: fmt.Appendf(head, "%d%s", version, tail)}}
			if err := queue.Add(all); err != nil {
				t.Fatal(err)
			}
			return all[0]
		}
		add("a", 1)
		s, _ := start(t, Options{Transport: rec, Queue: queue})
		synctest.Wait()
		s.TakeUp(add("b", 2))
		synctest.Wait()
		if got := rec.told(); got != "a1 b2" {
			t.Errorf("told %q", got)
		}
		left := add("c", 3)
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := queue.Get(left.ID); err != nil {
			t.Errorf("what was left: %v", err)
		}
	})
}
