package fallback

import (
	"bytes"
	"net/http"
	"strings"
)

// maxCallback is the greatest length of the name of a JSONP callback.
const maxCallback = 128

// validCallback reports whether a page may name its function so: identifiers of
// ASCII, joined by dots. Nothing else can be put into the script that the answer is.
func validCallback(name string) bool {
	if len(name) > maxCallback {
		return false
	}
	for part := range strings.SplitSeq(name, ".") {
		if part == "" || part[0] >= '0' && part[0] <= '9' {
			return false
		}
		for _, c := range []byte(part) {
			if c != '_' && c != '$' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
				return false
			}
		}
	}
	return true
}

// json is {"next","messages","missed"}.
func (a *pollAnswer) json() []byte {
	b := append([]byte(`{"next":"`), a.next...)
	b = append(b, `","messages":[`...)
	for i, w := range a.messages {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, w.form(formText)...)
	}
	b = append(b, ']')
	if a.missed {
		b = append(b, `,"missed":true`...)
	}
	return append(b, '}')
}

// write answers with JSON or, with the name of a callback, with a script that calls it.
func (a *pollAnswer) write(w http.ResponseWriter, callback string) error {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	body := a.json()
	if callback == "" {
		h.Set("Content-Type", "application/json")
	} else {
		h.Set("Content-Type", "text/javascript; charset=utf-8")
		// Up to ES2018 a string of JavaScript could not have these two, which JSON allows.
		body = bytes.ReplaceAll(body, []byte("\u2028"), []byte(`\u2028`))
		body = bytes.ReplaceAll(body, []byte("\u2029"), []byte(`\u2029`))
		// The comment keeps the answer from being taken for a file of another type that the name imitates.
		body = append(append([]byte("/**/"+callback+"("), body...), ");"...)
	}
	return writeAnswer(w, body)
}
