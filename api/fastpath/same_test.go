package fastpath

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"crier/io/http1"
)

// mirror answers with all that a handler sees of a request. Some of its fields say how: X-Status, X-Close, X-Set (a field of
// the answer), X-Length (a Content-Length of its own), X-Silent (no body) and X-Bare (no Content-Type).
func mirror(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	_, again := r.Body.Read(make([]byte, 1))
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	answer, jsonErr := json.MarshalIndent(map[string]any{
		"method": r.Method, "url": fmt.Sprintf("%#v", *r.URL), "uri": r.RequestURI, "host": r.Host,
		"proto": fmt.Sprint(r.Proto, r.ProtoMajor, r.ProtoMinor), "header": r.Header, "trailer": r.Trailer,
		"body": string(body), "errors": fmt.Sprint(err, again, r.Body.Close()), "length": r.ContentLength,
		"nobody": r.Body == http.NoBody, "encoding": r.TransferEncoding, "close": r.Close, "remote": host,
		"form": r.Form == nil && r.PostForm == nil && r.MultipartForm == nil, "tls": r.TLS == nil,
		"pattern": r.Pattern, "local": local != nil, "server": server != nil && server.Handler != nil,
		"writer": fmt.Sprint(w.Header()),
	}, "", " ")
	if jsonErr != nil {
		panic(jsonErr)
	}
	h := w.Header()
	if r.Header.Get("X-Bare") == "" {
		h["Content-Type"] = []string{"application/json"}
	}
	h.Set("Cache-Control", "no-store")
	silent := r.Header.Get("X-Silent") != ""
	if silent {
		answer = nil
	}
	if r.Header.Get("X-Length") != "" {
		h.Set("Content-Length", strconv.Itoa(len(answer)))
	}
	if value := r.Header.Get("X-Close"); value != "" {
		h.Set("Connection", value)
	}
	if name, value, set := strings.Cut(r.Header.Get("X-Set"), "="); set && !framing(name) {
		h.Add(name, value)
		h.Add(name, "second\r\nline ")
	}
	if status, err := strconv.Atoi(r.Header.Get("X-Status")); err == nil && status >= http.StatusOK && status < 1000 {
		w.WriteHeader(status)
		w.WriteHeader(http.StatusTeapot) // has no effect
		h.Set("Too-Late", "1")
	}
	if silent {
		return
	}
	for _, part := range [][]byte{answer[:1], answer[1:]} {
		if _, err := w.Write(part); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
			panic(err)
		}
	}
}

// framing reports whether a field of an answer is one that a handler here cannot set.
func framing(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Content-Length", "Transfer-Encoding", "Trailer", "Connection":
		return true
	}
	return strings.HasPrefix(http.CanonicalHeaderKey(name), http.TrailerPrefix)
}

// crlf makes a request of lines.
func crlf(lines ...string) string { return strings.Join(lines, "\r\n") }

