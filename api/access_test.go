package api

import (
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// header returns a change of a request: names and values in turn. Host and Peer are not headers, but stand for the
// request's Host and the address that it comes from.
func header(pairs ...string) func(*http.Request) {
	return func(r *http.Request) {
		for i := 0; i < len(pairs); i += 2 {
			switch name, value := pairs[i], pairs[i+1]; name {
			case "Host":
				r.Host = value
			case "Peer":
				r.RemoteAddr = value
			default:
				r.Header.Add(name, value)
			}
		}
	}
}

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

const (
	stranger = "203.0.113.9:5000"
	chrome   = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36"
)

// accessCase is a call of the legacy form and whether it passes. refusal is "", or a part of the 403's text.
type accessCase struct {
	name    string
	access  Access
	query   string // besides the push
	body    string // urlencoded, instead of the query
	headers []string
	refusal string
}

func (c accessCase) run(t *testing.T) {
	t.Helper()
	s := newServer(t, Options{Access: c.access})
	method, target := http.MethodGet, "/?type=publish&to=u1&content=x"+c.query
	if c.body != "" {
		method, target = http.MethodPost, "/?"+strings.TrimPrefix(c.query, "&")
	}
	w := do(s, method, target, "application/x-www-form-urlencoded", c.body, header(c.headers...))
	if c.refusal == "" {
		if w.Code != 200 || w.Body.String() != "ok" {
			t.Errorf("got %d %q, want ok", w.Code, w.Body)
		}
		return
	}
	if w.Code != 403 || !strings.Contains(w.Body.String(), c.refusal) {
		t.Errorf("got %d %q, want 403 that says %q", w.Code, w.Body, c.refusal)
	}
	if ct := w.Header().Get("Content-Type"); !strings.HasPrefix(ct, "text/plain") {
		t.Errorf("the refusal is %s", ct)
	}
	for _, key := range append(c.access.Keys, "wrong") {
		if strings.Contains(w.Body.String(), key+" ") {
			t.Errorf("the refusal tells a key: %q", w.Body)
		}
	}
}

func runAccess(t *testing.T, cases []accessCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, c.run)
	}
}

func TestKeys(t *testing.T) {
	keys := Access{Keys: []string{"old-key", "new-key"}}
	both := Access{Keys: keys.Keys, Allow: prefixes("127.0.0.0/8")}
	const fields = "type=publish&to=u1&content=x"
	runAccess(t, []accessCase{
		{"bearer", keys, "", "", []string{"Peer", stranger, "Authorization", "Bearer new-key"}, ""},
		{"the other key", keys, "", "", []string{"Peer", stranger, "Authorization", "Bearer old-key"}, ""},
		{"bearer in another case", keys, "", "", []string{"Peer", stranger, "Authorization", "bearer  new-key"}, ""},
		{"x-api-key", keys, "", "", []string{"Peer", stranger, "X-Api-Key", "new-key"}, ""},
		{"key in the query", keys, "&key=new-key", "", []string{"Peer", stranger}, ""},
		{"key in the body", keys, "", fields + "&key=new-key", []string{"Peer", stranger}, ""},
		{"key in the query of a body", keys, "&key=new-key", fields, []string{"Peer", stranger}, ""},
		{"any host", keys, "", "", []string{"Peer", stranger, "Host", "evil.example", "X-Api-Key", "new-key"}, ""},
		{"a proxy and a browser", keys, "", "", []string{
			"Peer", stranger, "Via", "1.1 p", "Origin", "https://evil.example",
			"User-Agent", chrome, "X-Api-Key", "new-key",
		}, ""},
		{"one right key among two", keys, "", "", []string{"Authorization", "Bearer wrong", "X-Api-Key", "new-key"}, ""},

		{"wrong bearer", keys, "", "", []string{"Peer", stranger, "Authorization", "Bearer wrong"}, "api.keys"},
		{"wrong x-api-key", keys, "", "", []string{"Peer", stranger, "X-Api-Key", "wrong"}, "api.keys"},
		{"wrong in the query", keys, "&key=wrong", "", []string{"Peer", stranger}, "api.keys"},
		{"wrong in the body", keys, "", fields + "&key=wrong", []string{"Peer", stranger}, "api.keys"},
		{"wrong from loopback", keys, "", "", []string{"X-Api-Key", "wrong"}, "not one of api.keys"},
		{"wrong from an allowed peer", both, "", "", []string{"X-Api-Key", "wrong"}, "not one of api.keys"},
		{"wrong in an allowed peer's body", both, "", fields + "&key=wrong", nil, "not one of api.keys"},
		{"the beginning of a key", keys, "&key=new-ke", "", []string{"Peer", stranger}, "api.keys"},
		{"a longer key", keys, "&key=new-keys", "", []string{"Peer", stranger}, "api.keys"},
		{"an empty key is none", keys, "&key=", "", []string{"Peer", stranger, "Authorization", "Bearer "}, "203.0.113.9 need a key of api.keys"},
		{"basic is no key", keys, "", "", []string{"Peer", stranger, "Authorization", "Basic new-key"}, "need a key of api.keys"},
		{"an array is no key", keys, "&key[]=new-key", "", []string{"Peer", stranger}, "need a key of api.keys"},
		{"no key", keys, "", "", []string{"Peer", stranger}, "need a key of api.keys"},
		{"no key in a body", keys, "", fields, []string{"Peer", stranger}, "need a key of api.keys"},
		{"loopback needs one too", keys, "", "", nil, "need a key of api.keys"},
		{"allowed peer without", both, "", "", nil, ""},

		{"no keys set: a key is not looked at", Access{}, "&key=mine", "", []string{"X-Api-Key", "mine"}, ""},
		{"no keys set: no key lets in", Access{}, "&key=mine", "", []string{"Peer", stranger}, "until api.keys or api.allow is set"},
	})
}

