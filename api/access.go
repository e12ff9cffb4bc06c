package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Access says who may call the push port. The slices are copied.
type Access struct {
	// Keys are the right keys (api.keys). A caller with one passes from anywhere, under any Host; a caller with
	// another is refused from anywhere. With no Keys, keys that callers send are not looked at.
	Keys []string

	// Limited are right keys, too, that may not do everything (api.keys).
	Limited []Key

	// Allow are the networks whose peers may call without a key (api.allow). With neither Keys nor Allow, loopback
	// peers may, unless the request shows that a proxy passed it on.
	Allow []netip.Prefix

	// Hosts are names accepted in Host besides IP literals and localhost, from callers without a key (api.hosts).
	Hosts []string

	// TrustedProxies are the networks whose X-Forwarded-For is believed (trusted_proxies).
	TrustedProxies []netip.Prefix
}

// rules is Access made ready for use. It never changes.
type rules struct {
	keys    []holder
	allow   []netip.Prefix
	hosts   map[string]struct{}
	proxies []netip.Prefix
	anybody *caller // who has a key without limits, or may call without one
}

// holder returns who has the key with that hash, or nil.
func (r *rules) holder(sum [sha256.Size]byte) *caller {
	if r == nil {
		return nil
	}
	var found *caller
	for i := range r.keys { // all of them, so that the time tells nothing
		if subtle.ConstantTimeCompare(sum[:], r.keys[i].sum[:]) == 1 {
			found = r.keys[i].caller
		}
	}
	return found
}

// holder is a key and who has it.
type holder struct {
	sum    [sha256.Size]byte
	caller *caller
}

// newRules checks and copies a. old, which may be nil, are the rules before.
func newRules(a Access, old *rules) (*rules, error) {
	r := &rules{hosts: make(map[string]struct{}, len(a.Hosts)), anybody: &caller{rights: allRights}}
	for i, k := range a.Keys {
		if k == "" {
			return nil, fmt.Errorf("api.keys: entry %d is empty", i+1)
		}
		r.keys = append(r.keys, holder{sum: sha256.Sum256([]byte(k)), caller: r.anybody})
	}
	for i, k := range a.Limited {
		if k.Key == "" {
			return nil, fmt.Errorf("api.keys: limited entry %d is empty", i+1)
		}
		sum := sha256.Sum256([]byte(k.Key))
		if r.holder(sum) != nil {
			return nil, fmt.Errorf("api.keys: limited entry %d has the key of another entry", i+1)
		}
		c, err := newCaller(k, sum, old.holder(sum))
		if err != nil {
			return nil, fmt.Errorf("api.keys: limited entry %d: %w", i+1, err)
		}
		r.keys = append(r.keys, holder{sum: sum, caller: c})
	}
	for _, h := range a.Hosts {
		name := hostname(h)
		if name == "" || strings.ContainsAny(name, "/* ") {
			return nil, fmt.Errorf("api.hosts: %q is not a host name", h)
		}
		r.hosts[name] = struct{}{}
	}
	var err error
	if r.allow, err = networks(a.Allow); err != nil {
		return nil, fmt.Errorf("api.allow: %w", err)
	}
	if r.proxies, err = networks(a.TrustedProxies); err != nil {
		return nil, fmt.Errorf("trusted_proxies: %w", err)
	}
	return r, nil
}

// credential is what a request's keys came to.
type credential uint8

const (
	noKey credential = iota
	wrongKey
	rightKey
)

// shown is what the keys of a request came to.
type shown struct {
	credential
	caller *caller  // of a right key
	wrong  []string // unless one is right
}

// credentials looks at the keys that a request has. One right key is enough. Empty is no key; with no keys set, any is.
func (r *rules) credentials(keys ...string) shown {
	var s shown
	for _, key := range keys {
		if key == "" || len(r.keys) == 0 {
			continue
		}
		if c := r.holder(sha256.Sum256([]byte(key))); c != nil {
			return shown{credential: rightKey, caller: c}
		}
		s.credential = wrongKey
		s.wrong = append(s.wrong, key)
	}
	return s
}

// inHeader returns the keys in q's header, empty where there is none.
func inHeader(q *http.Request) (authorization, apiKey string) {
	return bearer(first(q.Header["Authorization"])), first(q.Header["X-Api-Key"])
}

// first returns what [http.Header.Get] does of a field, whose name need not be made the usual one here.
func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// judge says why the keys that q showed do not count: they are wrong, or too many were. No key is no reason.
func (s *Server) judge(q *http.Request, access *rules, k shown) *problem {
	if k.credential == noKey {
		return nil
	}
	if wait := s.throttle.admit(access.peer(q), k.wrong); wait > 0 {
		return &problem{
			kind: tooMany, code: codeManyAttempts, retry: wait,
			text: "Too many wrong keys came from this address: wait, and send one of api.keys.",
		}
	}
	if k.credential == wrongKey {
		return errWrongKey()
	}
	return nil
}