// taken are requests that the fast path answers.
func taken() map[string]string {
	const post, host = "POST /v1/push HTTP/1.1", "Host: 127.0.0.1:2121"
	return map[string]string{
		"least":            crlf("GET / HTTP/1.1", "Host: a", "", ""),
		"push":             crlf(post, host, "Content-Type: application/json", "X-Api-Key: secret", "Content-Length: 2", "", "{}"),
		"no body":          crlf(post, host, "Content-Length: 0", "", ""),
		"no length":        crlf(post, host, "", ""),
		"zeros":            crlf(post, host, "Content-Length: 00003", "", "abc"),
		"GET with a body":  crlf("GET / HTTP/1.1", host, "Content-Length: 3", "", "a=b"),
		"other methods":    crlf("PURGE / HTTP/1.1", host, "", ""),
		"query":            crlf("GET /?type=publish&to=7&content=a+b%20%e4%b8%ad;%zz?/\"<>|\\^`{} HTTP/1.1", host, "", ""),
		"field names":      crlf(post, "hOST: Example.COM.", "content-LENGTH: 1", "x-a_b.c: 1", "!#$%&'*+-.^_`|~: 2", "9: 3", "", "x"),
		"spaces":           crlf(post, "Host:a:1", "A:   b  c  ", "B:", "C: ", "Content-Length:   2   ", "", "{}"),
		"repeated":         crlf(post, host, "X-Forwarded-For: 1", "Via: a", "x-forwarded-for: 2", "X-FORWARDED-FOR: 3", "", ""),
		"text beyond":      crlf(post, host, "X: \xff\xe4\xb8\xad", "Content-Length: 4", "", "\x00\r\n\xff"),
		"IPv6":             crlf(post, "Host: [::1]:2121", "", ""),
		"keep alive":       crlf(post, host, "Connection: Keep-Alive", "Content-Length: 2", "", "{}"),
		"close":            crlf(post, host, "Connection: close", "Content-Length: 2", "", "{}"),
		"Close":            crlf(post, host, "connection: CLOSE", "", ""),
		"close, both":      crlf(post, host, "Connection: close", "X-Close: close", "", ""),
		"close by handler": crlf(post, host, "X-Close: close", "", ""),
		"odd connection":   crlf(post, host, "X-Close: x-thing", "", ""),
		"close, and more":  crlf(post, host, "X-Close: : close", "Connection: close", "", ""),
		"a long s":         crlf(post, host, "X-Close: cloſe", "Connection: close", "", ""),
		"odd, and close":   crlf(post, host, "X-Close: x-thing", "Connection: close", "", ""),
		"fields set":       crlf(post, host, "X-Set: X-Crier-Error=  a b ", "", ""),
		"spaces of text":   crlf(post, host, "X-Set: A=\u00a0\u2003b\u00a0\u0085", "", ""),
		"length, silent":   crlf(post, host, "X-Length: 1", "X-Silent: 1", "", ""),
		"field misnamed":   crlf(post, host, "X-Set: a b=c", "", ""),
		"length said":      crlf(post, host, "X-Length: 1", "X-Set: Vary=Origin", "", ""),
		"length alone":     crlf(post, host, "X-Length: 1", "X-Bare: 1", "X-Set: Age=1", "", ""),
		"date set":         crlf(post, host, "X-Set: Date=today", "", ""),
		"status":           crlf(post, host, "X-Status: 403", "", ""),
		"unknown status":   crlf(post, host, "X-Status: 599", "", ""),
		"no content":       crlf(post, host, "X-Status: 204", "X-Bare: 1", "", ""),
		"not modified":     crlf(post, host, "X-Status: 304", "X-Bare: 1", "", ""),
		"its own type":     crlf(post, host, "X-Status: 304", "", ""),
		"empty answer":     crlf(post, host, "X-Silent: 1", "", ""),
		"empty, bare":      crlf(post, host, "X-Silent: 1", "X-Bare: 1", "", ""),
		"type sniffed":     crlf(post, host, "X-Bare: 1", "", ""),
		"encoded":          crlf(post, host, "X-Bare: 1", "X-Set: Content-Encoding=x", "", ""),
		"a proxy's":        crlf(post, host, "Proxy-Connection: keep-alive", "Keep-Alive: timeout=5", "TE: trailers", "", ""),
	}
}

