package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"crier/io/hub"
	"crier/io/jobs"
)

func TestJobsSurvive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "folder", "crier.db")
	s := open(t, Options{Path: path})
	q := queue(t, s)
	at := time.Unix(1770000000, 123456789)
	in := []jobs.Job{
		{Key: "a", Payload: []byte("first"), Due: at, Expires: at.Add(time.Hour), Created: at.Add(-time.Second)},
		{Payload: []byte{0, 255}},
	}
	if err := q.Add(in); err != nil {
		t.Fatal(err)
	}
	if in[0].ID == 0 || in[1].ID <= in[0].ID {
		t.Fatalf("numbers %d and %d", in[0].ID, in[1].ID)
	}
	in[0].Attempts, in[0].LastError, in[0].Parked, in[0].Batch, in[0].BatchJobs = 3, "no", at, "b", []uint64{1, 2}
	if err := q.Save(in...); err != nil {
		t.Fatal(err)
	}
	other, err := s.Jobs("other")
	if err != nil {
		t.Fatal(err)
	}
	add(t, other, "of the other queue")
	shut(t, s)

	s = open(t, Options{Path: path})
	q = queue(t, s)
	for _, want := range in {
		got, err := q.Get(want.ID)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
		}
	}
	if got := held(t, q); !slices.Equal(got, []string{"first", "\x00\xff"}) {
		t.Errorf("held %q", got)
	}
	if err := q.Remove(in[0].ID, 99); err != nil {
		t.Error(err)
	}
	if next := add(t, q, "x"); next[0].ID <= in[1].ID {
		t.Errorf("number %d is given again", next[0].ID)
	}
	if _, err := q.Get(in[0].ID); !errors.Is(err, jobs.ErrNotFound) {
		t.Errorf("Get of a removed job: %v", err)
	}
	if err := q.Save(in[1], in[0]); !errors.Is(err, jobs.ErrNotFound) {
		t.Errorf("Save of a removed job: %v", err)
	}
	stop := errors.New("stop")
	if err := q.Each(func(jobs.Job) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Each passes on %v", err)
	}
}

