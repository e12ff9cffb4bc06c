package engineio

import (
	"net/url"
	"strings"
	"testing"
)

// FuzzQuery compares with net/url.
func FuzzQuery(f *testing.F) {
	for _, raw := range []string{
		"", "EIO=4&transport=polling&t=abc&sid=x", "j=0&j=1", "a", "a&b=", "=x", "&&", "a=b=c", "sid=%41", "t=a+b", "a;b", "%zz", "a=%", "sid=ä",
		strings.Repeat("a&", 9_999) + "b", strings.Repeat("&", 9_999), strings.Repeat("&", 10_000), strings.Repeat("a=1&", 10_000) + "b",
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		want, wantErr := url.ParseQuery(raw)
		q, err := parseQuery(raw)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: error %v, want %v", raw, err, wantErr)
		}
		if err != nil {
			return
		}
		for name := range want {
			if got, has := q.get(name); got != want.Get(name) || !has {
				t.Fatalf("%q: %s is %q, %v", raw, name, got, has)
			}
		}
		if got, has := q.get("no such name"); got != want.Get("no such name") || has != want.Has("no such name") {
			t.Fatalf("%q: %q, %v", raw, got, has)
		}
	})
}
