package attack

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// meets is an input: what somebody does to a session of his own.
func meets(name string, do func(s *session) error) Input {
	return Input{name, func(a *Attacker, w Way) error {
		s, err := a.join(w)
		if err != nil {
			return err
		}
		return do(s)
	}}
}

// under is an address of the session with a part of it replaced.
func (s *session) under(old, replacement string) string {
	return strings.Replace(s.address(), old, replacement, 1)
}

// asked makes a request for the session, which may have to wait for its answer: it is not waited for long.
func (s *session) asked(text string) error {
	c, err := s.a.dial(s.w)
	if err != nil {
		return err
	}
	if err := c.say(text); err != nil {
		return err
	}
	if err := c.tcp.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		return err
	}
	if line, err := c.in.ReadString('\n'); err == nil && strings.Contains(line, " 500 ") {
		return fmt.Errorf("answered %q", line)
	}
	return nil
}

// refusedFor checks that nobody is let in by an address.
func (s *session) refusedFor(path string) error {
	r, err := s.a.ask(s.w, head("GET", path))
	return errors.Join(err, r.refused())
}

// socketFor opens a WebSocket for a session that polls.
func (s *session) socketFor(path string) (*conn, error) {
	return s.a.webSocketAt(s.w, strings.Replace(path, "polling", "websocket", 1))
}

// noSocketFor checks that nobody gets a WebSocket by an address.
func (s *session) noSocketFor(path string) error {
	r, err := s.a.ask(s.w, upgrade(strings.Replace(path, "polling", "websocket", 1)))
	if err == nil && r.status == http.StatusSwitchingProtocols {
		err = errors.New("a WebSocket was opened")
	}
	return errors.Join(err, r.refused())
}

// asksFor asks for what may be granted.
func (s *session) asksFor(path string) error { return s.asked(head("GET", path)) }

// heartsBeat asks for a WebSocket for a session of the other revision, and if it gets one says what hearts of both say.
func (s *session) heartsBeat(path string) error {
	c, err := s.a.dial(s.w)
	if err != nil {
		return err
	}
	if err := c.say(upgrade(strings.Replace(path, "polling", "websocket", 1))); err != nil {
		return err
	}
	for _, say := range []string{"2probe", "5", "2", "3", "3probe", "2", "42[\"x\"]"} {
		if err := c.write(frame(finText, say)); err != nil {
			return err
		}
	}
	if line, err := c.in.ReadString('\n'); err == nil && strings.Contains(line, " 500 ") {
		return fmt.Errorf("answered %q", line)
	}
	return nil
}

