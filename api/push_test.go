package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"crier/io/hub"
	"crier/io/socketio"
)

// answerOf is the answer to a push.
type answerOf struct {
	ID                string
	Matched           struct{ Users, Connections int }
	Stored, Duplicate bool
}

// pushed makes a push that has to succeed.
func pushed(t testing.TB, s http.Handler, body string) answerOf {
	t.Helper()
	w := do(s, "POST", "/v1/push", "application/json", body)
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%s: %d %s", body, w.Code, w.Body)
	}
	var a answerOf
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestPush(t *testing.T) {
	h := realHub(t)
	s := newServer(t, Options{Pusher: h})
	a1, a2 := listen(t, h, "c1", "a", "red"), listen(t, h, "c2", "a")
	b, nobody := listen(t, h, "c3", "7", "red", "blue"), listen(t, h, "c4", "")
	all := []*ear{a1, a2, b, nobody}
	for _, c := range []struct {
		name, body  string
		users, conn int
		got         string // who hears it, a letter each
		event       string
		args        string
		volatile    bool
	}{
		{"a user", `{"to":{"users":["a"]},"data":"hi"}`, 1, 2, "12", "new_msg", `["hi"]`, false},
		{"a number", `{"to":{"users":[7]},"data":{"x":[1, 2]}}`, 1, 1, "3", "new_msg", `[{"x":[1, 2]}]`, false},
		{"a room", `{"to":{"rooms":["red"]},"event":"e","args":[1,"two",{"three":3}]}`, 2, 2, "13", "e", `[1,"two",{"three":3}]`, false},
		{"a connection", `{"to":{"connections":["c4","none"]},"data":null}`, 0, 1, "4", "new_msg", `[null]`, false},
		{"all", `{"to":{"all":true},"event":"e"}`, 2, 4, "1234", "e", `[]`, false},
		{"all but", `{"to":{"all":true,"except":{"users":["a"]}},"data":1}`, 1, 2, "34", "new_msg", `[1]`, false},
		{"union", `{"to":{"users":["a","7"],"rooms":["red","blue"],"connections":["c1"]},"data":1}`, 2, 3, "123", "new_msg", `[1]`, false},
		{"volatile", `{"volatile":true,"to":{"users":["7"]},"data":1}`, 1, 1, "3", "new_msg", `[1]`, true},
		{"nobody", `{"to":{"users":[]},"data":1}`, 0, 0, "", "", "", false},
		{"offline", `{"to":{"users":["z"]},"data":1}`, 0, 0, "", "", "", false},
		{"dry run", `{"to":{"all":true},"dry_run":true,"data":1}`, 2, 4, "", "", "", false},
		{"nulls", `{"id":null,"event":null,"args":null,"ttl":null,"ack":null,"store":false,"volatile":null,"to":{"users":["7"],"rooms":null,"except":null},"data":1}`, 1, 1, "3", "new_msg", `[1]`, false},
		{"escapes", " {\"\\u0074o\" : {\"us\\u0065rs\":[\"\\u0061\"]}, \n\"event\":\"\\u4e2d\\\"\",\"data\":\"\\u0041\"}\r\n", 1, 2, "12", `中"`, `["\u0041"]`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := pushed(t, s, c.body)
			if a.Matched.Users != c.users || a.Matched.Connections != c.conn || a.Stored || a.Duplicate {
				t.Errorf("answer %+v", a)
			}
			for i, e := range all {
				got := e.take()
				if want := strings.Contains(c.got, fmt.Sprint(i+1)); len(got) != map[bool]int{true: 1}[want] {
					t.Errorf("connection %d got %d messages", i+1, len(got))
				}
				for _, m := range got {
					args := make([]string, len(m.Args))
					for i, a := range m.Args {
						args[i] = string(a)
					}
					if m.ID != a.ID || m.Event != c.event || "["+strings.Join(args, ",")+"]" != c.args || m.Volatile != c.volatile {
						t.Errorf("got %s %q %q %v", m.ID, m.Event, args, m.Volatile)
					}
				}
			}
		})
	}
}

