package attack

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// tells is an input of those who speak JSON on a WebSocket: texts, and whether the server ends the connection.
func tells(name string, ends bool, texts ...string) Input {
	return Input{name, func(a *Attacker, w Way) error {
		if w == sockXHR {
			return a.tellsXHR(ends, texts...)
		}
		c, err := a.webSocket(w)
		if err != nil {
			return err
		}
		for _, text := range texts {
			if w == sock {
				text = "[" + quoted(text) + "]"
			}
			if err := c.write(frame(finText, text)); err != nil {
				return err
			}
		}
		if ends {
			return c.end()
		}
		return nil
	}}
}

// tellsXHR is the same for SockJS without a WebSocket.
func (a *Attacker) tellsXHR(ends bool, texts ...string) error {
	path, err := a.target(sockXHR)
	if err != nil {
		return err
	}
	for _, text := range texts {
		r, err := a.post(sockXHR, path, "text/plain", "["+quoted(text)+"]")
		if err := errors.Join(err, r.sound()); err != nil {
			return err
		}
	}
	for range 10 {
		if !ends {
			return nil
		}
		r, err := a.post(sockXHR, strings.TrimSuffix(path, "_send"), "text/plain", "")
		if err != nil || strings.HasPrefix(r.body, "c[") {
			return err
		}
	}
	return errors.New("the session was not ended")
}

