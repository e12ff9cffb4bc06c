package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"":                    "",
		"plain":               "plain",
		`<a href="x">'&'</a>`: "&lt;a href=&quot;x&quot;&gt;&#039;&amp;&#039;&lt;/a&gt;",
		"&amp;":               "&amp;amp;",
		"中文é😀":                "中文é😀",
		"\xff<":               "\uFFFD&lt;",
		"\xe4\xb8<":           "\uFFFD&lt;",
		"\xed\xa0\x80":        "\uFFFD",
		"\xc0\x80":            "\uFFFD\uFFFD",
		"\u2028\x00":          "\u2028\x00",
	} {
		if got := string(appendEscaped(nil, []byte(in))); got != want {
			t.Errorf("escaping %q gives %q, want %q", in, got, want)
		}
	}
}

func TestEscapeVectors(t *testing.T) {
	file, err := os.ReadFile("testdata/htmlspecialchars.txt")
	if err != nil {
		t.Fatal(err)
	}
	vectors := lines(string(file))
	if len(vectors) < 500 {
		t.Fatalf("only %d vectors", len(vectors))
	}
	for _, line := range vectors {
		in, want, _ := strings.Cut(line, "\t")
		compareEscaped(t, unbase64(t, in), unbase64(t, want))
	}
}

func TestEscapeAsPHP(t *testing.T) {
	const seed = 2121
	random := rand.New(rand.NewPCG(seed, seed))
	// Bytes where the behaviour changes, so that short random strings meet every case.
	edges := []byte("\x00\"&'<>a\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xdf\xe0\xe1\xec\xed\xee\xef\xf0\xf1\xf3\xf4\xf5\xff")
	var strs [][]byte
	for len(strs) < 500 {
		s := make([]byte, 1+random.IntN(24))
		for i := range s {
			s[i] = byte(random.Uint32())
			if random.IntN(4) > 0 {
				s[i] = edges[random.IntN(len(edges))]
			}
		}
		strs = append(strs, s)
	}
	for _, a := range edges { // and every sequence of three of them
		for _, b := range edges {
			for _, c := range edges {
				strs = append(strs, []byte{a, b, c})
			}
		}
	}
	var stdin strings.Builder
	for _, s := range strs {
		stdin.WriteString(base64.StdEncoding.EncodeToString(s) + "\n")
	}
	out := lines(php(t, stdin.String(), "-n", "testdata/htmlspecialchars.php", "-i"))
	if len(out) != len(strs) {
		t.Fatalf("php answered %d lines to %d strings", len(out), len(strs))
	}
	for i, s := range strs {
		compareEscaped(t, s, unbase64(t, out[i]))
	}
}

func compareEscaped(t *testing.T, in, want []byte) {
	t.Helper()
	if got := appendEscaped(nil, in); !bytes.Equal(got, want) {
		t.Errorf("escaping %q gives %q, PHP %q", in, got, want)
	}
}

func unbase64(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestJSONString(t *testing.T) {
	for in, want := range map[string]string{
		"":                    `""`,
		"a\"\\\n\r\t\x01\x1f": `"a\"\\\n\r\t\u0001\u001f"`,
		"<&>\u2028\x7f中😀/":    "\"<&>\u2028\x7f中😀/\"",
	} {
		if got := string(appendJSONString(nil, []byte(in))); got != want {
			t.Errorf("%q as JSON is %s, want %s", in, got, want)
		}
	}
}

func FuzzEscape(f *testing.F) {
	f.Add([]byte("<a href='x'>&\"</a>"))
	f.Add([]byte("\xf0\x9f\x98\xe4\xb8\xed\xa0\x80\x00\\"))
	f.Fuzz(func(t *testing.T, in []byte) {
		out := appendEscaped([]byte("before"), in)[len("before"):]
		if !utf8.Valid(out) {
			t.Fatalf("%q becomes %q, which is not UTF-8", in, out)
		}
		if bytes.ContainsAny(out, `<>"'`) {
			t.Fatalf("%q becomes %q, with a raw character", in, out)
		}
		var back string
		if err := json.Unmarshal(appendJSONString(nil, out), &back); err != nil || back != string(out) {
			t.Fatalf("%q does not survive JSON: %q, %v", out, back, err)
		}
		if utf8.Valid(in) {
			entities := strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&#039;", "'", "&amp;", "&")
			if plain := entities.Replace(string(out)); plain != string(in) {
				t.Fatalf("%q becomes %q, which means %q", in, out, plain)
			}
		}
	})
}