// The memory of a request is used again, and must not be a message's.
func TestPushKeepsNothing(t *testing.T) {
	h := realHub(t)
	s := newServer(t, Options{Pusher: h})
	e := listen(t, h, "c", "u")
	for i := range 50 {
		pushed(t, s, fmt.Sprintf(`{"to":{"users":["u"]},"event":"e%d","args":["x%d",{"$binary":"%s"}]}`, i, i, "AAEC"))
	}
	for i, m := range e.take() {
		if m.Event != fmt.Sprint("e", i) || string(m.Args[0]) != fmt.Sprintf(`"x%d"`, i) || string(m.Attachments[0]) != "\x00\x01\x02" {
			t.Errorf("message %d became %s %s", i, m.Event, m.Args)
		}
	}
}

func TestPushErrors(t *testing.T) {
	deep := strings.Repeat(`{"users":[],"except":`, 12) + `{}` + strings.Repeat(`}`, 12)
	for _, c := range []struct {
		name, body string
		code       code
		detail     string // part of it
	}{
		{"empty", ``, codeBadJSON, "JSON"},
		{"cut", `{"to":`, codeBadJSON, "JSON"},
		{"two", `{} {}`, codeBadJSON, "JSON"},
		{"not UTF-8", "{\"data\":\"\xff\"}", codeBadJSON, "UTF-8"},
		{"array", `[]`, codeInvalidField, "object"},
		{"number", `1`, codeInvalidField, "object"},
		{"no to", `{"data":1}`, codeMissingField, "to "},
		{"null to", `{"to":null,"data":1}`, codeMissingField, "to "},
		{"empty to", `{"to":{},"data":1}`, codeMissingField, "to "},
		{"only except", `{"to":{"except":{"users":["a"]}},"data":1}`, codeMissingField, "to "},
		{"no data", `{"to":{"all":true}}`, codeMissingField, "data"},
		{"no event", `{"to":{"all":true},"event":null}`, codeMissingField, "data"},
		{"unknown", `{"to":{"all":true},"data":1,"tll":3}`, codeUnknownField, `"tll"`},
		{"unknown in to", `{"to":{"user":["a"]},"data":1}`, codeUnknownField, `to."user"`},
		{"unknown in except", `{"to":{"all":true,"except":{"uid":1}},"data":1}`, codeUnknownField, `to.except."uid"`},
		{"twice", `{"to":{"all":true},"data":1,"data":2}`, codeInvalidField, "data is there twice"},
		{"twice, and once null", `{"to":{"users":["a"]},"data":1,"store":true,"store":null}`, codeInvalidField, "store is there twice"},
		{"more fields than there are", `{"to":{"all":true},"data":1,"event":"e",` + strings.Repeat(`"store":null,`, 9) + `"dry_run":true}`, codeInvalidField, "store is there twice"},
		{"twice in to", `{"to":{"users":[],"users":["a"]},"data":1}`, codeInvalidField, "to.users is there twice"},
		{"both", `{"to":{"all":true},"data":1,"args":[1]}`, codeInvalidField, "args"},
		{"args", `{"to":{"all":true},"args":1}`, codeInvalidField, "args"},
		{"to", `{"to":"a","data":1}`, codeInvalidField, "to "},
		{"users", `{"to":{"users":"a"},"data":1}`, codeInvalidField, "to.users"},
		{"a user", `{"to":{"users":["a",1.5]},"data":1}`, codeInvalidField, "to.users[1]"},
		{"a room", `{"to":{"rooms":[1]},"data":1}`, codeInvalidField, "to.rooms[0]"},
		{"bad uid", `{"to":{"users":["a\n"]},"data":1}`, codeInvalidField, "a uid must be"},
		{"bad room", `{"to":{"rooms":[""]},"data":1}`, codeInvalidField, "a room name must be"},
		{"all", `{"to":{"all":1},"data":1}`, codeInvalidField, "to.all"},
		{"deep", `{"to":` + deep + `,"data":1}`, codeInvalidField, "nested"},
		{"many names", `{"to":{"users":[` + strings.Repeat("1,", maxNames) + `1]},"data":1}`, codeTooMany, "names"},
		{"event", `{"to":{"all":true},"event":""}`, codeInvalidField, "event"},
		{"event number", `{"to":{"all":true},"event":1}`, codeInvalidField, "event"},
		{"reserved", `{"to":{"all":true},"event":"connect"}`, codeReservedEvent, "event"},
		{"reserved, escaped", `{"to":{"all":true},"event":"disc\u006fnnect"}`, codeReservedEvent, "event"},
		{"volatile", `{"to":{"all":true},"data":1,"volatile":"yes"}`, codeInvalidField, "volatile"},
		{"dry run", `{"to":{"all":true},"data":1,"dry_run":1}`, codeInvalidField, "dry_run"},
		{"id", `{"id":1,"to":{"all":true},"data":1}`, codeInvalidField, "id "},
		{"long id", `{"id":"` + strings.Repeat("x", 256) + `","to":{"all":true},"data":1}`, codeInvalidField, "id "},
		{"ack", `{"to":{"all":true},"data":1,"ack":2}`, codeInvalidField, "ack"},
		{"ack without a unit", `{"to":{"all":true},"data":1,"ack":"2"}`, codeInvalidField, "ack"},
		{"ack of nothing", `{"to":{"all":true},"data":1,"ack":"0s"}`, codeInvalidField, "ack"},
		{"ack in the past", `{"to":{"all":true},"data":1,"ack":"-2s"}`, codeInvalidField, "ack"},
		{"long ack", `{"to":{"all":true},"data":1,"ack":"61s"}`, codeInvalidField, "60s"},
		{"no ack", `{"to":{"all":true},"data":1,"ack":false}`, codeInvalidField, "ack"},
		{"ack twice", `{"to":{"all":true},"data":1,"ack":"2s","ack":"2s"}`, codeInvalidField, "ack is there twice"},
		{"ttl", `{"to":{"users":["a"]},"data":1,"ttl":"1h"}`, codeUnsupported, "ttl"},
		{"store", `{"to":{"users":["a"]},"data":1,"store":true}`, codeUnsupported, "store"},
		{"receipt", `{"to":{"users":["a"]},"data":1,"receipt":true}`, codeUnsupported, "receipt"},
		{"binary", `{"to":{"all":true},"data":{"$binary":"A"}}`, codeInvalidBinary, "data"},
		{"binary in args", `{"to":{"all":true},"args":[[{"$binary":"!!!!"}]]}`, codeInvalidBinary, "args"},
		{"placeholder", `{"to":{"all":true},"args":[{"_placeholder":true,"num":0},{"$binary":"AA=="}]}`, codeInvalidBinary, "_placeholder"},
		{"many binaries", `{"to":{"all":true},"data":[` + strings.Repeat(`{"$binary":""},`, maxAttachments) + `{"$binary":""}]}`, codeTooMany, "$binary"},
		{"large", `{"to":{"all":true},"data":"` + strings.Repeat("x", 100_000) + `"}`, codeMessageTooLarge, "max_payload"},
		{"large in all", `{"to":{"all":true},"args":["` + strings.Repeat("x", 60_000) + `","` + strings.Repeat("x", 60_000) + `"]}`, codeMessageTooLarge, "max_payload"},
		{"large body", `{"to":{"all":true},"data":"` + strings.Repeat("x", 300_000) + `"}`, codeBodyTooLarge, "api.max_body"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := realHub(t)
			e := listen(t, h, "c", "a")
			s := newServer(t, Options{Pusher: h, MaxContent: 100_000, MaxBody: 200_000})
			w := do(s, "POST", "/v1/push", "application/json", c.body)
			if detail := checkProblem(t, w, c.code); !strings.Contains(detail, c.detail) {
				t.Errorf("the detail %q does not say %q", detail, c.detail)
			}
			if got := e.take(); len(got) != 0 {
				t.Errorf("%d messages went out", len(got))
			}
		})
	}
}