// quoted is a text in JSON.
func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\x00", `\u0000`).Replace(text) + `"`
}

// inert checks that no browser takes the answer for a page.
func inert(r answer) error {
	kind := r.header.Get("Content-Type")
	if strings.Contains(kind, "html") && strings.Contains(r.body, "<script>") || r.status == 200 && strings.Contains(kind, "javascript") && strings.Contains(r.body, "alert(") {
		return fmt.Errorf("%w: %s %.100q", errNoScript, kind, r.body)
	}
	if r.status == 200 && strings.Contains(kind, "javascript") && r.header.Get("X-Content-Type-Options") != "nosniff" {
		return errors.New("a script without nosniff")
	}
	return r.sound()
}

// others are attacks by clients without Socket.IO.
func others() []Family {
	deep := strings.Repeat("[", 100_000)
	var callbacks, positions, events []Input
	for _, name := range hostileNames {
		events = append(events, tells(name[:min(len(name), 30)], false, `{"event":"`+name+`","args":["`+name+`"],"ack":"`+name+`"}`, `{"event":"login","args":["`+name+`"]}`, `{"event":"subscribe","args":["`+name+`"]}`))
	}
	for _, name := range []string{"alert(1)//", "<script>alert(1)</script>", "a;b", "a.b.", ".a", "a..b", "a[0]", "%00", "а", "a%0d%0ab", "eval", strings.Repeat("a", 10_000), "f%E2%80%A8g"} {
		callbacks = append(callbacks, queries(name[:min(len(name), 30)], inert, "callback="+name))
	}
	for _, id := range []string{"%00", "-1", "99999999999999999999999", "__proto__", strings.Repeat("a", 20_000), "5TN.0.k3:x", "..:..", "%ff", ":::::", "%0d%0a", "1.1.1-1"} {
		positions = append(positions, queries(id[:min(len(id), 30)], isSoundStream, "after="+id+"&lastEventId="+id))
	}
	return []Family{
		{"what is no message", "", []Way{plain, sock, sockRaw, sockXHR}, []Input{
			tells("no JSON", true, "hello"), tells("a list", true, "[]"), tells("a number", true, "7"), tells("null", true, "null"), tells("an object of nothing", true, "{}"), tells("no name", true, `{"event":""}`),
			tells("a name that is no text", true, `{"event":{"toString":1}}`), tells("arguments that are no list", true, `{"event":"x","args":{"length":5}}`), tells("deep", true, `{"event":"x","args":`+deep), tells("an acknowledgement that is an object", true, `{"event":"x","ack":{}}`),
			tells("a long acknowledgement", true, `{"event":"x","ack":"`+strings.Repeat("a", 500_000)+`"}`), tells("names twice", false, `{"event":"x","event":"login","args":[1],"args":[]}`), tells("__proto__", false, `{"event":"__proto__","args":["__proto__"],"ack":"__proto__"}`),
			tells("an answer that nobody asked for", false, `{"ack":1,"args":["x"]}`, `{"ack":"x","args":[]}`), tells("binary data that is none", false, `{"event":"x","args":[{"$binary":"!!!"}],"ack":1}`), tells("lone surrogates", false, `{"event":"\ud800","args":["\udfff"],"ack":1}`),
		}},
		{"names of those", "prototype pollution; injection", []Way{plain, sock, sockXHR}, events},
		{"events of those", "event flood", []Way{plain, sock, sockRaw, splain}, []Input{
			floodsText("pings", "ping"), floodsText("events", `{"event":"x","ack":1}`), floodsText("logins", `{"event":"login","args":["x"],"ack":1}`), floodsText("rooms", `{"event":"subscribe","args":["x"],"ack":1}`),
		}},
		{"frames of SockJS", "SockJS protocol 0.3.3", []Way{sock}, []Input{
			sends("no JSON", true, frame(finText, "hello")), sends("an object", true, frame(finText, "{}")), sends("a list of numbers", true, frame(finText, "[1,2]")), sends("lists in lists", true, frame(finText, deep)),
			sends("no list", false, frame(finText, `"{\"event\":\"x\"}"`)), sends("100,000 messages in one", false, frame(finText, "["+strings.TrimSuffix(strings.Repeat(`"ping",`, 100_000), ",")+"]")), sends("nothing", false, frame(finText, "")),
		}},
		{"sessions of SockJS", "SockJS protocol 0.3.3", []Way{sockXHR}, []Input{
			xhr("a send to nobody", "/sockjs/000/nobody/xhr_send", `["x"]`), xhr("a name with dots", "/sockjs/0.0/a.b/xhr", ""), xhr("__proto__", "/sockjs/__proto__/constructor/xhr", ""), xhr("a long name", "/sockjs/000/"+strings.Repeat("a", 30_000)+"/xhr", ""),
			xhr("no session", "/sockjs///xhr", ""), xhr("a transport that nobody knows", "/sockjs/000/a/carrier", ""), xhr("a callback", "/sockjs/000/a/jsonp?c=alert(1)", ""), xhr("an iframe", "/sockjs/iframe-<script>.html", ""),
			one("sessions that are never polled", "", nil, func(a *Attacker, w Way) error {
				for n := range a.count(100, 5000) {
					if _, err := a.post(w, fmt.Sprintf("/sockjs/000/never%d/xhr", n), "text/plain", ""); err != nil {
						return err
					}
				}
				return nil
			}).Inputs[0],
			carries("no list", isSound, "text/plain", "hello"), carries("deep", isSound, "text/plain", deep), carries("nothing", isSound, "text/plain", ""), carries("a message that is none", isSound, "text/plain", `["hello"]`),
		}},
		{"positions", "HTML, Last-Event-ID", plains, positions},
		{"callbacks", "JSONP, Rosetta Flash CVE-2014-4671", []Way{comet, jsonp}, callbacks},
		{"names in addresses", "prototype pollution; injection", plains, append(addressed(), []Input{
			queries("no uid", isSoundStream, "uid="), queries("a long uid", isSoundStream, "uid="+strings.Repeat("u", 10_000)), queries("a uid with a NUL", isSoundStream, "uid=a%00b"), queries("a uid that is no UTF-8", isSoundStream, "uid=%ff"),
			queries("20,000 rooms", isSoundStream, "rooms="+strings.Repeat("r,", 20_000)), queries("a token that is none", isSoundStream, "token="+strings.Repeat("a.", 20_000)), queries("waiting for ever", isSoundStream, "wait=-1"), queries("waiting 10¹⁸ seconds", isSoundStream, "wait=1000000000000000000&wait=0"),
		}...)},
		{"events that are to be split", "SSE injection: h3 CVE-2026-33128, CVE-2026-86252; CVE-2026-44214", []Way{sse, ssse}, []Input{
			splits("by the name", `"event":"x\r\ndata: evil\r\n\r\nevent: evil","data":"x"`), splits("by the name, with carriage returns", `"event":"x\rdata: evil\r\revent: evil","data":"x"`), splits("by the name, with NULs", `"event":"x\u0000\ndata: evil","data":"x"`),
			splits("by the content", `"data":"x\n\nevent: evil\ndata: evil\nid: evil"`), splits("by the content, with carriage returns", `"data":"x\r\revent: evil\rdata: evil\rretry: evil"`), splits("by arguments", `"event":"y","args":["x\r\revent: evil",{"a\ndata: evil":1}]`),
			splits("by the id", `"id":"x\n\nevent: evil\ndata: evil","data":"x"`), splits("by the id, with carriage returns", `"id":"x\rdata: evil","data":"x"`),
		}},
		one("streams that nobody reads", "slow consumer", append([]Way{sse, comet, plain, sock, sockRaw, sockSSE, ssse, splain, h2SSE, h2Poll}, never...), func(a *Attacker, w Way) error {
			for range a.count(50, 1000) {
				if err := a.listen(w); err != nil {
					return err
				}
			}
			content := strings.Repeat("x", 100_000)
			for range a.count(20, 200) { // more than the queues and the kernel hold
				r, err := a.post(form, "/", "application/x-www-form-urlencoded", "type=publish&to=mallory&content="+content)
				if err := errors.Join(err, r.sound()); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}

// splits is an input: a push that is to become several events of a stream. What is refused is none.
func splits(name, push string) Input {
	return Input{name, func(a *Attacker, w Way) error {
		c, err := a.dial(w)
		if err != nil {
			return err
		}
		if err := c.say(head("GET", w.Path)); err != nil {
			return err
		}
		if _, err := c.in.Peek(1); err != nil {
			return err
		}
		for _, one := range []string{push, `"data":"the end"`} {
			r, err := a.post(Way{Push: true}, "/v1/push", "application/json", `{"to":{"users":["mallory"]},`+one+`}`)
			if err := errors.Join(err, r.sound()); err != nil {
				return err
			}
		}
		for {
			line, err := c.in.ReadString('\n')
			if err != nil {
				return fmt.Errorf("reading the stream: %w", err)
			}
			// A carriage return ends a line too, and what data says begins with its name.
			for part := range strings.SplitSeq(strings.TrimRight(line, "\r\n"), "\r") {
				switch {
				case part == "data: the end":
					return nil
				case strings.HasPrefix(part, "event: evil"), strings.HasPrefix(part, "id: evil"), strings.HasPrefix(part, "retry: evil"), part == "data: evil":
					return fmt.Errorf("the stream has the line %q", part)
				}
			}
		}
	}}
}

// listen has a client that is logged in as mallory, and reads no more from then on.
func (a *Attacker) listen(w Way) error {
	switch {
	case w == h2Poll:
		s, err := a.openH2(w)
		if err != nil {
			return err
		}
		posts := func(stream uint32, body string) []byte {
			return joined(piece(h2Headers, h2EndHeaders, stream, fields("POST", s.address(), field("content-type", "text/plain"))), piece(h2Data, h2EndStream, stream, body))
		}
		if err := errors.Join(s.sock.write(posts(3, "40")), s.sock.served(3), s.sock.write(posts(5, `427["login","mallory"]`)), s.sock.served(5)); err != nil {
			return err
		}
		return s.sock.write(asking(7, s.address()))
	case w.H2:
		c, err := a.http2(w)
		if err != nil {
			return err
		}
		return errors.Join(c.write(asking(1, w.Path)), c.served(1))
	}
	if w == comet {
		c, err := a.dial(w)
		if err != nil {
			return err
		}
		return c.say(head("GET", "/comet?uid=mallory&wait=20"))
	}
	if w == sockSSE {
		return a.listenEventSource()
	}
	if w.Revision > 0 {
		s, err := a.join(w)
		if err == nil {
			err = s.lives()
		}
		if err != nil || w.Socket {
			return err
		}
		c, err := a.dial(w)
		if err != nil {
			return err
		}
		return c.say(head("GET", s.address()))
	}
	c, err := a.dial(w)
	if err != nil {
		return err
	}
	request := head("GET", w.Path)
	if w.Socket {
		request = upgrade(w.Path)
	}
	if err := c.say(request); err != nil {
		return err
	}
	if w == sock {
		return errors.Join(c.switched(), c.write(frame(finText, "["+quoted(`{"event":"login","args":["mallory"],"ack":1}`)+"]")), c.await("ack"))
	}
	_, err = c.in.Peek(1)
	return err
}

// listenEventSource is that for SockJS by event streams, where the login is a POST.
func (a *Attacker) listenEventSource() error {
	path := fmt.Sprintf("/sockjs/000/listen%d/", time.Now().UnixNano())
	c, err := a.dial(sockSSE)
	if err != nil {
		return err
	}
	if err := c.say(head("GET", path+"eventsource")); err != nil {
		return err
	}
	if _, err := c.in.Peek(1); err != nil {
		return err
	}
	r, err := a.post(sockXHR, path+"xhr_send", "text/plain", "["+quoted(`{"event":"login","args":["mallory"],"ack":1}`)+"]")
	return errors.Join(err, r.sound())
}

// addressed are inputs: each name of a meaning, as that of a user and of a room.
func addressed() []Input {
	var all []Input
	for _, name := range hostileNames {
		escaped := url.QueryEscape(name)
		all = append(all, queries(name[:min(len(name), 30)], isSoundStream, "uid="+escaped+"&rooms="+escaped+"&event="+escaped))
	}
	return all
}

// isSoundStream is isSound for an answer that may go on.
func isSoundStream(r answer) error { return r.sound() }

// floodsText is an input: one text, again and again, by a client that reads nothing.
func floodsText(name, text string) Input {
	return Input{name, func(a *Attacker, w Way) error {
		c, err := a.webSocket(w)
		if err != nil {
			return err
		}
		if w == sock {
			text = "[" + quoted(text) + "]"
		}
		return c.flood(frame(finText, text), a.count(20_000, 1_000_000))
	}}
}

// xhr is an input: a POST of SockJS.
func xhr(name, path, body string) Input {
	return Input{name, func(a *Attacker, w Way) error {
		r, err := a.post(w, path, "text/plain", body)
		return errors.Join(err, inert(r))
	}}
}
