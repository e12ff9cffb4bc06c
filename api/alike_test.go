package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"crier/io/hub"
)

// ledger is a hub that writes down what it is given, and says that nobody has kept anything of it. The result of what is stored, or to
// be acknowledged, is there a little later.
type ledger struct {
	Directory // nil: only Count is called

	mu      sync.Mutex
	entries []string
}

// write returns the result of a push, or why there is none.
func (l *ledger) write(kind string, p *hub.Push) (hub.Result, error) {
	if err := checkNames(&p.To); err != nil {
		return hub.Result{}, err
	}
	if p.Message.ID == "" {
		p.Message.ID = "new"
	}
	m := p.Message
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, entryOf(kind, &p.To, m.Event, m.Args, m.Volatile))
	return hub.Result{ID: m.ID, Users: len(p.To.Users), Connections: len(m.Event), Free: true}, nil
}

// checkNames finds names that nobody can have, as the hub does.
func checkNames(a *hub.Audience) error {
	for ; a != nil; a = a.Except {
		for _, uid := range a.Users {
			if hub.CheckUID(uid) != nil {
				return hub.ErrBadUID
			}
		}
		for _, room := range a.Rooms {
			if hub.CheckUID(room) != nil {
				return hub.ErrBadRoom
			}
		}
	}
	return nil
}

// entryOf is all there is to a push, as a line.
func entryOf(kind string, to *hub.Audience, event string, args []json.RawMessage, volatile bool) string {
	text := kind
	for a := to; a != nil; a = a.Except {
		text += fmt.Sprintf(" %q %q %q %v", a.Users, a.Rooms, a.Connections, a.All)
	}
	return fmt.Sprintf("%s: %q %q %v", text, event, args, volatile)
}

func (l *ledger) Push(_ context.Context, p hub.Push) (hub.Result, error) { return l.write("push", &p) }

func (l *ledger) Count(_ context.Context, a hub.Audience) (hub.Result, error) {
	return hub.Result{Users: len(a.Users)}, checkNames(&a)
}

func (l *ledger) Ask(_ context.Context, p hub.Push, q hub.Question) (hub.Result, error) {
	r, err := l.write("ask", &p)
	if err == nil {
		time.AfterFunc(time.Duration(len(p.Message.Event))*50*time.Microsecond, func() { q.Done(hub.Answers{Pushed: r}) })
	}
	return r, err
}

func (l *ledger) Store(_ context.Context, p hub.Push, k hub.Keep) error {
	r, err := l.write("store", &p)
	if err != nil {
		return err
	}
	time.AfterFunc(time.Duration(len(p.Message.Event))*50*time.Microsecond, func() {
		k.Done(hub.Kept{Result: r, Stored: len(p.To.Users)})
		if k.Ask != nil {
			k.Ask.Done(hub.Answers{Pushed: r})
		}
	})
	return nil
}

func (l *ledger) Warm([]string) {}

// pick returns one of a list.
func pick(r *rand.Rand, list ...string) string { return list[r.IntN(len(list))] }

// someName returns a member's name as JSON, perhaps with an escape.
func someName(r *rand.Rand, name string) string {
	if i := r.IntN(len(name)); r.IntN(6) == 0 {
		return fmt.Sprintf(`"%s\u%04x%s"`, name[:i], name[i], name[i+1:])
	}
	return `"` + name + `"`
}

// someList returns names of users, rooms or connections as JSON.
func someList(r *rand.Rand) string {
	if r.IntN(12) == 0 {
		return pick(r, `null`, `"u"`, `7`, `{}`, `[["u"]]`, `[null]`)
	}
	var names []string
	for range r.IntN(4) {
		names = append(names, pick(r, `"u"`, `"a]\""`, `7`, `-0`, `1.0`, `1e3`, `"\ud800"`, `"\uD83D\uDE00"`, `"中"`, `"\u0075"`, `""`, `"\u0000"`,
			`12345678901234567890123`, `"`+strings.Repeat("x", 250)+`"`, strings.Repeat("9", 256), `true`, `"\\"`, `"{"`))
		if r.IntN(3) > 0 {
			names[len(names)-1] = `"u"`
		}
	}
	return "[" + strings.Join(names, pick(r, ",", " , ")) + "]"
}

