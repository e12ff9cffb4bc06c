package load

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// poll carries packets in the bodies of requests, one after the other on one connection. It implements [speaker].
type poll struct {
	target  Target
	to      listener
	packets packets
}

func (p *poll) hello(dst []byte, _ *client) []byte { return p.get(dst, "") }

func (p *poll) get(dst []byte, sid string) []byte {
	return fmt.Appendf(dst, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", p.address(sid), p.target.Host, agent)
}

func (p *poll) post(body []byte, sid string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: %d\r\n%s\r\n%s",
		p.address(sid), p.target.Host, len(body), agent, body)
}

func (p *poll) address(sid string) string {
	address := p.target.engine("polling")
	if sid != "" {
		address += "&sid=" + sid
	}
	return address
}

// say keeps the packet until the poll under way has its answer. A heartbeat of ours, of Engine.IO 3, cannot
// wait for that.
func (p *poll) say(c *client, packet []byte) error {
	if string(packet) == "2" {
		p.to.errand(c, p.post(p.payload(nil, packet), c.sid))
		return nil
	}
	c.said = p.payload(c.said, packet)
	return nil
}

// payload appends a packet to others.
func (p *poll) payload(dst, packet []byte) []byte {
	if p.target.EIO == 3 {
		dst = append(strconv.AppendInt(dst, int64(utf8.RuneCount(packet)), 10), ':')
	} else if len(dst) > 0 {
		dst = append(dst, separator)
	}
	return append(dst, packet...)
}

// separator stands between the packets of Engine.IO 4.
const separator = '\x1e'

func (p *poll) hear(c *client, in []byte) ([]byte, error) {
	for {
		r, rest, ok, err := cutResponse(in)
		if err != nil || !ok {
			return in, err
		}
		in = rest
		if r.status != 200 {
			return in, r.errorText()
		}
		if c.phase == asking {
			c.phase = greeting
		}
		if !c.posting {
			if err := p.split(c, r.body); err != nil {
				return in, err
			}
		}
		request := p.get(nil, c.sid)
		if c.posting = len(c.said) > 0; c.posting {
			request = p.post(c.said, c.sid)
			c.said = nil
		}
		if err := p.to.send(c, request); err != nil {
			return in, err
		}
	}
}

// split takes the packets of an answer to a poll.
func (p *poll) split(c *client, body []byte) error {
	if p.target.EIO == 4 {
		for packet := range bytes.SplitSeq(body, []byte{separator}) {
			if err := p.packets.packet(c, packet); err != nil {
				return err
			}
		}
		return nil
	}
	for len(body) > 0 {
		packet, rest, err := cutPacket(body)
		if err != nil {
			return err
		}
		body = rest
		if err := p.packets.packet(c, packet); err != nil {
			return err
		}
	}
	return nil
}

var errPayload = errors.New("the server's payload is not one of Engine.IO 3")

// cutPacket cuts the first packet off a payload of Engine.IO 3, whose lengths count characters. Both forms that a
// server may send are taken: text, and bytes (0, digits, 255), whose lengths count bytes.
func cutPacket(p []byte) (packet, rest []byte, err error) {
	if p[0] <= 1 {
		end := bytes.IndexByte(p, 255)
		if end < 0 {
			return nil, p, errPayload
		}
		n := 0
		for _, digit := range p[1:end] {
			n = 10*n + int(digit)
		}
		if p = p[end+1:]; n > len(p) {
			return nil, p, errPayload
		}
		return p[:n], p[n:], nil
	}
	digits, text, ok := bytes.Cut(p, []byte(":"))
	n, err := strconv.Atoi(string(digits))
	if !ok || err != nil {
		return nil, p, errPayload
	}
	end := 0
	for n > 0 && end < len(text) {
		r, size := utf8.DecodeRune(text[end:])
		if n--; r > 0xffff {
			n-- // two for JavaScript
		}
		end += size
	}
	if n > 0 {
		return nil, p, errPayload
	}
	return text[:end], text[end:], nil
}