// bearer returns the token of an Authorization header (RFC 6750, section 2.1), or "" if it has none.
func bearer(authorization string) string {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// errWrongKey is the answer to a wrong key.
func errWrongKey() *problem {
	p := forbid("The key is not one of api.keys: send one of those, or send none from an address in api.allow.")
	p.code = codeWrongKey
	return p
}

// byAddress says whether q may call without a key: nil, or why not.
func (r *rules) byAddress(q *http.Request) *problem { return r.byAddressIf(q, fromBrowser) }

// byAddressIf is byAddress with another guard against browsers.
func (r *rules) byAddressIf(q *http.Request, guard func(q *http.Request, hosts map[string]struct{}) *problem) *problem {
	peer := r.peer(q)
	switch {
	case within(r.allow, peer):
		return guard(q, r.hosts)
	case len(r.keys) > 0 || len(r.allow) > 0:
		return forbid(fmt.Sprintf("Calls from %s need a key of api.keys, as \"Authorization: Bearer KEY\", "+
			"\"X-Api-Key: KEY\" or key=KEY; or put that address in api.allow.", show(peer)))
	case !peer.IsLoopback():
		return forbid(fmt.Sprintf("Only this machine may call, and not %s, until api.keys or api.allow is set.", show(peer)))
	}
	if name := forwardedBy(q.Header); name != "" {
		return forbid(fmt.Sprintf("The call came through a proxy, as its %s header shows: "+
			"set api.keys and send a key, or set trusted_proxies and api.allow.", name))
	}
	return guard(q, r.hosts)
}

// forwardedBy returns the name of a header that only a proxy adds, or "" if there is none.
//
// X-Real-IP is no standard, but it is the one header that many nginx configurations add.
func forwardedBy(h http.Header) string {
	const prefix = "X-Forwarded-"
	for name := range h {
		if name == "Forwarded" || name == "Via" || name == "X-Real-Ip" ||
			len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
			return name
		}
	}
	return ""
}

// fromBrowser guards a caller without a key against being a browser that somebody else's page drives: the page could
// have rebound its own name to our address, post a form, or load an image.
func fromBrowser(q *http.Request, hosts map[string]struct{}) *problem {
	if refused := fromElsewhere(q, hosts); refused != nil || !strings.HasPrefix(first(q.Header["User-Agent"]), "Mozilla/") {
		return refused
	}
	return fromSite(q.Header.Get("Sec-Fetch-Site"))
}

// fromElsewhere looks at what every browser says: the name in the address, and the page's origin.
func fromElsewhere(q *http.Request, hosts map[string]struct{}) *problem {
	host := hostname(q.Host)
	if _, listed := hosts[host]; !listed && host != "localhost" {
		if _, err := netip.ParseAddr(host); err != nil {
			return forbid(fmt.Sprintf("The Host %.100q is neither an IP address, nor localhost, nor in api.hosts: "+
				"add it there, or send a key of api.keys.", q.Host))
		}
	}
	for _, origin := range q.Header["Origin"] {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || hostname(u.Host) != host {
			return forbid(fmt.Sprintf("The page of origin %.100q may not call %.100q: send a key of api.keys.", origin, q.Host))
		}
	}
	return nil
}

// fromSite looks at what a browser says of where its page is from.
func fromSite(site string) *problem {
	switch site {
	case "same-origin", "same-site", "none":
		return nil
	default:
		return forbid(fmt.Sprintf("Browsers may call only from a page of this host (Sec-Fetch-Site is %.20q): "+
			"send a key of api.keys.", site))
	}
}

// hostname returns the name or address in a Host header, in lower case, without port, brackets and final dot; a port that is none stays.
func hostname(host string) string {
	if strings.HasPrefix(host, "[") {
		inside, port, closed := strings.Cut(host[1:], "]")
		if !closed || strings.Trim(strings.TrimPrefix(port, ":"), "0123456789") != "" {
			return ""
		}
		return strings.ToLower(inside)
	}
	if name, port, found := strings.Cut(host, ":"); found && strings.Trim(port, "0123456789") == "" {
		host = name
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// networks returns a copy of list with IPv4 networks written as IPv6 turned back.
func networks(list []netip.Prefix) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, p := range list {
		if !p.IsValid() {
			return nil, errors.New("an entry is not a network")
		}
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}
