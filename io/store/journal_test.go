package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"crier/io/hub"
)

// entries returns the bytes of a few entries, and where each ends.
func entries(payloads ...string) (data []byte, ends []int) {
	for i, p := range payloads {
		b := append(newEntry(nil), p...)
		sealEntry(b, uint64(i+7))
		data = append(data, b...)
		ends = append(ends, len(data))
	}
	return data, ends
}

// Whatever is missing at the end or has changed, what comes before is read, and nothing else.
func TestJournalTorn(t *testing.T) {
	data, ends := entries("first", "", strings.Repeat("x", 300), "last")
	whole := func(n int) (count int) {
		for _, end := range ends {
			if end <= n {
				count++
			}
		}
		return count
	}
	for n := range len(data) + 1 {
		if got := len(parseEntries(data[:n])); got != whole(n) {
			t.Errorf("%d bytes: %d entries, want %d", n, got, whole(n))
		}
	}
	for n := range data {
		bad := bytes.Clone(data)
		bad[n] ^= 0x10
		if got := len(parseEntries(bad)); got != whole(n) {
			t.Errorf("byte %d changed: %d entries, want %d", n, got, whole(n))
		}
	}
	// What an earlier use of the file has left behind the end does not count.
	older, _ := entries("1", "2")
	if got := parseEntries(slices.Concat(data, older)); len(got) != len(ends) || string(got[3].payload) != "last" || got[3].number != 10 {
		t.Errorf("%d entries: %+v", len(got), got)
	}
}

// What can be read comes out the same when it is written again.
func FuzzOps(f *testing.F) {
	m := &hub.Message{ID: "id", Event: "e"}
	f.Add(appendOps(nil, []*op{
		{kind: opPut, place: 1, text: encodeReceipt(&receipt{Receipt: hub.Receipt{Note: hub.Note{ID: "id", Scope: "s"}, Stored: 2, Waiting: 2}, pushed: 1, expires: 2}), letter: encodeLetter(m, 2), users: []string{"a", "b"}},
		{kind: opConfirm, uid: "a", places: []uint64{1, 1 << 60}},
		{kind: opNote, place: 2, note: hub.Note{ID: "n", Time: time.UnixMilli(5), Acked: &hub.Acked{Users: 1, Connections: 2}}},
	}))
	f.Fuzz(func(t *testing.T, b []byte) {
		ops, err := decodeOps(b)
		if err != nil {
			return
		}
		first := appendOps(nil, ops)
		again, err := decodeOps(first)
		if err != nil || !bytes.Equal(first, appendOps(nil, again)) {
			t.Fatalf("%x became %x, %v", b, first, err)
		}
	})
}

func FuzzLetter(f *testing.F) {
	f.Add(encodeLetter(&hub.Message{ID: "id", Event: "ü", ShowID: true, Attachments: [][]byte{{0}}}, 1<<40))
	f.Fuzz(func(t *testing.T, v []byte) {
		m, expires, err := decodeLetter(v)
		if err != nil {
			return
		}
		if at, err := letterExpires(v); err != nil || at != expires {
			t.Errorf("expires %d, %v, want %d", at, err, expires)
		}
		first := encodeLetter(m, expires)
		again, _, err := decodeLetter(first)
		if err != nil || !bytes.Equal(first, encodeLetter(again, expires)) {
			t.Fatalf("%x became %x, %v", v, first, err)
		}
	})
}

// parseEntries returns the entries at the beginning of data.
func parseEntries(data []byte) (all []entry) {
	_, err := readEntries(bytes.NewReader(data), int64(len(data)), func(e entry) error {
		all = append(all, entry{e.number, bytes.Clone(e.payload)})
		return nil
	})
	if err != nil {
		panic(err) // of a reader of bytes
	}
	return all
}

// frozen returns an inbox of which nothing has been taken over yet: all is in the first file of its journal.
func frozen(t *testing.T, path string) *Inbox {
	t.Helper()
	return inbox(t, open(t, Options{Path: path}), InboxOptions{takeOver: time.Hour})
}

// journalOf returns the file of the journal that is being written, and what is in it, without the room behind that.
func journalOf(t *testing.T, path string) (name string, data []byte) {
	t.Helper()
	name = path + ".journal-a"
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	end := len((&journal{id: make([]byte, 16)}).head())
	for _, e := range parseEntries(data[end:]) {
		end += entryHead + len(e.payload)
	}
	return name, data[:end]
}

