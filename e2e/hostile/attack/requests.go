package attack

import (
	"errors"
	"fmt"
	"strings"
)

// asks is an input: a request, as it stands but for PATH, and what is wanted of the answer.
func asks(name string, want func(answer) error, text string) Input {
	return Input{name, func(a *Attacker, w Way) error {
		r, err := a.ask(w, strings.ReplaceAll(text, "PATH", w.Path))
		if err != nil {
			return err
		}
		return want(r)
	}}
}

// cuts is asks for what may be waited for to go on: the client ends its side.
func cuts(name string, want func(answer) error, text string) Input {
	return Input{name, func(a *Attacker, w Way) error {
		c, err := a.dial(w)
		if err != nil {
			return err
		}
		if err := c.say(strings.ReplaceAll(text, "PATH", w.Path)); err != nil {
			return err
		}
		if err := c.closeWrite(); err != nil {
			return err
		}
		r, err := c.answer()
		if err != nil {
			return err
		}
		return want(r)
	}}
}

var (
	isRefused = answer.refused
	isSound   = answer.sound
)

// unsplit checks that no header of the attacker's making is in the answer.
func unsplit(r answer) error {
	if r.header.Get("X-Evil") != "" {
		return errors.New("the answer has a header of the attacker's")
	}
	return r.sound()
}

// more is a query parameter behind the path of a way, which may have some already.
func added(w Way, query string) string {
	if strings.Contains(w.Path, "?") {
		return w.Path + "&" + query
	}
	return w.Path + "?" + query
}

// queries is an input: a query behind that of the way.
func queries(name string, want func(answer) error, query string) Input {
	return Input{name, func(a *Attacker, w Way) error {
		r, err := a.ask(w, head("GET", added(w, query)))
		if err != nil {
			return err
		}
		return want(r)
	}}
}

