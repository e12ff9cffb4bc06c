package api

import (
	"bytes"
	"encoding/base64"
	"strconv"
)

// maxAttachments is how many binary arguments one message may have; each is a packet of its own to every receiver.
const maxAttachments = 1000

// lifter moves the binary arguments of one message out of its JSON.
type lifter struct {
	attachments [][]byte
	placeholder bool // the JSON has a member called _placeholder of its own
}

// lift appends value, valid JSON, to dst. Every {"$binary":"<base64>"} in it becomes an attachment, with
// {"_placeholder":true,"num":n} in its place; all else is copied as it stands. field is what errors call the value.
func (l *lifter) lift(dst, value []byte, field string) ([]byte, *fault) {
	if !bytes.Contains(value, []byte("$binary")) && !bytes.Contains(value, []byte("_placeholder")) && !bytes.Contains(value, []byte(`\u`)) {
		return append(dst, value...), nil // neither name is in it, not even with escapes
	}
	copied := 0 // value[:copied] has been appended
	for i := 0; i < len(value); {
		switch value[i] {
		case '"':
			end := skipString(value, i)
			if next := skipSpace(value, end); next < len(value) && value[next] == ':' && string(unquoted(value[i:end])) == "_placeholder" {
				l.placeholder = true
			}
			i = end
		case '{':
			encoded, end := binaryObject(value, i)
			if encoded == nil {
				i++
				continue
			}
			dst = append(dst, value[copied:i]...)
			var bad *fault
			if dst, bad = l.attach(dst, encoded, field); bad != nil {
				return dst, bad
			}
			i, copied = end, end
		default:
			i++
		}
	}
	return append(dst, value[copied:]...), nil
}

// binaryObject returns the base64 of the object that begins at b[i] and the index behind it, or nil if the object is not
// one whose only member is the string $binary.
func binaryObject(b []byte, i int) (encoded []byte, end int) {
	i = skipSpace(b, i+1)
	if b[i] != '"' {
		return nil, 0
	}
	end = skipString(b, i)
	if string(unquoted(b[i:end])) != "$binary" {
		return nil, 0
	}
	i = skipSpace(b, skipSpace(b, end)+1)
	if b[i] != '"' {
		return nil, 0
	}
	end = skipString(b, i)
	value := b[i:end]
	end = skipSpace(b, end)
	if b[end] != '}' {
		return nil, 0
	}
	return unquoted(value), end + 1 // no escapes are left: PHP writes / as \/
}

// attach adds an attachment and appends its placeholder.
func (l *lifter) attach(dst, encoded []byte, field string) ([]byte, *fault) {
	if len(l.attachments) == maxAttachments {
		return dst, &fault{
			code:   codeTooMany,
			detail: field + " has more than " + strconv.Itoa(maxAttachments) + " $binary objects: join them, or send several messages.",
		}
	}
	decoded := make([]byte, base64.StdEncoding.DecodedLen(len(encoded)))
	n, err := base64.StdEncoding.Strict().Decode(decoded, encoded)
	if err != nil {
		return dst, &fault{
			code:   codeInvalidBinary,
			detail: field + " has a $binary whose text is not base64 with padding (RFC 4648, section 4).",
		}
	}
	dst = append(dst, `{"_placeholder":true,"num":`...)
	dst = strconv.AppendInt(dst, int64(len(l.attachments)), 10)
	l.attachments = append(l.attachments, decoded[:n])
	return append(dst, '}'), nil
}

// check returns the fault of a message whose own data would be taken for an attachment.
func (l *lifter) check() *fault {
	if l.placeholder && len(l.attachments) > 0 {
		return &fault{
			code:   codeInvalidBinary,
			detail: "A message with $binary cannot have a member called _placeholder: receivers would take it for an attachment.",
		}
	}
	return nil
}
