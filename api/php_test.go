package api

import (
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestPHPCurl lets PHP's curl push in all the ways that callers of web-msg-sender do, the array (multipart) first.
func TestPHPCurl(t *testing.T) {
	if !strings.Contains(php(t, "", "-m"), "\ncurl\n") {
		t.Skip("php has no curl (Debian: php-curl), so there is no client to test with")
	}
	const large = 1 << 20
	h := &fakeHub{online: map[string]int{"u1": 1}}
	server := httptest.NewServer(newServer(t, Options{Pusher: h, MaxBody: 2 * large}))
	defer server.Close()

	const one, two, pushed = "u1", "u1 u2", `"&lt;中文é😀&gt; &amp; &#039;x&#039; &quot;y&quot; = 100%+1"`
	want := []struct{ name, users, answer, argument string }{
		{"array", one, "ok", pushed},
		{"urlencoded", one, "ok", pushed},
		{"query", one, "ok", pushed},
		{"json", one, "ok", pushed},
		{"expect", one, "ok", pushed},
		{"users in an array", two, "ok", pushed},
		{"users urlencoded", two, "ok", pushed},
		{"large", one, "ok", `"` + strings.Repeat("&lt;", large) + `"`},
		{"too large", "", "", ""},
	}
	out := lines(strings.ReplaceAll(php(t, "", "testdata/curl.php", server.URL, strconv.Itoa(large)), "\n\n", "\n"))
	if len(out) != len(want) {
		t.Fatalf("php printed %d lines, want %d:\n%s", len(out), len(want), strings.Join(out, "\n"))
	}
	pushes := h.taken()
	if len(pushes) != len(want)-1 {
		t.Fatalf("%d pushes arrived, want %d:\n%s", len(pushes), len(want)-1, strings.Join(out, "\n"))
	}
	for i, c := range want {
		if c.answer == "" {
			if !strings.HasPrefix(out[i], c.name+"\t413\t") || !strings.Contains(out[i], "api.max_body") {
				t.Errorf("got %q, want a 413", out[i])
			}
			continue
		}
		if out[i] != c.name+"\t200\t"+c.answer {
			t.Errorf("got %q, want %s", out[i], c.answer)
		}
		p := pushes[i]
		if !slices.Equal(p.To.Users, strings.Split(c.users, " ")) || string(p.Message.Args[0]) != c.argument {
			t.Errorf("%s: pushed %.80s to %q", c.name, p.Message.Args[0], p.To.Users)
		}
	}
}
