package api

import (
	"net/http"
	"net/netip"
	"strings"
)

// peer returns the address that q comes from: that of the connection or, when that one is a trusted proxy, the
// rightmost in X-Forwarded-For that is not. It is the zero Addr, in no network, when there is no telling.
func (r *rules) peer(q *http.Request) netip.Addr {
	peer := address(q.RemoteAddr)
	lines := q.Header["X-Forwarded-For"]
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			if !within(r.proxies, peer) {
				return peer
			}
			var last string
			rest, last, more = cutLast(rest)
			peer = address(strings.TrimSpace(last))
		}
	}
	return peer
}

// cutLast splits a comma-separated list before its last element; more says whether any are left.
func cutLast(list string) (rest, last string, more bool) {
	if i := strings.LastIndexByte(list, ','); i >= 0 {
		return list[:i], list[i+1:], true
	}
	return "", list, false
}

// address reads an IP address with or without a port, as proxies write it. IPv4 in IPv6 becomes IPv4, and a zone is
// dropped. It is the zero Addr for anything else.
func address(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		s = s[1 : len(s)-1]
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// within says whether a is in one of the networks.
func within(networks []netip.Prefix, a netip.Addr) bool {
	for _, n := range networks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// show returns a for a sentence.
func show(a netip.Addr) string {
	if !a.IsValid() {
		return "an unknown address"
	}
	return a.String()
}
