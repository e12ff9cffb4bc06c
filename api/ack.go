package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"time"
	"unicode/utf8"

	"crier/io/hub"
)

const (
	// maxAck is how long a push may wait for acknowledgements.
	maxAck = time.Minute
	// maxAnswers is how many bytes of answers the result of a push may have, base64 not counted, and arrayAnswers
	// how many in an array of pushes.
	maxAnswers   = 64 << 10
	arrayAnswers = 4 << 10
)

// Asker pushes messages that clients are asked to acknowledge. *hub.Hub is one.
type Asker interface {
	Ask(ctx context.Context, p hub.Push, q hub.Question) (hub.Result, error)
}

// errNoAsker says that no acknowledgements can be asked for.
var errNoAsker = errors.New("this server cannot ask for acknowledgements")

// acked is what clients acknowledged a push with.
type acked struct {
	users, connections int
	answers            []byte // a JSON array
	truncated          bool   // there were more
}

// ackTime reads how long to wait for acknowledgements.
func ackTime(value []byte) (time.Duration, *fault) {
	if value[0] == '"' {
		d, err := time.ParseDuration(string(unquoted(value)))
		if err == nil && d >= time.Millisecond && d <= maxAck {
			return d, nil
		}
	}
	return 0, invalid("ack", `has to be how long to wait, from "1ms" to "60s", such as "2s"`)
}

// ask hands o to the hub, and lands what came of it once clients have acknowledged it or the time is up. Without an
// error it returns at once.
func (s *Server) ask(ctx context.Context, who *caller, o *order, land func(outcome, error)) error {
	if s.asker == nil {
		return errNoAsker
	}
	if err := o.turns.wait(ctx); err != nil {
		return err
	}
	keep, now := o.keep, time.Now()
	placed := func() {}
	if s.sender != nil { // what is stored behind it goes another way to the other servers
		sent := o.turns.send()
		placed = func() { close(sent) }
	}
	r, err := s.asker.Ask(ctx, hub.Push{To: o.to, Message: &o.parcel.message, Claim: o.claim}, hub.Question{
		Wait:   o.ack,
		Placed: placed,
		Keep:   keep,
		Done: func(a hub.Answers) {
			s.note(who, a.Pushed, now, &a)
			land(outcome{users: a.Pushed.Users, connections: a.Pushed.Connections, partial: a.Pushed.Partial, acked: who.answers(&a, keep)}, nil)
		},
	})
	if err != nil {
		placed()
		return err
	}
	s.note(who, r, now, nil)
	return nil
}

// answers encodes what clients answered, of which at most so many bytes, as who may see it.
func (c *caller) answers(a *hub.Answers, keep int) *acked {
	out := &acked{users: a.Users, connections: a.Connections, truncated: a.Truncated}
	b := []byte{'['}
	for i := range a.List {
		before := len(b)
		if before > 1 {
			b = append(b, ',')
		}
		var whole bool
		if b, whole = c.appendAnswer(b, &a.List[i], 2*keep-before); !whole {
			b, out.truncated = b[:before], true
		}
	}
	out.answers = append(b, ']')
	return out
}

// appendAnswer appends one answer to dst, unless that takes more than room bytes.
func (c *caller) appendAnswer(dst []byte, one *hub.Answer, room int) (b []byte, whole bool) {
	most := len(dst) + room
	b = append(dst, `{"connection":`...)
	b = appendJSONString(b, []byte(one.Connection))
	if one.UID != "" && c.sees(one.UID) {
		b = append(b, `,"uid":`...)
		b = appendJSONString(b, []byte(one.UID))
	}
	b = append(b, `,"args":[`...)
	for i, arg := range one.Args {
		if i > 0 {
			b = append(b, ',')
		}
		if b, whole = appendInlined(b, arg, one.Attachments, most); !whole {
			return b, false
		}
	}
	b = append(b, "]}"...)
	return b, len(b) <= most
}

// appendInlined appends value, valid JSON, to dst with {"$binary":"<base64>"} in the place of each placeholder of an
// attachment, as long as dst has at most so many bytes.
func appendInlined(dst, value []byte, attachments [][]byte, most int) (b []byte, whole bool) {
	if !utf8.Valid(value) {
		return dst, false
	}
	copied := 0 // value[:copied] has been appended
	for i := 0; i < len(value) && len(attachments) > 0; {
		switch value[i] {
		case '"':
			i = skipString(value, i)
		case '{':
			n, end := placeholder(value[i:])
			if n < 0 || n >= len(attachments) {
				i++
				continue
			}
			dst = append(dst, value[copied:i]...)
			if len(dst)+base64.StdEncoding.EncodedLen(len(attachments[n])) > most {
				return dst, false // an attachment may be named more than once
			}
			dst = append(dst, `{"$binary":"`...)
			dst = base64.StdEncoding.AppendEncode(dst, attachments[n])
			dst = append(dst, `"}`...)
			i += end
			copied = i
		default:
			i++
		}
	}
	dst = append(dst, value[copied:]...)
	return dst, len(dst) <= most
}

// placeholder returns which attachment the object at the beginning of b stands for, and the index behind the object; n is
// -1 if it stands for none.
func placeholder(b []byte) (n, end int) {
	end = skipNested(b, 0)
	var p struct {
		Placeholder bool `json:"_placeholder"`
		Num         *int `json:"num"`
	}
	if end > 64 || json.Unmarshal(b[:end], &p) != nil || !p.Placeholder || p.Num == nil {
		return -1, 0
	}
	return *p.Num, end
}

// append appends what clients acknowledged to dst, as a member of the result.
func (a *acked) append(dst []byte) []byte {
	dst = append(dst, `,"acked":{"users":`...)
	dst = strconv.AppendInt(dst, int64(a.users), 10)
	dst = append(dst, `,"connections":`...)
	dst = strconv.AppendInt(dst, int64(a.connections), 10)
	dst = append(dst, `,"answers":`...)
	dst = append(dst, a.answers...)
	if a.truncated {
		dst = append(dst, `,"truncated":true`...)
	}
	return append(dst, '}')
}
