package fallback_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"crier/io/engineio"
)

// scriptPattern is what a page evaluates: a call of one function with one
// string, all in characters that mean the same in every encoding and in HTML.
var scriptPattern = regexp.MustCompile(`^___eio\[[0-9]+\]\(("[ -%'-;=?-~]*")\);$`)

// unscript returns the payload in an answer by JSONP.
func unscript(t testing.TB, body string) string {
	t.Helper()
	m := scriptPattern.FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("not the script that is wanted: %q", body)
	}
	var payload string
	if err := json.Unmarshal([]byte(m[1]), &payload); err != nil {
		t.Fatalf("%s: %v", m[1], err)
	}
	return payload
}

// form puts a payload into a form as clients do.
func form(payload string) string {
	payload = strings.ReplaceAll(payload, `\n`, "\\\n")
	return "d=" + url.QueryEscape(strings.ReplaceAll(payload, "\n", `\n`))
}

const formType = "application/x-www-form-urlencoded"

func (p *peer) postForm(body string) answer { return p.post(body, "Content-Type", formType) }

// Every POST that was captured from a client is read as what the page sent.
func TestJSONPCapturedPosts(t *testing.T) {
	raw, err := os.ReadFile("testdata/jsonp.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Client, Name, Query, Body string
		Want                      []string
	}
	if err := json.Unmarshal(raw, &vectors); err != nil {
		t.Fatal(err)
	}
	clients := make(map[string]int)
	for _, v := range vectors {
		clients[v.Client[:1]]++
		t.Run(v.Client+" "+v.Name, func(t *testing.T) {
			bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
				p := r.open(v.Query + "&b64=1&j=0")
				a := p.postForm(v.Body)
				wantAnswer(t, a, http.StatusOK, "ok")
				if ct := a.header.Get("Content-Type"); ct != "text/html" {
					t.Errorf("Content-Type %q", ct)
				}
				want(t, p.events, v.Want...)
				if len(p.events) > 0 {
					t.Errorf("and %q", <-p.events)
				}
			})
		})
	}
	for _, major := range []string{"1", "2", "3", "4"} {
		if clients[major] == 0 {
			t.Errorf("no vectors of %s.x", major)
		}
	}
}

func TestJSONPAnswers(t *testing.T) {
	for _, c := range []struct {
		query, text string
		attachments [][]byte
		answer      string
	}{
		{"EIO=3", `2["é😀"]`, nil, `___eio[0]("24:42[\"\\u00e9\\ud83d\\ude00\"]");`},
		{"EIO=2&b64=1", `2["中"]`, nil, `___eio[0]("12:42[\"\\u4e2d\"]");`},
		{"EIO=4", `2["é😀"]`, nil, `___eio[0]("42[\"\u00e9\ud83d\ude00\"]");`},
		// Binary is base64, also for a client that has not asked for it.
		{"EIO=3", "51", [][]byte{{1, 2, 3, 4}, nil}, `___eio[0]("3:45110:b4AQIDBA==2:b4");`},
		{"EIO=3&b64=1", "51", [][]byte{{1, 2, 3, 4}}, `___eio[0]("3:45110:b4AQIDBA==");`},
		{"EIO=4", "51", [][]byte{{1, 2, 3, 4}, nil}, `___eio[0]("451\u001ebAQIDBA==\u001eb");`},
	} {
		t.Run(c.query+" "+c.text, func(t *testing.T) {
			bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
				p := r.open(c.query + "&j=0")
				got := p.goGet()
				synctest.Wait()
				if err := p.session.Send(engineio.Prepare([]byte(c.text), 0, c.attachments...)); err != nil {
					t.Fatal(err)
				}
				a := next(t, got)
				wantAnswer(t, a, http.StatusOK, c.answer)
				for name, value := range map[string]string{
					"Content-Type": "text/javascript; charset=UTF-8", "X-Content-Type-Options": "nosniff",
					"Cache-Control": "no-store", "X-XSS-Protection": "0",
				} {
					if got := a.header.Get(name); got != value {
						t.Errorf("%s: %q, want %q", name, got, value)
					}
				}
			})
		})
	}
}

