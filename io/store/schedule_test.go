package store

import (
	"errors"
	"maps"
	"path/filepath"
	"testing"
)

func schedules(t *testing.T, s *Store) *Schedules {
	t.Helper()
	q, err := s.Schedules()
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// records returns what is kept of timed pushes.
func records(t *testing.T, q *Schedules) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := q.Each(func(id string, record []byte) error {
		all[id] = string(record)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestSchedulesSurvive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crier.db")
	s := open(t, Options{Path: path}) // a file that has no timed pushes yet
	shut(t, s)
	s = open(t, Options{Path: path})
	q := schedules(t, s)
	for _, change := range []map[string][]byte{
		{"a": []byte("1"), "b": []byte("2"), "ü c": {0, 255}},
		{"a": nil, "b": []byte("3"), "unknown": nil},
		{},
	} {
		if err := q.Save(change); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Save(map[string][]byte{"d": []byte("4"), "": []byte("no id")}); err == nil {
		t.Error("an empty id was stored")
	}
	shut(t, s)
	if err := q.Save(map[string][]byte{"e": nil}); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	s = open(t, Options{Path: path})
	q = schedules(t, s)
	if got, want := records(t, q), map[string]string{"b": "3", "ü c": "\x00\xff"}; !maps.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	stop := errors.New("stop")
	if err := q.Each(func(string, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}
