package store

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"crier/io/hub"
	"crier/io/jobs"
)

// childVariable makes the test binary play a program that uses the store named by its arguments; see child_test.go.
const childVariable = "CRIER_STORE_TEST_CHILD"

func TestMain(m *testing.M) {
	if role := os.Getenv(childVariable); role != "" {
		if err := child(role, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// book is a log that can be read while it is written.
type book struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *book) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *book) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newLogger(l *book) *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// open opens a store, which the test's end closes.
func open(t testing.TB, o Options) *Store {
	t.Helper()
	if o.Path == "" {
		o.Path = filepath.Join(t.TempDir(), "data", "crier.db")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, s) })
	return s
}

func shut(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func queue(t testing.TB, s *Store) *Jobs {
	t.Helper()
	q, err := s.Jobs("test")
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func add(t testing.TB, q *Jobs, payloads ...string) []jobs.Job {
	t.Helper()
	all := make([]jobs.Job, len(payloads))
	for i, p := range payloads {
		all[i] = jobs.Job{Key: "k", Payload: []byte(p)}
	}
	if err := q.Add(all); err != nil {
		t.Fatal(err)
	}
	return all
}

// held returns the payloads of a queue, in its order.
func held(t testing.TB, q *Jobs) []string {
	t.Helper()
	var all []string
	err := q.Each(func(j jobs.Job) error {
		all = append(all, string(j.Payload))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// online returns the presence records as "uid version".
func online(t testing.TB, s *Store) []string {
	t.Helper()
	var all []string
	err := s.EachOnline(func(o Online) error {
		all = append(all, fmt.Sprint(o.UID, " ", o.Version))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func came(uid string, version uint64) hub.PresenceChange {
	return hub.PresenceChange{UID: uid, Online: true, Version: version}
}

func went(uid string, version uint64) hub.PresenceChange {
	return hub.PresenceChange{UID: uid, Version: version}
}