// Nothing that is sent to a page can end the string or the script it is in,
// nor turn the answer into something else.
func TestJSONPInjection(t *testing.T) {
	for name, text := range map[string]string{
		"quotes":             `"');alert(1);//`,
		"backslash at end":   `\\\`,
		"end of script":      "</script><script>alert(1)</script>",
		"comments":           "<!-- --> <![CDATA[ ]]> /* */ //",
		"entities":           "&quot;&#34;&lt;",
		"line breaks":        "\r\n\u0085\u2028\u2029",
		"every ASCII":        everyASCII(),
		"bytes of UTF-7":     "+ADw-script+AD4-",
		"byte order mark":    "\ufeff\ufffe",
		"beyond 16 bits":     "😀\U0010ffff",
		"line break escapes": `\n\\n`,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
				p := r.open("EIO=4&j=3")
				p.send(text)
				a := p.get()
				if got := unscript(t, a.body); got != "4"+text {
					t.Errorf("the page reads %q, want %q", got, "4"+text)
				}
				if !strings.HasPrefix(a.body, `___eio[3]("4`) {
					t.Errorf("%q", a.body)
				}
			})
		})
	}
	bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
		p := r.open("EIO=4&j=0")
		p.send("a\xff\xc0\xafb\xed\xa0\x80")
		wantAnswer(t, p.get(), http.StatusOK, `___eio[0]("4a\ufffd\ufffd\ufffdb\ufffd\ufffd\ufffd");`)
	})
}

func everyASCII() string {
	b := make([]byte, 128)
	for i := range b {
		b[i] = byte(i)
	}
	return string(b)
}

// Requests of one session may differ in how they want their answer.
func TestJSONPIndexPerRequest(t *testing.T) {
	bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
		p := r.open("EIO=3&j=1")
		session := strings.TrimSuffix(strings.Replace(p.query, "&j=1", "", 1), "&")
		for j, wanted := range map[string]string{
			"&j=0":          `___eio[0]("2:4x");`,
			"&j=1":          `___eio[1]("2:4x");`,
			"&j=12":         `___eio[12]("2:4x");`,
			"&j=007":        `___eio[7]("2:4x");`,
			"&j=4294967295": `___eio[4294967295]("2:4x");`,
			"&j=5&j=6":      `___eio[5]("2:4x");`,
			"":              "2:4x",
		} {
			p.query = session + j
			p.send("x")
			wantAnswer(t, p.get(), http.StatusOK, wanted)
		}
		for _, j := range []string{"&j=0", "&j=9", ""} {
			p.query = session + j
			body, contentType := "3:4hi", "text/plain;charset=UTF-8"
			if j != "" {
				body, contentType = form(body), formType
			}
			wantAnswer(t, p.post(body, "Content-Type", contentType), http.StatusOK, "ok")
			want(t, p.events, "text hi")
		}
	})
}

// What is no number is refused before there is a session, and is not repeated.
func TestJSONPRefusesIndex(t *testing.T) {
	bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
		p := r.open("EIO=3&j=0")
		for _, j := range []string{
			"", "x1", "1x", "-1", "+1", "1.0", "1e3", "0x1", "1_0", " 1", "1 ", "1\n", "1\x00", "١", "１", "4294967296",
			strings.Repeat("9", 100), "0];alert(1);//", "alert", "</script>",
		} {
			for _, query := range []string{"EIO=3", "EIO=4", p.query} {
				query = strings.Replace(query, "&j=0", "", 1) + "&j=" + url.QueryEscape(j)
				a := r.do(context.Background(), http.MethodGet, query, nil)
				wantAnswer(t, a, http.StatusBadRequest,
					`{"code":3,"message":"Bad request: j, which asks for JSONP, is not a number: it is the index of a callback"}`)
				if ct := a.header.Get("Content-Type"); ct != "application/json" || a.header.Get("X-Content-Type-Options") != "nosniff" {
					t.Errorf("j=%q: %v", j, a.header)
				}
			}
		}
		if len(r.handler.accepted) > 0 || len(p.events) > 0 {
			t.Error("a session was opened, or has ended")
		}
		p.send("x") // nothing happened to the session
		wantAnswer(t, p.get(), http.StatusOK, `___eio[0]("2:4x");`)
		// A WebSocket has no callbacks: there j is whatever a page wants it to be.
		if got := next(t, r.ws("EIO=4&j=abc").got); !strings.HasPrefix(got, "0{") {
			t.Errorf("by WebSocket: %q", got)
		}
	})
}