func TestPushReserved(t *testing.T) {
	for _, name := range []string{"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener", "error", "message", "new_msg"} {
		_, err := socketio.NewMessage(name)
		if got, want := reserved(name), errors.Is(err, socketio.ErrReserved); got != want {
			t.Errorf("reserved(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestPushStopping(t *testing.T) {
	h := realHub(t)
	s := newServer(t, Options{Pusher: h})
	if err := h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, extra := range []string{"", `,"id":"x"`, `,"dry_run":true`} {
		w := do(s, "POST", "/v1/push", "", `{"to":{"all":true},"data":1`+extra+`}`)
		checkProblem(t, w, codeStopping)
		if w.Header().Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	w := do(newServer(t, Options{}), "POST", "/v1/push", "", `{"to":{"all":true},"data":1,"dry_run":true}`)
	checkProblem(t, w, codeUnsupported)
	w = do(newServer(t, Options{Pusher: &fakeHub{err: errors.New("secret")}}), "POST", "/v1/push", "", `{"to":{"all":true},"data":1}`)
	if detail := checkProblem(t, w, codeInternal); strings.Contains(detail, "secret") {
		t.Errorf("the detail is %q", detail)
	}
}

func TestPushBinary(t *testing.T) {
	h := realHub(t)
	s := newServer(t, Options{Pusher: h})
	e := listen(t, h, "c", "u")
	for _, c := range []struct{ name, args, want, attachments string }{
		{"alone", `{"$binary":"AAEC"}`, `{"_placeholder":true,"num":0}`, "\x00\x01\x02|"},
		{"empty", `{"$binary":""}`, `{"_placeholder":true,"num":0}`, "|"},
		{"two", `{"$binary":"YQ=="},{"x":[ {"$binary":"Yg=="} ,1]}`, `{"_placeholder":true,"num":0},{"x":[ {"_placeholder":true,"num":1} ,1]}`, "a|b|"},
		{"spaces", `[ { "$binary" : "YQ==" } ]`, `[ {"_placeholder":true,"num":0} ]`, "a|"},
		{"escaped name", `{"\u0024binary":"YQ=="}`, `{"_placeholder":true,"num":0}`, "a|"},
		{"escaped slash", `{"$binary":"\/\/\/\/"}`, `{"_placeholder":true,"num":0}`, "\xff\xff\xff|"},
		{"not alone", `{"$binary":"YQ==","x":1}`, `{"$binary":"YQ==","x":1}`, ""},
		{"not first", `{"x":1,"$binary":"YQ=="}`, `{"x":1,"$binary":"YQ=="}`, ""},
		{"no string", `{"$binary":1}`, `{"$binary":1}`, ""},
		{"a value", `{"x":"{\"$binary\":\"YQ==\"}"}`, `{"x":"{\"$binary\":\"YQ==\"}"}`, ""},
		{"within", `{"$binary":{"$binary":"YQ=="}}`, `{"$binary":{"_placeholder":true,"num":0}}`, "a|"},
		{"a placeholder of theirs", `{"_placeholder":true,"num":0}`, `{"_placeholder":true,"num":0}`, ""},
		{"a text like one", `"_placeholder",{"$binary":"YQ=="}`, `"_placeholder",{"_placeholder":true,"num":0}`, "a|"},
		{"empty things", `{},[],"",{"$binary":"YQ=="}`, `{},[],"",{"_placeholder":true,"num":0}`, "a|"},
	} {
		t.Run(c.name, func(t *testing.T) {
			pushed(t, s, `{"to":{"all":true},"args":[`+c.args+`]}`)
			m := e.take()[0]
			args, attachments := make([]string, len(m.Args)), ""
			for i, a := range m.Args {
				args[i] = string(a)
			}
			for _, a := range m.Attachments {
				attachments += string(a) + "|"
			}
			if got := strings.Join(args, ","); got != c.want || attachments != c.attachments {
				t.Errorf("got %s and %q", got, attachments)
			}
		})
	}
}

func TestPushIDConcurrently(t *testing.T) {
	h := realHub(t)
	s := newServer(t, Options{Pusher: h})
	e := listen(t, h, "c", "u")
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		first int
	)
	for range 64 {
		wg.Go(func() {
			w := do(s, "POST", "/v1/push", "", `{"id":"order-1","to":{"users":["u"]},"data":1}`)
			var a answerOf
			if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || a.ID != "order-1" || a.Matched.Users != 1 || a.Matched.Connections != 1 {
				t.Errorf("%v: %s", err, w.Body)
			}
			mu.Lock()
			defer mu.Unlock()
			if !a.Duplicate {
				first++
			}
		})
	}
	wg.Wait()
	if got := len(e.take()); got != 1 || first != 1 {
		t.Errorf("%d messages, and %d answers without duplicate", got, first)
	}
}

// slowHub takes a push when it is given its turn, with the error of that.
type slowHub struct {
	turn  chan error
	calls int // one at a time
}

func (h *slowHub) Push(context.Context, hub.Push) (hub.Result, error) {
	h.calls++
	return hub.Result{Users: h.calls}, <-h.turn
}

func TestPushIDWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &slowHub{turn: make(chan error)}
		s := newServer(t, Options{Pusher: h})
		results := make(chan string, 3)
		for range 3 {
			go func() {
				var a answerOf
				w := do(s, "POST", "/v1/push", "", `{"id":"k","to":{"users":["u"]},"data":1}`)
				if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
					t.Error(err)
				}
				results <- fmt.Sprint(w.Code, a.Matched.Users, a.Duplicate)
			}()
		}
		synctest.Wait()
		if h.calls != 1 {
			t.Fatalf("%d calls at once", h.calls)
		}
		h.turn <- errors.New("failed") // the next one tries
		if got := <-results; got != "500 0 false" {
			t.Error(got)
		}
		synctest.Wait()
		h.turn <- nil
		got := []string{<-results, <-results}
		slices.Sort(got)
		if want := []string{"200 2 false", "200 2 true"}; h.calls != 2 || !slices.Equal(got, want) {
			t.Errorf("%d calls, %q", h.calls, got)
		}
	})
}

func TestPushIDForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeHub{}
		s := newServer(t, Options{Pusher: h})
		s.repeats = newRepeats(3)
		push := func(id string) *answerOf {
			w := do(s, "POST", "/v1/push", "", `{"id":"`+id+`","to":{"users":["u"]},"data":1}`)
			if w.Code == 503 {
				checkProblem(t, w, codeTableFull)
				if w.Header().Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
				return nil
			}
			var a answerOf
			if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
				t.Fatal(err)
			}
			return &a
		}
		for _, id := range []string{"a", "b", "c"} {
			if a := push(id); a == nil || a.Duplicate {
				t.Errorf("%s: %+v", id, a)
			}
		}
		if push("d") != nil {
			t.Error("a fourth id was taken")
		}
		time.Sleep(repeatFor)
		if a := push("a"); a == nil || !a.Duplicate {
			t.Errorf("after five minutes: %+v", a)
		}
		time.Sleep(time.Millisecond)
		if a := push("d"); a == nil || a.Duplicate {
			t.Errorf("d: %+v", a)
		}
		if a := push("a"); a == nil || a.Duplicate {
			t.Errorf("later: %+v", a)
		}
		if n := len(h.taken()); n != 5 {
			t.Errorf("%d pushes", n)
		}
	})
}

// What is not pushed is not remembered.
func TestPushIDOfDryRun(t *testing.T) {
	h := realHub(t)
	s := newServer(t, Options{Pusher: h})
	e := listen(t, h, "c", "u")
	for range 2 {
		if a := pushed(t, s, `{"id":"x","to":{"users":["u"]},"data":1,"dry_run":true}`); a.Duplicate || a.ID != "x" || a.Matched.Users != 1 {
			t.Errorf("%+v", a)
		}
	}
	if a := pushed(t, s, `{"id":"x","to":{"users":["u"]},"data":1}`); a.Duplicate || len(e.take()) != 1 {
		t.Errorf("%+v", a)
	}
}

