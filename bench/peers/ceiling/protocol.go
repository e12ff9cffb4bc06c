//go:build linux

package main

import (
	"bytes"
	"strconv"
	"time"

	"crier/bench/load"
)

// What is sent over and over. The key of the handshake is always the same one.
var (
	upgraded = append([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"),
		load.AppendServerFrame(nil, `0{"sid":"AAAAAAAAAAAAAAAAAAAA","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`)...)
	connected = load.AppendServerFrame(nil, `40{"sid":"AAAAAAAAAAAAAAAAAAAA"}`)
	heartbeat = load.AppendServerFrame(nil, "2")
	taken     = []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n" + result)
	linked    = []byte("HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")
)

const result = `{"id":"ABCDEFGHIJKLM-12345","matched":{"users":1,"connections":1},"stored":false,"duplicate":false}`

// frames takes what a client says.
func (s *server) frames(c *conn, p []byte) (rest []byte, ok bool) {
	if !c.open {
		_, after, whole := bytes.Cut(p, []byte("\r\n\r\n"))
		if !whole {
			return p, true
		}
		p = after
		c.open, c.place = true, len(s.clients)
		s.clients = append(s.clients, c)
		s.beats = append(s.beats, beat{c, time.Now().Add(every)})
		s.out = append(s.out, upgraded...)
	}
	for len(p) >= 6 { // two bytes and a mask: no client says more than 125 bytes
		end := 6 + int(p[1]&0x7f)
		if len(p) < end {
			break
		}
		mask, payload := p[2:6], p[6:end]
		for i := range payload {
			payload[i] ^= mask[i&3]
		}
		if !s.packet(c, payload) {
			return nil, false
		}
		p = p[end:]
	}
	return p, true
}

// packet takes one packet: a connect, a heartbeat, a login, or an event with an acknowledgement.
func (s *server) packet(c *conn, p []byte) (ok bool) {
	switch {
	case string(p) == "40":
		s.out = append(s.out, connected...)
		return true
	case string(p) == "3":
		return true
	case !bytes.HasPrefix(p, []byte("42")):
		return false
	}
	id := p[2 : 2+max(bytes.IndexByte(p[2:], '['), 0)]
	if c.user < 0 {
		s.login(c, p)
	}
	if len(id) == 0 {
		return true
	}
	s.out = append(s.out, 0x81, byte(2+len(id)+len(`[{"ok":true}]`)))
	s.out = append(append(append(s.out, "43"...), id...), `[{"ok":true}]`...)
	return true
}

func (s *server) login(c *conn, p []byte) {
	n := number(p)
	if n < 0 {
		return
	}
	if n >= len(s.users) {
		s.users = append(s.users, make([]*conn, n+1-len(s.users))...)
	}
	s.users[n], c.user = c, n
}

// number is N of the user-N in p; -1 if there is none.
func number(p []byte) int {
	i := bytes.Index(p, []byte(`"user-`))
	if i < 0 {
		return -1
	}
	digits, _, _ := bytes.Cut(p[i+len(`"user-`):], []byte(`"`))
	n, err := strconv.Atoi(string(digits))
	if err != nil || n > 10_000_000 {
		return -1
	}
	return n
}

// requests takes what a pusher says. Broadcasts that came in one piece leave in one.
func (s *server) requests(c *conn, p []byte) (rest []byte, ok bool) {
	for {
		head, after, whole := bytes.Cut(p, []byte("\r\n\r\n"))
		if !whole {
			return p, true
		}
		if bytes.Contains(head, []byte("\r\nTransfer-Encoding: chunked")) {
			c.link = true
			s.out = append(s.out, linked...)
			return s.chunks(after)
		}
		_, length, _ := bytes.Cut(head, []byte("\r\nContent-Length: "))
		length, _, _ = bytes.Cut(length, []byte("\r\n"))
		n, err := strconv.Atoi(string(length))
		if err != nil {
			return nil, false
		}
		if len(after) < n {
			return p, true
		}
		if !s.pushed(after[:n]) {
			return nil, false
		}
		s.out = append(s.out, taken...)
		p = after[n:]
	}
}

// chunks takes what comes over a link, and answers each chunk, which has whole lines, with one.
func (s *server) chunks(p []byte) (rest []byte, ok bool) {
	for {
		digits, after, whole := bytes.Cut(p, []byte("\r\n"))
		if !whole {
			return p, true
		}
		n, err := strconv.ParseUint(string(digits), 16, 24)
		if err != nil || n == 0 {
			return nil, false
		}
		if len(after) < int(n)+2 {
			return p, true
		}
		lines := bytes.TrimSuffix(after[:n], []byte("\n"))
		s.out = append(strconv.AppendInt(s.out, int64((bytes.Count(lines, []byte("\n"))+1)*(len(result)+1)), 16), "\r\n"...)
		for line := range bytes.SplitSeq(lines, []byte("\n")) {
			if !s.pushed(line) {
				return nil, false
			}
			s.out = append(append(s.out, result...), '\n')
		}
		s.out = append(s.out, "\r\n"...)
		p = after[n+2:]
	}
}

// pushed delivers a push of /v1.
func (s *server) pushed(body []byte) (ok bool) {
	_, data, ok := bytes.Cut(body, []byte(`"data":"`))
	data, _, closed := bytes.Cut(data, []byte(`"`))
	if !ok || !closed {
		return false
	}
	packet := append(append(append(make([]byte, 0, 256), `42["new_msg","`...), data...), `"]`...)
	if n := number(body); n < 0 {
		s.all = load.AppendServerFrame(s.all, packet)
	} else if n < len(s.users) && s.users[n] != nil {
		s.send(s.users[n], load.AppendServerFrame(nil, packet))
	}
	return true
}