// What breaks the protocol ends the session, with an answer as for XHR.
func TestJSONPViolations(t *testing.T) {
	post := func(body string) func(*peer) answer {
		return func(p *peer) answer { return p.postForm(body) }
	}
	unknownLength := func(body string) func(*peer) answer {
		return func(p *peer) answer {
			return p.do(context.Background(), http.MethodPost, p.query, io.MultiReader(strings.NewReader(body)), "Content-Type", formType)
		}
	}
	tooLarge := http.StatusRequestEntityTooLarge
	for _, c := range []struct {
		name, query string
		do          func(*peer) answer
		status      int
		reason      engineio.Reason
	}{
		{"second GET", "EIO=3", (*peer).get, http.StatusBadRequest, engineio.TransportError},
		{"no form", "EIO=3", post("3:4hi"), http.StatusBadRequest, engineio.ParseError},
		{"empty body", "EIO=3", post(""), http.StatusBadRequest, engineio.ParseError},
		{"no d", "EIO=3", post("D=3:4hi&dd=3:4hi"), http.StatusBadRequest, engineio.ParseError},
		{"two d", "EIO=3", post("d=3:4hi&d=3:4hi"), http.StatusBadRequest, engineio.ParseError},
		{"empty d", "EIO=3", post("d="), http.StatusBadRequest, engineio.ParseError},
		{"empty d in revision 4", "EIO=4", post("d"), http.StatusBadRequest, engineio.ParseError},
		{"malformed escape", "EIO=4", post("d=4hi%4"), http.StatusBadRequest, engineio.ParseError},
		{"no packet", "EIO=4", post("d=hi"), http.StatusBadRequest, engineio.ParseError},
		{"wrong length", "EIO=3", post("d=4:4hi"), http.StatusBadRequest, engineio.ParseError},
		{"no UTF-8", "EIO=3", post("d=2:4%FF"), http.StatusBadRequest, engineio.ParseError},
		{"no UTF-8 in revision 4", "EIO=4", post("d=4%FF"), http.StatusBadRequest, engineio.ParseError},
		{"wrong direction", "EIO=4", post("d=2"), http.StatusBadRequest, engineio.TransportError},
		{"too large", "EIO=4", post("d=4" + strings.Repeat("x", 1000)), tooLarge, engineio.TransportError},
		{"too large, length unknown", "EIO=4", unknownLength("d=4" + strings.Repeat("x", 1000)), tooLarge, engineio.TransportError},
		{"too large, escaped", "EIO=4", post("d=4" + strings.Repeat("%78", 1000)), tooLarge, engineio.TransportError},
		{"form too large", "EIO=4", post("d=4&" + strings.Repeat("x", 4000)), tooLarge, engineio.TransportError},
		{"form too large, length unknown", "EIO=4", unknownLength("d=4&" + strings.Repeat("x", 4000)), tooLarge, engineio.TransportError},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, engineio.Options{MaxPayload: 1000}, func(t *testing.T, r *rig) {
				p, other := r.open(c.query+"&j=0"), r.open(c.query+"&j=0")
				waits := p.goGet()
				synctest.Wait()
				a := c.do(p)
				told := `___eio[0]("1");`
				if c.query == "EIO=3" {
					told = `___eio[0]("1:1");`
				}
				wantAnswer(t, next(t, waits), http.StatusOK, told)
				p.wantRefused(a, c.status, c.reason)
				other.send("x")
				if a := other.get(); a.status != http.StatusOK {
					t.Errorf("the other session: %+v", a)
				}
			})
		})
	}
}

// The limit is for the payload, whatever the form makes of it.
func TestJSONPPostOfTheLimit(t *testing.T) {
	bubble(t, engineio.Options{MaxPayload: 1000}, func(t *testing.T, r *rig) {
		p := r.open("EIO=4&j=0")
		for _, text := range []string{strings.Repeat("x", 999), strings.Repeat("\n", 999), strings.Repeat("中", 333)} {
			wantAnswer(t, p.postForm(form("4"+text)), http.StatusOK, "ok")
			want(t, p.events, "text "+text)
		}
		if n := len(form("4" + strings.Repeat("\n", 999))); n < 3900 {
			t.Errorf("the form of line breaks has only %d bytes", n)
		}
		// Any type of body is read as a form, and other fields are ignored.
		for _, header := range []string{"text/plain", "application/octet-stream", ""} {
			wantAnswer(t, p.post("a=1&d=4+%2B&=&&b", "Content-Type", header), http.StatusOK, "ok")
			want(t, p.events, "text  +")
		}
	})
}