// left are requests that go to net/http.
func left() map[string]string {
	const post, host = "POST /v1/push HTTP/1.1", "Host: 127.0.0.1:2121"
	large := strings.Repeat("x", bufferSize)
	return map[string]string{
		"other path":             crlf("GET /v1/users HTTP/1.1", host, "", ""),
		"HEAD":                   crlf("HEAD / HTTP/1.1", host, "", ""),
		"other method":           crlf("GET /v1/push HTTP/1.1", host, "", ""),
		"escaped path":           crlf("POST /v1/pus%68 HTTP/1.1", host, "", ""),
		"double slash":           crlf("POST //v1/push HTTP/1.1", host, "", ""),
		"fragment":               crlf("GET /?a#b HTTP/1.1", host, "", ""),
		"empty query":            crlf("GET /? HTTP/1.1", host, "", ""),
		"absolute form":          crlf("POST http://127.0.0.1:2121/v1/push HTTP/1.1", host, "", ""),
		"asterisk":               crlf("OPTIONS * HTTP/1.1", host, "", ""),
		"text in the target":     crlf("GET /?a=\xe4\xb8\xad HTTP/1.1", host, "", ""),
		"HTTP/1.0":               crlf("POST /v1/push HTTP/1.0", host, "", ""),
		"HTTP/1.2":               crlf("POST /v1/push HTTP/1.2", host, "", ""),
		"HTTP/2":                 "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"no version":             crlf("POST /v1/push", host, "", ""),
		"two spaces":             crlf("POST  /v1/push HTTP/1.1", host, "", ""),
		"space at the end":       crlf("POST /v1/push HTTP/1.1 ", host, "", ""),
		"tab":                    crlf("POST\t/v1/push HTTP/1.1", host, "", ""),
		"lower case":             crlf("post /v1/push HTTP/1.1", host, "", ""),
		"blank line first":       "\r\n" + crlf(post, host, "", ""),
		"bare LF":                "POST /v1/push HTTP/1.1\nHost: a\n\n",
		"bare LF between fields": post + "\r\nHost: a\nContent-Length: 3\r\n\r\nabc",
		"bare LF at the end":     post + "\r\nHost: a\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"bare CR":                crlf(post, "Host: a\rContent-Length: 3", "", "abc"),
		"CR CR LF":               crlf(post, host+"\r", "", ""),
		"NUL":                    crlf(post, host, "A: b\x00c", "", ""),
		"DEL":                    crlf(post, host, "A: b\x7fc", "", ""),
		"tab in a value":         crlf(post, host, "A: b\tc", "", ""),
		"tab before a value":     crlf(post, host, "A:\tb", "", ""),
		"obs-fold":               crlf(post, host, "A: b", " c", "", ""),
		"obs-fold first":         crlf(post, " Host: a", "", ""),
		"space before the colon": crlf(post, host, "Content-Length : 3", "", "abc"),
		"no colon":               crlf(post, host, "Nothing", "", ""),
		"no name":                crlf(post, host, ": a", "", ""),
		"name of text":           crlf(post, host, "\xe4\xb8\xad: a", "", ""),
		"no Host":                crlf(post, "A: b", "", ""),
		"no field":               crlf(post, "", ""),
		"empty Host":             crlf(post, "Host:", "", ""),
		"two Hosts":              crlf(post, host, host, "", ""),
		"bad Host":               crlf(post, "Host: a b", "", ""),
		"userinfo in Host":       crlf(post, "Host: a@b", "", ""),
		"two lengths":            crlf(post, host, "Content-Length: 3", "Content-Length: 2", "", "abc"),
		"the same length twice":  crlf(post, host, "Content-Length: 3", "Content-Length: 3", "", "abc"),
		"list of lengths":        crlf(post, host, "Content-Length: 3, 3", "", "abc"),
		"length with a sign":     crlf(post, host, "Content-Length: +3", "", "abc"),
		"negative length":        crlf(post, host, "Content-Length: -3", "", "abc"),
		"hexadecimal length":     crlf(post, host, "Content-Length: 0x3", "", "abc"),
		"empty length":           crlf(post, host, "Content-Length:", "", "abc"),
		"long length":            crlf(post, host, "Content-Length: 000003", "", "abc"),
		"chunked":                crlf(post, host, "Transfer-Encoding: chunked", "", "3", "abc", "0", "", ""),
		"chunked with length":    crlf(post, host, "Transfer-Encoding: chunked", "Content-Length: 3", "", "3", "abc", "0", "", ""),
		"identity":               crlf(post, host, "Transfer-Encoding: identity", "Content-Length: 3", "", "abc"),
		"Expect":                 crlf(post, host, "Expect: 100-continue", "Content-Length: 3", "", "abc"),
		"Upgrade":                crlf(post, host, "Connection: upgrade", "Upgrade: websocket", "", ""),
		"Upgrade alone":          crlf(post, host, "Upgrade: h2c", "", ""),
		"Trailer":                crlf(post, host, "Trailer: A", "", ""),
		"Pragma":                 crlf(post, host, "Pragma: no-cache", "", ""),
		"close with a long s":    crlf(post, host, "Connection: cloſe", "", ""),
		"two connections":        crlf(post, host, "Connection: close", "Connection: keep-alive", "", ""),
		"connection twice":       crlf(post, host, "Connection: close", "Connection: close", "", ""),
		"list of connections":    crlf(post, host, "Connection: close, x", "", ""),
		"body too large":         crlf(post, host, "Content-Length: "+strconv.Itoa(len(large)), "", large),
		"head too large":         crlf(post, host, "A: "+large, "", ""),
		"many fields":            crlf(post, host, strings.Repeat("A: b\r\n", http1.MaxLines), ""),
		"cut in the head":        crlf(post, "Host: 127"),
		"cut in the line":        "POST /v1",
		"cut in the body":        crlf(post, host, "Content-Length: 3", "", "ab"),
		"pipelined":              crlf(post, host, "Content-Length: 3", "", "abcGET / HTTP/1.1", host, "", ""),
		"smuggled":               crlf(post, host, "Content-Length: 0", "", "GET /v1/users HTTP/1.1", host, "", ""),
		"TLS":                    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"nothing":                "",
	}
}