// sessions are attacks on sessions of Engine.IO.
func sessions() []Family {
	other := map[int]string{3: "EIO=4", 4: "EIO=3"}
	own := func(s *session) string { return fmt.Sprintf("EIO=%d", s.w.Revision) }
	var revisions []Input
	for _, eio := range []string{"", "EIO=0", "EIO=5", "EIO=-1", "EIO=1e99", "EIO=4&EIO=3", "EIO=%00", "EIO=" + strings.Repeat("9", 10_000)} {
		revisions = append(revisions, meets("a session as "+eio[:min(len(eio), 20)], func(s *session) error { return s.asked(head("GET", s.under(own(s), eio))) }))
	}
	revisions = append(revisions,
		meets("a session as the other", func(s *session) error { return s.asked(head("GET", s.under(own(s), other[s.w.Revision]))) }),
		meets("a WebSocket for it as the other", func(s *session) error {
			return s.heartsBeat(s.under(own(s), other[s.w.Revision]))
		}),
		meets("a WebSocket for it without a revision", func(s *session) error {
			return s.heartsBeat(s.under(own(s), "x=y"))
		}),
		meets("a POST to it as the other", func(s *session) error {
			return s.asked(head("POST", s.under(own(s), other[s.w.Revision]), "Content-Length: 2") + "40")
		}))
	all := []Family{
		{"revisions", "engine.io CVE-2022-21676, CVE-2026-102599", polls, revisions},
		{"session ids", "engine.io CVE-2022-41940, CVE-2026-59724, CVE-2026-102600", polls, nil},
		{"names of transports", "engine.io, transport=constructor", polls, nil},
		{"two at once", "engine.io, overlap", append([]Way{spoll4}, polls...), []Input{
			meets("polls", func(s *session) error {
				first, err := s.a.dial(s.w)
				if err != nil {
					return err
				}
				for range 3 { // one of them waits
					if err := first.say(head("GET", s.address())); err != nil {
						return err
					}
				}
				for range 5 {
					if err := s.asked(head("GET", s.address())); err != nil {
						return err
					}
				}
				return nil
			}),
			meets("posts", func(s *session) error {
				for range 3 {
					c, err := s.a.dial(s.w)
					if err != nil {
						return err
					}
					if err := c.say(head("POST", s.address(), "Content-Length: 100", "Content-Type: text/plain") + "4"); err != nil {
						return err
					}
				}
				return s.asked(head("POST", s.address(), "Content-Length: 2") + "3x")
			}),
			meets("WebSockets", func(s *session) error {
				for range s.a.count(20, 500) {
					c, err := s.a.dial(s.w)
					if err != nil {
						return err
					}
					if err := c.say(upgrade(strings.Replace(s.address(), "polling", "websocket", 1))); err != nil {
						return err
					}
				}
				return nil
			}),
		}},
		{"upgrades", "engine.io, upgrade races", append([]Way{spoll4}, polls...), []Input{
			meets("a probe that is never finished", func(s *session) error {
				c, err := s.socketFor(s.address())
				if err != nil {
					return err
				}
				return errors.Join(c.write(frame(finText, "2probe")), c.await("3probe"))
			}),
			meets("an upgrade without a probe", func(s *session) error {
				c, err := s.socketFor(s.address())
				if err != nil {
					return err
				}
				return errors.Join(c.write(frame(finText, "5")), c.end())
			}),
			meets("a message in place of a probe", func(s *session) error {
				c, err := s.socketFor(s.address())
				if err != nil {
					return err
				}
				return errors.Join(c.write(frame(finText, `42["login","x"]`)), c.end())
			}),
			meets("probes without end", func(s *session) error {
				c, err := s.socketFor(s.address())
				if err != nil {
					return err
				}
				return c.flood(frame(finText, "2probe"), s.a.count(10_000, 500_000))
			}),
			meets("a reset behind the upgrade", func(s *session) error {
				c, err := s.socketFor(s.address())
				if err != nil {
					return err
				}
				return errors.Join(c.write(frame(finText, "2probe")), c.await("3probe"), c.write(frame(finText, "5")), c.tcp.SetLinger(0), c.tcp.Close())
			}),
			meets("an upgrade twice", func(s *session) error {
				c, err := s.socketFor(s.address())
				if err != nil {
					return err
				}
				return c.write(append(append(frame(finText, "2probe"), frame(finText, "5")...), frame(finText, "5")...))
			}),
		}},
		{"sessions on a WebSocket, by others", "engine.io CVE-2022-41940; session fixation", []Way{ws4, ws3, up4, up3}, []Input{
			meets("another WebSocket", func(s *session) error {
				return errors.Join(s.a.softly(s.w, upgrade(s.address())), s.lives())
			}),
			meets("a poll", func(s *session) error {
				return errors.Join(s.asked(head("GET", s.under("websocket", "polling"))), s.lives())
			}),
			meets("a POST", func(s *session) error {
				return errors.Join(s.asked(head("POST", s.under("websocket", "polling"), "Content-Length: 1")+"1"), s.lives())
			}),
		}},
		one("sessions that are never polled", "engine.io, handshake flood", append([]Way{spoll4}, polls...), func(a *Attacker, w Way) error {
			for range a.count(300, 10_000) {
				if _, err := a.ask(w, head("GET", w.Path, "Connection: close")); err != nil {
					return err
				}
			}
			return nil
		}),
		one("sessions that never join", "socket.io, connectTimeout", never, func(a *Attacker, w Way) error {
			for range a.count(50, 2000) {
				if _, err := a.open(w); err != nil {
					return err
				}
			}
			return nil
		}),
		{"methods of a session", "", polls, []Input{
			meets("DELETE", func(s *session) error { return s.asked(head("DELETE", s.address())) }),
			meets("PUT", func(s *session) error { return s.asked(head("PUT", s.address(), "Content-Length: 2") + "40") }),
			meets("OPTIONS", func(s *session) error { return s.asked(head("OPTIONS", s.address())) }),
		}},
	}
	for _, id := range []string{"__proto__", "constructor", "", "%00", "..%2f..", strings.Repeat("a", 20_000), "a&sid=b", "%ff%fe"} {
		// One without a name is a handshake: then there is another session, not somebody's.
		refused, noSocket := (*session).refusedFor, (*session).noSocketFor
		if id == "" {
			refused, noSocket = (*session).asksFor, (*session).asksFor
		}
		all[1].Inputs = append(all[1].Inputs, meets("a session called "+id[:min(len(id), 20)], func(s *session) error { return refused(s, s.under(s.id, id)) }),
			meets("a WebSocket for a session called "+id[:min(len(id), 20)], func(s *session) error { return noSocket(s, s.under(s.id, id)) }),
			meets("WebTransport for a session called "+id[:min(len(id), 20)], func(s *session) error {
				return s.refusedFor(strings.Replace(s.under(s.id, id), "polling", "webtransport", 1))
			}))
	}
	for _, name := range []string{"constructor", "__proto__", "toString", "webtransport", "flashsocket", "", "polling%00"} {
		all[2].Inputs = append(all[2].Inputs, Input{name, func(a *Attacker, w Way) error {
			r, err := a.ask(w, head("GET", strings.Replace(w.Path, "polling", name, 1)))
			return errors.Join(err, r.refused())
		}})
	}
	return all
}

