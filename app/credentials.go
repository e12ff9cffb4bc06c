package app

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"crier/api/auth"
	"crier/io/hub"
	"crier/io/socketio"
)

var errNoToken = errors.New("the token must be a string")

// offer is what a client says about itself while it joins a namespace: uid and
// token of auth (3.x and 4.x; 1.x and 2.x: of the namespace's query), else of
// the connection's query, else the token of Authorization: Bearer.
func (g *gate) offer(s *socketio.Socket) (auth.Request, error) {
	h := s.Handshake()
	r := g.requestOf(h)
	var err error
	if r.UID, err = offeredUID(s); err != nil {
		return auth.Request{}, err
	}
	var said struct {
		Token json.RawMessage `json:"token"`
	}
	if data := s.Auth(); data != nil && json.Unmarshal(data, &said) == nil && said.Token != nil && string(said.Token) != "null" {
		r.Token, err = parseToken(said.Token)
		return r, err
	}
	if h != nil {
		r.Token = requestToken(h)
	}
	return r, nil
}

// requestToken is the token that the request of a connection brings along, or "".
func requestToken(h *socketio.Handshake) string {
	if token := h.Query.Get("token"); token != "" {
		return token
	}
	return bearer(h.Header.Get("Authorization"))
}

// requestOf is what is known of a client without what it says about itself; h may be nil.
func (g *gate) requestOf(h *socketio.Handshake) auth.Request {
	if h == nil || !g.callback {
		return auth.Request{}
	}
	ip := ""
	if peer := peerOf(h.RemoteAddr, h.Header, g.proof.Load().proxies); peer.IsValid() {
		ip = peer.String()
	}
	return auth.Request{Header: h.Header, Query: h.Query, IP: ip}
}

// vouched reports whether there is anything about a client, besides the uid that
// it claims, by which the business API might know it.
func vouched(r auth.Request) bool {
	if r.Header.Get("Cookie") != "" || r.Header.Get("Authorization") != "" {
		return true
	}
	for name := range r.Query {
		if name != "uid" && !auth.OfTheEngine(name) {
			return true
		}
	}
	return false
}

// parseToken takes a token from JSON: a string that is not empty.
func parseToken(data json.RawMessage) (string, error) {
	var token string
	if err := json.Unmarshal(data, &token); err != nil {
		return "", errNoToken
	}
	if token == "" {
		return "", errTokenRequired
	}
	return token, nil
}

// bearer is the token of an Authorization header (RFC 6750 section 2.1), or "".
func bearer(header string) string {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return textproto.TrimString(token)
}

// peerOf is the address of a client: that of its connection or, when that one
// is a trusted proxy, the rightmost in X-Forwarded-For that is not. It is the
// zero Addr when there is no telling.
func peerOf(remote string, h http.Header, proxies []netip.Prefix) netip.Addr {
	peer := parsePeer(remote)
	hops := strings.Split(strings.Join(h["X-Forwarded-For"], ","), ",")
	if len(h["X-Forwarded-For"]) == 0 {
		return peer
	}
	for _, hop := range slices.Backward(hops) {
		if !slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(peer) }) {
			break
		}
		peer = parsePeer(strings.TrimSpace(hop))
	}
	return peer
}

// parsePeer reads an address with or without a port; IPv4 in IPv6 becomes IPv4.
func parsePeer(text string) netip.Addr {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	a, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// offeredUID is the uid that a client names while it connects: auth.uid (3.x
// and 4.x) or the query's uid. Empty if it names none; null is none.
func offeredUID(s *socketio.Socket) (string, error) {
	var said struct {
		UID json.RawMessage `json:"uid"`
	}
	if data := s.Auth(); data != nil && json.Unmarshal(data, &said) == nil && said.UID != nil && string(said.UID) != "null" {
		return parseUID(said.UID)
	}
	uid, has := s.QueryValue("uid")
	if !has {
		return "", nil
	}
	return uid, hub.CheckUID(uid)
}

// queryUID is the uid that a query names, or "".
func queryUID(query url.Values) (string, error) {
	if !query.Has("uid") {
		return "", nil
	}
	uid := query.Get("uid")
	return uid, hub.CheckUID(uid)
}

// isUID reports whether parseUID takes uid from data, as far as it can be told without memory for another one.
func isUID(data json.RawMessage, uid string) bool {
	return len(data) == len(uid)+2 && data[0] == '"' && string(data[1:len(data)-1]) == uid && plainJSON(uid)
}

// parseUID takes a uid from JSON: a string, or an integer, whose digits it
// becomes. Pages send both for the same user, and fractions are no user.
func parseUID(data json.RawMessage) (string, error) {
	switch {
	case len(data) > 1 && data[0] == '"' && plainJSON(data[1:len(data)-1]):
		uid := string(data[1 : len(data)-1])
		return uid, hub.CheckUID(uid)
	case len(data) > 0 && data[0] == '"':
		var uid string
		if err := json.Unmarshal(data, &uid); err != nil {
			return "", errNoUID
		}
		return uid, hub.CheckUID(uid)
	}
	var number json.Number
	if json.Unmarshal(data, &number) != nil || strings.ContainsAny(number.String(), ".eE") || number == "" {
		return "", errNoUID
	}
	return number.String(), hub.CheckUID(number.String())
}
