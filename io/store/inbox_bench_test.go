package store

import (
	"bytes"
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

	bolt "go.etcd.io/bbolt"

	"crier/io/hub"
)

// letterTo is a message of 100 bytes for one user.
func letterTo(uid, id string) hub.Deposit {
	return hub.Deposit{
		Message: &hub.Message{ID: id, Event: "new_msg", Args: []json.RawMessage{json.RawMessage(`"` + strings.Repeat("x", 98) + `"`)}},
		Users:   []string{uid}, Expires: time.Now().Add(24 * time.Hour),
	}
}

// BenchmarkPut is messages a second that are on the disk when their callers are told, by callers at once, and the processor
// time for each, until the file has it. Each is for one of 100,000 users, under an id that its caller made up. Meanwhile the
// file takes over from the journal, as it always does; Close takes over the rest, which the processor time has and the rate has not.
func BenchmarkPut(b *testing.B) {
	for _, callers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprint(callers, " callers"), func(b *testing.B) {
			s := open(b, Options{})
			q := inbox(b, s, InboxOptions{})
			before := s.Stats()
			began := time.Now()
			cpu, err := processorTime()
			if err != nil {
				b.Fatal(err)
			}
			var all sync.WaitGroup
			for c := range callers {
				all.Go(func() { putInTurn(b, q, (b.N+callers-1-c)/callers) })
			}
			all.Wait()
			seconds := time.Since(began).Seconds()
			st := s.Stats()
			if err := q.Close(); err != nil {
				b.Fatal(err)
			}
			after, err := processorTime()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/seconds, "messages/s")
			b.ReportMetric(float64(st.Commits-before.Commits)/seconds, "commits/s")
			b.ReportMetric(float64((after-cpu).Microseconds())/float64(b.N), "µs-of-processor")
		})
	}
}

// putInTurn stores so many messages, each when the one before is on the disk.
func putInTurn(b *testing.B, q *Inbox, n int) {
	done := make(chan hub.Deposited, 1)
	for range n {
		id := strconv.FormatUint(rand.Uint64(), 36)
		q.Put(letterTo(randomUser(100_000), id), func(d hub.Deposited) { done <- d })
		if d := <-done; d.Err != nil {
			b.Error(d.Err)
		}
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

// BenchmarkOpenMillion opens a store with a million messages, in a process of its own, after a stop and after a kill that has
// left a full journal. It tells how long that takes, and the memory: at most until it is open, and at most until what is in the
// journal has been taken over.
func BenchmarkOpenMillion(b *testing.B) {
	for _, users := range []int{100_000, 1} {
		path := filepath.Join(b.TempDir(), "crier.db")
		b.Run(fmt.Sprint(users, " users"), func(b *testing.B) {
			fillInbox(b, path, 1_000_000, users)
			b.Run("stopped", func(b *testing.B) { openOften(b, path) })
			b.Run("killed", func(b *testing.B) { openOften(b, path, fillJournal(b, path, users)...) })
		})
	}
}

// openOften opens a store, beside which it puts the files of a journal each time.
func openOften(b *testing.B, path string, journals ...[]byte) {
	var sum [4]float64
	for b.Loop() {
		for n, data := range journals {
			if err := os.WriteFile((&journal{path: path}).name(n), data, 0o600); err != nil {
				b.Fatal(err)
			}
		}
		copied := path
		if len(journals) > 0 { // it is changed
			copied = copyStore(b, path)
		}
		var said bytes.Buffer // the log
		child := opener(copied)
		child.Stderr = &said
		out, err := child.Output()
		if err != nil {
			b.Fatalf("%v\n%s%s", err, out, &said)
		}
		for i, field := range strings.Fields(string(out)) {
			v, err := strconv.ParseFloat(field, 64)
			if err != nil || i >= len(sum) {
				b.Fatalf("%s", out)
			}
			sum[i] += v
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(sum[0]/float64(b.N), "s-to-open")
	b.ReportMetric(sum[1]/float64(b.N), "s-of-processor")
	b.ReportMetric(sum[2]/float64(b.N)/1024, "MiB-to-open")
	b.ReportMetric(sum[3]/float64(b.N)/1024, "MiB-to-take-over")
	b.ReportMetric(float64(info.Size())/(1<<20), "MiB-file")
}

// opener is this program as one that opens a store, in the control group whose folder groupVariable names, if it is set.
func opener(path string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], path)
	if group := os.Getenv(groupVariable); group != "" {
		cmd = exec.Command("sh", "-c", `echo $$ > "$0/cgroup.procs" && exec "$1" "$2"`, group, os.Args[0], path)
	}
	cmd.Env = append(os.Environ(), childVariable+"=open")
	return cmd
}

// groupVariable names the folder of a control group, with a limit of its memory.
const groupVariable = "CRIER_BENCH_CGROUP"

// millionOptions let as many messages wait as there are.
func millionOptions() InboxOptions { return InboxOptions{MaxPerUser: 2_000_000} }

// randomUser is one of so many.
func randomUser(users int) string { return fmt.Sprint("user-", rand.IntN(users)) }

// fillInbox makes a store with so many messages, and a tenth as many that have been confirmed.
func fillInbox(b *testing.B, path string, n, users int) {
	b.Helper()
	s := open(b, Options{Path: path})
	q, err := s.Inbox(millionOptions())
	if err != nil {
		b.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range n + n/10 {
		uid := randomUser(users)
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

// fillJournal returns the two files of a journal as a kill leaves them at the worst: both are as long as they may get.
func fillJournal(b *testing.B, path string, users int) (files [][]byte) {
	b.Helper()
	s := open(b, Options{Path: path})
	defer shut(b, s)
	j := journal{path: filepath.Join(b.TempDir(), "crier.db")}
	err := s.update(func(tx *bolt.Tx) (err error) {
		if j.id, err = makeInbox(tx); err != nil {
			return err
		}
		box, err := (&Inbox{now: time.Now}).openBox(tx)
		j.last = box.totals.applied
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	place := uint64(1 << 40)
	for n := range 2 {
		for range mostOps / 64 {
			var ops []*op
			for range 64 {
				place++
				o := newPut(letterTo(randomUser(users), strconv.FormatUint(rand.Uint64(), 36)), time.Now())
				o.place = place
				ops = append(ops, o)
			}
			if err := j.append(appendOps(newEntry(nil), ops)); err != nil {
				b.Fatal(err)
			}
		}
		data, err := os.ReadFile(j.name(n))
		if err != nil {
			b.Fatal(err)
		}
		files = append(files, data)
		j.rotate()
	}
	if err := j.close(true); err != nil {
		b.Fatal(err)
	}
	return files
}

// openAndTell is the child of BenchmarkOpenMillion: it prints how long it takes to open a store, the processor time for that,
// and the KiB of memory, at most, until it is open and until what was in the journal is in the file.
func openAndTell(path string) error {
	began := time.Now()
	s, err := Open(Options{Path: path})
	if err != nil {
		return err
	}
	q, err := s.Inbox(millionOptions())
	if err != nil {
		return err
	}
	took := time.Since(began)
	used, err := processorTime()
	if err != nil {
		return err
	}
	fmt.Print(took.Seconds(), " ", used.Seconds(), " ")
	if err := printMost(); err != nil {
		return err
	}
	if err := q.settled(); err != nil {
		return err
	}
	return errors.Join(printMost(), q.Close(), s.Close())
}

// printMost prints the most KiB of memory that the process has had.
func printMost() error {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	fmt.Print(strings.Fields(rest)[0], " ")
	return nil
}
