package attack

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf16"
)

// session is one of Socket.IO, on any of its transports.
type session struct {
	a    *Attacker
	w    Way
	id   string
	sock *conn // nil: it polls
}

var sid = regexp.MustCompile(`\\?"sid\\?":\\?"([^"\\]+)`)

// open opens a session, without joining a namespace.
func (a *Attacker) open(w Way) (*session, error) {
	if w.Upgraded && w.Socket {
		return a.upgraded(w)
	}
	s := &session{a: a, w: w}
	var hello string
	if w.Socket {
		var err error
		if s.sock, err = a.webSocket(w); err != nil {
			return nil, err
		}
		if hello, err = s.sock.read(); err != nil {
			return nil, fmt.Errorf("opening a session: %w", err)
		}
	} else {
		r, err := a.ask(w, head("GET", w.Path))
		if err != nil {
			return nil, err
		}
		hello = r.body
	}
	found := sid.FindStringSubmatch(hello)
	if found == nil {
		return nil, fmt.Errorf("opening a session: %.100q", hello)
	}
	s.id = found[1]
	return s, nil
}

// join opens a session that has joined the main namespace.
func (a *Attacker) join(w Way) (*session, error) {
	s, err := a.open(w)
	if err != nil || w.Revision == 3 {
		return s, err
	}
	if err := s.say("40"); err != nil {
		return nil, err
	}
	if s.sock != nil {
		err = s.sock.await("40{")
	}
	return s, err
}

// address is where the session polls.
func (s *session) address() string { return s.w.Path + "&sid=" + s.id }

// say sends packets of Engine.IO: text, with the type first.
func (s *session) say(packets ...string) error {
	if s.sock != nil {
		var out []byte
		for _, p := range packets {
			out = append(out, frame(finText, p)...)
		}
		return s.sock.write(out)
	}
	return s.post(s.payload(packets...))
}

// payload joins packets for a POST.
func (s *session) payload(packets ...string) string {
	if s.w.Revision == 4 {
		return strings.Join(packets, "\x1e")
	}
	var out strings.Builder
	for _, p := range packets {
		fmt.Fprintf(&out, "%d:%s", len(utf16.Encode([]rune(p))), p)
	}
	return out.String()
}

// attach sends binary data, as an attachment comes.
func (s *session) attach(data string) error {
	switch {
	case s.sock != nil && s.w.Revision == 3:
		return s.sock.write(frame(finBinary, "\x04"+data))
	case s.sock != nil:
		return s.sock.write(frame(finBinary, data))
	case s.w.Revision == 3:
		return s.say("b4" + base64.StdEncoding.EncodeToString([]byte(data)))
	default:
		return s.say("b" + base64.StdEncoding.EncodeToString([]byte(data)))
	}
}

// post posts a payload. What is answered shows later, in whether the session lives.
func (s *session) post(payload string) error {
	kind := "text/plain;charset=UTF-8"
	if s.w.JSONP {
		kind = "application/x-www-form-urlencoded"
		payload = "d=" + url.QueryEscape(strings.ReplaceAll(payload, "\n", "\\n"))
	}
	r, err := s.a.post(s.w, s.address(), kind, payload)
	return errors.Join(err, r.sound())
}

// poll polls once.
func (s *session) poll() (answer, error) { return s.a.ask(s.w, head("GET", s.address())) }

// lives checks that the session does, and still gets answers.
func (s *session) lives() error {
	const question, reply = `427["login","mallory"]`, "437["
	if err := s.say(question); err != nil {
		return err
	}
	if s.sock != nil {
		return s.sock.await(reply)
	}
	for range 10 {
		r, err := s.poll()
		if err != nil {
			return err
		}
		if strings.Contains(r.body, reply) {
			return nil
		}
		if r.status != 200 {
			return fmt.Errorf("the session was ended: %d %.100q", r.status, r.body)
		}
	}
	return errors.New("the session is not answered")
}

// gone waits until the server has ended the session.
func (s *session) gone() error {
	if s.sock != nil {
		return s.sock.end()
	}
	for range 10 {
		r, err := s.poll()
		if err != nil {
			return err
		}
		if r.status != 200 {
			return nil
		}
	}
	return errors.New("the session was not ended")
}

// says is an input: packets that are said on a session, and what has to become of that.
func says(name string, become func(*session) error, packets ...string) Input {
	return Input{name, func(a *Attacker, w Way) error {
		s, err := a.join(w)
		if err != nil {
			return err
		}
		if err := s.say(packets...); err != nil {
			return err
		}
		return become(s)
	}}
}

// either is for what a server may take or refuse.
func either(s *session) error { return nil }