func TestKeyInOtherBodies(t *testing.T) {
	s := newServer(t, Options{Access: Access{Keys: []string{"k"}}})
	for key, want := range map[string]int{"k": 200, "wrong": 403} {
		w := do(s, "POST", "/", "application/json", `{"type":"publish","to":"u1","key":"`+key+`"}`)
		if w.Code != want {
			t.Errorf("JSON with key %q: %d", key, w.Code)
		}
		content, body := multipartBody(t, "type", "publish", "to", "u1", "key", key)
		if w = do(s, "POST", "/", content, body); w.Code != want {
			t.Errorf("multipart with key %q: %d", key, w.Code)
		}
	}
	if w := do(s, "POST", "/", "application/json", `{"type":`); w.Code != 403 {
		t.Errorf("a stranger's broken body: %d, want 403", w.Code)
	}
}

func TestAddresses(t *testing.T) {
	allow := Access{Allow: prefixes("10.0.0.0/8", "2001:db8::/32", "::ffff:192.0.2.0/120")}
	proxied := Access{Allow: prefixes("10.0.0.0/8"), TrustedProxies: prefixes("127.0.0.1/32", "172.16.0.0/12")}
	runAccess(t, []accessCase{
		{"in api.allow", allow, "", "", []string{"Peer", "10.1.2.3:5000"}, ""},
		{"in api.allow, IPv6", allow, "", "", []string{"Peer", "[2001:db8::1]:5000"}, ""},
		{"in api.allow, IPv4 as IPv6", allow, "", "", []string{"Peer", "[::ffff:10.1.2.3]:5000"}, ""},
		{"network written as IPv6", allow, "", "", []string{"Peer", "192.0.2.7:5000"}, ""},
		{"in api.allow, through a proxy", allow, "", "", []string{"Peer", "10.1.2.3:5000", "Via", "1.1 p"}, ""},
		{"not in api.allow", allow, "", "", []string{"Peer", stranger}, "api.allow"},
		{"loopback not in api.allow", allow, "", "", nil, "api.allow"},
		{"X-Forwarded-For of nobody trusted", allow, "", "", []string{"Peer", stranger, "X-Forwarded-For", "10.1.2.3"}, "203.0.113.9"},

		{"loopback, nothing set", Access{}, "", "", nil, ""},
		{"loopback, IPv6", Access{}, "", "", []string{"Peer", "[::1]:5000"}, ""},
		{"loopback, elsewhere in 127/8", Access{}, "", "", []string{"Peer", "127.9.9.9:5000"}, ""},
		{"loopback, IPv4 as IPv6", Access{}, "", "", []string{"Peer", "[::ffff:127.0.0.1]:5000"}, ""},
		{"others, nothing set", Access{}, "", "", []string{"Peer", stranger}, "not 203.0.113.9, until api.keys or api.allow is set"},
		{"private network, nothing set", Access{}, "", "", []string{"Peer", "192.168.1.2:5000"}, "api.keys"},
		{"no address", Access{}, "", "", []string{"Peer", "@"}, "an unknown address"},
		{"loopback with Forwarded", Access{}, "", "", []string{"Forwarded", "for=1.2.3.4"}, "api.keys"},
		{"loopback with X-Forwarded-For", Access{}, "", "", []string{"X-Forwarded-For", "127.0.0.1"}, "its X-Forwarded-For header shows"},
		{"loopback with X-Forwarded-Proto", Access{}, "", "", []string{"X-Forwarded-Proto", "https"}, "api.keys"},
		{"loopback with Via", Access{}, "", "", []string{"Via", "1.1 proxy"}, "Via"},
		{"loopback with X-Real-IP", Access{}, "", "", []string{"X-Real-IP", "1.2.3.4"}, "X-Real-Ip"},

		{"through a trusted proxy", proxied, "", "", []string{"X-Forwarded-For", "10.1.2.3"}, ""},
		{"through two", proxied, "", "", []string{"X-Forwarded-For", "10.1.2.3, 172.16.0.9"}, ""},
		{"the rightmost untrusted counts", proxied, "", "", []string{"X-Forwarded-For", "10.1.2.3, 203.0.113.9"}, "203.0.113.9"},
		{"a stranger through a trusted proxy", proxied, "", "", []string{"X-Forwarded-For", "203.0.113.9"}, "203.0.113.9"},
		{"the trusted proxy itself", proxied, "", "", nil, "127.0.0.1"},
		{
			"trusted proxy, keys and allow unset",
			Access{TrustedProxies: prefixes("127.0.0.0/8")},
			"", "",
			[]string{"X-Forwarded-For", "127.0.0.1"},
			"X-Forwarded-For",
		},
	})
}