// A script of a page elsewhere may not have the answer, nor a form of it post.
func TestJSONPOrigins(t *testing.T) {
	origins, err := engineio.NewOrigins([]string{"https://listed.test"})
	if err != nil {
		t.Fatal(err)
	}
	bubble(t, engineio.Options{Origins: origins}, func(t *testing.T, r *rig) {
		p := r.open("EIO=3&j=0")
		for _, c := range []struct {
			header  []string
			allowed bool
		}{
			{nil, true}, // no browser
			{[]string{"Referer", "http://crier.test/page", "Sec-Fetch-Site", "same-origin"}, true},
			{[]string{"Referer", "http://crier.test:8080/"}, true},
			{[]string{"Sec-Fetch-Site", "same-origin"}, true},
			{[]string{"Referer", "https://listed.test/", "Sec-Fetch-Site", "cross-site"}, true},
			{[]string{"Referer", "https://evil.test/"}, false},
			{[]string{"Referer", "https://evil.test/", "Sec-Fetch-Site", "cross-site"}, false},
			{[]string{"Sec-Fetch-Site", "cross-site"}, false},
			{[]string{"Referer", "https://crier.test.evil.test/"}, false},
			{[]string{"Origin", "https://evil.test", "Referer", "http://crier.test/"}, false},
			{[]string{"Origin", "null"}, false}, // a form in a sandbox
		} {
			ctx := context.Background()
			do := map[string]func() answer{
				"open": func() answer { return r.do(ctx, http.MethodGet, "EIO=3&j=0", nil, c.header...) },
				"get":  func() answer { return r.do(ctx, http.MethodGet, p.query, nil, c.header...) },
				"post": func() answer {
					return r.do(ctx, http.MethodPost, p.query, strings.NewReader("d=2:4x"), append(c.header, "Content-Type", formType)...)
				},
			}
			for name, do := range do {
				p.send("secret")
				status := http.StatusForbidden
				if c.allowed {
					status = http.StatusOK
				}
				a := do()
				if a.err != nil || a.status != status || !c.allowed && (!strings.HasPrefix(a.body, `{"code":4,`) || strings.Contains(a.body, "secret")) {
					t.Errorf("%s %q: %+v", name, c.header, a)
				}
				if name != "get" || !c.allowed {
					wantAnswer(t, p.get(), http.StatusOK, `___eio[0]("7:4secret");`)
				}
			}
			if got := len(p.events) > 0; got != c.allowed {
				t.Errorf("%q: a POST arrived: %v", c.header, got)
			}
			for len(p.events) > 0 {
				want(t, p.events, "text x")
			}
		}
	})
}

// A session moves to a WebSocket as from XHR.
func TestJSONPUpgrade(t *testing.T) {
	for query, noop := range map[string]string{"EIO=4&j=0": `___eio[0]("6");`, "EIO=3&b64=1&j=2": `___eio[2]("1:6");`} {
		t.Run(query, func(t *testing.T) {
			bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
				p := r.open(query)
				waits := p.goGet()
				synctest.Wait()
				s := p.probe() // with j in its query, which no client sends
				wantAnswer(t, next(t, waits), http.StatusOK, noop)
				start := time.Now()
				wantAnswer(t, p.get(), http.StatusOK, noop)
				if took := time.Since(start); took > 200*time.Millisecond {
					t.Errorf("a GET took %v", took)
				}
				in := "d=4posted"
				if p.session.Revision() == engineio.Revision3 {
					in = "d=7:4posted"
				}
				wantAnswer(t, p.postForm(in), http.StatusOK, "ok")
				want(t, p.events, "text posted")
				p.send("queued")
				s.send("5")
				want(t, s.got, "4queued")
				p.wantMoved(s)
			})
		})
	}
}
