package store

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"crier/io/hub"
	"crier/io/jobs"
)

// child is what the test binary does as another process.
func child(role string, args []string) error {
	switch role {
	case "open":
		return openAndTell(args[0])
	case "post", "inbox full":
		return inboxChild(role, args[0])
	}
	s, err := Open(Options{Path: args[0], CompactAbove: 64 << 10})
	if err != nil {
		return err
	}
	q, err := s.Jobs("test")
	if err != nil {
		return err
	}
	switch role {
	case "write":
		return writeForever(q)
	case "full":
		return errors.Join(fillDisk(s, q), s.Close())
	}
	return fmt.Errorf("no role %q", role)
}

// writeForever adds and removes jobs and presence records, and prints a line for what is done: the job's number, with a
// minus when it is removed.
func writeForever(q *Jobs) error {
	for n := uint64(1); ; n++ {
		job := []jobs.Job{{Key: "k", Payload: []byte(strings.Repeat("x", 5000))}}
		uid := fmt.Sprint("u", n)
		if err := q.AddPresence(job, []hub.PresenceChange{came(uid, n)}); err != nil {
			return err
		}
		fmt.Println(job[0].ID)
		if n%10 != 0 { // most are removed, so that the file is made smaller now and then
			if err := q.Remove(job[0].ID); err != nil {
				return err
			}
			fmt.Printf("-%d\n", job[0].ID)
		}
	}
}

// After kill -9, at any moment, all that was said to be done is there, and nothing of what was not done is there in part.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crier.db")
	want := map[uint64]bool{}
	for range 4 {
		last := killed(t, path, want)
		s := open(t, Options{Path: path})
		q := queue(t, s)
		got := map[uint64]bool{}
		err := q.Each(func(j jobs.Job) error {
			got[j.ID] = true
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for id := range want {
			if !got[id] && id != last { // the removal of the last one may have been done and not said
				t.Errorf("job %d is lost", id)
			}
		}
		for id := range got {
			if !want[id] && id <= last {
				t.Errorf("job %d is back", id)
			}
		}
		if v, err := s.LastVersion(); err != nil || v == 0 {
			t.Errorf("last version %d, %v", v, err)
		}
		shut(t, s)
		want = got
	}
}

// killed runs a child that writes, kills it after a while, and notes what it said. It returns the last job that was added.
func killed(t *testing.T, path string, want map[uint64]bool) (last uint64) {
	t.Helper()
	cmd := exec.Command(os.Args[0], path)
	cmd.Env = append(os.Environ(), childVariable+"=write")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end := 20 + rand.IntN(200)
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		var id int64
		if _, err := fmt.Sscan(lines.Text(), &id); err != nil {
			t.Errorf("the child said %q", lines.Text())
		}
		if id > 0 {
			want[uint64(id)] = true
			last = uint64(id)
		} else {
			delete(want, uint64(-id))
		}
		if n == end {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	err = cmd.Wait()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Errorf("the child ended with %v", err)
	}
	return last
}

// fillDisk has the file hit a limit of its size, which is as when the disk is full, and lifts it again.
func fillDisk(s *Store, q *Jobs) error {
	const room = 1 << 20
	lift, err := limitFiles(room)
	if err != nil {
		return err
	}
	payload := []byte(strings.Repeat("x", 100_000))
	kept, failed := 0, 0
	for range 40 {
		if err := q.Add([]jobs.Job{{Payload: payload}}); err != nil {
			failed++
		} else {
			kept++
		}
	}
	st := s.Stats()
	if kept == 0 || failed == 0 || st.Failures != uint64(failed) || st.LastError == "" {
		return fmt.Errorf("with a full disk: %d jobs taken, %d refused, %+v", kept, failed, st)
	}
	if err := lift(); err != nil {
		return err
	}
	if err := q.Add([]jobs.Job{{Payload: payload}}); err != nil {
		return fmt.Errorf("when there is room again: %w", err)
	}
	if st := s.Stats(); st.LastError != "" {
		return fmt.Errorf("the trouble is over, but %+v", st)
	}
	fmt.Println(kept + 1)
	return nil
}

// With a full disk callers get an error, what was stored stays, and it goes on when there is room again.
func TestDiskFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crier.db")
	cmd := exec.Command(os.Args[0], path)
	cmd.Env = append(os.Environ(), childVariable+"=full")
	var log strings.Builder
	cmd.Stderr = &log
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	var kept int
	if _, err := fmt.Sscan(string(out), &kept); err != nil {
		t.Fatal(err)
	}
	if got := len(held(t, queue(t, open(t, Options{Path: path})))); got != kept {
		t.Errorf("%d jobs, want %d", got, kept)
	}
	if strings.Count(log.String(), "the store cannot be written") != 1 || !strings.Contains(log.String(), "the store can be written again") {
		t.Errorf("log %s", log.String())
	}
}