func TestBrowserGuard(t *testing.T) {
	local := Access{Hosts: []string{"Push.Example.", "intern"}}
	allow := Access{Allow: prefixes("203.0.113.0/24")}
	runAccess(t, []accessCase{
		{"IPv4 literal", local, "", "", []string{"Host", "192.0.2.1:2121"}, ""},
		{"IPv6 literal", local, "", "", []string{"Host", "[::1]:2121"}, ""},
		{"IPv6 literal, no port", local, "", "", []string{"Host", "[::1]"}, ""},
		{"localhost", local, "", "", []string{"Host", "localhost:2121"}, ""},
		{"LOCALHOST", local, "", "", []string{"Host", "LOCALHOST"}, ""},
		{"in api.hosts", local, "", "", []string{"Host", "push.example:2121"}, ""},
		{"in api.hosts, upper case", local, "", "", []string{"Host", "INTERN"}, ""},
		{"another name", local, "", "", []string{"Host", "evil.example:2121"}, "api.hosts"},
		{"a name that begins like one", local, "", "", []string{"Host", "localhost.evil.example"}, "api.hosts"},
		{"no Host", local, "", "", []string{"Host", ""}, "api.hosts"},
		{"another name, from an allowed peer", allow, "", "", []string{"Peer", stranger, "Host", "evil.example"}, "api.hosts"},

		{"Origin of the Host", local, "", "", []string{"Origin", "http://127.0.0.1:2121"}, ""},
		{"Origin of the Host, another port", local, "", "", []string{"Origin", "http://127.0.0.1:2120"}, ""},
		{"Origin in another case", local, "", "", []string{"Host", "intern", "Origin", "https://INTERN"}, ""},
		{"foreign Origin", local, "", "", []string{"Origin", "https://evil.example"}, "https://evil.example"},
		{"another name for the Host", local, "", "", []string{"Origin", "http://localhost:2121"}, "api.keys"},
		{"Origin null", local, "", "", []string{"Origin", "null"}, "null"},
		{"Origin empty", local, "", "", []string{"Origin", ""}, "origin"},
		{"two Origins", local, "", "", []string{"Origin", "http://127.0.0.1", "Origin", "http://evil.example"}, "evil.example"},
		{"foreign Origin, allowed peer", allow, "", "", []string{"Peer", stranger, "Origin", "https://evil.example"}, "evil.example"},

		{"browser, same-origin", local, "", "", []string{"User-Agent", chrome, "Sec-Fetch-Site", "same-origin"}, ""},
		{"browser, same-site", local, "", "", []string{"User-Agent", chrome, "Sec-Fetch-Site", "same-site"}, ""},
		{"browser, typed in", local, "", "", []string{"User-Agent", chrome, "Sec-Fetch-Site", "none"}, ""},
		{"browser, cross-site", local, "", "", []string{"User-Agent", chrome, "Sec-Fetch-Site", "cross-site"}, "cross-site"},
		{"browser, old", local, "", "", []string{"User-Agent", chrome}, "Sec-Fetch-Site"},
		{"browser, allowed peer", allow, "", "", []string{"Peer", stranger, "User-Agent", chrome}, "api.keys"},
		{"no browser", local, "", "", []string{"User-Agent", "curl/8.5.0"}, ""},
		{"a name with Mozilla/ inside", local, "", "", []string{"User-Agent", "Java (like Mozilla/5.0)"}, ""},
	})
}

