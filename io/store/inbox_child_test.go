package store

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"crier/io/hub"
)

// inboxChild is what the test binary does as another process, with an inbox.
func inboxChild(role, path string) error {
	s, err := Open(Options{Path: path, CompactAbove: 64 << 10, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		return err
	}
	q, err := s.Inbox(InboxOptions{takeOver: 20 * time.Millisecond})
	if err != nil {
		return err
	}
	if role == "post" {
		return postForever(q)
	}
	return errors.Join(fillInboxDisk(q), q.Close(), s.Close())
}

// postForever stores messages for two users each, with several goroutines, and prints a line for each that is stored, its id
// behind a plus. Some are confirmed by one of the two, which is printed before, with a minus.
func postForever(q *Inbox) error {
	var mu sync.Mutex
	say := func(line string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(line)
	}
	begun := time.Now().UnixNano()
	var all sync.WaitGroup
	for c := range 4 {
		all.Go(func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("%d.%d.%09d", c, begun, n)
				done := make(chan hub.Deposited, 1)
				q.Put(hub.Deposit{
					Message: &hub.Message{ID: id, Event: "e"}, Users: []string{fmt.Sprint("u", c), "all"}, Expires: time.Now().Add(time.Hour),
				}, func(d hub.Deposited) { done <- d })
				d := <-done
				if d.Err != nil {
					say("error " + d.Err.Error())
					return
				}
				say("+" + id)
				if n%3 == 0 {
					say("-" + id)
					q.Confirm("all", []uint64{d.Place})
				}
			}
		})
	}
	all.Wait()
	return errors.New("the inbox has failed")
}

// After kill -9, at any moment, all that was said to be stored is there, once, and in the order of each caller.
func TestInboxKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crier.db")
	stored, confirmed := map[string]bool{}, map[string]bool{}
	for range 4 {
		killedPoster(t, path, stored, confirmed)
		s := open(t, Options{Path: path})
		q := inbox(t, s, InboxOptions{MaxPerUser: 100_000})
		seen := map[string]bool{}
		for c := range 4 {
			ids := next(t, q, fmt.Sprint("u", c))
			if !slices.IsSorted(ids) {
				t.Errorf("u%d: out of order", c)
			}
			for _, id := range ids {
				if seen[id] {
					t.Errorf("%s is there twice", id)
				}
				seen[id] = true
			}
		}
		left := map[string]bool{}
		for _, id := range next(t, q, "all") {
			left[id] = true
		}
		for id := range stored {
			if !seen[id] || !left[id] && !confirmed[id] {
				t.Errorf("%s is lost: %t, %t", id, seen[id], left[id])
			}
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		shut(t, s)
	}
	if len(stored) < 50 {
		t.Errorf("only %d messages", len(stored))
	}
}

// killedPoster runs a child that stores messages, kills it after a while, and notes what it said.
func killedPoster(t *testing.T, path string, stored, confirmed map[string]bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], path)
	cmd.Env = append(os.Environ(), childVariable+"=post")
	cmd.Stderr = io.Discard
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end := 20 + rand.IntN(500)
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		switch id := lines.Text()[1:]; lines.Text()[0] {
		case '+':
			stored[id] = true
		case '-':
			confirmed[id] = true
		default:
			t.Errorf("the child said %q", lines.Text())
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
}

// fillInboxDisk has the files hit a limit of their size, which is as when the disk is full, and lifts it again.
func fillInboxDisk(q *Inbox) error {
	const fullAt, letterBytes = 1 << 20, 100_000
	lift, err := limitFiles(fullAt)
	if err != nil {
		return err
	}
	keep := func(id string) error {
		done := make(chan hub.Deposited, 1)
		d := deposit(id, strings.Repeat("x", letterBytes), "u")
		q.Put(d, func(d hub.Deposited) { done <- d })
		return (<-done).Err
	}
	var kept []string
	failed := 0
	for n := range 40 {
		id := fmt.Sprintf("%02d", n)
		if err := keep(id); err != nil {
			failed++
			if q.settled() == nil && len(kept)*letterBytes > fullAt {
				return fmt.Errorf("with a full disk: %d messages are said to be in the file, which has no room for them", len(kept))
			}
			continue
		}
		kept = append(kept, id)
	}
	if len(kept) == 0 || failed == 0 || q.store.Stats().LastError == "" {
		return fmt.Errorf("with a full disk: %d messages taken, %d refused, %+v", len(kept), failed, q.store.Stats())
	}
	if err := lift(); err != nil {
		return err
	}
	if err := keep("last"); err != nil {
		return fmt.Errorf("when there is room again: %w", err)
	}
	if err := q.settled(); err != nil {
		return fmt.Errorf("when there is room again: %w", err)
	}
	if st := q.store.Stats(); st.LastError != "" {
		return fmt.Errorf("the trouble is over, but %+v", st)
	}
	fmt.Println(strings.Join(append(kept, "last"), " "))
	return nil
}

// With a full disk callers get an error, what was stored stays, and it goes on when there is room again.
func TestInboxDiskFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crier.db")
	cmd := exec.Command(os.Args[0], path)
	cmd.Env = append(os.Environ(), childVariable+"=inbox full")
	var log strings.Builder
	cmd.Stderr = &log
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	q := inbox(t, open(t, Options{Path: path}), InboxOptions{})
	if got := strings.Join(next(t, q, "u"), " "); got != strings.TrimSpace(string(out)) {
		t.Errorf("u has %s, want %s", got, out)
	}
	if !strings.Contains(log.String(), "the store cannot be written") || !strings.Contains(log.String(), "the store can be written again") {
		t.Errorf("log %s", log.String())
	}
}