// A Runner on a store goes on where the one before stopped.
func TestPresenceAndJobsTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crier.db")
	s := open(t, Options{Path: path})
	q := queue(t, s)
	since := time.UnixMicro(1770000000000001)
	changes := []hub.PresenceChange{came("b", 5), came("a", 6), came("c", 7), went("c", 8), went("d", 9), came("d", 10)}
	for i := range changes {
		changes[i].Time = since
	}
	if err := q.AddPresence([]jobs.Job{{Key: "a", Payload: []byte("j")}}, changes); err != nil {
		t.Fatal(err)
	}
	if changes[0].UID != "b" {
		t.Error("the caller's slice was sorted")
	}
	shut(t, s)
	s = open(t, Options{Path: path})
	if got := online(t, s); !slices.Equal(got, []string{"a 6", "b 5", "d 10"}) {
		t.Errorf("online %q", got)
	}
	if v, err := s.LastVersion(); v != 10 || err != nil {
		t.Errorf("last version %d, %v", v, err)
	}
	q = queue(t, s)
	if err := q.AddPresence(nil, []hub.PresenceChange{went("d", 11), went("b", 3)}); err != nil {
		t.Fatal(err)
	}
	if v, err := s.LastVersion(); v != 11 || err != nil {
		t.Errorf("last version %d, %v", v, err)
	}
	if got := online(t, s); !slices.Equal(got, []string{"a 6"}) || len(held(t, q)) != 1 {
		t.Errorf("online %q, jobs %q", got, held(t, q))
	}
	err := s.EachOnline(func(o Online) error {
		if !o.Since.Equal(since) {
			t.Errorf("since %v", o.Since)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestMemberships(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crier.db")
	s := open(t, Options{Path: path})
	for _, m := range [][2]string{{"b", "r1"}, {"a", "r2"}, {"a", "r1"}, {"a", "r1"}, {"gone", "r"}} {
		if err := s.AddMembership(m[0], m[1]); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := s.RemoveMembership("gone", "r"); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range [][2]string{{"", "r"}, {"u", ""}, {"u\x00", "r"}, {"u", "\x00r"}} {
		if s.AddMembership(m[0], m[1]) == nil || s.RemoveMembership(m[0], m[1]) == nil {
			t.Errorf("%q was taken", m)
		}
	}
	shut(t, s)
	s = open(t, Options{Path: path})
	var got []string
	err := s.EachMembership(func(uid, room string) error {
		got = append(got, uid+" "+room)
		return nil
	})
	if err != nil || !slices.Equal(got, []string{"a r1", "a r2", "b r1"}) {
		t.Errorf("memberships %q, %v", got, err)
	}
	stop := errors.New("stop")
	if err := s.EachMembership(func(string, string) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("EachMembership passes on %v", err)
	}
}

// Many callers at once share transactions, and one that fails fails alone.
func TestGroupCommit(t *testing.T) {
	s := open(t, Options{})
	q := queue(t, s)
	before := s.Stats()
	release := make(chan struct{})
	held1 := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { // keeps the committer busy until everybody waits
		first := true
		err := s.update(func(*bolt.Tx) error {
			if first {
				first = false
				close(held1)
				<-release
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-held1
	const callers = 200
	var ids sync.Map
	for i := range callers {
		all.Go(func() {
			if i%50 == 0 {
				if err := q.Save(jobs.Job{ID: 1 << 40}); !errors.Is(err, jobs.ErrNotFound) {
					t.Errorf("Save: %v", err)
				}
				return
			}
			job := []jobs.Job{{Payload: []byte(fmt.Sprint(i))}}
			if err := q.Add(job); err != nil {
				t.Error(err)
			}
			if _, twice := ids.LoadOrStore(job[0].ID, true); twice {
				t.Errorf("number %d was given twice", job[0].ID)
			}
		})
	}
	for len(s.writes) < callers {
		time.Sleep(time.Millisecond) // they are on their way
	}
	close(release)
	all.Wait()
	st := s.Stats()
	if n := st.Commits - before.Commits; n != 2 || st.Ops-before.Ops != callers-4+1 || st.Failures != 0 {
		t.Errorf("%d commits, %+v", n, st)
	}
	if got := held(t, q); len(got) != callers-4 {
		t.Errorf("%d jobs", len(got))
	}
}

func TestClosed(t *testing.T) {
	s := open(t, Options{})
	q := queue(t, s)
	var all sync.WaitGroup
	var mu sync.Mutex
	kept := 0
	for range 50 {
		all.Go(func() {
			for {
				err := q.Add([]jobs.Job{{}})
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				kept++
				mu.Unlock()
			}
		})
	}
	for s.Stats().Ops < 100 {
		time.Sleep(time.Millisecond)
	}
	shut(t, s)
	all.Wait()
	for name, err := range map[string]error{
		"Get": func() error { _, err := q.Get(1); return err }(), "Save": q.Save(jobs.Job{}), "Remove": q.Remove(1),
		"Each": q.Each(nil), "EachOnline": s.EachOnline(nil), "AddMembership": s.AddMembership("u", "r"),
		"LastVersion": func() error { _, err := s.LastVersion(); return err }(),
		"Jobs":        func() error { _, err := s.Jobs("x"); return err }(),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
	again := open(t, Options{Path: s.Path()})
	if got := len(held(t, queue(t, again))); got != kept {
		t.Errorf("%d jobs were taken, %d are there", kept, got)
	}
}

func TestCompaction(t *testing.T) {
	var log book
	path := filepath.Join(t.TempDir(), "crier.db")
	if err := os.WriteFile(path+compactSuffix, []byte("what a crash left"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, Options{Path: path, CompactAbove: 6 << 20, Logger: newLogger(&log)})
	q := queue(t, s)
	if err := s.AddMembership("u", "r"); err != nil {
		t.Fatal(err)
	}
	// Readers go on meanwhile.
	first := add(t, q, "stays")[0]
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if job, err := q.Get(first.ID); err != nil || string(job.Payload) != "stays" {
					t.Errorf("%q, %v", job.Payload, err)
					return
				}
				s.Stats()
			}
		})
	}
	big := strings.Repeat("x", 100_000)
	var ids []uint64
	for _, job := range add(t, q, slices.Repeat([]string{big}, 100)...) {
		ids = append(ids, job.ID)
	}
	full := s.Stats()
	if err := q.Remove(ids...); err != nil {
		t.Fatal(err)
	}
	for n := 0; s.Stats().Compactions == 0; n++ { // pages become free with the transactions behind
		if n > 10 {
			t.Fatalf("not compacted: %+v", s.Stats())
		}
		add(t, q, "y")
	}
	close(stop)
	readers.Wait()
	st := s.Stats()
	if full.FileBytes < 10_000_000 || full.Compactions != 0 || st.FileBytes > 1<<20 || st.FreeBytes > st.FileBytes {
		t.Errorf("before %+v, now %+v", full, st)
	}
	if !strings.Contains(log.String(), "the store was made smaller") {
		t.Errorf("log %s", log.String())
	}
	last := add(t, q, "z")[0]
	if last.ID <= ids[len(ids)-1] {
		t.Errorf("number %d is given again", last.ID)
	}
	if _, err := Open(Options{Path: path, LockTimeout: 20 * time.Millisecond}); !errors.Is(err, ErrLocked) {
		t.Errorf("a second Open: %v", err)
	}
	want := held(t, q)
	shut(t, s)
	s = open(t, Options{Path: path})
	if got := held(t, queue(t, s)); !slices.Equal(got, want) {
		t.Errorf("held %q, want %q", got, want)
	}
	if left, err := filepath.Glob(path + "?*"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// What is mostly unused when it is opened is made smaller then.
func TestCompactionAtStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crier.db")
	s := open(t, Options{Path: path})
	q := queue(t, s)
	big := add(t, q, strings.Repeat("x", 4<<20))[0]
	add(t, q, "stays")
	if err := q.Remove(big.ID); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	s = open(t, Options{Path: path, CompactAbove: 1 << 20})
	if st := s.Stats(); st.Compactions != 1 || st.FileBytes > 1<<20 {
		t.Errorf("%+v", st)
	}
	if got := held(t, queue(t, s)); !slices.Equal(got, []string{"stays"}) {
		t.Errorf("held %q", got)
	}
}

// A compaction that cannot be made leaves all as it was.
func TestCompactionFails(t *testing.T) {
	var log book
	path := filepath.Join(t.TempDir(), "crier.db")
	if err := os.MkdirAll(filepath.Join(path+compactSuffix, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := open(t, Options{Path: path, CompactAbove: 1 << 20, Logger: newLogger(&log)})
	q := queue(t, s)
	big := add(t, q, strings.Repeat("x", 4<<20))[0]
	if err := q.Remove(big.ID); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		add(t, q, "y")
	}
	if st := s.Stats(); st.Compactions != 0 || strings.Count(log.String(), "could not be made smaller") != 1 || len(held(t, q)) != 5 {
		t.Errorf("%+v, log %s", st, log.String())
	}
}
