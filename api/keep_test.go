package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"crier/api/schedule"
	"crier/io/hub"
	"crier/io/store"
)

// pantry is a server with a hub whose messages can be stored.
type pantry struct {
	*Server
	hub   *hub.Hub
	inbox *store.Inbox
}

// newPantry returns one on the file of that name, without key unless o has some.
func newPantry(t *testing.T, path string, o Options) pantry {
	t.Helper()
	file, err := store.Open(store.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	inbox, err := file.Inbox(store.InboxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := hub.New(hub.Options{Inbox: inbox, Memberships: file})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(h.Close(context.Background()), inbox.Close(), file.Close()); err != nil {
			t.Error(err)
		}
	})
	o.Pusher, o.Keeper, o.Receipts = h, h, inbox
	return pantry{newServer(t, o), h, inbox}
}

// kept returns the ids of what is stored for a user.
func (p pantry) kept(t *testing.T, uid string) (ids []string) {
	t.Helper()
	letters, err := p.inbox.Next(uid, 0, 1000, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range letters {
		ids = append(ids, l.Message.ID)
	}
	return ids
}

// pushed makes a push that has to be fine, and returns the answer without the id.
func (p pantry) pushed(t *testing.T, body string) (id, answer string) {
	t.Helper()
	w := do(p.Server, "POST", "/v1/push", "application/json", body)
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", body, w.Code, w.Body)
	}
	var a struct{ ID string }
	decodeAnswer(t, w, &a)
	return a.ID, strings.Replace(w.Body.String(), `"id":"`+a.ID+`",`, "", 1)
}

