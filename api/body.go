package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxParts is how many parts a multipart body may have; each costs much more than its bytes.
const maxParts = maxUsers + 100

// readBody reads the whole body of r into dst, which grows as bytes arrive, not as they are announced.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, dst []byte) ([]byte, *problem) {
	if r.ContentLength > s.maxBody {
		return dst, s.bodyTooLarge()
	}
	body := io.Reader(r.Body)
	if r.ContentLength < 0 {
		body = http.MaxBytesReader(w, r.Body, s.maxBody)
	}
	for {
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, 1024)
		}
		n, err := body.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if err == nil {
			continue
		}
		if errors.Is(err, io.EOF) {
			return dst, nil
		}
		return dst, s.bodyProblem(err)
	}
}

// bodyProblem is the answer to a body that could not be read.
func (s *Server) bodyProblem(err error) *problem {
	var tooMany *http.MaxBytesError
	switch {
	case errors.As(err, &tooMany):
		return s.bodyTooLarge()
	case errors.Is(err, errCrowd):
		return crowded()
	}
	return &problem{kind: badBody, text: "The body ended before its end: send it whole."}
}

// bodyTooLarge is the answer to a body over the limit.
func (s *Server) bodyTooLarge() *problem {
	return &problem{
		kind: tooLarge,
		text: fmt.Sprintf("The body has more than the %d bytes of api.max_body: send less, or raise that.", s.maxBody),
	}
}

// parseBody adds the variables of a body, by its Content-Type: multipart, JSON, and urlencoded for anything else, as
// web-msg-sender did. It overwrites body.
func (f *form) parseBody(contentType string, body []byte) *problem {
	if len(body) == 0 {
		return nil
	}
	if contentType == "application/x-www-form-urlencoded" { // what most callers send, and no need to take it apart
		f.parseQuery(body)
		return nil
	}
	media, parameters, err := mime.ParseMediaType(contentType)
	switch {
	case err == nil && strings.HasPrefix(media, "multipart/"):
		return f.parseMultipart(body, parameters["boundary"])
	case err == nil && (strings.HasSuffix(media, "/json") || strings.HasSuffix(media, "+json")):
		return f.parseJSON(body)
	}
	f.parseQuery(body)
	return nil
}

// parseMultipart adds the fields of a multipart body (RFC 7578). Files are left out, as they are of PHP's $_POST.
func (f *form) parseMultipart(body []byte, boundary string) *problem {
	if boundary == "" || !bytes.Contains(body, []byte("--"+boundary)) {
		return fail("the boundary of the multipart Content-Type is not in the body")
	}
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	for n := 0; ; n++ {
		if n > maxParts {
			return fail("the multipart body has too many parts: split the call")
		}
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fail("the multipart body is malformed or cut short")
		}
		_, parameters, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
		if err != nil {
			return fail("a part of the multipart body has a malformed Content-Disposition")
		}
		if _, file := parameters["filename"]; file {
			continue
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return fail("the multipart body is malformed or cut short")
		}
		f.assign([]byte(parameters["name"]), value)
	}
}

// parseJSON adds the members of a JSON object. As with PHP's json_decode(), it has to be UTF-8, and the later of two
// members of a name stays; null and an empty array have no members.
func (f *form) parseJSON(body []byte) *problem {
	if body = bytes.TrimSpace(body); len(body) == 0 {
		return nil
	}
	if !utf8.Valid(body) || !json.Valid(body) {
		return fail("the body is not valid JSON in UTF-8")
	}
	switch body[0] {
	case '{':
		return eachMember(body, f.setJSON)
	case '[':
		f.any = len(bytes.TrimSpace(body[1:])) > 1
	default:
		f.any = string(body) != "null"
	}
	if f.any {
		return fail("the JSON body is not an object")
	}
	return nil
}

// setJSON gives the variable called name the value of a JSON object's member.
func (f *form) setJSON(name string, value []byte) {
	f.any = true
	if v := f.named(name); v == &f.to {
		*v = jsonUsers(value)
	} else if v != nil {
		*v = jsonText(value)
	}
}

// eachMember calls fn with every member of a valid JSON object, or with every element of an array under the name "".
// The value is valid during the call.
func eachMember(data []byte, fn func(name string, value []byte)) *problem {
	decoder := json.NewDecoder(bytes.NewReader(data))
	_, err := decoder.Token() // the bracket
	for value := json.RawMessage(nil); err == nil && decoder.More(); {
		name := ""
		if data[0] == '{' {
			var token json.Token
			if token, err = decoder.Token(); err != nil {
				break
			}
			name, _ = token.(string)
		}
		if err = decoder.Decode(&value); err == nil {
			fn(name, value)
		}
	}
	if err != nil {
		return fail("the body is not valid JSON in UTF-8")
	}
	return nil
}

// jsonText is the string that PHP makes of a valid JSON value, but numbers stay as they are written. Null is unset.
func jsonText(value []byte) variable {
	switch value[0] {
	case 'n':
		return variable{}
	case 't':
		return variable{set: true, text: []byte("1")}
	case 'f':
		return variable{set: true}
	case '[', '{':
		return variable{set: true, invalid: "it is not a string"}
	case '"':
		var s string
		if err := json.Unmarshal(value, &s); err != nil {
			return variable{set: true, invalid: "it is not a valid JSON string"}
		}
		return variable{set: true, text: []byte(s)}
	default:
		return variable{set: true, text: bytes.Clone(value)}
	}
}

// jsonUsers is the variable of a valid JSON value that names one user, or several in an array or in an object's values
// (which is what PHP makes of an array with gaps). Null is unset.
func jsonUsers(value []byte) variable {
	switch value[0] {
	case 'n':
		return variable{}
	case '[', '{':
		list := variable{set: true, values: &array{}}
		broken := eachMember(value, func(_ string, element []byte) {
			if user := jsonUser(element); user.invalid != "" {
				list.invalid = user.invalid
			} else {
				list.put("", user.text)
			}
		})
		if broken != nil {
			list.invalid = broken.text
		}
		return list
	default:
		return jsonUser(value)
	}
}

// jsonUser is the variable of a valid JSON value that names one user: a string, or an integer as its digits.
func jsonUser(value []byte) variable {
	if value[0] == '"' {
		return jsonText(value)
	}
	for i, c := range value {
		if (c < '0' || c > '9') && (c != '-' || i > 0) {
			return variable{set: true, invalid: "a user is a string or an integer"}
		}
	}
	return variable{set: true, text: bytes.Clone(value)}
}