// requests are attacks by HTTP requests that are none, or too much (RFC 9112).
func requests() []Family {
	many := make([]string, 10_000)
	for n := range many {
		many[n] = fmt.Sprintf("X-%d: 1", n)
	}
	get := "GET PATH HTTP/1.1\r\n"
	return []Family{
		one("headers that come slowly", "Slowloris, CVE-2007-6750", https, func(a *Attacker, w Way) error {
			var all []*conn
			for range a.count(100, 1000) {
				c, err := a.dial(w)
				if err != nil {
					return err
				}
				if err := c.say("GET " + w.Path + " HTTP/1.1\r\nHost: x\r\nX-a: "); err != nil {
					return err
				}
				all = append(all, c)
			}
			for _, c := range all {
				if err := c.say("b"); err != nil {
					return err
				}
			}
			if a.Long { // they are all ended
				for _, c := range all {
					if err := c.end(); err != nil {
						return err
					}
				}
			}
			return nil
		}),
		{"headers that are too much", "", https, []Input{
			asks("a field of a megabyte", isRefused, head("GET", "PATH", "X-Long: "+strings.Repeat("x", 1<<20))),
			asks("10,000 fields", isRefused, head("GET", "PATH", many...)),
			cuts("a field without end", isSound, get+"Host: x\r\nX-"+strings.Repeat("x", 200_000)),
		}},
		{"lengths that contradict", "request smuggling, RFC 9112 §6.3; llhttp CVE-2022-32213", https, []Input{
			asks("length and chunks", isSound, "POST PATH HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n"),
			asks("two lengths", isRefused, "POST PATH HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde"),
			asks("a negative length", isRefused, "POST PATH HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n"),
			asks("a length with a sign", isRefused, "POST PATH HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: +4\r\n\r\nabcd"),
			asks("a length over 64 bits", isRefused, "POST PATH HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999999999999999\r\n\r\n"),
			asks("a length of 2^63-1", isRefused, "POST PATH HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9223372036854775807\r\n\r\n"),
			asks("an encoding that nobody knows", isRefused, "POST PATH HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
			asks("white space before the colon", isRefused, "POST PATH HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length : 4\r\n\r\nabcd"),
			asks("a folded field", isSound, "GET PATH HTTP/1.1\r\nHost: 127.0.0.1\r\nX-a: b\r\n c\r\n\r\n"),
		}},
		{"addresses", "", https, []Input{
			asks("of a megabyte", isRefused, "GET PATH"+strings.Repeat("x", 1<<20)+" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"),
			queries("of 10,000 parameters", isSound, strings.Repeat("a=1&", 10_000)),
			queries("of 30,000 separators", isSound, strings.Repeat("&", 30_000)),
			queries("of the same parameter again and again", isSound, strings.Repeat("uid=a&transport=polling&", 1000)),
			queries("with broken escapes", isSound, "uid=%zz%&sid=%u0041&callback=%"),
			queries("with a NUL", isSound, "uid=a%00b&room=%00"),
			queries("with semicolons", isSound, "uid=a;b=c;;;"),
			asks("of another host", isSound, "GET http://evil.example/PATH HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"),
			asks("that leave the folder", isSound, head("GET", "/../../../../etc/passwd")),
			asks("that leave it in another way", isSound, head("GET", "/%2e%2e/%2e%2e/etc/passwd%00.js")),
			asks("with a space", isSound, "GET /a b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"),
		}},
		{"answers that are to be split", "response splitting, CWE-113", https, []Input{
			queries("by the uid", unsplit, "uid=a%0d%0aX-Evil:%201"), queries("by the session", unsplit, "sid=a%0d%0aX-Evil:%201%0d%0a%0d%0a<script>"),
			queries("by the callback", unsplit, "callback=a%0d%0aX-Evil:%201"), queries("by the number of JSONP", unsplit, "j=0%0d%0aX-Evil:%201"),
			asks("by the origin", unsplit, head("GET", "PATH", "Origin: http://127.0.0.1\rX-Evil: 1")),
		}},
		{"hosts", "RFC 9112 §3.2", https, []Input{
			asks("none", isRefused, get+"\r\n"), asks("two", isRefused, get+"Host: a\r\nHost: b\r\n\r\n"),
			asks("no name", isSound, get+"Host: a/b?c#d\"<>\r\n\r\n"), asks("long", isSound, get+"Host: "+strings.Repeat("a", 60_000)+"\r\n\r\n"),
		}},
		{"what is no HTTP", "", https, []Input{
			cuts("a TLS hello", isRefused, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"+strings.Repeat("\x00", 500)),
			cuts("HTTP/2", isRefused, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
			cuts("SSH", isRefused, "SSH-2.0-OpenSSH_9.2\r\n\r\n"),
			cuts("zeros", isRefused, strings.Repeat("\x00", 10_000)+"\r\n\r\n"),
			cuts("HTTP/0.9", isRefused, "GET /\r\n\r\n"),
			cuts("a version that is none", isRefused, "GET PATH HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n"),
		}},
		{"methods", "Go CVE-2026-94439 (CONNECT)", https, []Input{
			asks("TRACE", isSound, head("TRACE", "PATH")), asks("CONNECT", isRefused, head("CONNECT", "127.0.0.1:22")+head("GET", "/evil")), asks("CONNECT of a path", isRefused, head("CONNECT", "PATH")+head("GET", "/evil")),
			asks("one that nobody knows", isSound, head("FROBNICATE", "PATH")), asks("a long one", isSound, head(strings.Repeat("A", 50_000), "PATH")),
			asks("DELETE", isSound, head("DELETE", "PATH")), asks("OPTIONS *", isSound, head("OPTIONS", "*")),
		}},
		one("requests in a row, whose answers nobody reads", "HTTP pipelining", https, func(a *Attacker, w Way) error {
			c, err := a.dial(w)
			if err != nil {
				return err
			}
			return c.flood([]byte(head("GET", "/healthz")), a.count(2000, 200_000))
		}),
		one("connections that say nothing", "", https, func(a *Attacker, w Way) error {
			for range a.count(200, 4000) {
				if _, err := a.dial(w); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}