func TestHealthAnswersAnybody(t *testing.T) {
	ready := error(nil)
	s := newServer(t, Options{Access: Access{Keys: []string{"k"}}, Ready: func() error { return ready }})
	anybody := header("Peer", stranger, "Host", "evil.example", "Origin", "https://evil.example", "User-Agent", chrome, "X-Api-Key", "wrong")
	for _, path := range []string{"/healthz", "/readyz"} {
		if w := do(s, "GET", path, "", "", anybody); w.Code != 200 || w.Body.String() != "ok" {
			t.Errorf("%s: %d %q", path, w.Code, w.Body)
		}
		if w := do(s, "HEAD", path, "", "", anybody); w.Code != 200 {
			t.Errorf("HEAD %s: %d", path, w.Code)
		}
		if w := do(s, "POST", path, "", "", anybody); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: %d %v", path, w.Code, w.Header())
		}
	}
	ready = fail("The server is stopping.")
	if w := do(s, "GET", "/readyz", "", "", anybody); w.Code != 503 || !strings.Contains(w.Body.String(), "stopping") {
		t.Errorf("not ready: %d %q", w.Code, w.Body)
	}
	if w := do(s, "GET", "/healthz", "", "", anybody); w.Code != 200 {
		t.Errorf("healthz while not ready: %d", w.Code)
	}
}

func TestSetAccess(t *testing.T) {
	s := newServer(t, Options{Access: Access{Keys: []string{"one"}}})
	status := func(key string) int {
		return do(s, "GET", "/?type=publish&to=u1", "", "", header("Peer", stranger, "X-Api-Key", key)).Code
	}
	if err := s.SetAccess(Access{Keys: []string{""}}); err == nil || !strings.Contains(err.Error(), "api.keys") {
		t.Errorf("an empty key: %v", err)
	}
	if status("one") != 200 {
		t.Error("a failed SetAccess changed the rules")
	}
	var calls sync.WaitGroup
	for range 4 {
		calls.Go(func() {
			for range 200 {
				if one, two := status("one"), status("other"); one != 200 && one != 403 || two != 403 {
					t.Errorf("statuses %d and %d", one, two)
				}
			}
		})
	}
	for range 200 {
		if err := s.SetAccess(Access{Keys: []string{"two"}}); err != nil {
			t.Fatal(err)
		}
	}
	calls.Wait()
	if status("one") != 403 || status("two") != 200 {
		t.Error("the new rules are not in force")
	}
}

func TestNewRefuses(t *testing.T) {
	pusher := &fakeHub{}
	for want, o := range map[string]Options{
		"Pusher":          {},
		"api.max_body":    {Pusher: pusher, MaxBody: -1},
		"MaxContent":      {Pusher: pusher, MaxContent: -1},
		"api.keys":        {Pusher: pusher, Access: Access{Keys: []string{"a", ""}}},
		"api.hosts":       {Pusher: pusher, Access: Access{Hosts: []string{"*.example"}}},
		"api.allow":       {Pusher: pusher, Access: Access{Allow: make([]netip.Prefix, 1)}},
		"trusted_proxies": {Pusher: pusher, Access: Access{TrustedProxies: make([]netip.Prefix, 1)}},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New says %v, want it to name %s", err, want)
		}
	}
}