// someAudience returns an audience as JSON.
func someAudience(r *rand.Rand, depth int) string {
	if r.IntN(15) == 0 {
		return pick(r, `null`, `[]`, `"u"`, `{}`)
	}
	var b strings.Builder
	for i := range 1 + r.IntN(2) {
		if i > 0 {
			b.WriteString(pick(r, ",", ", ", " ,\t"))
		}
		switch name := pick(r, "users", "users", "users", "rooms", "connections", "all", "except", "user"); {
		case name == "all":
			b.WriteString(someName(r, name) + ":" + pick(r, "true", "false", "null", "1"))
		case name == "except" && depth < 3:
			b.WriteString(someName(r, name) + ": " + someAudience(r, depth+1))
		case name == "user" && r.IntN(4) > 0:
			b.WriteString(`"users":[1]`)
		default:
			b.WriteString(someName(r, name) + ":" + someList(r))
		}
	}
	return "{" + b.String() + "}"
}

// someData returns any JSON; what is long does not fit into the room that a push has for it.
func someData(r *rand.Rand) string {
	return pick(r, `1`, `"x"`, `null`, `"\ud800"`, `-0.0e+5`, `{"a":[1, 2],"a":{}}`, `"\"}\\"`, `"`+strings.Repeat("中", 20+r.IntN(60))+`"`, `[]`, `{"_placeholder":true}`,
		`"\u005fplaceholder"`, strings.Repeat("1", 127+r.IntN(4)), `{"binary":"$"}`, `[[[]],{"":""}]`, fmt.Sprintf(`"%d"`, r.Int()))
}

// someMember returns a member of a push.
func someMember(r *rand.Rand, name string) string {
	value := pick(r, `null`, `1`, `"x"`, `[]`, `true`)
	if r.IntN(12) > 0 {
		switch name {
		case "to":
			value = someAudience(r, 0)
		case "data":
			value = someData(r)
		case "args":
			value = "[" + someData(r) + pick(r, ",", ", ") + someData(r) + pick(r, "]", " ]")
		case "event":
			value = pick(r, `"e"`, `"new_msg"`, `"\u0065v"`, `"中\n"`, `"connect"`, `"\u0063onnect"`, `"\ud800"`, `""`)
		case "id":
			value = pick(r, fmt.Sprintf(`"i%d"`, r.IntN(40)), `"\u0069"`, `""`, `"\u0007"`, `"é"`)
		case "ack":
			value = pick(r, `"1s"`, `"61s"`, `"1\u0073"`)
		case "ttl":
			value = pick(r, `"1s"`, `"1ms"`, `"24h"`)
		case "store", "volatile", "dry_run", "receipt":
			value = pick(r, `true`, `false`, `null`)
		}
	}
	return someName(r, name) + pick(r, ":", " : ") + value
}

