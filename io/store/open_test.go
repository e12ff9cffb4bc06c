package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"crier/io/hub"
	"crier/io/jobs"
)

// filled returns the bytes of a store that holds something of everything.
func filled(t *testing.T) []byte {
	t.Helper()
	s := open(t, Options{})
	q := queue(t, s)
	for i := range 10 {
		var all []jobs.Job
		var changes []hub.PresenceChange
		for n := range 20 {
			uid := fmt.Sprint("user ", i, n)
			all = append(all, jobs.Job{Key: uid, Payload: make([]byte, 200)})
			changes = append(changes, came(uid, uint64(i+1)))
		}
		if err := q.AddPresence(all, changes); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.AddMembership("u", "r"); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	data, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A file that is not whole is refused, with what to do, and stays as it is.
func TestDamaged(t *testing.T) {
	good := filled(t)
	cut := func(n int) []byte { return good[:n] }
	over := func(from, to int, with byte) []byte {
		b := append([]byte(nil), good...)
		for i := from; i < to; i++ {
			b[i] = with
		}
		return b
	}
	page := os.Getpagesize()
	for name, data := range map[string][]byte{
		"empty":                {},
		"a few bytes":          []byte("hello"),
		"text":                 []byte(strings.Repeat("this is no store\n", 5000)),
		"cut to a page":        cut(page),
		"cut to the metas":     cut(2 * page),
		"cut in half":          cut(len(good) / 2),
		"zeros":                make([]byte, len(good)),
		"both metas gone":      over(0, 2*page, 0),
		"the data gone":        over(2*page, len(good), 0),
		"the data overwritten": over(2*page, len(good), 0xff),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "crier.db")
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := Open(Options{Path: path})
			if err == nil {
				shut(t, s)
				t.Fatal("it was opened")
			}
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), path) ||
				!strings.Contains(err.Error(), "begin") || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q", err)
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != string(data) {
				t.Errorf("the file was changed, %v", err)
			}
		})
	}
}

// Whatever page is overwritten, the program neither crashes nor starts without telling, unless nothing was in that page.
func TestEveryPage(t *testing.T) {
	t.Run("as it was made", func(t *testing.T) { everyPage(t, filled(t)) })
	t.Run("opened again", func(t *testing.T) { everyPage(t, listed(t)) })
}

func everyPage(t *testing.T, good []byte) {
	page := os.Getpagesize()
	want := contents(t, good)
	refused := 0
	for n := range len(good) / page {
		bad := append([]byte(nil), good...)
		for i := n * page; i < (n+1)*page; i++ {
			bad[i] = byte(i*7 + 1)
		}
		got := contents(t, bad)
		if got == "" {
			refused++
		} else if got != want && n >= 2 { // without the newest meta, the state is that of the transaction before
			t.Errorf("page %d is overwritten, and the store opened with other contents", n)
		}
	}
	if refused < 10 {
		t.Errorf("only %d pages of %d matter", refused, len(good)/page)
	}
}

// contents returns what a store of these bytes holds, "" if it is refused.
func contents(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "crier.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(Options{Path: path})
	if err != nil {
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("error %q", err)
		}
		return ""
	}
	defer shut(t, s)
	return fmt.Sprint(online(t, s), held(t, queue(t, s)))
}

func TestRefused(t *testing.T) {
	bucket := func(name string, key string, value []byte) func(string) error {
		return func(path string) error {
			db, err := bolt.Open(path, 0o600, nil)
			if err != nil {
				return err
			}
			err = db.Update(func(tx *bolt.Tx) error {
				b, err := tx.CreateBucketIfNotExists([]byte(name))
				if err != nil {
					return err
				}
				return b.Put([]byte(key), value)
			})
			return errors.Join(err, db.Close())
		}
	}
	for _, tt := range []struct {
		name string
		make func(path string) error
		is   error
		want string
	}{
		{"newer", bucket("meta", "schema", binary.AppendUvarint(nil, schema+1)), ErrNewer, "its layout is 2, this program knows 1. Start that version"},
		{"another program's", bucket("other", "k", nil), ErrDamaged, "of another program"},
		{"no layout", bucket("meta", "k", nil), ErrDamaged, "does not say how"},
		{"parts missing", bucket("meta", "schema", []byte{1}), ErrDamaged, "is missing"},
		{"a folder", func(path string) error { return os.Mkdir(path, 0o700) }, nil, "it is not a file"},
		{"a pipe", makePipe, nil, "it is not a file"},
		{"a link to nowhere", func(path string) error { return os.Symlink(path+"-none", path) }, nil, "a link to a file that does not exist"},
		{"a link to itself", func(path string) error { return os.Symlink(path, path) }, nil, "too many links"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "crier.db")
			if err := tt.make(path); errors.Is(err, errors.ErrUnsupported) {
				t.Skip(err)
			} else if err != nil {
				t.Fatal(err)
			}
			s, err := Open(Options{Path: path})
			if err == nil {
				shut(t, s)
				t.Fatal("it was opened")
			}
			if tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q, want %q", err, tt.want)
			}
		})
	}
	t.Run("no folder", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(Options{Path: filepath.Join(path, "crier.db")}); err == nil || !strings.Contains(err.Error(), "its folder cannot be made") {
			t.Errorf("error %v", err)
		}
	})
	for name, o := range map[string]Options{"no path": {}, "negative": {Path: "x", LockTimeout: -1}} {
		t.Run(name, func(t *testing.T) {
			if _, err := Open(o); err == nil {
				t.Error("it was opened")
			}
		})
	}
}

func TestLocked(t *testing.T) {
	s := open(t, Options{})
	_, err := Open(Options{Path: s.Path(), LockTimeout: 50 * time.Millisecond})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), s.Path()) || !strings.Contains(err.Error(), "store.path") {
		t.Errorf("error %v", err)
	}
	shut(t, s)
	open(t, Options{Path: s.Path()})
}

// A link keeps leading to the file, also when that is made smaller.
func TestThroughALink(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	path := filepath.Join(t.TempDir(), "crier.db")
	shut(t, open(t, Options{Path: path}))
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	s := open(t, Options{Path: link, CompactAbove: 1 << 20})
	q := queue(t, s)
	big := add(t, q, strings.Repeat("x", 4<<20))[0]
	if err := q.Remove(big.ID); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		add(t, q, "y")
	}
	if s.Stats().Compactions != 1 {
		t.Fatalf("%+v", s.Stats())
	}
	if to, err := os.Readlink(link); err != nil || to != path {
		t.Errorf("the link leads to %q, %v", to, err)
	}
}