func TestRouting(t *testing.T) {
	s := newServer(t, Options{Pusher: realHub(t)})
	for _, c := range []struct {
		method, path string
		code         code
		allow        string
	}{
		{"GET", "/v1", codeNotFound, ""},
		{"GET", "/v1/", codeNotFound, ""},
		{"POST", "/v1/pushes", codeNotFound, ""},
		{"GET", "/v1/users/a/b", codeNotFound, ""},
		{"GET", "/v1/push", codeBadMethod, "POST"},
		{"PUT", "/v1/push/batch", codeBadMethod, "POST"},
		{"POST", "/v1/users", codeBadMethod, "GET, HEAD"},
		{"POST", "/v1/users/a", codeBadMethod, "DELETE, GET, HEAD"},
		{"POST", "/openapi.json", codeBadMethod, "GET, HEAD"},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			w := do(s, c.method, c.path, "", "")
			checkProblem(t, w, c.code)
			if got := w.Header().Get("Allow"); got != c.allow {
				t.Errorf("Allow: %q", got)
			}
		})
	}
	for _, path := range []string{"/v1x?", "/v2/push?", "/push?"} { // the legacy form is everywhere else
		checkAnswer(t, do(s, "GET", path+"type=publish&to=u&content=x", "", ""), "offline")
	}
}

