package fallback

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// readBlock reads a block of an event stream as the HTML Standard says (section
// 9.2.6, "Interpreting an event stream").
func readBlock(t *testing.T, block string) (id, event, data string) {
	t.Helper()
	body, ok := strings.CutSuffix(block, "\n\n")
	if !ok {
		t.Fatalf("%q does not end with an empty line", block)
	}
	lines := strings.FieldsFunc(body, func(r rune) bool { return r == '\n' || r == '\r' })
	var all []string
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			id = value
		case "event":
			event = value
		case "data":
			all = append(all, value)
		default:
			t.Fatalf("%q has a line %q", block, line)
		}
	}
	return id, event, strings.Join(all, "\n")
}

// allValid reports whether all are UTF-8, as messages are.
func allValid(list ...string) bool {
	return !slices.ContainsFunc(list, func(s string) bool { return !utf8.ValidString(s) })
}

func FuzzEventBlock(f *testing.F) {
	for _, s := range []string{"", "a", "\n", "\r\n\r", " a: b\n\ndata: c", "\x00", "é\u2028😀", ":"} {
		f.Add(s, s, s)
	}
	breaks := strings.NewReplacer("\r\n", "\n", "\r", "\n")
	blanks := strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ")
	f.Fuzz(func(t *testing.T, id, event, content string) {
		if !allValid(id, event, content) {
			t.Skip()
		}
		arg, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		w := &wire{id: id, event: event, args: []json.RawMessage{arg}}
		want := "[" + string(arg) + "]"
		if event == "new_msg" {
			want = breaks.Replace(content)
		}
		gotID, gotEvent, data := readBlock(t, string(w.form(formEvent)))
		if gotID != blanks.Replace(id) || gotEvent != blanks.Replace(event) || data != want {
			t.Errorf("%q: got %q, %q, %q", w.form(formEvent), gotID, gotEvent, data)
		}
		w = &wire{event: "new_msg", args: []json.RawMessage{arg}}
		if _, _, data := readBlock(t, string(w.form(formEvent))); data != breaks.Replace(content) {
			t.Errorf("%q as content: got %q", content, data)
		}
	})
}

func FuzzForms(f *testing.F) {
	f.Add("m1", "new_msg", `"é😀</script>\u2028"`)
	f.Add("", "a\"b\\", "\n{ \"x\": [1, null] }")
	f.Fuzz(func(t *testing.T, id, event, arg string) {
		if !allValid(id, event, arg) || !json.Valid([]byte(arg)) {
			t.Skip()
		}
		w := &wire{id: id, event: event, args: []json.RawMessage{json.RawMessage(arg)}, ack: 7}
		var got struct {
			ID, Event string
			Args      []json.RawMessage
			Ack       int
		}
		text := w.form(formText)
		if err := json.Unmarshal(text, &got); err != nil || got.ID != id || got.Event != event || got.Ack != 7 ||
			len(got.Args) != 1 || string(got.Args[0]) != strings.Trim(arg, " \t\r\n") {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
		line := w.form(formSockLine)
		var texts []string
		if err := json.Unmarshal(line[1:], &texts); err != nil || len(texts) != 1 || texts[0] != string(text) {
			t.Errorf("%q: %q, %v", line, texts, err)
		}
		for _, c := range line {
			if c >= utf8.RuneSelf {
				t.Fatalf("%q is not in ASCII", line)
			}
		}
	})
}

func FuzzStatement(f *testing.F) {
	for _, s := range []string{`{"event":"e","args":[1],"ack":"a"}`, `{"ack":1}`, `{}`, `[]`, ``, `{"event":"e","ack":{}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseStatement(text)
		if err != nil {
			if r := reasonOf(err); r.Code != "bad_message" || r.close() != 4400 {
				t.Errorf("%q is refused with %+v", text, r)
			}
			return
		}
		for _, arg := range s.Args {
			if !json.Valid(arg) {
				t.Errorf("%q has the argument %q", text, arg)
			}
		}
		if s.Ack != nil && !json.Valid(ackWire(s.Ack, s.Args).form(formText)) {
			t.Errorf("%q is answered %q", text, ackWire(s.Ack, s.Args).form(formText))
		}
	})
}

func FuzzCallback(f *testing.F) {
	for _, s := range []string{"f", "a.b_1.$", "", "a..b", "1", "é", "alert(1)", strings.Repeat("a", 129)} {
		f.Add(s)
	}
	valid := regexp.MustCompile(`^[A-Za-z_$][0-9A-Za-z_$]*(\.[A-Za-z_$][0-9A-Za-z_$]*)*$`)
	f.Fuzz(func(t *testing.T, name string) {
		if got := validCallback(name); got != (len(name) <= 128 && valid.MatchString(name)) {
			t.Errorf("%q: %v", name, got)
		}
	})
}
