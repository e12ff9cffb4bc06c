package cluster

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"crier/io/hub"
)

// reread reads b, and if it can be read what is written of it, and fails if that is something else.
func reread[T any](t *testing.T, b []byte, parse func([]byte) (T, error), form func(T) []byte) {
	t.Helper()
	first, err := parse(b)
	if err != nil {
		return
	}
	if second, err := parse(form(first)); err != nil || !reflect.DeepEqual(first, second) {
		t.Errorf("%x is read as %+v, and that as %+v, %v", b, first, second, err)
	}
}

// overflowing is a number of milliseconds of which 64 bits of nanoseconds are less than one.
const overflowing = 18446744073710

// portion is a part of a list.
type portion struct {
	list []hub.Listed
	more bool
}

// FuzzAnswers: what servers answer to one another, and what Redis keeps for them, comes out the same when it is written again.
func FuzzAnswers(f *testing.F) {
	result := hub.Result{Users: 1, Connections: 300, Delivered: 2, Slow: 1, Gone: 2, Failed: 3}
	f.Add(appendResult(nil, &result))
	f.Add(appendAnswers(nil, &hub.Answers{Pushed: result, Late: true, Asked: 3, List: []hub.Answer{{Connection: "c", UID: "u", Args: []json.RawMessage{[]byte("1")}, Attachments: [][]byte{{0}}}}}))
	f.Add(appendRoomUsers(nil, &hub.Occupants{Strangers: 1, Rooms: map[string][]string{"r": {"a", "b"}}}))
	letter := encodeLetter(&hub.Message{ID: "id", Event: "ü", ShowID: true, Args: []json.RawMessage{[]byte(`{"_placeholder":true,"num":0}`)}, Attachments: [][]byte{{0}}})
	f.Add(letter)
	f.Add(append(appendStored(nil, &storedEntry{Push: hub.Push{To: hub.Audience{Users: []string{"u"}}}, Mid: "m", Ask: time.Second, Keep: 5, Question: 1 << 60}), letter...))
	f.Add(append(binary.AppendUvarint([]byte{storedFormat, 0}, overflowing), append([]byte{5, 7, 0, 0, 0, 0}, letter...)...))
	f.Add([]byte("\x01\x02\x01a\x05\x02bc\x80\x80\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		reread(t, b, parseResult, func(r hub.Result) []byte { return appendResult(nil, &r) })
		reread(t, b, parseAnswers, func(a hub.Answers) []byte { return appendAnswers(nil, &a) })
		reread(t, b, parseRoomUsers, func(o hub.Occupants) []byte { return appendRoomUsers(nil, &o) })
		reread(t, b, decodeLetter, encodeLetter)
		reread(t, b, parseStored, func(e storedEntry) []byte { return append(appendStored(nil, &e), encodeLetter(e.Message)...) })
		reread(t, b, func(b []byte) (p portion, err error) { p.list, p.more, err = parseListed(b); return p, err }, func(p portion) []byte {
			answer, err := answerList(func(_, _ string, _ int) ([]hub.Listed, bool) { return p.list, p.more })([]byte{1, 0, 0})
			if err != nil {
				t.Fatal(err)
			}
			return answer
		})
	})
}

// FuzzTaken: the session of a client, as another server has left it in Redis.
func FuzzTaken(f *testing.F) {
	f.Add([]byte(`{"PID":"p","ID":"i","UID":"u","Own":["r"],"Start":1,"Last":2,"Left":3,"Inbox":4,"Spans":null}` + "\n18446744073709551615 7\n/1-a/2-b"))
	f.Add([]byte("{}\n1 2\n"))
	f.Add([]byte("null\n01 +2\n\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		form := func(one *hub.Recoverable) []byte {
			session, err := json.Marshal(one)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Appendf(nil, "%s\n%d %d\n%s", session, one.Last, one.Left, one.Path)
		}
		one, err := parseTaken(body)
		if err != nil {
			return
		}
		again, err := parseTaken(form(one))
		if err != nil || again.Path != one.Path || !bytes.Equal(form(again), form(one)) {
			t.Errorf("%q is read as %+v, and that as %+v, %v", body, one, again, err)
		}
	})
}

// FuzzCursor: what callers give back of a list that was answered in pages is where it ended, or refused.
func FuzzCursor(f *testing.F) {
	f.Add(makeCursor('o', "cname"))
	f.Add("")
	f.Add("b_8")
	f.Add("b/8=")
	f.Fuzz(func(t *testing.T, cursor string) {
		after, err := parseCursor('o', cursor)
		if err != nil {
			return
		}
		if again, err := parseCursor('o', makeCursor('o', after)); err != nil || again != after {
			t.Errorf("%q is behind %q, and that behind %q, %v", cursor, after, again, err)
		}
		if other, err := parseCursor('u', cursor); err == nil && cursor != "" {
			t.Errorf("%q is of two lists, and behind %q in the other", cursor, other)
		}
	})
}