// receiptOf returns the receipt of a message, without its times.
func receiptOf(t *testing.T, s http.Handler, id, query string, change ...func(*http.Request)) string {
	t.Helper()
	w := do(s, "GET", "/v1/messages/"+id+query, "", "", change...)
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	var all map[string]json.RawMessage
	decodeAnswer(t, w, &all)
	for _, name := range []string{"time", "expires"} {
		var at time.Time
		if text, is := all[name]; is && (json.Unmarshal(text, &at) != nil || time.Until(at).Abs() > 1000*time.Hour) {
			t.Errorf("%s is %s", name, text)
		}
		delete(all, name)
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestStoredPush(t *testing.T) {
	p := newPantry(t, filepath.Join(t.TempDir(), "crier.db"), Options{ShowIDs: true})
	if _, err := p.hub.AddMembership(t.Context(), "member", "r"); err != nil {
		t.Fatal(err)
	}
	here := listen(t, p.hub, "c", "here", "r") // what it has taken counts as confirmed
	const offline = `{"matched":{"users":0,"connections":0},"stored":true,"duplicate":false}`
	const online = `{"matched":{"users":1,"connections":1},"stored":true,"duplicate":false}`
	for _, c := range []struct {
		body, want string
		for_       []string
	}{
		{`{"id":"a","to":{"users":["away"]},"data":1,"store":true}`, offline, []string{"away"}},
		{`{"id":"b","to":{"users":["away"]},"data":1,"ttl":"1h"}`, offline, []string{"away"}},
		{`{"id":"c","to":{"users":["away","here"]},"data":1,"ttl":"8760h","store":true}`, online, []string{"away"}},
		{`{"id":"d","to":{"rooms":["r"]},"data":{"$binary":"AA=="},"store":true}`, online, []string{"member"}},
		{`{"id":"e","to":{"users":["away"],"rooms":["r"],"except":{"users":["here"]}},"data":1,"store":true}`, offline, []string{"away", "member"}},
		{`{"id":"f","to":{"users":["away"]},"data":1,"store":false}`, `{"matched":{"users":0,"connections":0},"stored":false,"duplicate":false}`, nil},
		{`{"id":"g","to":{"users":["away"]},"data":1,"ttl":null,"store":null}`, `{"matched":{"users":0,"connections":0},"stored":false,"duplicate":false}`, nil},
		{`{"id":"h","to":{"rooms":["empty"]},"data":1,"store":true}`, `{"matched":{"users":0,"connections":0},"stored":false,"duplicate":false}`, nil},
	} {
		id, answer := p.pushed(t, c.body)
		if answer != c.want {
			t.Errorf("%s: %s", c.body, answer)
		}
		for _, uid := range []string{"away", "here", "member"} {
			if slices.Contains(p.kept(t, uid), id) != slices.Contains(c.for_, uid) {
				t.Errorf("%s: %s has %q", c.body, uid, p.kept(t, uid))
			}
		}
	}
	var got []string
	for _, m := range here.take() {
		if got = append(got, m.ID); !m.ShowID {
			t.Errorf("the id of %s is not shown", m.ID)
		}
	}
	if !slices.Equal(got, []string{"c", "d"}) {
		t.Errorf("who was there got %q", got)
	}
}

func TestStoreRefused(t *testing.T) {
	p := newPantry(t, filepath.Join(t.TempDir(), "crier.db"), Options{})
	for body, want := range map[string]code{
		`{"to":{"all":true},"data":1,"store":true}`:                               codeInvalidField,
		`{"to":{"users":["u"],"connections":["c"]},"data":1,"ttl":"1h"}`:          codeInvalidField,
		`{"to":{"users":["u"]},"data":1,"ttl":"1h","store":false}`:                codeInvalidField,
		`{"to":{"users":["u"]},"data":1,"ttl":"1h","volatile":true}`:              codeInvalidField,
		`{"to":{"users":["u"]},"data":1,"ttl":"0s"}`:                              codeInvalidField,
		`{"to":{"users":["u"]},"data":1,"ttl":"999ms"}`:                           codeInvalidField,
		`{"to":{"users":["u"]},"data":1,"ttl":"-1h"}`:                             codeInvalidField,
		`{"to":{"users":["u"]},"data":1,"ttl":"8761h"}`:                           codeInvalidField,
		`{"to":{"users":["u"]},"data":1,"ttl":"99999999999h"}`:                    codeInvalidField,
		`{"to":{"users":["u"]},"data":1,"ttl":""}`:                                codeInvalidField,
		`{"to":{"users":["u"]},"data":1,"ttl":3600}`:                              codeInvalidField,
		`{"to":{"users":["u"]},"data":1,"ttl":false}`:                             codeInvalidField,
		`{"to":{"users":["u"]},"data":1,"ttl":"1h","ttl":"1h"}`:                   codeInvalidField,
		`{"to":{"users":["u"]},"data":1,"store":"yes"}`:                           codeInvalidField,
		`{"to":{"users":["u"]},"data":1,"store":true,"store":true}`:               codeInvalidField,
		`{"to":{"users":["u"]},"data":1,"receipt":1}`:                             codeInvalidField,
		`{"to":{"users":[""]},"data":1,"store":true}`:                             codeInvalidField,
		`{"to":{"users":["u"],"except":{"all":true}},"event":"x","store":"true"}`: codeInvalidField,
	} {
		checkProblem(t, do(p.Server, "POST", "/v1/push", "application/json", body), want)
	}
	if got := p.kept(t, "u"); got != nil {
		t.Errorf("stored: %q", got)
	}
	scheduling, _ := withSchedules(t, Options{}, schedule.Options{})
	none := newServer(t, Options{Pusher: realHub(t), WhyNotKept: "Set this and that."})
	for _, body := range []string{`{"to":{"users":["u"]},"data":1,"store":true}`, `{"to":{"users":["u"]},"data":1,"ttl":"1h"}`} {
		if detail := checkProblem(t, do(none, "POST", "/v1/push", "application/json", body), codeUnsupported); detail != "Set this and that." {
			t.Errorf("detail %q", detail)
		}
		body = `{"push":` + body + `,"delay":"1h"}`
		checkProblem(t, do(scheduling, "POST", "/v1/schedules", "application/json", body), codeUnsupported)
	}
}

// failingKeeper fails like an inbox, or like a hub.
type failingKeeper struct {
	asked error // of Store
	done  error // of Done
}

func (k failingKeeper) Store(_ context.Context, _ hub.Push, keep hub.Keep) error {
	if k.asked == nil {
		keep.Done(hub.Kept{Err: k.done})
	}
	return k.asked
}

func TestStoreFails(t *testing.T) {
	for _, c := range []struct {
		keeper failingKeeper
		want   code
	}{
		{failingKeeper{done: errors.Join(hub.ErrInbox, errors.New("no space left"))}, codeStoreFailed},
		{failingKeeper{done: errors.Join(hub.ErrInbox, hub.ErrTooManyUsers)}, codeTooMany},
		{failingKeeper{done: errors.Join(hub.ErrInbox, hub.ErrTooMuch)}, codeMessageTooLarge},
		{failingKeeper{asked: fmt.Errorf("storing: %w", hub.ErrClosed)}, codeStopping},
		{failingKeeper{asked: fmt.Errorf("storing: %w", hub.ErrTooManyAsked)}, codeTooManyAcks},
		{failingKeeper{asked: hub.ErrNoInbox}, codeUnsupported},
	} {
		s := newServer(t, Options{Pusher: realHub(t), Keeper: c.keeper})
		for _, body := range []string{
			`{"to":{"users":["u"]},"data":1,"store":true}`,
			`{"id":"x","to":{"users":["u"]},"data":1,"store":true}`,
			`{"id":"x","to":{"users":["u"]},"data":1,"store":true,"ack":"1s"}`, // the id is free after a failure
		} {
			checkProblem(t, do(s, "POST", "/v1/push", "application/json", body), c.want)
		}
	}
}

// An id is known while its receipt is, by another process too.
func TestStoredOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crier.db")
	const body = `{"id":"x","to":{"users":["u"],"rooms":["r"]},"data":1,"store":true}`
	keys := Options{Access: Access{Limited: []Key{{Key: "other", Audience: "o"}}, Keys: []string{"k"}}}
	with := func(key string) func(*http.Request) { return header("X-Api-Key", key) }
	var first string
	t.Run("first", func(t *testing.T) {
		p := newPantry(t, path, keys)
		listen(t, p.hub, "c", "v", "r")
		first = do(p.Server, "POST", "/v1/push", "", body, with("k")).Body.String()
		again := do(p.Server, "POST", "/v1/push", "", body, with("k")).Body.String()
		if first != strings.Replace(again, `"duplicate":true`, `"duplicate":false`, 1) || first == again {
			t.Errorf("first %s, then %s", first, again)
		}
	})
	p := newPantry(t, path, keys)
	again := do(p.Server, "POST", "/v1/push", "", body, with("k")).Body.String()
	if first != strings.Replace(again, `"duplicate":true`, `"duplicate":false`, 1) || first == again {
		t.Errorf("first %s, after a restart %s", first, again)
	}
	other := do(p.Server, "POST", "/v1/push", "", `{"id":"x","to":{"users":["o1"]},"data":1,"store":true}`, with("other"))
	if !strings.Contains(other.Body.String(), `"stored":true,"duplicate":false`) {
		t.Errorf("the id of another key: %s", other.Body)
	}
	if got := p.kept(t, "u"); !slices.Equal(got, []string{"x"}) {
		t.Errorf("stored %q", got)
	}
	if _, err := p.PushScheduled(t.Context(), "run@1", []byte(`{"to":{"users":["s"]},"data":1,"ttl":"1h"}`)); err != nil {
		t.Error(err)
	}
	if _, err := p.PushScheduled(t.Context(), "run@1", []byte(`{"to":{"users":["s"]},"data":1,"ttl":"1h"}`)); err != nil {
		t.Error(err)
	}
	if got := p.kept(t, "s"); !slices.Equal(got, []string{"run@1"}) {
		t.Errorf("stored %q", got)
	}
}

func TestReceipts(t *testing.T) {
	p := newPantry(t, filepath.Join(t.TempDir(), "crier.db"), Options{})
	listen(t, p.hub, "c1", "u")
	listen(t, p.hub, "c2", "u")
	id, _ := p.pushed(t, `{"to":{"users":["u"]},"data":1,"receipt":true}`)
	if got, want := receiptOf(t, p.Server, id, ""), `{"confirmed":0,"delivered":2,"evicted":0,"expired":0,"id":"`+id+`","matched":{"users":1,"connections":2},"stored":0,"waiting":0}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	id, _ = p.pushed(t, `{"to":{"users":["u","v","w"]},"data":1,"store":true}`)
	want := `{"confirmed":2,"delivered":2,"evicted":0,"expired":0,"id":"` + id + `","matched":{"users":1,"connections":2},"stored":3,"waiting":1}`
	letters, err := p.inbox.Next("v", 0, 1, 1)
	if err != nil || len(letters) != 1 {
		t.Fatalf("%v, %v", letters, err)
	}
	p.inbox.Confirm("v", []uint64{letters[0].Place})
	if got := receiptOf(t, p.Server, id, ""); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var page struct {
		Users []addressee
		Next  string
	}
	var got []addressee
	for cursor := ""; len(got) == 0 || page.Next != ""; cursor = page.Next {
		page.Next = ""
		decodeAnswer(t, do(p.Server, "GET", "/v1/messages/"+id+"?users=true&limit=2&cursor="+cursor, "", ""), &page)
		got = append(got, page.Users...)
	}
	if !slices.Equal(got, []addressee{{"u", "confirmed"}, {"v", "confirmed"}, {"w", "waiting"}}) {
		t.Errorf("addressees %v", got)
	}
	id, _ = p.pushed(t, `{"to":{"users":["u"]},"data":1,"ack":"1ms"}`)
	if got := receiptOf(t, p.Server, id, "?users=true"); !strings.Contains(got, `"acked":{"users":0,"connections":0}`) || !strings.Contains(got, `"users":[]`) {
		t.Errorf("got %s", got)
	}
	id, _ = p.pushed(t, `{"to":{"users":["u"]},"data":1}`)
	checkProblem(t, do(p.Server, "GET", "/v1/messages/"+id, "", ""), codeNoMessage)
	for query, want := range map[string]code{
		"?users=maybe": codeInvalidField, "?limit=0&users=true": codeInvalidField, "?limit=5": codeInvalidField,
		"?user=true": codeUnknownField, "?cursor=%00&users=true": codeInvalidCursor, "?%": codeInvalidField,
	} {
		checkProblem(t, do(p.Server, "GET", "/v1/messages/x"+query, "", ""), want)
	}
	checkProblem(t, do(newServer(t, Options{}), "GET", "/v1/messages/x", "", ""), codeUnsupported)
}

// A key with an audience sees the receipts of its own pushes, and those of their users that are of its audience.
func TestReceiptsOfKeys(t *testing.T) {
	p := newPantry(t, filepath.Join(t.TempDir(), "crier.db"), Options{Access: Access{
		Keys:    []string{"all"},
		Limited: []Key{{Key: "shop", Audience: "shop-"}, {Key: "shop2", Audience: "shop-"}, {Key: "push", Rights: RightPush}},
	}})
	with := func(key string) func(*http.Request) { return header("X-Api-Key", key) }
	listen(t, p.hub, "c1", "shop-1", "shop-room")
	listen(t, p.hub, "c2", "stranger", "shop-room")
	do(p.Server, "POST", "/v1/push", "", `{"id":"a","to":{"rooms":["shop-room"]},"data":1,"store":true}`, with("shop"))
	do(p.Server, "POST", "/v1/push", "", `{"id":"a","to":{"users":["u"]},"data":1,"store":true}`, with("all"))
	do(p.Server, "POST", "/v1/push", "", `{"id":"b","to":{"rooms":["shop-room"]},"data":1,"store":true}`, with("shop"))
	for _, c := range []struct {
		key, id string
		want    code // "" if there is one
		has     string
	}{
		{"shop", "a", "", `"users":[{"uid":"shop-1","state":"confirmed"}]`},
		{"shop2", "a", codeNoMessage, ""},
		{"all", "a", "", `"users":[{"uid":"u","state":"waiting"}]`},
		{"all", "b", "", `"stored":2,"users":[{"uid":"shop-1","state":"confirmed"},{"uid":"stranger","state":"confirmed"}]`},
		{"push", "a", codeNoRight, ""},
		{"no such key", "a", codeWrongKey, ""},
	} {
		if c.want != "" {
			checkProblem(t, do(p.Server, "GET", "/v1/messages/"+c.id, "", "", with(c.key)), c.want)
		} else if got := receiptOf(t, p.Server, c.id, "?users=true", with(c.key)); !strings.Contains(got, c.has) {
			t.Errorf("%s, %s: %s", c.key, c.id, got)
		}
	}
}

// brokenReceipts cannot be read.
type brokenReceipts struct{ Receipts }

func (brokenReceipts) Receipt(string, string, bool) (hub.Receipt, error) {
	return hub.Receipt{}, errors.New("no disk")
}

func TestReceiptsFail(t *testing.T) {
	s := newServer(t, Options{Receipts: brokenReceipts{}})
	checkProblem(t, do(s, "GET", "/v1/messages/x", "", ""), codeStoreFailed)
	s = newServer(t, Options{Receipts: new(store.MemoryReceipts), Access: Access{Keys: []string{"k"}}})
	var last *httptest.ResponseRecorder
	for n := range 40 {
		last = do(s, "GET", "/v1/messages/x", "", "", header("X-Api-Key", fmt.Sprint("wrong", n)))
	}
	checkProblem(t, last, codeManyAttempts)
}

// Many stored lines of one link share transactions, and are stored and answered in their order; so are those of an array.
func TestStoredLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crier.db")
	p := newPantry(t, path, Options{})
	here := listen(t, p.hub, "c", "u")
	const n = 500
	var body strings.Builder
	var want []string
	for i := range n {
		id := fmt.Sprint("m", i)
		fmt.Fprintf(&body, `{"id":%q,"to":{"users":["u","v"]},"data":%d,"store":%t}`+"\n", id, i, i%50 != 7)
		want = append(want, id)
	}
	w := do(p.Server, "POST", "/v1/push/batch", "application/x-ndjson", body.String())
	answered := lines(w.Body.String())
	if len(answered) != n {
		t.Fatalf("%d answers", len(answered))
	}
	for i, line := range answered {
		if !strings.Contains(line, `{"id":"m`+fmt.Sprint(i)+`",`) || strings.Contains(line, `"stored":true`) != (i%50 != 7) {
			t.Errorf("answer %d: %s", i, line)
		}
	}
	var got []string
	for _, m := range here.take() {
		got = append(got, m.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d arrived, or not in order", len(got))
	}
	if kept := p.kept(t, "v"); !slices.Equal(kept, slices.DeleteFunc(want, isPlain)) {
		t.Errorf("%d are kept", len(kept))
	}
	array := do(p.Server, "POST", "/v1/push/batch", "application/json",
		`[{"to":{"users":["w"]},"data":1,"store":true},{"to":{"all":true},"data":1,"store":true},{"to":{"users":["w"]},"data":2,"ttl":"1m"}]`)
	var answers []struct {
		Stored bool
		Code   code
	}
	decodeAnswer(t, array, &answers)
	if len(answers) != 3 || !answers[0].Stored || answers[1].Code != codeInvalidField || !answers[2].Stored || len(p.kept(t, "w")) != 2 {
		t.Errorf("%+v, %q", answers, p.kept(t, "w"))
	}
}

// isPlain says whether TestStoredLines does not store the message.
func isPlain(id string) bool {
	var n int
	if _, err := fmt.Sscanf(id, "m%d", &n); err != nil {
		return false
	}
	return n%50 == 7
}

// With ack as well, the result waits for both, and a repetition has the first figures.
func TestStoredAck(t *testing.T) {
	p := newPantry(t, filepath.Join(t.TempDir(), "crier.db"), Options{})
	id, answer := p.pushed(t, `{"id":"x","to":{"users":["away"]},"data":1,"store":true,"ack":"1s"}`)
	if answer != `{"matched":{"users":0,"connections":0},"stored":true,"acked":{"users":0,"connections":0,"answers":[]},"duplicate":false}` {
		t.Error(answer)
	}
	if got := receiptOf(t, p.Server, id, ""); !strings.Contains(got, `"acked":{"users":0,"connections":0}`) || !strings.Contains(got, `"stored":1`) {
		t.Error(got)
	}
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			w := do(p.Server, "POST", "/v1/push", "", `{"id":"x","to":{"users":["away"]},"data":1,"store":true,"ack":"1s"}`)
			if !strings.Contains(w.Body.String(), `"stored":true`) || !strings.Contains(w.Body.String(), `"duplicate":true`) {
				t.Error(w.Body)
			}
		})
	}
	all.Wait()
}