// Anybody can send a body, as a key may be in it: all of those together must not take any memory that they like.
func TestStrangersBodies(t *testing.T) {
	s := newServer(t, Options{Access: Access{Keys: []string{"right"}}})
	call := func(length int, fields string, change ...func(*http.Request)) int {
		body := "type=publish&to=u&content=" + strings.Repeat("x", length) + fields
		change = append(change, header("Peer", stranger))
		return do(s, "POST", "/", "application/x-www-form-urlencoded", body, change...).Code
	}
	const small, large = strangerFree / 2, 2 * strangerFree
	for _, full := range []bool{false, true} {
		if full {
			s.crowd.Store(strangerMost)
		}
		before := s.crowd.Load()
		for _, tt := range []struct {
			name   string
			code   int // while there is room
			atMost int // and otherwise
			call   func() int
		}{
			{"small, right key in it", 200, 200, func() int { return call(small, "&key=right") }},
			{"small, no key", 403, 403, func() int { return call(small, "") }},
			{"large, right key in it", 200, 429, func() int { return call(large, "&key=right") }},
			{"large, no key", 403, 429, func() int { return call(large, "") }},
			{"large, of unknown length", 403, 429, func() int {
				return call(large, "", func(r *http.Request) { r.ContentLength = -1 })
			}},
			{"large, right key in the header", 200, 200, func() int { return call(large, "", header("X-Api-Key", "right")) }},
			{"large, wrong key in the header", 403, 403, func() int { return call(large, "", header("X-Api-Key", "wrong")) }},
		} {
			want := tt.code
			if full {
				want = tt.atMost
			}
			if got := tt.call(); got != want {
				t.Errorf("%s, full: %t: %d, want %d", tt.name, full, got, want)
			}
			if after := s.crowd.Load(); after != before {
				t.Errorf("%s, full: %t: %d bytes stay counted", tt.name, full, after-before)
			}
		}
	}
}

// What a page of another site can have a browser send to who is let in by address: forms, images, scripts, and requests to a name
// that has come to mean this machine (DNS rebinding). In none of them can it set a header of its own.
func TestCrossSite(t *testing.T) {
	local := Access{Hosts: []string{"push.example"}}
	const fields = "type=publish&to=&content=x"
	runAccess(t, []accessCase{
		{"a form of another page", local, "", fields, []string{"Origin", "https://evil.example", "User-Agent", chrome, "Sec-Fetch-Site", "cross-site"}, "evil.example"},
		{"a form of a page without origin, such as a frame in a sandbox", local, "", fields, []string{"Origin", "null", "User-Agent", chrome, "Sec-Fetch-Site", "cross-site"}, "null"},
		{"a form in a browser that knows no Sec-Fetch-Site", local, "", fields, []string{"Origin", "https://evil.example", "User-Agent", chrome}, "evil.example"},
		{"a form in a browser that sends no Origin either", local, "", fields, []string{"User-Agent", chrome}, "Sec-Fetch-Site"},
		{"a form of a page on a name that ends alike", local, "", fields, []string{"Host", "push.example", "Origin", "https://evil-push.example", "User-Agent", chrome, "Sec-Fetch-Site", "cross-site"}, "evil-push.example"},
		{"an image of another page", local, "", "", []string{"User-Agent", chrome, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Dest", "image", "Referer", "https://evil.example/"}, "cross-site"},
		{"an image in a browser that knows no Sec-Fetch-Site", local, "", "", []string{"User-Agent", chrome, "Referer", "https://evil.example/"}, "Sec-Fetch-Site"},
		{"a script of another page", local, "&callback=f", "", []string{"User-Agent", chrome, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Dest", "script"}, "cross-site"},
		{"a page on a name that has come to mean this machine", local, "", "", []string{"Host", "evil.example:2121", "User-Agent", chrome, "Sec-Fetch-Site", "same-origin"}, "api.hosts"},
		{"a form there", local, "", fields, []string{"Host", "evil.example:2121", "Origin", "http://evil.example:2121", "User-Agent", chrome, "Sec-Fetch-Site", "same-origin"}, "api.hosts"},
		{"a name that has an address in it", local, "", "", []string{"Host", "127.0.0.1.evil.example:2121"}, "api.hosts"},
		{"an address with a name behind it", local, "", "", []string{"Host", "127.0.0.1:2121.evil.example"}, "api.hosts"},
		{"an IPv6 address with a name behind it", local, "", "", []string{"Host", "[::1].evil.example"}, "api.hosts"},
		{"a listed name with a dot more", local, "", "", []string{"Host", "push.example.evil.example"}, "api.hosts"},
	})
	for name, contentType := range map[string]string{"a form that looks like JSON": "text/plain", "a form": "application/x-www-form-urlencoded", "a form with parts": "multipart/form-data; boundary=b"} {
		t.Run("v1, "+name, func(t *testing.T) {
			s := newServer(t, Options{Access: local})
			w := do(s, http.MethodPost, "/v1/push", contentType, `{"to":{"all":true},"data":"x"}`, header("Origin", "https://evil.example", "User-Agent", chrome, "Sec-Fetch-Site", "cross-site"))
			checkProblem(t, w, codeForbidden)
		})
	}
}