// TestSame sends the same bytes to a port with and to one without a Listener: the handler sees the same, and so does the caller.
func TestSame(t *testing.T) {
	t.Run("polled", func(t *testing.T) { same(t, open(t, true, mirror)) })
	t.Run("parked", func(t *testing.T) { same(t, openParked(t, mirror)) })
}

func same(t *testing.T, ours *port) {
	theirs := open(t, false, mirror)
	for _, group := range []struct {
		name     string
		requests map[string]string
		handed   int32
	}{{"taken", taken(), 0}, {"left", left(), 1}} {
		for name, raw := range group.requests {
			t.Run(group.name+"/"+name, func(t *testing.T) {
				before := ours.handed.Load()
				got, want := ours.exchange(t, raw), theirs.exchange(t, raw)
				if got != want {
					t.Errorf("a caller gets\n%s\nand from net/http\n%s", got, want)
				}
				if n := ours.handed.Load() - before; n != group.handed && name != "nothing" {
					t.Errorf("%d connections went to net/http, want %d", n, group.handed)
				}
			})
		}
	}
}

// TestSameAgain sends all of them on one connection, so that each meets what the one before has left; the answers are those
// of a connection of their own.
func TestSameAgain(t *testing.T) {
	p := open(t, true, mirror)
	c := p.dial(t)
	in := bufio.NewReader(c)
	for range 3 {
		for name, raw := range taken() {
			if strings.Contains(strings.ToLower(raw), "close: close") || strings.Contains(strings.ToLower(raw), "connection: close") {
				continue
			}
			want := p.exchange(t, raw)
			send(t, c, raw)
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if _, rest, _ := strings.Cut(want, "\r\n\r\n"); string(body) != rest || !strings.HasPrefix(want, "HTTP/1.1 "+resp.Status) {
				t.Errorf("%s: %s\n%s\nand on a connection of its own\n%s", name, resp.Status, body, want)
			}
		}
	}
	if n := p.handed.Load(); n != 0 {
		t.Errorf("%d connections went to net/http", n)
	}
}

// joined is answers, one behind the other, of which those that net/http sends in chunks, as it does with what its buffer of 2,048 bytes does not
// hold, have a length instead. The field that says so stands elsewhere, so the fields of each are sorted. No body that is sent here has a CRLF.
func joined(t *testing.T, answers string) string {
	t.Helper()
	var out strings.Builder
	for {
		head, rest, found := strings.Cut(answers, "\r\n\r\n")
		if !found {
			return out.String() + answers
		}
		lines := strings.Split(head, "\r\n") // the first with the body before in front
		if i := slices.Index(lines, "Transfer-Encoding: chunked"); i > 0 {
			in := bufio.NewReader(strings.NewReader(rest))
			body, err := io.ReadAll(httputil.NewChunkedReader(in))
			after, afterErr := io.ReadAll(in)
			if err = errors.Join(err, afterErr); err != nil || len(body) <= 2048 || !strings.HasPrefix(string(after), "\r\n") {
				t.Fatalf("net/http sends %d bytes in chunks, %v, and %q", len(body), err, after)
			}
			lines[i] = fmt.Sprintf("Content-Length: %d", len(body))
			rest = string(body) + string(after[2:])
		}
		slices.Sort(lines[1:])
		out.WriteString(strings.Join(lines, "\r\n") + "\r\n\r\n")
		answers = rest
	}
}

// hasChunks reports whether one of the answers is sent in chunks.
func hasChunks(answers string) bool {
	return strings.Contains(answers, "\r\nTransfer-Encoding: chunked\r\n")
}

// refusal is what net/http answers what is no request.
const refusal = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request"

// unread is what is left of the bytes behind a request when those that are taken have been answered.
func unread(reader *http1.Reader, behind []byte) []byte {
	for len(behind) > 0 && reader.Parse(behind, bufferSize) == http1.Whole {
		behind, _ = reader.Upgrade()
	}
	return behind
}

