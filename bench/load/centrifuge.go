package load

import (
	"bytes"
	"fmt"
)

// centrifuge are the commands and replies of Centrifuge's JSON protocol. It implements [packets].
type centrifuge struct {
	to listener
	w  *webSocket
}

func (p *centrifuge) open(c *client) error {
	c.phase = loggingIn
	return p.w.say(c, fmt.Appendf(nil, `{"id":1,"connect":{"data":{"uid":"%s"}}}`, UID(c.id)))
}

func (p *centrifuge) packet(c *client, payload []byte) error {
	for line := range bytes.SplitSeq(payload, []byte("\n")) {
		switch line = bytes.TrimSpace(line); {
		case len(line) == 0:
		case string(line) == "{}":
			p.to.beat(c)
			if err := p.w.say(c, line); err != nil {
				return err
			}
		case bytes.HasPrefix(line, []byte(`{"push":`)):
			if err := p.to.delivered(c, line); err != nil {
				return err
			}
		case bytes.HasPrefix(line, []byte(`{"id":1,"connect":`)):
			p.to.loggedIn(c)
		default:
			return fmt.Errorf("the server answered %q", line)
		}
	}
	return nil
}
