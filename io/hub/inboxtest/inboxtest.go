// Package inboxtest tests that a hub.Inbox, with its receipts, does what the hub and the push port rely on. The tests of each
// implementation call it, so that they all do the same.
package inboxtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"crier/io/hub"
)

// patience is how long something may take that must happen.
const patience = 20 * time.Second

// Inbox is what is tested.
type Inbox interface {
	hub.Inbox
	Note(n hub.Note)
	Receipt(scope, id string, anyScope bool) (hub.Receipt, error)
	Addressees(scope, id string, anyScope bool, after, prefix string, limit int) ([]hub.Addressee, bool, error)
}

// Bounds are those of an inbox; 0 means the default.
type Bounds struct {
	MaxPerUser  int
	MaxBytes    int64
	MaxReceipts int
}

// Open returns an empty inbox, which the end of the test closes.
type Open func(t *testing.T, b Bounds) Inbox

// Run runs all tests.
func Run(t *testing.T, open Open) {
	for name, test := range map[string]func(*testing.T, Open){
		"kept":             kept,
		"in chunks":        inChunks,
		"evicted":          evicted,
		"evicted for room": evictedForRoom,
		"expired":          expired,
		"receipts":         receipts,
		"addressees":       addressees,
		"in order":         inOrder,
		"model":            model,
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

// box is an inbox in a test.
type box struct {
	Inbox
	t *testing.T
}

// deposit is a message with some text for users.
func deposit(id, text string, users ...string) hub.Deposit {
	return hub.Deposit{
		Message: &hub.Message{ID: id, Event: "new_msg", Args: []json.RawMessage{json.RawMessage(`"` + text + `"`)}},
		Users:   users, Expires: time.Now().Add(time.Hour),
	}
}

// put keeps a message and waits for it.
func (q box) put(d hub.Deposit) hub.Deposited {
	q.t.Helper()
	done := make(chan hub.Deposited, 1)
	q.Put(d, func(r hub.Deposited) { done <- r })
	r := <-done
	if r.Err != nil {
		q.t.Fatal(r.Err)
	}
	return r
}

// next returns the ids of what waits for a user.
func (q box) next(uid string) (ids []string) {
	q.t.Helper()
	letters, err := q.Next(uid, 0, 1<<20, 1<<30)
	if err != nil {
		q.t.Fatal(err)
	}
	last := uint64(0)
	for _, l := range letters {
		if ids = append(ids, l.Message.ID); l.Place <= last {
			q.t.Errorf("place %d behind %d", l.Place, last)
		}
		last = l.Place
	}
	return ids
}

func (q box) has(uid string, want ...string) {
	q.t.Helper()
	if got := q.next(uid); !slices.Equal(got, want) {
		q.t.Errorf("%q has %q, want %q", uid, got, want)
	}
}

// fates returns the figures of a receipt, and the fate of each addressee.
func (q box) fates(id string) string {
	q.t.Helper()
	r, err := q.Receipt("", id, false)
	var list []hub.Addressee
	if err == nil {
		list, _, err = q.Addressees("", id, false, "", "", 1000)
	}
	if errors.Is(err, hub.ErrNoReceipt) {
		return "unknown"
	} else if err != nil {
		q.t.Fatal(err)
	}
	text := fmt.Sprintf("%d: %d %d %d %d", r.Stored, r.Waiting, r.Confirmed, r.Expired, r.Evicted)
	for _, one := range list {
		text += fmt.Sprintf(" %s %s", one.UID, one.Fate)
	}
	return text
}

// become waits for the fates of a message.
func (q box) become(id, want string) {
	q.t.Helper()
	got := ""
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if got = q.fates(id); got == want {
			return
		}
	}
	q.t.Errorf("%s is %q, want %q", id, got, want)
}

func kept(t *testing.T, open Open) {
	q := box{open(t, Bounds{}), t}
	whole := &hub.Message{
		ID: "whole", Event: "ü", ShowID: true,
		Args:        []json.RawMessage{json.RawMessage(`{"a":1}`), json.RawMessage(`{"_placeholder":true,"num":0}`)},
		Attachments: [][]byte{{0, 1, 255}, {}},
	}
	first := q.put(hub.Deposit{Message: whole, Users: []string{"b", "a"}, Expires: time.Now().Add(time.Hour)})
	second := q.put(deposit("second", "2", "a", "ab"))
	third := q.put(deposit("third", "3", "a"))
	nobody := q.put(deposit("nobody", "4"))
	if first.Place == 0 || second.Place <= first.Place || third.Place <= second.Place || nobody.Place <= third.Place {
		t.Errorf("places %d, %d, %d, %d", first.Place, second.Place, third.Place, nobody.Place)
	}
	if r := q.put(deposit("second", "again", "a", "c")); !r.Known || r.Users != 2 {
		t.Errorf("a repetition: %+v", r)
	}
	scoped := deposit("second", "of another", "a")
	scoped.Scope = "x"
	if r := q.put(scoped); r.Known || r.Place <= nobody.Place {
		t.Errorf("the id of another: %+v", r)
	}
	q.Confirm("a", []uint64{third.Place, 99})
	q.Confirm("stranger", []uint64{first.Place})
	for uid, want := range map[string][]string{"a": {"whole", "second", "second"}, "ab": {"second"}, "b": {"whole"}, "c": nil, "": nil} {
		q.has(uid, want...)
	}
	letters, err := q.Next("b", 0, 10, 1)
	if err != nil || len(letters) != 1 || letters[0].Place != first.Place || !reflect.DeepEqual(letters[0].Message, whole) {
		t.Errorf("got %+v, %v", letters, err)
	}
	for id, want := range map[string]string{
		"whole":  "2: 2 0 0 0 a waiting b waiting",
		"third":  "1: 0 1 0 0 a confirmed",
		"nobody": "0: 0 0 0 0",
	} {
		if got := q.fates(id); got != want {
			t.Errorf("%s: %s", id, got)
		}
	}
	if r := q.put(deposit("third", "again", "a")); !r.Known {
		t.Errorf("a confirmed message again: %+v", r)
	}
}

func inChunks(t *testing.T, open Open) {
	q := box{open(t, Bounds{}), t}
	var places []uint64
	for n := range 10 {
		places = append(places, q.put(deposit(fmt.Sprint(n), "12345", "u")).Place) // 14 bytes: an event and 7
	}
	for _, tt := range []struct{ from, messages, bytes, want int }{
		{0, 3, 1 << 20, 3}, {0, 100, 30, 2}, {0, 100, 28, 2}, {0, 100, 27, 1}, {0, 100, 1, 1}, {8, 100, 1 << 20, 2}, {10, 100, 1 << 20, 0},
	} {
		after := uint64(0)
		if tt.from > 0 {
			after = places[tt.from-1]
		}
		got, err := q.Next("u", after, tt.messages, tt.bytes)
		if err != nil || len(got) != tt.want || len(got) > 0 && got[0].Place != places[tt.from] {
			t.Errorf("%+v: %d letters, %v", tt, len(got), err)
		}
	}
	q.Confirm("u", []uint64{places[0], places[1], places[3]})
	q.fates("0") // has them written
	if got, err := q.Next("u", 0, 2, 1<<20); err != nil || len(got) != 2 || got[0].Place != places[2] || got[1].Place != places[4] {
		t.Errorf("behind confirmed ones: %v, %v", got, err)
	}
}

func evicted(t *testing.T, open Open) {
	q := box{open(t, Bounds{MaxPerUser: 3}), t}
	q.put(deposit("0", "", "u", "v"))
	for n := range 4 {
		q.put(deposit(fmt.Sprint(n+1), "", "u"))
	}
	q.become("0", "2: 1 0 0 1 u evicted v waiting")
	q.become("1", "1: 0 0 0 1 u evicted")
	q.has("u", "2", "3", "4")
	q.has("v", "0")
}

func evictedForRoom(t *testing.T, open Open) {
	const size = 20_000
	q := box{open(t, Bounds{MaxBytes: 3 * (size + 1000)}), t}
	text := strings.Repeat("x", size)
	for n := range 5 {
		q.put(deposit(fmt.Sprint(n), text, "u", "v"))
	}
	q.become("1", "2: 0 0 0 2 u evicted v evicted")
	q.has("u", "2", "3", "4")
	for what, d := range map[string]hub.Deposit{"bytes": deposit("big", strings.Repeat("x", 4*size), "u"), "users": deposit("many", "", make([]string, 100_001)...)} {
		done := make(chan error, 1)
		q.Put(d, func(r hub.Deposited) { done <- r.Err })
		if err := <-done; !errors.Is(err, hub.ErrTooMuch) && !errors.Is(err, hub.ErrTooManyUsers) {
			t.Errorf("too much of %s: %v", what, err)
		}
	}
	q.has("u", "2", "3", "4")
}

func expired(t *testing.T, open Open) {
	q := box{open(t, Bounds{}), t}
	short := deposit("short", "", "u", "v")
	short.Expires = time.Now().Add(20 * time.Millisecond)
	q.put(deposit("long", "", "u"))
	place := q.put(short).Place
	q.become("short", "2: 0 0 2 0 u expired v expired")
	q.has("u", "long")
	q.has("v")
	q.Confirm("v", []uint64{0, place + 1<<40})
	q.has("u", "long")
	if r := q.put(deposit("short", "", "u")); !r.Known {
		t.Errorf("an expired message again: %+v", r)
	}
}

func receipts(t *testing.T, open Open) {
	q := box{open(t, Bounds{MaxReceipts: 3}), t}
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
	if got, err := q.Receipt("t", "a", true); err != nil || got.Users == 0 {
		t.Errorf("of any scope, for another caller: %+v, %v", got, err)
	}
	for _, id := range []string{"", "onl", "onlyone"} {
		if _, err := q.Receipt("", id, true); !errors.Is(err, hub.ErrNoReceipt) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if r := q.put(deposit("a", "", "u")); !r.Known || r.Users != 0 {
		t.Errorf("an id that is known of a message that was not stored: %+v", r)
	}
	q.Note(hub.Note{ID: "fourth", Time: at})
	q.Note(hub.Note{ID: "fifth", Time: at})
	q.become("a", "unknown")
	if _, err := q.Receipt("", "fifth", false); err != nil {
		t.Error(err)
	}
}

func addressees(t *testing.T, open Open) {
	q := box{open(t, Bounds{}), t}
	var users []string
	for n := range 25 {
		users = append(users, fmt.Sprintf("u%02d", n))
	}
	q.put(deposit("m", "", append(users, "v1", "t")...))
	q.put(deposit("n", "", "u01", "x"))
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
	if _, _, err := q.Addressees("", "none", false, "", "", 10); !errors.Is(err, hub.ErrNoReceipt) {
		t.Errorf("of a message that is not there: %v", err)
	}
}

// inOrder: what many put at once gets places in the order of each, and is told in the order of places.
func inOrder(t *testing.T, open Open) {
	q := box{open(t, Bounds{MaxPerUser: 10_000}), t}
	const callers, each = 20, 100
	var told []uint64 // written by the one goroutine that tells
	var all, answers sync.WaitGroup
	answers.Add(callers * each)
	for c := range callers {
		all.Go(func() {
			for n := range each {
				q.Put(deposit(fmt.Sprint(c, " ", n), "", "u", fmt.Sprint("c", c)), func(r hub.Deposited) {
					if r.Err != nil {
						t.Error(r.Err)
					}
					told = append(told, r.Place)
					answers.Done()
				})
			}
		})
	}
	all.Wait()
	answers.Wait()
	if !slices.IsSorted(told) {
		t.Error("not told in the order of places")
	}
	for c := range callers {
		for n, id := range q.next(fmt.Sprint("c", c)) {
			if id != fmt.Sprint(c, " ", n) {
				t.Fatalf("%q is number %d of caller %d", id, n, c)
			}
		}
	}
	if n := len(q.next("u")); n != callers*each {
		t.Errorf("u has %d", n)
	}
}