// chains are requests for a WebSocket that are refused, and go on with other requests.
func chains() []string {
	const get, host = "GET / HTTP/1.1", "Host: a"
	const connection, upgrade = "Connection: Upgrade", "Upgrade: websocket"
	long := "X: " + strings.Repeat("\xff", 250) // an answer of more than 2,048 bytes
	first := crlf(get, host, connection, upgrade, "", "")
	return []string{
		first + "a",
		first + "\r\n",
		first + "\r\nGET",
		crlf(get, host, connection, upgrade, long, "", "") + crlf(get, host, "", ""),
		first + crlf(get, host, long, "", ""),
		first + crlf("GET /v1/users HTTP/1.1", host, long, "", "") + crlf(get, host, "", ""),
		first + crlf("HEAD / HTTP/1.1", host, long, "", "") + crlf("GET /v1/users HTTP/1.1", host, long, "", ""),
		first + crlf("GET /v1/users HTTP/1.0", long, "", ""),
		first + crlf("GET /v1/users HTTP/1.0", "Connection: keep-alive", long, "", "") + crlf(get, host, "", ""),
		first + crlf("POST / HTTP/1.1", host, "Content-Length: 3", "", "abc\r\n") + crlf(get, host, "", ""),
		first + crlf("POST / HTTP/1.1", host, "Expect: 100-continue", "Content-Length: 3", "", "abc") + crlf(get, host, "", ""),
		first + crlf("POST / HTTP/1.1", host, "Transfer-Encoding: chunked", "", "3", "abc", "0", "A: b", "", "") + crlf(get, host, "", ""),
		first + crlf("POST / HTTP/1.1", host, "Transfer-Encoding: gzip, chunked", "", "3", "abc", "0", "", ""),
		first + crlf("POST / HTTP/1.1", host, "Content-Length: 3", "", "ab"),
		first + crlf("OPTIONS * HTTP/1.1", host, "", "") + crlf(get, host, "X-Status: 204", "", "") + crlf(get, host, "X-Status: 304", "", "") + crlf(get, host, "", ""),
		first + first + first + "GET / HTTP",
		first + first + "G",
	}
}

// FuzzSame looks for a request that is taken here, and that net/http reads otherwise, or answers otherwise.
func FuzzSame(f *testing.F) {
	for _, group := range []map[string]string{taken(), left(), upgrades()} {
		for _, raw := range group {
			f.Add([]byte(raw))
		}
	}
	for _, raw := range chains() {
		f.Add([]byte(raw))
	}
	ours, theirs := open(f, true, mirror), open(f, false, mirror)
	oursOver, theirsOver := open(f, true, switcher(f, false)), open(f, false, switcher(f, true)) // which take connections over
	f.Fuzz(func(t *testing.T, raw []byte) {
		reader := http1.NewReader(func(method, path, _ string) bool { return takes(method, path) })
		reader.TakeUpgrades(takesUpgrade)
		if len(raw) > bufferSize || reader.Parse(raw, bufferSize) != http1.Whole {
			return
		}
		in := bufio.NewReaderSize(strings.NewReader(string(raw)), bufferSize) // which has all of it then
		r, err := http.ReadRequest(in)
		if err != nil {
			t.Fatalf("taken, and refused by net/http: %v\n%q", err, raw)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		q := reader.Request(&http.Request{}, "")
		behind, asked := reader.Upgrade()
		if ours, err := io.ReadAll(q.Body); err != nil || in.Buffered() != len(behind) || string(body) != string(ours) {
			t.Fatalf("net/http reads the body %q, not %q (%v), and leaves %d bytes of %q", body, ours, err, in.Buffered(), raw)
		}
		if r.Header.Del("Host"); !reflect.DeepEqual(q.Header, r.Header) || *r.URL != *q.URL || r.Host != q.Host || r.Method != q.Method {
			t.Fatalf("%s %v %s %v, and by net/http %s %v %s %v", q.Method, q.URL, q.Host, q.Header, r.Method, *r.URL, r.Host, r.Header)
		}
		if len(raw) > 500 {
			return // what nobody reads could reset the connection
		}
		if asked {
			if got, want := oursOver.exchange(t, string(raw)), theirsOver.exchange(t, string(raw)); got != want {
				t.Errorf("who is given a WebSocket gets\n%q\nand from net/http\n%q", got, want)
			}
		}
		got, want := ours.exchange(t, string(raw)), theirs.exchange(t, string(raw))
		if n := len(unread(reader, behind)); n > 0 && n < 4 {
			got = strings.TrimSuffix(got, refusal) // net/http says nothing to less than four bytes behind a request, if it is that which has read it
		}
		if hasChunks(want) {
			got, want = joined(t, got), joined(t, want)
		}
		if got != want {
			t.Errorf("a caller gets\n%s\nand from net/http\n%s", got, want)
		}
	})
}
