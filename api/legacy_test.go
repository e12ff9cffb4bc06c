package api

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"crier/io/hub"
)

// multipartBody returns the Content-Type and body of a form with these names and values.
func multipartBody(t testing.TB, pairs ...string) (contentType, body string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		if err := w.WriteField(pairs[i], pairs[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), b.String()
}

// quoted is the JSON of "<中文é😀> & 'x'" once escaped.
const (
	text   = `<中文é😀> & 'x'`
	quoted = `"&lt;中文é😀&gt; &amp; &#039;x&#039;"`
)

func TestLegacyEncodings(t *testing.T) {
	fields := url.Values{"type": {"publish"}, "to": {"u1"}, "content": {text}}.Encode()
	multi, multiBody := multipartBody(t, "type", "publish", "to", "u1", "content", text)
	const form = "application/x-www-form-urlencoded"
	const object = `{"type":"publish","to":"u1","content":"<中文é😀> & 'x'"}`
	for _, c := range []struct{ name, method, target, contentType, body string }{
		{"query", "GET", "/?" + fields, "", ""},
		{"query of a POST", "POST", "/?" + fields, "", ""},
		{"any path", "GET", "/some/path.php?" + fields, "", ""},
		{"urlencoded", "POST", "/", form, fields},
		{"urlencoded with a charset", "POST", "/", form + "; charset=UTF-8", fields},
		{"no Content-Type", "POST", "/", "", fields},
		{"text/plain", "POST", "/", "text/plain", fields},
		{"multipart", "POST", "/", multi, multiBody},
		{"JSON", "POST", "/", "application/json", object},
		{"JSON with a charset", "POST", "/", "application/json; charset=utf-8", "\r\n" + object + "\n"},
		{"JSON of another name", "POST", "/", "application/vnd.x+json", object},
		{"JSON escapes", "POST", "/", "application/json", `{"type":"publish","to":"u1","content":"\u003c\u4e2d文é\ud83d\ude00> & 'x'"}`},
		{"GET with a body", "GET", "/", form, fields},
		{"the body wins", "POST", "/?type=publish&to=u2&content=other", form, fields},
		{"the body wins, JSON", "POST", "/?type=publish&to=u2&content=other", "application/json", object},
		{"the body wins, multipart", "POST", "/?type=publish&to=u2&content=other", multi, multiBody},
		{"an empty body does not", "POST", "/?" + fields, form, "&&"},
		{"an empty JSON object does not", "POST", "/?" + fields, "application/json", " { } "},
		{"an empty JSON array does not", "POST", "/?" + fields, "application/json", "[ ]"},
		{"null does not", "POST", "/?" + fields, "application/json", "null"},
		{"the last of a name counts", "GET", "/?to=u2&content=x&" + fields, "", ""},
		{"the last of a name counts, JSON", "POST", "/", "application/json", `{"to":"u2",` + object[1:]},
		{"a file is no field", "POST", "/", multi, strings.Replace(multiBody, "--\r\n", "\r\nContent-Disposition: form-data; name=\"to\"; filename=\"\"\r\n\r\nu2\r\n"+
			multiBody[:strings.Index(multiBody, "\r\n")]+"--\r\n", 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &fakeHub{online: map[string]int{"u1": 1}}
			w := do(newServer(t, Options{Pusher: h}), c.method, c.target, c.contentType, c.body)
			checkAnswer(t, w, "ok")
			p := h.taken()
			if len(p) != 1 || !slices.Equal(p[0].To.Users, []string{"u1"}) || p[0].To.All {
				t.Fatalf("pushed %+v", p)
			}
			if m := p[0].Message; m.Event != "new_msg" || len(m.Args) != 1 || string(m.Args[0]) != quoted {
				t.Errorf("pushed %s %s, want %s", m.Event, m.Args, quoted)
			}
		})
	}
}

func checkAnswer(t *testing.T, w *httptest.ResponseRecorder, want string) {
	t.Helper()
	if w.Code != 200 || w.Body.String() != want || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
		t.Fatalf("got %d %q (%s), want 200 %q", w.Code, w.Body, w.Header(), want)
	}
	if got := w.Header().Get(reasonHeader); (got == "") == (want == "fail") {
		t.Errorf("%s is %q", reasonHeader, got)
	}
}

