package app

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"crier/io/hub"
)

// FuzzUID: the uid that is taken from JSON is the string, or the integer's digits, and nothing else is taken.
func FuzzUID(f *testing.F) {
	for _, text := range []string{`"7"`, `7`, `-0`, `7.0`, `7e1`, `null`, `true`, `""`, `"\u0061"`, `"a\\"`, `"é"`, `"\ud800"`, `"\u0000"`, "\"\u007f\"", `["7"]`, `{}`, `18446744073709551616`, `"` + strings.Repeat("a", 256) + `"`, strings.Repeat("7", 256)} {
		f.Add([]byte(text), "a")
	}
	f.Add([]byte(`"a"`), "a")
	f.Add([]byte(`"\""`), `\"`)
	integer := regexp.MustCompile(`^-?[0-9]+$`)
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		if !json.Valid(data) { // arguments of events are
			t.Skip()
		}
		data = []byte(strings.Trim(string(data), " \t\r\n")) // and have no white space around them
		var want string
		ok := integer.Match(data)
		if ok {
			want = string(data)
		} else if data[0] == '"' {
			ok = json.Unmarshal(data, &want) == nil
		}
		ok = ok && hub.CheckUID(want) == nil
		got, err := parseUID(data)
		if (err == nil) != ok || ok && got != want {
			t.Errorf("%q is read as %q, %v; want %q, %v", data, got, err, want, ok)
		}
		if isUID(data, name) && got != name {
			t.Errorf("%q is read as %q, and is taken for %q", data, got, name)
		}
	})
}

// FuzzPeer: who is on the other side of proxies is the last of those that no proxy is, and no text makes it another one.
func FuzzPeer(f *testing.F) {
	for _, hops := range []string{"", "203.0.113.7", "10.0.0.1, 203.0.113.7,10.0.0.2", "unknown", "[2001:db8::1]:80", "2001:db8::1", "::ffff:10.0.0.1", "fe80::1%eth0, 10.0.0.9:1", " ,10.0.0.1", "[[::1]]", "010.0.0.1", "203.0.113.7\u00a0"} {
		f.Add("10.0.0.3:4711", hops)
		f.Add("203.0.113.9:1", hops)
	}
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, remote, hops string) {
		got := peerOf(remote, http.Header{"X-Forwarded-For": {hops}}, proxies)
		want := parsePeer(remote)
		for rest, more := hops, true; more && proxies[0].Contains(want); {
			i := strings.LastIndexByte(rest, ',')
			want = parsePeer(strings.TrimSpace(rest[i+1:]))
			if more = i >= 0; more {
				rest = rest[:i]
			}
		}
		if got != want {
			t.Errorf("%q behind %q is %v, want %v", hops, remote, got, want)
		}
		if got.Is4In6() || got.Zone() != "" {
			t.Errorf("%q behind %q is %v", hops, remote, got)
		}
		if split := peerOf(remote, http.Header{"X-Forwarded-For": strings.Split(hops, ",")}, proxies); split != got {
			t.Errorf("%q behind %q is %v, and in fields of their own %v", hops, remote, got, split)
		}
		if again := parsePeer(got.String()); again != got {
			t.Errorf("%v is read as %v", got, again)
		}
	})
}
