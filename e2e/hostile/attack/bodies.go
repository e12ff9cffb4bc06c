package attack

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// target returns where a way takes bodies: a session of its own, if it has sessions.
func (a *Attacker) target(w Way) (string, error) {
	switch {
	case w.Revision > 0:
		s, err := a.join(w)
		if err != nil {
			return "", err
		}
		return s.address(), nil
	case w == sockXHR:
		path := fmt.Sprintf("/sockjs/000/mallory%d/xhr", time.Now().UnixNano()) // a session of its own
		if _, err := a.post(w, path, "text/plain", ""); err != nil {
			return "", err
		}
		return path + "_send", nil
	default:
		return w.Path, nil
	}
}

// sample is a body that the way takes, and its media type.
func (w Way) sample() (media, body string) {
	const nobody = `{"to":{"users":["nobody"]},"data":1}`
	switch {
	case w.Revision == 4:
		return "text/plain", `42["x"]`
	case w.Revision == 3:
		return "text/plain", `7:42["x"]`
	case w == sockXHR:
		return "text/plain", `["ping"]`
	case w == form:
		return "application/x-www-form-urlencoded", "type=publish&to=nobody&content=x"
	case w == signIn:
		return "application/json", `{"key":"none"}`
	case w == batch:
		return "application/json", "[" + nobody + "]"
	default:
		return "application/json", nobody
	}
}

// begin sends text, in which PATH stands for where the way takes a body, on a new connection.
func (a *Attacker) begin(w Way, text string) (*conn, error) {
	path, err := a.target(w)
	if err != nil {
		return nil, err
	}
	c, err := a.dial(w)
	if err != nil {
		return nil, err
	}
	return c, c.say(strings.ReplaceAll(text, "PATH", path))
}

// uploads is an input: a request with a body for where the way takes them, as it stands but for PATH.
func uploads(name string, want func(answer) error, text string) Input {
	return Input{name, func(a *Attacker, w Way) error {
		path, err := a.target(w)
		if err != nil {
			return err
		}
		r, err := a.ask(w, strings.ReplaceAll(text, "PATH", path))
		if err != nil {
			return err
		}
		return want(r)
	}}
}

// cutUpload is an upload of which more could come, had the client not ended its side.
func cutUpload(name, text string) Input {
	return Input{name, func(a *Attacker, w Way) error {
		c, err := a.begin(w, text)
		if err != nil {
			return err
		}
		if err := c.closeWrite(); err != nil {
			return err
		}
		r, err := c.answer()
		if err != nil {
			return err
		}
		return r.refused()
	}}
}

// carries is an input: a body of a media type.
func carries(name string, want func(answer) error, media, body string) Input {
	return uploads(name, want, head("POST", "PATH", "Content-Type: "+media, fmt.Sprintf("Content-Length: %d", len(body)))+body)
}