func TestLegacyAnswers(t *testing.T) {
	everybody := []string{"(all)"}
	for _, c := range []struct {
		name   string
		form   string // a query, or a JSON object
		users  []string
		answer string
		reason string // a part of the header
	}{
		{"online", "type=publish&to=u1&content=x", []string{"u1"}, "ok", ""},
		{"offline", "type=publish&to=u9&content=x", []string{"u9"}, "offline", ""},
		{"no to", "type=publish&content=x", everybody, "ok", ""},
		{"empty to", "type=publish&to=&content=x", everybody, "ok", ""},
		{"JSON null", `{"type":"publish","to":null}`, everybody, "ok", ""},
		{"JSON empty", `{"type":"publish","to":""}`, everybody, "ok", ""},
		{"user 0", "type=publish&to=0&content=x", []string{"0"}, "offline", ""},
		{"user 0, JSON", `{"type":"publish","to":0}`, []string{"0"}, "offline", ""},
		{"a comma is part of a uid", "type=publish&to=u1,u2&content=x", []string{"u1,u2"}, "offline", ""},
		{"a space is", "type=publish&to=+u1&content=x", []string{" u1"}, "offline", ""},
		{"no content", "type=publish&to=u1", []string{"u1"}, "ok", ""},
		{"several, one online", "type=publish&to[]=u9&to[]=u2&content=x", []string{"u9", "u2"}, "ok", ""},
		{"several by number", "type=publish&to[0]=u1&to[1]=u2&content=x", []string{"u1", "u2"}, "ok", ""},
		{"several, none online", "type=publish&to[]=u8&to[]=u9&content=x", []string{"u8", "u9"}, "offline", ""},
		{"several, JSON", `{"type":"publish","to":["u1",7]}`, []string{"u1", "7"}, "ok", ""},
		{"several, JSON object", `{"type":"publish","to":{"0":"u1","2":"u2"}}`, []string{"u1", "u2"}, "ok", ""},
		{"integer", `{"type":"publish","to":12345678901234567890123}`, []string{"12345678901234567890123"}, "offline", ""},
		{"negative integer", `{"type":"publish","to":-7}`, []string{"-7"}, "offline", ""},
		{"names are case-sensitive", `{"type":"publish","to":"u1","To":"u2","TO":"u2"}`, []string{"u1"}, "ok", ""},

		{"nothing", "", nil, "fail", "empty"},
		{"no type", "to=u1&content=x", nil, "fail", "type has to be publish"},
		{"another type", "type=Publish&to=u1", nil, "fail", "type has to be publish"},
		{"type is an array", "type[]=publish&to=u1", nil, "fail", "type has to be publish"},
		{"content is an array", "type=publish&to=u1&content[]=x", nil, "fail", "content"},
		{"content is an object", `{"type":"publish","to":"u1","content":{"a":1}}`, nil, "fail", "content"},
		{"fraction", `{"type":"publish","to":1.5}`, nil, "fail", "string or an integer"},
		{"exponent", `{"type":"publish","to":1e3}`, nil, "fail", "string or an integer"},
		{"bool", `{"type":"publish","to":false}`, nil, "fail", "string or an integer"},
		{"array in an array", "type=publish&to[a][b]=u1", nil, "fail", "array within"},
		{"array in an array, JSON", `{"type":"publish","to":[["u1"]]}`, nil, "fail", "string or an integer"},
		{"null in an array", `{"type":"publish","to":["u1",null]}`, nil, "fail", "string or an integer"},
		{"empty list", `{"type":"publish","to":[]}`, nil, "fail", "empty list"},
		{"broken JSON", `{"type":"publish","to":"u1"`, nil, "fail", "JSON"},
		{"JSON in another charset", "{\"type\":\"publish\",\"to\":\"\xd6\xd0\"}", nil, "fail", "UTF-8"},
		{"two JSON objects", `{"type":"publish"}{}`, nil, "fail", "JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &fakeHub{online: map[string]int{"u1": 1, "u2": 2}}
			s := newServer(t, Options{Pusher: h})
			var w *httptest.ResponseRecorder
			if strings.HasPrefix(c.form, "{") {
				w = do(s, "POST", "/", "application/json", c.form)
			} else {
				w = do(s, "GET", "/?"+c.form, "", "")
			}
			checkAnswer(t, w, c.answer)
			if got := w.Header().Get(reasonHeader); !strings.Contains(got, c.reason) {
				t.Errorf("the reason is %q, want %q in it", got, c.reason)
			}
			var users []string
			for _, p := range h.taken() {
				if users = append(users, p.To.Users...); p.To.All {
					users = append(users, "(all)")
				}
			}
			slices.Sort(users)
			slices.Sort(c.users)
			if !slices.Equal(users, c.users) {
				t.Errorf("pushed to %q, want %q", users, c.users)
			}
		})
	}
}

