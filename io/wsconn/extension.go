package wsconn

import (
	"errors"
	"strings"
)

// extensionsField is the field of a handshake that extensions are offered and taken in.
const extensionsField = "Sec-Websocket-Extensions"

// deflateName is the extension that compresses messages (RFC 7692 §7), the only one that is spoken here.
const deflateName = "permessage-deflate"

var errOffers = errors.New("Sec-WebSocket-Extensions is malformed")

// negotiate reads what a client offers in the fields of a handshake, and returns what is answered to the first offer that can be
// met (RFC 7692 §5), "" if there is none. An error says that the fields do not follow the grammar (RFC 6455 §9.1), which
// fails the handshake.
func negotiate(fields []string) (answer string, err error) {
	in := scanner(strings.Join(fields, ","))
	for in.more() {
		if in.take(',') { // an empty element of the list
			continue
		}
		name := in.token()
		if name == "" {
			return "", errOffers
		}
		var o offer
		for in.take(';') {
			param := in.token()
			value, has := "", in.take('=')
			if has {
				value = in.value()
			}
			if param == "" || has && value == "" {
				return "", errOffers
			}
			o.add(param, value, has)
		}
		if in.more() && !in.take(',') {
			return "", errOffers
		}
		if answer == "" && name == deflateName {
			answer = o.answer()
		}
	}
	return answer, nil
}

// offer is what one offer of the extension asks for.
type offer struct {
	seen     []string
	declined bool
	window   bool // the server's window is to have 15 bits
}

// add takes a parameter (RFC 7692 §7.1). What is not known, comes twice, or has a value that it must not have declines the offer. So does a
// smaller window of ours than the format's, 32 KiB: the compressor is not made for one. How large the client's is, is all the same.
func (o *offer) add(param, value string, has bool) {
	for _, p := range o.seen {
		o.declined = o.declined || p == param
	}
	o.seen = append(o.seen, param)
	switch param {
	case "server_no_context_takeover", "client_no_context_takeover":
		o.declined = o.declined || has
	case "client_max_window_bits":
		o.declined = o.declined || has && !isWindow(value)
	case "server_max_window_bits":
		o.window = true
		o.declined = o.declined || value != "15"
	default:
		o.declined = true
	}
}

// isWindow reports whether value is the bits of a window: 8 to 15, without a zero in front.
func isWindow(value string) bool {
	return len(value) == 1 && value >= "8" && value <= "9" || len(value) == 2 && value >= "10" && value <= "15"
}

// answer is what takes the offer. Nothing is kept between two messages, on either side: an idle connection holds neither window
// nor tables, and a broadcast is compressed once for everybody.
func (o *offer) answer() string {
	switch {
	case o.declined:
		return ""
	case o.window: // has to be in the answer if it was in the offer (§7.1.2.1)
		return deflateName + "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15"
	default:
		return deflateName + "; server_no_context_takeover; client_no_context_takeover"
	}
}

// scanner is what is left of a field.
type scanner string

// more reports whether there is anything left but white space.
func (s *scanner) more() bool {
	*s = scanner(strings.TrimLeft(string(*s), " \t"))
	return *s != ""
}

// take takes the next character if it is c.
func (s *scanner) take(c byte) bool {
	if !s.more() || (*s)[0] != c {
		return false
	}
	*s = (*s)[1:]
	return true
}

// token takes a token (RFC 9110 §5.6.2), "" if none comes next.
func (s *scanner) token() string {
	if !s.more() {
		return ""
	}
	n := 0
	for n < len(*s) && isTokenChar((*s)[n]) {
		n++
	}
	t := (*s)[:n]
	*s = (*s)[n:]
	return string(t)
}

// value takes what stands behind an equals sign: a token, or one in quotation marks. "" if none comes next.
func (s *scanner) value() string {
	if !s.take('"') {
		return s.token()
	}
	var value []byte
	for len(*s) > 0 {
		c := (*s)[0]
		*s = (*s)[1:]
		switch {
		case c == '"':
			return string(value)
		case c == '\\' && len(*s) > 0:
			c = (*s)[0]
			*s = (*s)[1:]
		}
		if !isTokenChar(c) {
			break
		}
		value = append(value, c)
	}
	return ""
}

// isTokenChar reports whether c may be in a token.
func isTokenChar(c byte) bool {
	return c > ' ' && c < 0x7f && !strings.ContainsRune(`"(),/:;<=>?@[\]{}`, rune(c))
}