// copyStore copies a store as it is, with the journal, which is what a kill -9 leaves.
func copyStore(t testing.TB, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "crier.db")
	for _, suffix := range []string{"", ".journal-a", ".journal-b"} {
		data, err := os.ReadFile(path + suffix)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to+suffix, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// A kill at any moment leaves all that was said to be stored, confirmed ones included, once and in order; also when it comes
// while the journal is being taken over, or right after.
func TestJournalCrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crier.db")
	q := frozen(t, path)
	var sizes []int // of the journal, when so many messages are stored
	for n := range 6 {
		put(t, q, deposit(fmt.Sprint(n), strings.Repeat("x", 10*n), "u", "v"))
		_, data := journalOf(t, path)
		sizes = append(sizes, len(data))
	}
	whole := copyStore(t, path)
	name, data := journalOf(t, whole)
	want := []string{"0", "1", "2", "3", "4", "5"}
	for n, size := range sizes {
		for _, cut := range []int{size, size + 1, size + entryHead, size + entryHead + 1} {
			if cut > len(data) {
				continue
			}
			at := copyStore(t, whole)
			if err := os.WriteFile(at+".journal-a", data[:cut], 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time nothing is left to be taken over
				s := open(t, Options{Path: at})
				again := inbox(t, s, InboxOptions{})
				if got := next(t, again, "u"); !slices.Equal(got, want[:n+1]) {
					t.Fatalf("cut at %d: u has %q, want %q", cut, got, want[:n+1])
				}
				if err := again.Close(); err != nil {
					t.Fatal(err)
				}
				shut(t, s)
			}
		}
	}
	// The journal is there again although it has been taken over: a kill right before it was removed.
	s := open(t, Options{Path: whole})
	again := inbox(t, s, InboxOptions{})
	again.Confirm("v", []uint64{1})
	if got := fates(t, again, "0"); got != "stored 2 waiting 1 confirmed 1 expired 0 evicted 0 u waiting v confirmed" {
		t.Error(got)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the journal is still there: %v", err)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	again = inbox(t, open(t, Options{Path: whole}), InboxOptions{})
	if got := next(t, again, "u"); !slices.Equal(got, want) {
		t.Errorf("taken over twice: %q", got)
	}
	if got := next(t, again, "v"); !slices.Equal(got, want[1:]) {
		t.Errorf("taken over twice: v has %q", got)
	}
	if r := put(t, again, deposit("6", "", "u")); r.Place <= 6 {
		t.Errorf("place %d is given again", r.Place)
	}
}

// A journal that does not belong to the store as it is stops the start, and stays as it is.
func TestJournalRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crier.db")
	q := frozen(t, path)
	put(t, q, deposit("a", "", "u"))
	settle(t, q)
	older := copyStore(t, path)
	for _, id := range []string{"b", "c", "d"} { // in turn in one file of the journal and the other
		put(t, q, deposit(id, "", "u"))
		settle(t, q)
	}
	newer := copyStore(t, path)
	other := copyStore(t, open(t, Options{}).Path())
	for name, c := range map[string]struct {
		store string
		want  string
	}{
		"an older store": {older, "it is of another state of the store"},
		"another store":  {other, "is the journal of another store"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, suffix := range []string{".journal-a", ".journal-b"} {
				data, err := os.ReadFile(newer + suffix)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(c.store+suffix, data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s := open(t, Options{Path: c.store})
			if _, err := s.Inbox(InboxOptions{}); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.store+".journal-") {
				t.Errorf("error %v", err)
			}
			if data, err := os.ReadFile(c.store + ".journal-a"); err != nil || len(data) == 0 {
				t.Errorf("the journal is gone: %v", err)
			}
		})
	}
	t.Run("something else", func(t *testing.T) {
		s := open(t, Options{})
		if err := os.WriteFile(s.Path()+".journal-b", []byte(strings.Repeat("no journal\n", 10)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Inbox(InboxOptions{}); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "move that away") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("begun", func(t *testing.T) { // killed while it was being made
		s := open(t, Options{})
		if err := os.WriteFile(s.Path()+".journal-a", []byte(journalMagic[:5]), 0o600); err != nil {
			t.Fatal(err)
		}
		put(t, inbox(t, s, InboxOptions{}), deposit("a", "", "u"))
	})
}

// What waits in the journal is as good as what is in the file: read, known by its id, confirmed.
func TestJournalRead(t *testing.T) {
	q := inbox(t, open(t, Options{}), InboxOptions{})
	put(t, q, deposit("filed", "", "u"))
	settle(t, q)
	put(t, q, deposit("fresh", "", "u"))
	put(t, q, deposit("fresher", "", "u"))
	if got := next(t, q, "u"); !slices.Equal(got, []string{"filed", "fresh", "fresher"}) {
		t.Errorf("u has %q", got)
	}
	if r := put(t, q, deposit("fresh", "", "u")); !r.Known || r.Users != 1 || r.Connections != 2 {
		t.Errorf("again: %+v", r)
	}
	one, err := q.Next("u", placeIn(t, q, "u", "filed"), 1, 1<<20)
	if err != nil || len(one) != 1 || one[0].Message.ID != "fresh" {
		t.Fatalf("%+v, %v", one, err)
	}
	q.Confirm("u", []uint64{one[0].Place})
	for range 2 {
		if got := next(t, q, "u"); !slices.Equal(got, []string{"filed", "fresher"}) {
			t.Errorf("u has %q", got)
		}
		settle(t, q)
	}
	expired := deposit("expired", "", "u")
	expired.Expires = time.Now().Add(-time.Second)
	put(t, q, expired)
	if got := next(t, q, "u"); !slices.Equal(got, []string{"filed", "fresher"}) {
		t.Errorf("u has %q", got)
	}
}

// With both files of the journal full, as a kill leaves them, the next program has all of it at once, goes on behind it, and
// can be killed as well at any moment.
func TestJournalGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crier.db")
	q := frozen(t, path)
	put(t, q, deposit("0", "", "u"))
	put(t, q, deposit("1", "", "u"))
	older := copyStore(t, path)
	settle(t, q)
	put(t, q, deposit("2", "", "u"))
	q.Confirm("u", []uint64{1})
	put(t, q, deposit("3", "", "u"))
	at := copyStore(t, path)
	data, err := os.ReadFile(older)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, data, 0o600); err != nil { // nothing of the journal has been taken over
		t.Fatal(err)
	}
	want := []string{"1", "2", "3"}
	for n := range 4 {
		s := open(t, Options{Path: at})
		again := inbox(t, s, InboxOptions{takeOver: time.Hour})
		if got := next(t, again, "u"); !slices.Equal(got, want) {
			t.Fatalf("start %d: u has %q, want %q", n, got, want)
		}
		if r := put(t, again, deposit("2", "", "u")); !r.Known {
			t.Errorf("start %d: a repetition: %+v", n, r)
		}
		id := fmt.Sprint(4 + n)
		if r := put(t, again, deposit(id, "", "u")); r.Place != uint64(5+n) {
			t.Errorf("start %d: place %d", n, r.Place)
		}
		want = append(want, id)
		if n%2 == 1 {
			settle(t, again)
		}
		at = copyStore(t, at)
	}
}

// What is noted of a message before it is in the file is in its receipt, as what is noted later.
func TestNotesInTheJournal(t *testing.T) {
	q := frozen(t, filepath.Join(t.TempDir(), "crier.db"))
	note := func(delivered int, acked *hub.Acked) {
		q.Note(hub.Note{ID: "id", Time: time.Now(), Users: 1, Connections: 3, Delivered: delivered, Acked: acked})
	}
	check := func(delivered, acked int) {
		t.Helper()
		r, err := q.Receipt("", "id", false)
		if err != nil || r.Stored != 1 || r.Connections != 3 || r.Delivered != delivered || r.Acked == nil || r.Acked.Users != acked {
			t.Errorf("receipt %+v, %v", r, err)
		}
	}
	put(t, q, deposit("id", "", "u"))
	note(1, &hub.Acked{Users: 1})
	note(2, nil)
	check(2, 1)
	note(3, &hub.Acked{Users: 2})
	check(3, 2)
	if got := next(t, q, "u"); !slices.Equal(got, []string{"id"}) {
		t.Errorf("u has %q", got)
	}
}

// FuzzEntries: of a file of any bytes, those entries are read from its beginning that are written so, with numbers that follow one another; and of a
// file that was cut, those before.
func FuzzEntries(f *testing.F) {
	var file []byte
	for n, payload := range []string{"one", "", "\x00\x00\x00\x10"} {
		b := append(newEntry(nil), payload...)
		sealEntry(b, uint64(n)+7)
		file = append(file, b...)
	}
	gap := append(newEntry(nil), "nine"...)
	sealEntry(gap, 11)
	f.Add(file, uint16(len(file)-1))
	f.Add(append(bytes.Clone(file), make([]byte, 100)...), uint16(30))
	f.Add(append(bytes.Clone(file), gap...), uint16(len(file)+5))
	f.Add(append(bytes.Clone(file), "\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0a"...), uint16(0))
	f.Add(append(bytes.Clone(file), "\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0a"...), uint16(0))
	f.Fuzz(func(t *testing.T, file []byte, cut uint16) {
		read := func(file []byte) (again []byte, ends []int) {
			last := uint64(0)
			n, err := readEntries(bytes.NewReader(file), int64(len(file)), func(one entry) error {
				if last != 0 && one.number != last+1 {
					t.Errorf("%d follows %d", one.number, last)
				}
				last = one.number
				b := append(newEntry(nil), one.payload...)
				sealEntry(b, one.number)
				again = append(again, b...)
				ends = append(ends, len(again))
				return nil
			})
			if err != nil || n != int64(len(again)) || !bytes.HasPrefix(file, again) {
				t.Fatalf("%x: %d bytes are read as %x, %v", file, n, again, err)
			}
			return again, ends
		}
		_, ends := read(file)
		short := file[:min(int(cut), len(file))]
		_, left := read(short)
		want := 0
		for want < len(ends) && ends[want] <= len(short) {
			want++
		}
		if len(left) != want {
			t.Errorf("%d entries of %x, and of %d bytes of it %d, want %d", len(ends), file, len(short), len(left), want)
		}
	})
}
