package fallback

import (
	"encoding/json"
	"errors"
	"math"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"crier/io/engineio"
)

func TestParseForm(t *testing.T) {
	for in, want := range map[string]string{
		"d=4hello":                         "4hello",
		"d=":                               "",
		"d":                                "",
		"d=a=b":                            "a=b",
		"d=a+b%20c%2B%26%3d%3D":            "a b c+&==",
		"x=1&d=y&z":                        "y",
		"&&d=y&":                           "y",
		"x=%zz&d=y":                        "y", // another field's business
		"d=%E4%B8%AD%e6%96%87":             "中文",
		"d=%00%FF":                         "\x00\xff",
		`d=a\nb`:                           "a\nb",
		`d=a\\nb`:                          `a\nb`,
		`d=a\\\nb`:                         `a\\nb`,
		`d=\\\\\n\n\\n`:                    `\\\\n` + "\n" + `\n`,
		`d=\n\n`:                           "\n\n",
		`d=n\N\tn\`:                        `n\N\tn\`,
		"d=%5C%6E%5c%5cn":                  "\n" + `\n`,
		"d=a;d=b":                          "a;d=b",
		"d=%2525":                          "%25",
		"d=" + strings.Repeat("%41", 1000): strings.Repeat("A", 1000),
	} {
		got, err := parseForm([]byte(in))
		if err != nil || string(got) != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "&", "=d", "D=1", "dd=1", "%64=1", "+d=1", "d[]=1", "d=1&d=2", "d=1&d", "d=%", "d=%4", "d=a%4g", "d=%g4", "d=%%41", "d=\\%", "x=d"} {
		if got, err := parseForm([]byte(in)); !errors.Is(err, engineio.ErrParse) {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

func TestFormLimit(t *testing.T) {
	for limit, want := range map[int64]int64{
		0: 2, 1: 6, 1_000_000: 4_000_002,
		math.MaxInt64 / 4: math.MaxInt64 - 1, math.MaxInt64/4 + 1: math.MaxInt64, math.MaxInt64: math.MaxInt64,
		math.MaxInt64/4 - 1: math.MaxInt64 - 5,
	} {
		if got := formLimit(limit); got != want {
			t.Errorf("formLimit(%d) = %d, want %d", limit, got, want)
		}
	}
}

// slowParseForm is parseForm from the standard library and the expressions
// that the Node server uses.
func slowParseForm(body string) (payload string, ok bool) {
	var values []string
	for field := range strings.SplitSeq(body, "&") {
		if name, value, _ := strings.Cut(field, "="); name == "d" {
			values = append(values, value)
		}
	}
	if len(values) != 1 {
		return "", false
	}
	payload, err := url.QueryUnescape(values[0])
	if err != nil {
		return "", false
	}
	payload = regexp.MustCompile(`(\\)?\\n`).ReplaceAllStringFunc(payload, func(m string) string {
		if len(m) > 2 {
			return m
		}
		return "\n"
	})
	return strings.ReplaceAll(payload, `\\n`, `\n`), true
}

// clientForm is what a client makes of a payload.
func clientForm(payload string) string {
	payload = strings.ReplaceAll(payload, `\n`, "\\\n")
	return "d=" + url.QueryEscape(strings.ReplaceAll(payload, "\n", `\n`))
}

// What is read from a form is what another reader reads, and, put into a form
// again, is read again, which is not larger than it may be.
func FuzzParseForm(f *testing.F) {
	for _, seed := range []string{
		"d=4hello", "d=26%3A420%5B%22echo%22%2C%22%C3%A4%C2%B8%C2%AD%22%5D", `d=a\nb\\nc\\\nd`, "d=a+b%2B&x=%zz",
		"d=1&d=2", "d=%", "d=%4", "&=&d", "d=%5C%0A", "d=%0Dn%5C",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		want, ok := slowParseForm(string(body))
		got, err := parseForm(append([]byte(nil), body...))
		if (err == nil) != ok || string(got) != want || err != nil && !errors.Is(err, engineio.ErrParse) {
			t.Fatalf("%q: %q, %v; want %q, %v", body, got, err, want, ok)
		}
		if err != nil || strings.Contains(want, "\\\n") { // the one thing that the clients' escaping loses
			return
		}
		again := clientForm(want)
		if n := int64(len(again)); n > formLimit(int64(len(want))) {
			t.Errorf("%q: a form of %d bytes", want, n)
		}
		if got, err := parseForm([]byte(again)); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v; want %q", again, got, err, want)
		}
	})
}

// Whatever the text, the string is ASCII, harmless in HTML, and means the text.
func FuzzAppendString(f *testing.F) {
	for _, seed := range []string{"4hello", "中文é😀\u2028\u2029", "</script><!--&", `"\` + "\x00\x7f\r\n", "\xff\xed\xa0\x80"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := appendString([]byte("x"), text)
		for _, c := range got {
			if c < ' ' || c > '~' || strings.IndexByte("<>&", c) >= 0 {
				t.Fatalf("%q has %q", got, c)
			}
		}
		var back string
		if err := json.Unmarshal(got[1:], &back); err != nil || got[0] != 'x' {
			t.Fatalf("%q: %v", got, err)
		}
		want := string([]rune(string(text))) // an invalid byte becomes U+FFFD
		if back != want || utf8.Valid(text) && back != string(text) {
			t.Errorf("%q means %q, want %q", got, back, want)
		}
	})
}
