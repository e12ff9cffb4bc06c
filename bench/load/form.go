package load

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Form is how a server is told to push, over HTTP.
type Form struct {
	Path   string
	Type   string // of the body
	Header string // more lines of the head, each with its CRLF
	// One and All are bodies that push to a user and to everybody. {uid} and {content} stand for these; neither
	// needs escaping.
	One, All string
	// OK is in the answer to a push that reached its user.
	OK string
	// BatchPath takes several pushes at once, as an array of them; "" if nothing does.
	BatchPath string
}

// Validate says what is missing.
func (f Form) Validate() error {
	switch {
	case !strings.Contains(f.One, "{uid}"), !strings.Contains(f.One, "{content}"):
		return fmt.Errorf("the body of a push, %q, needs {uid} and {content}", f.One)
	case !strings.Contains(f.All, "{content}"):
		return fmt.Errorf("the body of a push to all, %q, needs {content}", f.All)
	case f.OK == "":
		return errors.New("what is in the answer to a push that was delivered is not known")
	}
	return nil
}

// template is a body taken apart at {uid} and {content}.
type template []piece

type piece struct {
	text string // before it
	what byte   // 'u' or 'c'; 0: the text is the end
}

func parseTemplate(body string) template {
	var t template
	for body != "" {
		u, c := strings.Index(body, "{uid}"), strings.Index(body, "{content}")
		switch {
		case u >= 0 && (c < 0 || u < c):
			t = append(t, piece{text: body[:u], what: 'u'})
			body = body[u+len("{uid}"):]
		case c >= 0:
			t = append(t, piece{text: body[:c], what: 'c'})
			body = body[c+len("{content}"):]
		default:
			return append(t, piece{text: body})
		}
	}
	return t
}

// append appends the body for a user and a content.
func (t template) append(dst []byte, user int, content func([]byte) []byte) []byte {
	for _, p := range t {
		dst = append(dst, p.text...)
		switch p.what {
		case 'u':
			dst = appendUID(dst, user)
		case 'c':
			dst = content(dst)
		}
	}
	return dst
}

// head is that of a request up to the value of Content-Length.
func (f Form) head(path, host string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\n%sContent-Type: %s\r\nContent-Length: ", path, host, f.Header, f.Type)
}

// appendRequest appends a request with body.
func appendRequest(dst, head, body []byte) []byte {
	dst = strconv.AppendInt(append(dst, head...), int64(len(body)), 10)
	return append(append(dst, "\r\n\r\n"...), body...)
}

// reached counts the pushes that an answer says reached somebody.
func (f Form) reached(answer []byte) int { return bytes.Count(answer, []byte(f.OK)) }

// UID is the uid of client i.
func UID(i int) string { return string(appendUID(nil, i)) }

func appendUID(dst []byte, i int) []byte {
	return strconv.AppendInt(append(dst, "user-"...), int64(i), 10)
}
