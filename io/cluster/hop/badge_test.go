package hop

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestBadge(t *testing.T) {
	now := time.Now()
	secret, old := []byte("present"), []byte("before")
	made := badge{
		kind: Visit, to: "abcdef", at: now, peer: "203.0.113.7:4711", extra: `{"a":"b c"}`,
		from: "ghijkl", number: 4711, body: sha256.Sum256([]byte("packets")),
	}
	request := func(header ...string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "http://shop.example/socket.io/?sid=x&t=1", nil)
		r.Header["Crier-Hop"] = header
		return r
	}
	sign := func(b badge, secret []byte) string {
		r := request()
		return b.sign(secret, r.Method, r.Host, r.RequestURI)
	}
	good := sign(made, secret)
	for name, key := range map[string][]byte{"the present secret": secret, "the one before": old} {
		got, err := check([][]byte{secret, old}, request(sign(made, key)), now)
		if err != nil || got.kind != made.kind || got.to != made.to || got.peer != made.peer || got.extra != made.extra ||
			got.from != made.from || got.number != made.number || got.body != made.body {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	empty := made
	empty.extra = ""
	if got, err := check([][]byte{secret}, request(sign(empty, secret)), now); err != nil || got.extra != "" {
		t.Errorf("nothing besides: %+v, %v", got, err)
	}
	for name, test := range map[string]struct {
		r    *http.Request
		at   time.Time
		want error
	}{
		"another secret": {request(sign(made, []byte("guessed"))), now, errBadge},
		"no secret":      {request(sign(made, nil)), now, errBadge},
		"another kind":   {request(strings.Replace(good, "visit", "call", 1)), now, errBadge},
		"another server": {request(strings.Replace(good, "abcdef", "abcdeg", 1)), now, errBadge},
		"another peer":   {request(strings.Replace(good, "203.0.113.7", "127.0.0.1", 1)), now, errBadge},
		"another origin": {request(strings.Replace(good, "ghijkl", "ghijkm", 1)), now, errBadge},
		"another number": {request(strings.Replace(good, " 4711 ", " 4712 ", 1)), now, errBadge},
		"no number":      {request(strings.Replace(good, " 4711 ", " x ", 1)), now, errBadge},
		"too old":        {request(good), now.Add(maxSkew + time.Second), errClock},
		"too young":      {request(good), now.Add(-maxSkew - time.Second), errClock},
		"two":            {request(good, good), now, errBadge},
		"empty":          {request(""), now, errBadge},
		"words missing":  {request("visit abcdef"), now, errBadge},
		"no base64":      {request(strings.Repeat("! ", 8) + "!"), now, errBadge},
		"another method": {func() *http.Request { r := request(good); r.Method = http.MethodGet; return r }(), now, errBadge},
		"another host":   {func() *http.Request { r := request(good); r.Host = "bank.example"; return r }(), now, errBadge},
		"another path":   {func() *http.Request { r := request(good); r.RequestURI += "&x"; return r }(), now, errBadge},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := check([][]byte{secret}, test.r, test.at); !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
			if _, err := check(nil, test.r, test.at); err == nil {
				t.Error("good for who has no secret")
			}
		})
	}
}

// FuzzBadge: what the fields of a badge are read as is written as the same badge, and is signed so.
func FuzzBadge(f *testing.F) {
	f.Add(badge{kind: Visit, to: "abcdef", at: time.UnixMilli(1770000000000), peer: "203.0.113.7:4711", extra: `{"a":"b c"}`, from: "ghijkl", number: 4711}.fields())
	f.Add(badge{kind: Nudge, at: time.UnixMilli(-1)}.fields())
	f.Add("a b +1 c . d 007 " + strings.Repeat("A", 42) + "B")
	secret := []byte("present")
	f.Fuzz(func(t *testing.T, text string) {
		words := strings.Split(text, " ")
		if len(words) != 8 {
			return
		}
		made, err := parseFields(words)
		if err != nil {
			return
		}
		if again, err := parseFields(strings.Split(made.fields(), " ")); err != nil || again != made {
			t.Fatalf("%q is read as %+v, and that as %+v, %v", text, made, again, err)
		}
		r := httptest.NewRequest(http.MethodPost, "http://shop.example/socket.io/?sid=x&t=1", nil)
		r.Header["Crier-Hop"] = []string{made.sign(secret, r.Method, r.Host, r.RequestURI)}
		if got, err := check([][]byte{secret}, r, made.at); err != nil || got != made {
			t.Errorf("%q is signed as %q, and that read as %+v, %v", text, r.Header["Crier-Hop"], got, err)
		}
		r.RequestURI += "2"
		if got, err := check([][]byte{secret}, r, made.at); err == nil {
			t.Errorf("%q is taken for another request, as %+v", r.Header["Crier-Hop"], got)
		}
	})
}