// softly asks for something that may be refused or not.
func (a *Attacker) softly(w Way, text string) error {
	c, err := a.dial(w)
	if err != nil {
		return err
	}
	if err := c.say(text); err != nil {
		return err
	}
	if _, err := c.in.ReadString('\n'); err != nil && !ended(err) {
		return err
	}
	return nil
}

// posted is an input: a payload, as it stands.
func posted(name, payload string) Input {
	return meets(name, func(s *session) error { return s.post(payload) })
}

// payloads are attacks by what is posted (Engine.IO protocol, "Encoding").
func payloads() []Family {
	digits := strings.Repeat("9", maxPayload-10) // a body has no room for more
	bytes := func(name, body string) Input {
		return carries(name, isSound, "application/octet-stream", body)
	}
	return []Family{
		{"separators", "engine.io-parser; 10⁶ packets in a payload", polls, []Input{
			posted("only separators", strings.Repeat("\x1e", maxPayload)), posted("pongs", strings.Repeat("3\x1e", 400_000)+"3"),
			posted("messages of nothing", strings.Repeat("4\x1e", 400_000)+"4"), posted("packets of length 0", strings.Repeat("0:", 400_000)), posted("packets of length 1", strings.Repeat("1:3", 300_000)),
		}},
		{"lengths in text", "engine.io-parser CVE-2020-36048", []Way{poll3, jsonp}, []Input{
			posted("no number", "x:4hello"), posted("negative", "-1:4hello"), posted("with a sign", "+5:4hell"), posted("a million digits", digits+":4"), posted("a million digits without a colon", digits),
			posted("zeros in front", strings.Repeat("0", 100_000)+"2:40"), posted("a fraction", "1.5:40"), posted("an exponent", "1e1:40"), posted("more than there is", "100:40"), posted("less than there is", "1:40"),
			posted("a pair of surrogates, cut", "2:4😀"), posted("hexadecimal", "0x2:40"), posted("over 64 bits", "18446744073709551618:40"), posted("white space", " 2 :40"),
		}},
		{"lengths in bytes", "engine.io-parser CVE-2020-36048", []Way{poll3}, []Input{
			bytes("a million digits", "\x00"+strings.Repeat("\x09", maxPayload-10)), bytes("more digits than a number has", "\x00"+strings.Repeat("\x09", 310)+"\xff4"),
			bytes("no digit", "\x00\xff4"), bytes("a digit over 9", "\x00\x0a\xff4"), bytes("more than there is", "\x01\x09\x09\xff4"), bytes("a kind that nobody knows", "\x02\x01\xff4"),
			bytes("half a header", "\x00\x01"), bytes("text that is none", "\x00\x03\xff4\xff\xfe"), bytes("many of nothing", strings.Repeat("\x00\x00\xff", 300_000)),
		}},
		one("binary payloads where there are none", "engine.io CVE-2026-59725", []Way{poll4, spoll4}, func(a *Attacker, w Way) error {
			for range a.count(50, 1000) { // each on a connection of its own, which has to be answered
				s, err := a.open(w)
				if err != nil {
					return err
				}
				r, err := a.post(w, s.address(), "application/octet-stream", "\x00\x04\xff4")
				if err == nil && r.status == 0 {
					err = errors.New("a POST was not answered")
				}
				if err := errors.Join(err, r.sound()); err != nil {
					return err
				}
			}
			return nil
		}),
		{"binary data as text", "RFC 4648", polls, []Input{
			posted("no alphabet", "b!!!!"), posted("no alphabet, with a length", "5:b4!!!"), posted("cut", "bA"), posted("padding in its midst", "bAA==AA=="), posted("a type that nobody knows", "3:b9A"), posted("nothing", "b"),
		}},
		{"types of packets", "Engine.IO protocol", engines, []Input{
			says("one that nobody knows", either, "9"), says("a letter", either, "x"), says("an open packet", either, `0{"sid":"mine"}`), says("no type", either, ""), says("a byte over 127", either, "é"),
			says("an upgrade", either, "5"), says("noops", (*session).lives, strings.Split(strings.Repeat("6 ", 1000), " ")[:1000]...),
			says("packets behind a close", (*session).gone, "1", `42["login","x"]`, "1"), says("a long one", either, "4"+strings.Repeat("x", 500_000)),
		}},
		{"heartbeats", "python-engineio CVE-2026-48802", engines, []Input{
			says("in the wrong direction", either, "2", "2x", "3"), says("pongs that nobody asked for", either, strings.Split(strings.Repeat("3 ", 500), " ")[:500]...),
			says("with a megabyte in it", either, "2"+strings.Repeat("x", 900_000)),
		}},
		{"forms of JSONP", "engine.io, JSONP", []Way{jsonp}, []Input{
			carries("no d", isSound, "application/x-www-form-urlencoded", "e=1:3"), carries("two", isSound, "application/x-www-form-urlencoded", "d=1:3&d=1:3"),
			carries("broken escapes", isSound, "application/x-www-form-urlencoded", "d=%zz%u0031"), carries("escaped ends of lines", isSound, "application/x-www-form-urlencoded", "d="+strings.Repeat("%5Cn", 200_000)),
			carries("many fields", isSound, "application/x-www-form-urlencoded", strings.Repeat("a&", 300_000)), carries("nothing", isSound, "application/x-www-form-urlencoded", ""),
			queries("a number that is none", isSound, "j=alert(1)//"), queries("a long number", isSound, "j="+strings.Repeat("1", 20_000)),
			queries("numbers in one another", isSound, "j[a]=1&j=2"),
		}},
	}
}
