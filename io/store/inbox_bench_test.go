package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"crier/io/hub"
)

// letterTo is a message of 100 bytes for one user.
func letterTo(uid, id string) hub.Deposit {
	return hub.Deposit{
		Message: &hub.Message{ID: id, Event: "new_msg", Args: []json.RawMessage{json.RawMessage(`"` + strings.Repeat("x", 98) + `"`)}},
		Users:   []string{uid}, Expires: time.Now().Add(24 * time.Hour),
	}
}

// BenchmarkPut is messages a second that are on the disk when their callers are told, by callers at once. Each is for one
// of 100,000 users, under an id that its caller made up.
func BenchmarkPut(b *testing.B) {
	for _, callers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprint(callers, " callers"), func(b *testing.B) {
			s := open(b, Options{})
			q := inbox(b, s, InboxOptions{})
			before := s.Stats()
			began := time.Now()
			var all sync.WaitGroup
			for c := range callers {
				all.Go(func() {
					done := make(chan hub.Deposited, 1)
					for range (b.N + callers - 1 - c) / callers {
						id := strconv.FormatUint(rand.Uint64(), 36)
						q.Put(letterTo(fmt.Sprint("user-", rand.IntN(100_000)), id), func(d hub.Deposited) { done <- d })
						if d := <-done; d.Err != nil {
							b.Error(d.Err)
						}
					}
				})
			}
			all.Wait()
			st := s.Stats()
			seconds := time.Since(began).Seconds()
			b.ReportMetric(float64(st.Ops-before.Ops)/seconds, "messages/s")
			b.ReportMetric(float64(st.Commits-before.Commits)/seconds, "commits/s")
		})
	}
}

// BenchmarkFsync is how often a second the disk takes 4 KiB for good: what BenchmarkPut is compared with.
func BenchmarkFsync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "file"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, 4096)
	if _, err := f.Write(make([]byte, 1<<20)); err != nil {
		b.Fatal(err)
	}
	for n := 0; b.Loop(); n++ {
		if _, err := f.WriteAt(page, int64(n%256)*4096); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "fsyncs/s")
}

// BenchmarkOpenMillion opens a store with a million messages for 200,000 users, in a process of its own, and tells the
// memory that takes: at most, and when it is open.
func BenchmarkOpenMillion(b *testing.B) {
	path := filepath.Join(b.TempDir(), "crier.db")
	fillInbox(b, path, 1_000_000)
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		cmd := exec.Command(os.Args[0], path)
		cmd.Env = append(os.Environ(), childVariable+"=open")
		out, err := cmd.CombinedOutput()
		if err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		var seconds, most, now float64
		if _, err := fmt.Sscan(string(out), &seconds, &most, &now); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		b.ReportMetric(seconds, "s-to-open")
		b.ReportMetric(most/1024, "MiB-at-most")
		b.ReportMetric(now/1024, "MiB-open")
	}
	b.ReportMetric(float64(info.Size())/(1<<20), "MiB-file")
}

// fillInbox makes a store with so many messages, a tenth of them confirmed.
func fillInbox(b *testing.B, path string, n int) {
	b.Helper()
	s := open(b, Options{Path: path})
	q, err := s.Inbox(InboxOptions{})
	if err != nil {
		b.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range n + n/10 {
		uid := fmt.Sprint("user-", rand.IntN(200_000))
		all.Add(1)
		q.Put(letterTo(uid, fmt.Sprint("KJ3VX6PLQH6J6U-", strconv.FormatInt(int64(i), 36))), func(d hub.Deposited) {
			defer all.Done()
			if d.Err != nil {
				b.Error(d.Err)
			}
			if i%11 == 0 {
				q.Confirm(uid, []uint64{d.Place})
			}
		})
	}
	all.Wait()
	if err := q.Close(); err != nil {
		b.Fatal(err)
	}
	shut(b, s)
}

// openAndTell is the child of BenchmarkOpenMillion: it prints how long it takes to open a store, and how many KiB of memory.
func openAndTell(path string) error {
	began := time.Now()
	s, err := Open(Options{Path: path})
	if err != nil {
		return err
	}
	q, err := s.Inbox(InboxOptions{})
	if err != nil {
		return err
	}
	took := time.Since(began)
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	fmt.Print(took.Seconds())
	for _, field := range []string{"VmHWM:", "VmRSS:"} {
		_, rest, _ := strings.Cut(string(status), field)
		fmt.Print(" ", strings.Fields(rest)[0])
	}
	return errors.Join(q.Close(), s.Close())
}
