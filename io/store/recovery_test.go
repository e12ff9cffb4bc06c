package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
)

// give returns an each of SaveRecovery.
func give(records ...string) func(func([]byte) error) error {
	return func(put func([]byte) error) error {
		for _, r := range records {
			if err := put([]byte(r)); err != nil {
				return err
			}
		}
		return nil
	}
}

func taken(t *testing.T, s *Store) (records []string) {
	t.Helper()
	if err := s.TakeRecovery(func(r []byte) error { records = append(records, string(r)); return nil }); err != nil {
		t.Fatal(err)
	}
	return records
}

func TestRecoveryIsTakenOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crier.db")
	s := open(t, Options{Path: path})
	if got := taken(t, s); got != nil {
		t.Errorf("an empty store gives %q", got)
	}
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprint("record ", i))
	}
	for _, records := range [][]string{{"an older one"}, many} {
		if err := s.SaveRecovery(give(records...)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, Options{Path: path})
	if got := taken(t, s); !slices.Equal(got, many) {
		t.Errorf("got %q", got)
	}
	if got := taken(t, s); got != nil {
		t.Errorf("they are there again: %q", got)
	}
}

// Records that cannot be used are not handed out for ever.
func TestRecoveryThatCannotBeUsed(t *testing.T) {
	s := open(t, Options{Path: filepath.Join(t.TempDir(), "crier.db")})
	if err := s.SaveRecovery(give("one", "two")); err != nil {
		t.Fatal(err)
	}
	bad := errors.New("bad")
	calls := 0
	if err := s.TakeRecovery(func([]byte) error { calls++; return bad }); !errors.Is(err, bad) || calls != 1 {
		t.Errorf("TakeRecovery = %v after %d calls", err, calls)
	}
	if got := taken(t, s); got != nil {
		t.Errorf("they are there again: %q", got)
	}
	if err := s.SaveRecovery(func(put func([]byte) error) error {
		if err := put([]byte("one")); err != nil {
			return err
		}
		return bad
	}); !errors.Is(err, bad) {
		t.Errorf("SaveRecovery = %v", err)
	}
	if got := taken(t, s); got != nil {
		t.Errorf("a part was kept: %q", got)
	}
}