// somePush returns the JSON of a push, or what is nearly that.
func somePush(r *rand.Rand) string {
	list := []string{someMember(r, "to")}
	if list = append(list, someMember(r, pick(r, "data", "args", "event"))); r.IntN(4) == 0 {
		list[1] = `"data":` + someData(r)
	}
	for range max(0, r.IntN(6)-2) {
		list = append(list, someMember(r, pick(r, "id", "id", "event", "to", "data", "ack", "ttl", "store", "volatile", "dry_run", "receipt", "To", "x")))
	}
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	b := []byte(pick(r, "{", " { ", "\t{") + strings.Join(list, ",") + pick(r, "}", " }", "}  ", "}\r"))
	switch i := r.IntN(len(b)); r.IntN(12) {
	case 0:
		b = b[:i]
	case 1:
		b[i] = pick(r, "{", "}", `"`, `\`, ",", "[", "0", "\xff", "\xc3", " ", "\x00", "-", "\xa0", "\v")[0]
	case 2:
		b = slices.Insert(b, i, []byte(pick(r, "{", "}", `"`, `\`, ",", "\xed\xa0\x80", "\u00a0", "\ufeff", "\u2028", "\u0085"))...)
	}
	if len(bytes.Trim(b, " \t\r")) == 0 { // no line is answered that is blank
		return pick(r, "\u00a0", "\u2003\v", "\f", "\u0085")
	}
	return string(b)
}

// expected is what a push comes to, by the standard library: what the hub is given; nothing if it is only counted; or false if it is refused.
func expected(text string) (kind string, to hub.Audience, event string, args []json.RawMessage, volatile, ok bool) {
	event = "new_msg"
	fields := membersOf(text)
	if fields == nil || !audienceOf(fields["to"], &to, 0) {
		return
	}
	is := map[string]bool{}
	for name, value := range fields {
		null := value == "null"
		s := textOf(value)
		switch name {
		case "to", "data":
		case "volatile", "dry_run", "store", "receipt":
			if is[name] = value == "true"; !is[name] && value != "false" && !null {
				return
			}
		case "args":
			if !null && json.Unmarshal([]byte(value), &args) != nil {
				return
			}
		case "event":
			if !null {
				if event = s; s == "" || reserved(s) {
					return
				}
			}
		case "id":
			if !null && hub.CheckUID(s) != nil {
				return
			}
		case "ack", "ttl":
			d, err := time.ParseDuration(s)
			least, most := time.Millisecond, time.Minute
			if name == "ttl" {
				least, most = time.Second, 8760*time.Hour
			}
			if is[name] = !null; !null && (err != nil || d < least || d > most) {
				return
			}
		default:
			return
		}
	}
	data, hasData := fields["data"]
	hasArgs := fields["args"] != "" && fields["args"] != "null"
	hasEvent := fields["event"] != "" && fields["event"] != "null"
	stored := is["store"] || is["ttl"]
	switch {
	case hasData && hasArgs, !hasData && !hasArgs && !hasEvent, is["ttl"] && fields["store"] == "false", is["receipt"],
		stored && (to.All || len(to.Connections) > 0 || is["volatile"]):
		return
	case hasData:
		args = []json.RawMessage{json.RawMessage(data)}
	}
	switch {
	case is["dry_run"]:
		kind = "count"
	case stored:
		kind = "store"
	case is["ack"]:
		kind = "ask"
	default:
		kind = "push"
	}
	return kind, to, event, args, is["volatile"], true
}

// membersOf returns the members of an object, by name; nil if it is none, or one is there twice.
func membersOf(text string) map[string]string {
	if !utf8.ValidString(text) || !json.Valid([]byte(text)) {
		return nil
	}
	d := json.NewDecoder(strings.NewReader(text))
	if bracket, err := d.Token(); err != nil || bracket != json.Delim('{') {
		return nil
	}
	all := map[string]string{}
	for d.More() {
		token, err := d.Token()
		name, is := token.(string)
		var value json.RawMessage
		if err != nil || !is || d.Decode(&value) != nil {
			return nil
		}
		if _, twice := all[name]; twice {
			return nil
		}
		all[name] = string(value)
	}
	return all
}

// textOf returns what a JSON string says, and nothing for any other value.
func textOf(value string) string {
	var s string
	if json.Unmarshal([]byte(value), &s) != nil {
		return ""
	}
	return s
}

var integer = regexp.MustCompile(`^-?\d+$`)

// audienceOf reads an audience, and reports whether it is one that names something, or is an exception.
func audienceOf(text string, a *hub.Audience, depth int) bool {
	fields := membersOf(text)
	if fields == nil {
		return false
	}
	named := depth > 0
	for name, value := range fields {
		var list []json.RawMessage
		null := value == "null"
		into := map[string]*[]string{"users": &a.Users, "rooms": &a.Rooms, "connections": &a.Connections}[name]
		switch {
		case into != nil:
			if !null && json.Unmarshal([]byte(value), &list) != nil {
				return false
			}
			for _, one := range list {
				s := textOf(string(one))
				switch {
				case one[0] == '"':
				case name == "users" && integer.Match(one):
					s = string(one)
				default:
					return false
				}
				*into = append(*into, s)
			}
			named = named || !null
		case name == "all":
			if a.All = value == "true"; !a.All && value != "false" && !null {
				return false
			}
			named = named || !null
		case name == "except":
			if null {
				continue
			}
			if a.Except = new(hub.Audience); !audienceOf(value, a.Except, depth+1) {
				return false
			}
		default:
			return false
		}
	}
	return named
}

// call makes a call that openapi.json may not describe.
func call(s *Server, path, contentType string, body io.Reader) string {
	r := httptest.NewRequest(http.MethodPost, path, body)
	r.RemoteAddr, r.Host = "127.0.0.1:1", "localhost"
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Body.String()
}

// ways are the ways in: each gives a server all pushes, and returns the answers.
var ways = map[string]func(t *testing.T, o Options, r *rand.Rand, pushes []string) []string{
	"calls": func(t *testing.T, o Options, _ *rand.Rand, pushes []string) (answers []string) {
		s := newServer(t, o)
		for _, one := range pushes {
			answers = append(answers, call(s, "/v1/push", "application/json", strings.NewReader(one)))
		}
		return answers
	},
	"arrays": func(t *testing.T, o Options, r *rand.Rand, pushes []string) (answers []string) {
		s := newServer(t, o)
		for len(pushes) > 0 {
			n := 1
			if valid := func(one string) bool { return utf8.ValidString(one) && json.Valid([]byte(one)) }; valid(pushes[0]) {
				for n < len(pushes) && valid(pushes[n]) && r.IntN(20) > 0 {
					n++
				}
			}
			text := call(s, "/v1/push/batch", "application/json", strings.NewReader("["+strings.Join(pushes[:n], ",")+"]"))
			pushes = pushes[n:]
			var list []json.RawMessage
			if err := json.Unmarshal([]byte(text), &list); err != nil { // one bad one
				answers = append(answers, strings.ReplaceAll(text, "The batch is not one valid JSON array", "The push is not one valid JSON object"))
				continue
			}
			if len(list) != n {
				t.Errorf("%d answers to %d pushes", len(list), n)
			}
			for _, one := range list {
				answers = append(answers, string(one))
			}
		}
		return answers
	},
	"lines": func(t *testing.T, o Options, r *rand.Rand, pushes []string) []string {
		s := newServer(t, o)
		body := &stepReader{strings.NewReader(strings.Join(pushes, pick(r, "\n", "\r\n", "\n \n"))), 1 + r.IntN(3000)}
		return strings.Split(strings.TrimSuffix(call(s, "/v1/push/batch", "application/x-ndjson", body), "\n"), "\n")
	},
	"stream": func(t *testing.T, o Options, r *rand.Rand, pushes []string) (answers []string) {
		_, server := streaming(t, o)
		conn, err := dial(t, server, nil)
		if err != nil {
			t.Fatal(err)
		}
		for len(pushes) > 0 {
			n := min(len(pushes), 1+r.IntN(40))
			if err := wsutil.WriteClientMessage(conn, ws.OpBinary, []byte(strings.Join(pushes[:n], "\n"))); err != nil {
				t.Fatal(err)
			}
			pushes = pushes[n:]
			for range n {
				one, err := wsutil.ReadServerText(conn)
				if err != nil {
					t.Fatal(err)
				}
				answers = append(answers, string(one))
			}
		}
		return answers
	},
}

// The same push is the same by every way in, whatever came before it and comes with it, and what the standard library makes of it.
func TestAlike(t *testing.T) {
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 1))
		pushes := make([]string, 400)
		for i := range pushes {
			pushes[i] = somePush(r)
		}
		var answers []string // to calls
		for _, way := range []string{"calls", "arrays", "lines", "stream"} {
			l := &ledger{}
			got := ways[way](t, Options{Pusher: l, Keeper: l}, r, pushes)
			if len(got) != len(pushes) {
				t.Fatalf("seed %d: %s: %d answers to %d pushes", seed, way, len(got), len(pushes))
			}
			if answers == nil {
				answers = got
			}
			checkEntries(t, l.entries, pushes, got)
			for i := range got {
				if got[i] != answers[i] {
					t.Errorf("seed %d: %q: %s answers %s, but calls %s", seed, pushes[i], way, got[i], answers[i])
				}
			}
			if t.Failed() {
				t.Fatalf("seed %d: %s", seed, way)
			}
		}
	}
}

