package load

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// events are Server-Sent Events. It implements [speaker].
type events struct {
	target Target
	to     listener
}

func (e *events) hello(dst []byte, c *client) []byte {
	sign := "?"
	if strings.Contains(e.target.Path, "?") {
		sign = "&"
	}
	return fmt.Appendf(dst, "GET %s%suid=%s HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n%s\r\n",
		e.target.Path, sign, UID(c.id), e.target.Host, agent)
}

func (*events) say(*client, []byte) error {
	return errors.New("nothing can be said over Server-Sent Events")
}

// hear takes whole lines. Those of chunks lie between those of events and mean nothing here.
func (e *events) hear(c *client, p []byte) ([]byte, error) {
	if c.phase == asking {
		r, rest, ok, err := cutHead(p)
		if err != nil || !ok {
			return p, err
		}
		if r.status != 200 {
			r.body = rest
			return p, r.errorText()
		}
		p = rest
		e.to.loggedIn(c)
	}
	end := bytes.LastIndexByte(p, '\n') + 1
	if end == 0 {
		return p, nil
	}
	lines := p[:end]
	if bytes.HasPrefix(lines, []byte(":")) {
		e.to.beat(c)
	}
	return p[end:], e.to.delivered(c, lines)
}