func TestFrequent(t *testing.T) {
	for request, want := range map[string]bool{
		"POST /v1/push":       true,
		"GET /":               true,
		"POST /":              true,
		"GET /v1/push":        false,
		"PUT /":               false,
		"POST /v1/push/batch": false,
		"POST /v1/push/":      false,
		"GET /healthz":        false,
		"POST /else":          false,
	} {
		method, path, _ := strings.Cut(request, " ")
		if got := Frequent(method, path); got != want {
			t.Errorf("%s: %v, want %v", request, got, want)
		}
	}
}

// What a connection keeps of a push stays as it was, although the memory of those that nobody has kept is used again.
func TestPushesThatAreKept(t *testing.T) {
	h := realHub(t)
	s := newServer(t, Options{Pusher: h})
	keeper := listen(t, h, "c1", "keeper")
	m, err := h.Connect(hasty{"c2"})
	if err == nil {
		err = m.Login("hasty")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer m.Gone()
	var lines strings.Builder
	body := func(uid string, i int) string {
		return fmt.Sprintf(`{"to":{"users":[%q]},"event":"e%d","args":["%d%s",%d]}`, uid, i, i, strings.Repeat("x", i), i)
	}
	const n = 200 // the last ones need more than a parcel has room for
	for i := range n {
		pushed(t, s, body("hasty", i))
		pushed(t, s, body("keeper", i))
		lines.WriteString(body("hasty", i) + "\n" + body("keeper", n+i) + "\n" + body("nobody", i) + "\n")
	}
	if w := do(s, "POST", "/v1/push/batch", "application/x-ndjson", lines.String()); w.Code != 200 || strings.Count(w.Body.String(), `"duplicate":false`) != 3*n {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	got := keeper.take()
	if len(got) != 2*n {
		t.Fatalf("%d messages, want %d", len(got), 2*n)
	}
	for i, m := range got {
		if first := fmt.Sprintf(`"%d%s"`, i, strings.Repeat("x", i)); m.Event != fmt.Sprint("e", i) || len(m.Args) != 2 || string(m.Args[0]) != first || string(m.Args[1]) != fmt.Sprint(i) {
			t.Errorf("message %d: %s %s", i, m.Event, m.Args)
		}
	}
}
