package api

import (
	"net/http"
	"testing"
)

func TestPeer(t *testing.T) {
	r, err := newRules(Access{TrustedProxies: prefixes("10.0.0.0/8", "fd00::/8")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, remote string
		forwarded    []string
		want         string
	}{
		{"direct", "192.0.2.1:1", nil, "192.0.2.1"},
		{"direct, with a zone", "[fe80::1%eth0]:1", nil, "fe80::1"},
		{"untrusted sender of the header", "192.0.2.1:1", []string{"198.51.100.1"}, "192.0.2.1"},
		{"trusted proxy", "10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"trusted proxy, IPv6", "[fd00::1]:1", []string{"2001:db8::1"}, "2001:db8::1"},
		{"no header", "10.0.0.1:1", nil, "10.0.0.1"},
		{"forged by the client", "10.0.0.1:1", []string{"127.0.0.1, 198.51.100.1"}, "198.51.100.1"},
		{"chain of proxies", "10.0.0.1:1", []string{"9.9.9.9,198.51.100.1 ,10.0.0.3, 10.0.0.2"}, "198.51.100.1"},
		{"several headers", "10.0.0.1:1", []string{"198.51.100.1", "10.0.0.2"}, "198.51.100.1"},
		{"all trusted", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"with ports", "10.0.0.1:1", []string{"198.51.100.1:99, [fd00::2]:99"}, "198.51.100.1"},
		{"in brackets", "10.0.0.1:1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"IPv4 as IPv6", "10.0.0.1:1", []string{"198.51.100.1, ::ffff:10.0.0.2"}, "198.51.100.1"},
		{"no address", "10.0.0.1:1", []string{"127.0.0.1, unknown"}, "invalid IP"},
		{"an empty header", "10.0.0.1:1", []string{""}, "invalid IP"},
		{"no connection's address", "pipe", []string{"127.0.0.1"}, "invalid IP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := &http.Request{RemoteAddr: c.remote, Header: http.Header{}}
			if c.forwarded != nil {
				q.Header["X-Forwarded-For"] = c.forwarded
			}
			if got := r.peer(q).String(); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
