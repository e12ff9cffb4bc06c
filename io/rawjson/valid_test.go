package rawjson

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// validSeeds are values, and what is nearly one.
func validSeeds() []string {
	deep := func(n int, open, inside, end string) string {
		return strings.Repeat(open, n) + inside + strings.Repeat(end, n)
	}
	return []string{
		`{"to":{"users":["user-1", 2]},"event":"new_msg","data":"text"}`, ` [ 1 , {"a":[]} , { } ] `, "\t\r\n1\t\r\n",
		`{"a":1,"b":[2],"c":3}`, ` { "\u0061" : {"x":1} , "b" : "}" } `, `{"a":1,"b":2,"c":}`,
		`"\"\\\/\b\f\n\r\t\u12aF"`, `"中文é😀"`, `0`, `-0`, `-1.25e+10`, `1E-2`, `0.5`, `true`, `false`, `null`, `""`, `[]`, `{}`,
		``, ` `, `"`, `"\`, `"\"`, `"\x"`, `"\u12g4"`, `"\u123"`, `"\u123`, "\"\x00\"", "\"\x1f\"", "\"\x7f\"", "\"\xff\"", "\"\xed\xa0\x80\"", "\"\xe4\xb8\"",
		`-`, `01`, `1.`, `.5`, `1e`, `1e+`, `+1`, `--1`, `0x1`, `1 2`, `tru`, `truex`, `nul`, `TRUE`,
		`[`, `]`, `[1`, `[1,`, `[1,]`, `[,1]`, `[1 2]`, `[1}`, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{"a" 1}`, `{a:1}`, `{1:1}`, `{"a":1]`, `{"a":1 "b":2}`, `{,}`, `{]`, `[}`,
		"\ufeff1", "1\x00", "[\v1]", "\u00a01", `{"a":1}{`, `"a""b"`,
		deep(maxDepth, "[", "", "]"), deep(maxDepth+1, "[", "", "]"), deep(maxDepth, "[", "1", "]"), deep(maxDepth+1, "[", "1", "]"),
		deep(maxDepth, `{"a":`, "{}", "}"), deep(maxDepth-1, `{"a":`, "{}", "}"), deep(maxDepth, `{"a":`, "1", "}"), deep(maxDepth+1, `{"a":`, "1", "}"),
		deep(1<<20, "[", "", ""),
	}
}

func checkValid(t *testing.T, b []byte) {
	t.Helper()
	checkMembers(t, b)
	valid := json.Valid(b) && utf8.Valid(b)
	if got := Valid(b); got != valid {
		t.Errorf("%.80q: %v, want %v", b, got, valid)
	}
	var want []json.RawMessage
	isArray := valid && bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("[")) && json.Unmarshal(b, &want) == nil
	got, ok := AppendElements(nil, b)
	if ok != isArray {
		t.Errorf("%.80q: it is an array: %v, want %v", b, ok, isArray)
	}
	if ok && !slices.EqualFunc(got, want, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
		t.Errorf("%.80q: elements %q, want %q", b, got, want)
	}
}

// checkMembers compares with what the standard library's decoder comes to.
func checkMembers(t *testing.T, b []byte) {
	t.Helper()
	valid := json.Valid(b) && utf8.Valid(b)
	isObject := valid && bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("{"))
	list, ok := AppendMembers(make([]Member, 0, 2), b)
	if ok != isObject {
		t.Fatalf("%.80q: it is an object: %v, want %v", b, ok, isObject)
	}
	if !ok {
		return
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; d.More(); n++ {
		name, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		var want, got json.RawMessage
		if err := d.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if n >= cap(list) {
			continue
		}
		var gotName string
		if n < len(list) {
			got = list[n].Value
			if err := json.Unmarshal(list[n].Name, &gotName); err != nil {
				t.Errorf("%.80q: name %d: %v", b, n, err)
			}
		}
		if gotName != name || !bytes.Equal(got, want) {
			t.Errorf("%.80q: member %d: %q %q, want %q %q", b, n, gotName, got, name, want)
		}
	}
	if want := min(n, 2); len(list) != want {
		t.Errorf("%.80q: %d members, want %d", b, len(list), want)
	}
}

func TestValid(t *testing.T) {
	for _, one := range validSeeds() {
		checkValid(t, []byte(one))
		for cut := range min(len(one), 100) {
			checkValid(t, []byte(one[:cut]))
		}
	}
}

// FuzzValid looks for what is taken otherwise than by the standard library.
func FuzzValid(f *testing.F) {
	for _, one := range validSeeds() {
		f.Add([]byte(one))
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkValid(t, b) })
}

// BenchmarkValid measures a push against the standard library.
func BenchmarkValid(b *testing.B) {
	push := []byte(`{"to":{"users":["user-1234"]},"event":"new_msg","data":"` + strings.Repeat("x", 100) + `"}`)
	for _, c := range []struct {
		name  string
		valid func([]byte) bool
	}{
		{"ours", Valid},
		{"standard", func(b []byte) bool { return json.Valid(b) && utf8.Valid(b) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if !c.valid(push) {
					b.Fatal("not valid")
				}
			}
		})
	}
}