// checkEntries checks what the hub has been given by what was answered.
func checkEntries(t *testing.T, entries, pushes, answers []string) {
	t.Helper()
	done := map[string]bool{} // by id
	for i, one := range pushes {
		kind, to, event, args, volatile, ok := expected(one)
		var answer struct {
			ID        string
			Code      code
			Duplicate bool
		}
		if err := json.Unmarshal([]byte(answers[i]), &answer); err != nil {
			t.Fatal(err)
		}
		ok = ok && (checkNames(&to) == nil || kind != "count" && done[answer.ID]) // a push that was made before is not looked at
		if ok != (answer.Code == "") {
			t.Errorf("%q is answered %s, want that it is taken: %v", one, answers[i], ok)
		}
		if !ok || kind == "count" {
			continue
		}
		if again := done[answer.ID]; again != answer.Duplicate {
			t.Errorf("%q is answered %s, want that it is a duplicate: %v", one, answers[i], again)
		}
		if done[answer.ID] = answer.ID != "new"; answer.Duplicate {
			continue
		}
		want := entryOf(kind, &to, event, args, volatile)
		if len(entries) == 0 || entries[0] != want {
			t.Fatalf("%q: the hub is given %.1q, want %q", one, entries, want)
		}
		entries = entries[1:]
	}
	if len(entries) > 0 {
		t.Errorf("the hub is given more: %q", entries)
	}
}
