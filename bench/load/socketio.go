package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

var errClosed = errors.New("the server ended the connection")

// socketIO are the packets of Engine.IO with those of Socket.IO in them. It implements [packets].
type socketIO struct {
	target Target
	to     listener
	s      speaker
}

func (*socketIO) open(*client) error { return nil }

// loginID is that of the acknowledgement that a login asks for; those of later events count from 1.
const loginID = 0

func (s *socketIO) packet(c *client, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	switch p[0] {
	case '0':
		return s.opened(c, p[1:])
	case '1':
		return errClosed
	case '2':
		s.to.beat(c)
		return s.s.say(c, append([]byte{'3'}, p[1:]...))
	case '3':
		s.to.beat(c)
		return nil
	case '4':
		return s.message(c, p[1:])
	}
	return nil // such as noop
}

// opened takes the handshake of Engine.IO.
func (s *socketIO) opened(c *client, p []byte) error {
	var open struct {
		SID          string
		PingInterval int
	}
	if err := json.Unmarshal(p, &open); err != nil {
		return fmt.Errorf("the server's handshake: %w", err)
	}
	if s.target.Speech == Polling {
		c.sid = open.SID
	}
	if s.target.EIO == 3 {
		s.to.pace(open.PingInterval)
		return nil // the server connects the main namespace
	}
	return s.s.say(c, []byte("40"))
}

// message takes a packet of Socket.IO, of the main namespace.
func (s *socketIO) message(c *client, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	switch p[0] {
	case '0':
		return s.connected(c)
	case '1':
		return errors.New("the server disconnected the client")
	case '4':
		return fmt.Errorf("the server refused the connection: %s", p[1:])
	case '3':
		return s.answer(c, p[1:])
	case '2':
		if c.phase == loggingIn && bytes.HasPrefix(p[1:], strconv.AppendQuote([]byte{'['}, s.target.LoggedIn)) {
			s.to.loggedIn(c)
		}
		return s.to.delivered(c, p)
	}
	return nil
}

func (s *socketIO) connected(c *client) error {
	if c.phase != greeting {
		return nil
	}
	c.phase = loggingIn
	if s.target.Login == "" {
		s.to.loggedIn(c)
		return nil
	}
	id := ""
	if s.target.LoggedIn == "ack" {
		id = strconv.Itoa(loginID)
	}
	if err := s.s.say(c, fmt.Appendf(nil, `42%s[%q,"%s"]`, id, s.target.Login, UID(c.id))); err != nil {
		return err
	}
	if s.target.LoggedIn == "sent" {
		s.to.loggedIn(c)
	}
	return nil
}

// answer takes an acknowledgement.
func (s *socketIO) answer(c *client, p []byte) error {
	i := bytes.IndexByte(p, '[')
	if i < 0 {
		return fmt.Errorf("the server acknowledged with %q", p)
	}
	id, err := strconv.ParseUint(string(p[:i]), 10, 64)
	if err != nil {
		return fmt.Errorf("the server acknowledged with %q", p)
	}
	if bytes.HasPrefix(p[i:], []byte(`[{"ok":false`)) {
		return fmt.Errorf("the server refused the login: %s", p[i:])
	}
	if id != loginID {
		return s.to.acked(c, id)
	}
	if c.phase == loggingIn {
		s.to.loggedIn(c)
	}
	return nil
}