func TestLegacyBodies(t *testing.T) {
	multi, body := multipartBody(t, "type", "publish", "to", "u1")
	for _, c := range []struct{ name, contentType, body, reason string }{
		{"a JSON array", "application/json", `["publish"]`, "not an object"},
		{"a JSON string", "application/json", `"publish"`, "not an object"},
		{"JSON without its Content-Type", "application/x-www-form-urlencoded", `{"type":"publish"}`, "Content-Type: application/json"},
		{"no boundary", "multipart/form-data", body, "boundary"},
		{"multipart cut short", multi, body[:len(body)/2], "cut short"},
		{"multipart of another boundary", "multipart/form-data; boundary=x", body, "boundary"},
		{"too many parts", "multipart/form-data; boundary=b", strings.Repeat("--b\r\nContent-Disposition: form-data; name=x\r\n\r\n\r\n", maxParts+1) + "--b--\r\n", "too many parts"},
		{"a body of another form", "", "hello", "no such field"},
	} {
		t.Run(c.name, func(t *testing.T) {
			// What the query says must not count once the body says something.
			w := do(newServer(t, Options{}), "POST", "/?type=publish&to=u1", c.contentType, c.body)
			checkAnswer(t, w, "fail")
			if got := w.Header().Get(reasonHeader); !strings.Contains(got, c.reason) {
				t.Errorf("the reason is %q, want %q in it", got, c.reason)
			}
		})
	}
}

func TestLegacyContent(t *testing.T) {
	for in, want := range map[string]string{
		`"a\"b\\\n\u0001"`: `"a&quot;b\\\n\u0001"`,
		`5`:                `"5"`,
		`-1.50`:            `"-1.50"`,
		`true`:             `"1"`,
		`false`:            `""`,
		`null`:             `""`,
		`"\ud800"`:         "\"\uFFFD\"",
	} {
		h := &fakeHub{}
		w := do(newServer(t, Options{Pusher: h}), "POST", "/", "application/json", `{"type":"publish","content":`+in+`}`)
		checkAnswer(t, w, "ok")
		if got := string(h.taken()[0].Message.Args[0]); got != want {
			t.Errorf("content %s is pushed as %s, want %s", in, got, want)
		}
	}
}

func TestLegacyMethods(t *testing.T) {
	h := &fakeHub{}
	s := newServer(t, Options{Pusher: h})
	for _, method := range []string{"HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"} {
		w := do(s, method, "/?type=publish&content=x", "", "")
		if w.Code != 405 || w.Header().Get("Allow") != "GET, POST" {
			t.Errorf("%s: %d %v", method, w.Code, w.Header())
		}
	}
	if p := h.taken(); len(p) != 0 {
		t.Errorf("pushed %+v", p)
	}
}

func TestLegacyPushOutcome(t *testing.T) {
	for _, c := range []struct {
		name, to string
		result   hub.Result
		err      error
		want     string
	}{
		{"some queues full", "u1", hub.Result{Connections: 2, Delivered: 1, Dropped: 1, Slow: 1}, nil, "ok"},
		{"all queues full", "u1", hub.Result{Connections: 2, Dropped: 2, Slow: 2}, nil, "fail"},
		{"gone meanwhile", "u1", hub.Result{Connections: 1, Dropped: 1, Gone: 1}, nil, "offline"},
		{"everybody, nobody there", "", hub.Result{}, nil, "ok"},
		{"refused", "u1", hub.Result{}, fmt.Errorf("pushing: %w", hub.ErrBadUID), "fail"},
		{"an odd error", "u1", hub.Result{}, errors.New("bad\r\nX-Evil: 中"), "fail"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t, Options{Pusher: &fakeHub{err: c.err, result: &c.result}})
			w := do(s, "GET", "/?type=publish&to="+c.to, "", "")
			checkAnswer(t, w, c.want)
			if strings.ContainsAny(w.Header().Get(reasonHeader), "\r\n中") {
				t.Errorf("the header is %q", w.Header().Get(reasonHeader))
			}
		})
	}
}