// bodies are attacks by bodies (RFC 9112 §7).
func bodies() []Family {
	chunked := head("POST", "PATH", "Transfer-Encoding: chunked", "Content-Type: text/plain")
	return []Family{
		{"chunks", "RFC 9112 §7.1; Go CVE-2023-39326, llhttp CVE-2022-32215", posts, []Input{
			uploads("a size over 64 bits", isRefused, chunked+"FFFFFFFFFFFFFFFFF\r\nx"),
			cutUpload("a size of 2^63", chunked+"8000000000000000\r\nx"),
			uploads("a negative size", isRefused, chunked+"-1\r\nx\r\n0\r\n\r\n"),
			uploads("a size that is none", isRefused, chunked+"zz\r\nx\r\n0\r\n\r\n"),
			uploads("an extension without end", isRefused, chunked+"1;"+strings.Repeat("x", 100_000)),
			uploads("trailers without end", isSound, chunked+"1\r\nx\r\n0\r\n"+strings.Repeat("X-a: b\r\n", 20_000)+"\r\n"),
		}},
		one("chunks of one byte without end", "Go CVE-2023-39326", posts, func(a *Attacker, w Way) error {
			c, err := a.begin(w, chunked)
			if err != nil {
				return err
			}
			return c.flood([]byte("1\r\nx\r\n"), a.count(50_000, 2_000_000))
		}),
		one("bodies that come slowly", "R.U.D.Y., slow POST", posts, func(a *Attacker, w Way) error {
			var all []*conn
			for range a.count(30, 500) {
				path, err := a.target(w)
				if err != nil {
					return err
				}
				c, err := a.dial(w)
				if err != nil {
					return err
				}
				if err := c.say(head("POST", path, "Content-Length: 1000", "Content-Type: text/plain")); err != nil {
					return err
				}
				all = append(all, c)
			}
			for _, c := range all {
				if err := c.say("x"); err != nil {
					return err
				}
			}
			return nil
		}),
		{"bodies that nobody waits for, and that never come", "slow POST; net/http without ReadTimeout", []Way{page, sse, comet, sockSSE, jsonp, live, board, ssse, scomet}, []Input{
			{"a kilobyte", func(a *Attacker, w Way) error {
				r, err := a.ask(w, head("POST", strings.Replace(w.Path, "polling", "carrier", 1), "Content-Length: 1000")+`"`)
				return errors.Join(err, r.sound())
			}},
			{"of a GET", func(a *Attacker, w Way) error {
				if w == sse || w == ssse || w == sockSSE || w == live { // which have begun to answer before
					return nil
				}
				r, err := a.ask(w, head("GET", strings.Replace(w.Path, "polling", "carrier", 1), "Content-Length: 1000"))
				return errors.Join(err, r.sound())
			}},
		}},
		one("POSTs in a row, whose answers nobody reads", "unanswered POSTs; HTTP pipelining", posts, func(a *Attacker, w Way) error {
			media, body := w.sample()
			path, err := a.target(w)
			if err != nil {
				return err
			}
			c, err := a.dial(w)
			if err != nil {
				return err
			}
			return c.flood([]byte(head("POST", path, "Content-Type: "+media, fmt.Sprintf("Content-Length: %d", len(body)))+body), a.count(2000, 200_000))
		}),
		{"bodies over the limit", "engine.io CVE-2020-36048", posts, []Input{
			carries("17 MB of nothing", isRefused, "text/plain", strings.Repeat("x", 17<<20)),
			uploads("a terabyte that is announced", isRefused, head("POST", "PATH", "Content-Length: 1099511627776")),
		}},
		{"bodies that unfold", "inflate bombs, RFC 9110 §8.4", posts, []Input{
			carries("gzip", isSound, "text/plain\r\nContent-Encoding: gzip", gzipped("4")),
			carries("gzip twice", isSound, "application/json\r\nContent-Encoding: gzip, gzip", gzipped("{}")),
			carries("deflate", isSound, "application/x-www-form-urlencoded\r\nContent-Encoding: deflate", bomb()),
		}},
		{"bodies that are awaited", "Expect: 100-continue", posts, []Input{
			uploads("and do not come", func(answer) error { return nil }, head("POST", "PATH", "Expect: 100-continue", "Content-Length: 0")),
			uploads("of a kind that nobody knows", isSound, head("POST", "PATH", "Expect: 200-ok", "Content-Length: 0")),
		}},
		{"media types", "", posts, []Input{
			carries("none", isSound, "", "x=y"), carries("no grammar", isSound, "a/b/c; =; \"", "x"), carries("long", isSound, strings.Repeat("a", 30_000), "x"),
			carries("multipart without a boundary", isSound, "multipart/form-data", "x"), carries("bytes", isSound, "application/octet-stream", "\x00\x01\xff4x"),
			carries("a character set that nobody knows", isSound, "text/plain; charset=utf-7", "+AGE-"),
		}},
	}
}
