package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"crier/io/hub"
)

// inbox returns the inbox of a store, which the test's end closes.
func inbox(t testing.TB, s *Store, o InboxOptions) *Inbox {
	t.Helper()
	q, err := s.Inbox(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	return q
}

// deposit is a message with some text for users.
func deposit(id, text string, users ...string) hub.Deposit {
	return hub.Deposit{
		Message: &hub.Message{ID: id, Event: "new_msg", Args: []json.RawMessage{json.RawMessage(`"` + text + `"`)}},
		Users:   users, Expires: time.Now().Add(time.Hour), Online: 1, Connections: 2,
	}
}

// put keeps a message and waits for it.
func put(t testing.TB, q *Inbox, d hub.Deposit) hub.Deposited {
	t.Helper()
	done := make(chan hub.Deposited, 1)
	q.Put(d, func(r hub.Deposited) { done <- r })
	r := <-done
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	return r
}

// settle has all that has happened in the file.
func settle(t testing.TB, q *Inbox) {
	t.Helper()
	if err := q.settled(); err != nil {
		t.Fatal(err)
	}
}

// next returns the ids of what waits for a user.
func next(t testing.TB, q *Inbox, uid string) (ids []string) {
	t.Helper()
	letters, err := q.Next(uid, 0, 1<<20, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	last := uint64(0)
	for _, l := range letters {
		if ids = append(ids, l.Message.ID); l.Place <= last {
			t.Errorf("place %d behind %d", l.Place, last)
		}
		last = l.Place
	}
	return ids
}

// placeIn returns where a message is in what waits for a user.
func placeIn(t testing.TB, q *Inbox, uid, id string) uint64 {
	t.Helper()
	letters, err := q.Next(uid, 0, 1<<20, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range letters {
		if l.Message.ID == id {
			return l.Place
		}
	}
	t.Fatalf("%q does not wait for %q", id, uid)
	return 0
}

// fates returns the figures of a receipt, and the fate of each addressee.
func fates(t testing.TB, q *Inbox, id string) string {
	t.Helper()
	r, err := q.Receipt("", id, false)
	if err != nil {
		return err.Error()
	}
	list, _, err := q.Addressees("", id, false, "", "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("stored %d waiting %d confirmed %d expired %d evicted %d", r.Stored, r.Waiting, r.Confirmed, r.Expired, r.Evicted)
	for _, one := range list {
		text += fmt.Sprintf(" %s %s", one.UID, one.Fate)
	}
	return text
}

// later has the inbox believe that time has passed.
func later(q *Inbox, d time.Duration) {
	q.now = func() time.Time { return time.Now().Add(d) }
	q.sweep()
}

func TestInboxSurvives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crier.db")
	s := open(t, Options{Path: path})
	q := inbox(t, s, InboxOptions{})
	whole := &hub.Message{
		ID: "whole", Event: "ü", ShowID: true,
		Args:        []json.RawMessage{json.RawMessage(`{"a":1}`), json.RawMessage(`{"_placeholder":true,"num":0}`)},
		Attachments: [][]byte{{0, 1, 255}, {}},
	}
	put(t, q, hub.Deposit{Message: whole, Users: []string{"b", "a"}, Expires: time.Now().Add(time.Hour), Online: 1, Connections: 3})
	put(t, q, deposit("second", "2", "a", "ab"))
	put(t, q, deposit("third", "3", "a"))
	nobody := put(t, q, deposit("nobody", "4"))
	if r := put(t, q, deposit("second", "again", "a", "c")); !r.Known || r.Online != 1 || r.Connections != 2 || r.Users != 2 {
		t.Errorf("a repetition: %+v", r)
	}
	scoped := deposit("second", "of another", "a")
	scoped.Scope = "x"
	if r := put(t, q, scoped); r.Known || r.Place <= nobody.Place {
		t.Errorf("the id of another: %+v", r)
	}
	q.Confirm("a", []uint64{placeIn(t, q, "a", "third"), 99})
	q.Confirm("stranger", []uint64{1})
	if got := next(t, q, "a"); !slices.Equal(got, []string{"whole", "second", "second"}) {
		t.Errorf("confirmed and not yet written: %q", got)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	shut(t, s)

	s = open(t, Options{Path: path})
	q = inbox(t, s, InboxOptions{})
	for uid, want := range map[string][]string{"a": {"whole", "second", "second"}, "ab": {"second"}, "b": {"whole"}, "c": nil, "": nil} {
		if got := next(t, q, uid); !slices.Equal(got, want) {
			t.Errorf("%q has %q, want %q", uid, got, want)
		}
	}
	letters, err := q.Next("b", 0, 10, 1)
	if err != nil || len(letters) != 1 || !reflect.DeepEqual(letters[0].Message, whole) {
		t.Errorf("got %+v, %v", letters, err)
	}
	for id, want := range map[string]string{
		"whole":  "stored 2 waiting 2 confirmed 0 expired 0 evicted 0 a waiting b waiting",
		"third":  "stored 1 waiting 0 confirmed 1 expired 0 evicted 0 a confirmed",
		"nobody": "stored 0 waiting 0 confirmed 0 expired 0 evicted 0",
	} {
		if got := fates(t, q, id); got != want {
			t.Errorf("%s: %s", id, got)
		}
	}
	if r := put(t, q, deposit("third", "again", "a")); !r.Known {
		t.Errorf("a confirmed message again: %+v", r)
	}
	if r := put(t, q, deposit("fourth", "", "a")); r.Place <= nobody.Place {
		t.Errorf("place %d is given again", r.Place)
	}
}

func TestNextInChunks(t *testing.T) {
	q := inbox(t, open(t, Options{}), InboxOptions{})
	for n := range 10 {
		put(t, q, deposit(fmt.Sprint(n), "12345", "u")) // 14 bytes: an event and 7
	}
	first, err := q.Next("u", 0, 100, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ from, messages, bytes, want int }{
		{0, 3, 1 << 20, 3}, {0, 100, 30, 2}, {0, 100, 28, 2}, {0, 100, 27, 1}, {0, 100, 1, 1}, {8, 100, 1 << 20, 2}, {10, 100, 1 << 20, 0},
	} {
		after := uint64(0)
		if tt.from > 0 {
			after = first[tt.from-1].Place
		}
		got, err := q.Next("u", after, tt.messages, tt.bytes)
		if err != nil || len(got) != tt.want || len(got) > 0 && got[0].Place != first[tt.from].Place {
			t.Errorf("%+v: %d letters, %v", tt, len(got), err)
		}
	}
	q.Confirm("u", []uint64{first[0].Place, first[1].Place, first[3].Place})
	if got, err := q.Next("u", 0, 2, 1<<20); err != nil || len(got) != 2 || got[0].Place != first[2].Place || got[1].Place != first[4].Place {
		t.Errorf("behind confirmed ones: %v, %v", got, err)
	}
}

func TestEvicted(t *testing.T) {
	q := inbox(t, open(t, Options{}), InboxOptions{MaxPerUser: 3})
	put(t, q, deposit("0", "", "u", "v"))
	for n := range 4 {
		put(t, q, deposit(fmt.Sprint(n+1), "", "u"))
	}
	settle(t, q)
	if got := next(t, q, "u"); !slices.Equal(got, []string{"2", "3", "4"}) {
		t.Errorf("u has %q", got)
	}
	if got := next(t, q, "v"); !slices.Equal(got, []string{"0"}) {
		t.Errorf("v has %q", got)
	}
	if got := fates(t, q, "0"); got != "stored 2 waiting 1 confirmed 0 expired 0 evicted 1 u evicted v waiting" {
		t.Error(got)
	}
	if st, err := q.Stats(); err != nil || st.Messages != 4 || st.Waiting != 4 || st.Evicted != 2 {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestEvictedForRoom(t *testing.T) {
	const size = 20_000
	q := inbox(t, open(t, Options{}), InboxOptions{MaxBytes: 3 * (size + 1000)})
	text := strings.Repeat("x", size)
	for n := range 5 {
		put(t, q, deposit(fmt.Sprint(n), text, "u", "v"))
	}
	settle(t, q)
	if got := next(t, q, "u"); !slices.Equal(got, []string{"2", "3", "4"}) {
		t.Errorf("u has %q", got)
	}
	if got := fates(t, q, "1"); got != "stored 2 waiting 0 confirmed 0 expired 0 evicted 2 u evicted v evicted" {
		t.Error(got)
	}
	st, err := q.Stats()
	if err != nil || st.Messages != 3 || st.Waiting != 6 || st.Bytes < 3*size || st.Bytes > 3*(size+1000) {
		t.Errorf("%+v, %v", st, err)
	}
	for name, d := range map[string]hub.Deposit{"bytes": deposit("big", strings.Repeat("x", 4*size), "u"), "users": deposit("many", "", make([]string, maxAddressees+1)...)} {
		done := make(chan error, 1)
		q.Put(d, func(r hub.Deposited) { done <- r.Err })
		if err := <-done; !errors.Is(err, hub.ErrTooMuch) && !errors.Is(err, hub.ErrTooManyUsers) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(next(t, q, "u")) != 3 {
		t.Error("a refused message has evicted others")
	}
}

func TestExpired(t *testing.T) {
	q := inbox(t, open(t, Options{}), InboxOptions{})
	short := deposit("short", "", "u", "v")
	short.Expires = time.Now().Add(30 * time.Minute)
	put(t, q, deposit("long", "", "u"))
	put(t, q, short)
	q.Confirm("v", []uint64{placeIn(t, q, "v", "short")})
	q.now = func() time.Time { return time.Now().Add(31 * time.Minute) }
	want := "stored 2 waiting 0 confirmed 1 expired 1 evicted 0 u expired v confirmed"
	for _, swept := range []bool{false, true} {
		if swept {
			q.sweep()
		}
		if got := next(t, q, "u"); !slices.Equal(got, []string{"long"}) {
			t.Errorf("u has %q", got)
		}
		if got := fates(t, q, "short"); got != want {
			t.Error(got)
		}
	}
	later(q, 30*time.Minute+24*time.Hour)
	if got := fates(t, q, "short"); got != want {
		t.Error("before a day has passed:", got)
	}
	later(q, 32*time.Minute+24*time.Hour)
	if _, err := q.Receipt("", "short", true); !errors.Is(err, hub.ErrNoReceipt) {
		t.Errorf("after a day: %v", err)
	}
	later(q, 100*time.Hour)
	if r := put(t, q, deposit("short", "", "u")); r.Known {
		t.Error("the id is still known")
	}
	if st, err := q.Stats(); err != nil || st.Expired != 2 || st.Confirmed != 1 {
		t.Errorf("%+v, %v", st, err)
	}
}

// When all is over the file has nothing left of it.
func TestNothingLeft(t *testing.T) {
	s := open(t, Options{})
	q := inbox(t, s, InboxOptions{MaxPerUser: 5})
	var all sync.WaitGroup
	for n := range 300 {
		d := deposit(fmt.Sprint(n), "", fmt.Sprint("u", n%7), fmt.Sprint("u", n%11+7), "all")
		all.Add(1)
		q.Put(d, func(r hub.Deposited) {
			if r.Err != nil {
				t.Error(r.Err)
			}
			if r.Place%3 == 0 {
				q.Note(hub.Note{ID: d.Message.ID, Time: time.Now(), Delivered: 1})
			}
			all.Done()
		})
	}
	all.Wait()
	settle(t, q)
	for _, uid := range []string{"all", "u3", "u8"} {
		letters, err := q.Next(uid, 0, 100, 1<<20)
		if err != nil || len(letters) != 5 {
			t.Fatalf("%q has %d, %v", uid, len(letters), err)
		}
		for _, l := range letters {
			q.Confirm(uid, []uint64{l.Place})
		}
	}
	q.Note(hub.Note{ID: "plain", Time: time.Now()})
	settle(t, q)
	later(q, 2*time.Hour)
	later(q, 100*time.Hour)
	if st, err := q.Stats(); err != nil || st.Messages != 0 || st.Waiting != 0 || st.Bytes != 0 || st.Confirmed != 15 || st.Confirmed+st.Expired+st.Evicted != 900 {
		t.Errorf("%+v, %v", st, err)
	}
	err := q.view(func(b *box) error {
		for part, n := range map[string]int{
			lettersPart: b.letters.Stats().KeyN, usersPart: b.users.Stats().KeyN, addresseesPart: b.addressees.Stats().KeyN,
			receiptsPart: b.receipts.Stats().KeyN, idsPart: b.ids.Stats().KeyN, expiryPart: b.expiry.Stats().KeyN,
			retirementPart: b.retirement.Stats().KeyN, "retired": int(b.totals.retired),
		} {
			if n != 0 {
				t.Errorf("%d left of %s", n, part)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestReceipts(t *testing.T) {
	q := inbox(t, open(t, Options{}), InboxOptions{MaxReceipts: 3})
	at := time.UnixMilli(1770000000123)
	q.Note(hub.Note{ID: "a", Time: at, Users: 1, Connections: 2, Delivered: 2})
	q.Note(hub.Note{ID: "a", Scope: "s", Time: at, Users: 5})
	q.Note(hub.Note{ID: "a", Time: at, Users: 1, Connections: 2, Delivered: 2, Acked: &hub.Acked{Users: 1, Connections: 1}})
	q.Note(hub.Note{ID: "a", Time: at, Users: 1, Connections: 2, Delivered: 2})
	want := hub.Receipt{Note: hub.Note{ID: "a", Time: at, Users: 1, Connections: 2, Delivered: 2, Acked: &hub.Acked{Users: 1, Connections: 1}}}
	if got, err := q.Receipt("", "a", false); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
	if got, err := q.Receipt("s", "a", false); err != nil || got.Users != 5 {
		t.Errorf("of the scope: %+v, %v", got, err)
	}
	if _, err := q.Receipt("other", "a", false); !errors.Is(err, hub.ErrNoReceipt) {
		t.Errorf("of another scope: %v", err)
	}
	q.Note(hub.Note{ID: "only", Scope: "s", Time: at, Users: 6})
	if got, err := q.Receipt("", "only", true); err != nil || got.Users != 6 {
		t.Errorf("of any scope: %+v, %v", got, err)
	}
	for _, id := range []string{"", "onl", "onlyone"} {
		if _, err := q.Receipt("", id, true); !errors.Is(err, hub.ErrNoReceipt) {
			t.Errorf("%q: %v", id, err)
		}
	}
	q.Note(hub.Note{ID: "fourth", Time: at})
	q.Note(hub.Note{ID: "fifth", Time: at})
	settle(t, q)
	q.sweep()
	if _, err := q.Receipt("", "a", false); !errors.Is(err, hub.ErrNoReceipt) {
		t.Errorf("the oldest of too many: %v", err)
	}
	if _, err := q.Receipt("", "fifth", false); err != nil {
		t.Error(err)
	}
}

func TestAddressees(t *testing.T) {
	q := inbox(t, open(t, Options{}), InboxOptions{})
	var users []string
	for n := range 25 {
		users = append(users, fmt.Sprintf("u%02d", n))
	}
	put(t, q, deposit("m", "", append(users, "v1", "t")...))
	put(t, q, deposit("n", "", "u01", "x"))
	var got []string
	after := ""
	for {
		page, more, err := q.Addressees("", "m", false, after, "u", 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range page {
			got = append(got, one.UID)
		}
		if !more {
			break
		}
		after = page[len(page)-1].UID
	}
	if !slices.Equal(got, users) {
		t.Errorf("got %q", got)
	}
}

// What many put at once is in the file with few transactions.
func TestPutTogether(t *testing.T) {
	s := open(t, Options{})
	q := inbox(t, s, InboxOptions{})
	before := s.Stats().Commits
	const callers, each = 20, 100
	var all, answers sync.WaitGroup
	answers.Add(callers * each)
	for c := range callers {
		all.Go(func() {
			for n := range each {
				q.Put(deposit(fmt.Sprint(c, " ", n), "", "u", fmt.Sprint("c", c)), func(r hub.Deposited) {
					if r.Err != nil {
						t.Error(r.Err)
					}
					answers.Done()
				})
			}
		})
	}
	all.Wait()
	answers.Wait()
	if n := s.Stats().Commits - before; n > callers*each/4 {
		t.Errorf("%d commits", n)
	}
}

func TestInboxClosed(t *testing.T) {
	s := open(t, Options{})
	q, err := s.Inbox(InboxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	put(t, q, deposit("a", "", "u"))
	place := placeIn(t, q, "u", "a")
	shut(t, s)
	done := make(chan error, 1)
	q.Put(deposit("b", "", "u"), func(r hub.Deposited) { done <- r.Err })
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("Put: %v", err)
	}
	if _, err := q.Next("u", 0, 1, 1); !errors.Is(err, ErrClosed) {
		t.Errorf("Next: %v", err)
	}
	q.Confirm("u", []uint64{place})
	if _, err := q.Receipt("", "a", false); !errors.Is(err, ErrClosed) {
		t.Errorf("Receipt: %v", err)
	}
	if err := q.Close(); err == nil {
		t.Error("what could not be written was not told")
	}
	if _, err := s.Inbox(InboxOptions{MaxBytes: -1}); err == nil {
		t.Error("a negative bound was taken")
	}
}