func TestLimits(t *testing.T) {
	s := newServer(t, Options{MaxBody: 1000, MaxContent: 100})
	body := func(n int) string { return "type=publish&to=u1&content=x&y=" + strings.Repeat("y", n-31) }
	unknown := func(r *http.Request) { r.ContentLength, r.Body = -1, struct{ io.ReadCloser }{r.Body} }
	for name, change := range map[string]func(*http.Request){"length": func(*http.Request) {}, "chunked": unknown} {
		if w := do(s, "POST", "/", "", body(1000), change); w.Code != 200 || w.Body.String() != "ok" {
			t.Errorf("%s, as large as may be: %d %q", name, w.Code, w.Body)
		}
		w := do(s, "POST", "/", "", body(1001), change)
		if w.Code != 413 || !strings.Contains(w.Body.String(), "1000 bytes of api.max_body") {
			t.Errorf("%s, one more: %d %q", name, w.Code, w.Body)
		}
	}
	// Of content, what counts is what is sent: 2 quotes and 98 bytes.
	checkAnswer(t, do(s, "GET", "/?type=publish&to=u1&content="+strings.Repeat("x", 98), "", ""), "ok")
	checkAnswer(t, do(s, "GET", "/?type=publish&to=u1&content="+strings.Repeat("x", 99), "", ""), "fail")
	checkAnswer(t, do(s, "GET", "/?type=publish&to=u1&content="+strings.Repeat("<", 25), "", ""), "fail")
}

func TestBodyCutShort(t *testing.T) {
	cut := func(r *http.Request) {
		r.Body = io.NopCloser(io.MultiReader(strings.NewReader("type=pub"), errReader{}))
	}
	if w := do(newServer(t, Options{}), "POST", "/", "", "type=publish", cut); w.Code != 400 {
		t.Errorf("got %d %q", w.Code, w.Body)
	}
	for _, path := range []string{"/v1/push", "/v1/push/batch"} {
		checkProblem(t, do(newServer(t, Options{}), "POST", path, "", "", cut), codeBodyIncomplete)
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestExpectContinue(t *testing.T) {
	server := httptest.NewServer(newServer(t, Options{MaxBody: 100}))
	defer server.Close()
	for _, c := range []struct {
		length int
		want   string
	}{{28, "100 Continue"}, {101, "413 Request Entity Too Large"}} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		}()
		if _, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", c.length); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(conn)
		if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, c.want) {
			t.Fatalf("%d bytes announced: %q, %v; want %s", c.length, line, err, c.want)
		}
		if c.length > 100 {
			continue
		}
		if _, err := io.WriteString(conn, "type=publish&to=u1&content=x"); err != nil {
			t.Fatal(err)
		}
		if _, err := r.ReadString('\n'); err != nil { // the empty line behind 100 Continue
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "ok" {
			t.Errorf("answer %q, %v", body, err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestLogHasNoSecret(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, Options{
		Access: Access{Keys: []string{"right-key"}},
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	replies := ""
	for _, target := range []string{"/wrong-key?key=wrong-key", "/right-key?key=right-key&type=private&content=private", "/?type=publish&content[]=private&key=right-key"} {
		w := do(s, "GET", target, "", "")
		replies += w.Body.String() + fmt.Sprint(w.Header())
	}
	if n := strings.Count(log.String(), "reason="); n != 3 {
		t.Errorf("%d lines logged: %s", n, &log)
	}
	for _, secret := range []string{"right-key", "wrong-key", "private"} {
		if strings.Contains(log.String()+replies, secret) {
			t.Errorf("%s is told: %s%s", secret, &log, replies)
		}
	}
}
