package parsers

import (
	"bytes"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"crier/io/engineio"
)

// engineRules are the differences from the official decoders of Engine.IO that are meant.
var engineRules = []rule[engineCase]{
	{
		name:   "payload is not UTF-8",
		reason: "Node puts U+FFFD where bytes are no UTF-8; no client sends such, and it would hide who broke the text",
		covers: func(c engineCase) bool {
			return !c.decoder.binary && !utf8.Valid(c.input) && c.weRefuse("not UTF-8", "announced length")
		},
	},
	{
		name:   "base64 with stray characters",
		reason: "Node skips what is no base64; no client sends such, and lost bytes should be seen",
		covers: func(c engineCase) bool {
			return c.weRefuse("malformed base64", "text is not UTF-8") && strayBase64.MatchString(c.badBase64())
		},
	},
	{
		name:   "base64 in both alphabets",
		reason: "Node reads the standard and the URL alphabet mixed; no encoder writes that",
		covers: func(c engineCase) bool {
			return c.weRefuse("malformed base64") && strings.ContainsAny(c.badBase64(), "-_") && strings.ContainsAny(c.badBase64(), "+/")
		},
	},
	{
		name:   "base64 with padding before the end",
		reason: "Node reads on behind padding, or stops there, as its version has it",
		covers: func(c engineCase) bool {
			return c.weRefuse("malformed base64") && innerPadding.MatchString(c.badBase64())
		},
	},
	{
		name:   "base64 that ends within a byte",
		reason: "Node drops a last character that says less than a byte; it means that some are missing",
		covers: func(c engineCase) bool {
			return c.weRefuse("malformed base64") && len(base64Space.ReplaceAllString(c.badBase64(), ""))%4 == 1
		},
	},
	{
		name:   "binary packet of no type",
		reason: "the old decoders return binary and base64 packets of unknown types without one, which the server then ignores",
		covers: func(c engineCase) bool {
			if !c.weRefuse("unknown packet type", "empty packet", "without a type", "text is not UTF-8") {
				return false
			}
			for _, p := range c.theirs {
				if p.kind == "" && p.binary {
					return true
				}
			}
			return false
		},
	},
	{
		name:   "length that only JavaScript calls a number",
		reason: "Node takes 2.0, 0x2, +2, 2e0 and blanks for lengths; clients write digits",
		covers: func(c engineCase) bool {
			return c.decoder.name == "payload-text3" && c.weRefuse("malformed length") && jsNumber.Match(c.bad().header)
		},
	},
	{
		name:   "length of more than ten digits",
		reason: "Node takes any number of zeros before a length; ten digits are enough for anybody, and bound the work",
		covers: func(c engineCase) bool {
			return c.weRefuse("malformed length") && longLength.Match(c.bad().header)
		},
	},
	{
		name:   "length whose digits are no digits",
		reason: "Node reads a byte like 12 as two digits and goes on in the wrong place",
		covers: func(c engineCase) bool {
			return c.decoder.name == "payload-binary3" && c.weRefuse("malformed length") && bytes.IndexFunc(c.bad().header, func(r rune) bool { return r > 9 }) >= 0
		},
	},
	{
		name:   "binary packet without a length",
		reason: "Node takes none for an empty packet, and what follows for the next one's length",
		covers: func(c engineCase) bool {
			return c.decoder.name == "payload-binary3" && c.weRefuse("malformed length") && len(c.bad().header) == 0
		},
	},
	{
		name:   "length beyond the end of a binary payload",
		reason: "Node shortens the last packet; a body that was cut must be refused",
		covers: func(c engineCase) bool {
			return c.decoder.name == "payload-binary3" && c.weRefuse("announced length", "malformed length") && c.bad().short
		},
	},
	{
		name:   "empty binary payload",
		reason: "Node finds no packets in an empty body where it expects binary, and a mistake where it expects text; clients send neither",
		covers: func(c engineCase) bool {
			return c.decoder.name == "payload-binary3" && c.weRefuse("empty payload") && len(c.input) == 0 && len(c.theirs) == 0
		},
	},
	{
		name:   "packet neither text nor binary",
		reason: "Node takes everything but 0 for binary; clients write 1",
		covers: func(c engineCase) bool {
			return c.weRefuse("neither text nor binary") && c.bad().kind > 1
		},
	},
	{
		name:   "text that 1.x would decode twice",
		reason: "a 1.x server refuses or garbles text that was encoded once, as 2.x clients do; ours reads both, by what the text looks like",
		covers: func(c engineCase) bool {
			if c.parser != parserOne || c.decoder.name != "payload-text3" || c.err != nil {
				return false
			}
			if c.at != onlyOne {
				p, theirs := c.ours[c.at], c.theirs[c.at]
				return p.kind == theirs.kind && !p.binary && !theirs.binary && encodedOnce(p.data, c.frames()[c.at])
			}
			for i, p := range c.ours {
				if !p.binary && encodedOnce(p.data, c.frames()[i]) {
					return true
				}
			}
			return false
		},
	},
	{
		name:   "text that 2.x leaves encoded twice",
		reason: "a 2.x server garbles the text of 1.x clients; ours decodes it once more if that is possible",
		covers: func(c engineCase) bool {
			if c.parser == parserOne || c.decoder.name != "payload-text3" || c.at == onlyOne {
				return false
			}
			p, theirs := c.ours[c.at], c.theirs[c.at]
			once, ok := fromLatin1(theirs.data)
			once, _ = replaceSurrogates(once)
			return p.kind == theirs.kind && !p.binary && !theirs.binary && ok && p.data == string(once)
		},
	},
	{
		name:   "surrogates on their own",
		reason: "the 1.x decoder lets them through, which JavaScript's strings can have and UTF-8 cannot; as later decoders do, ours puts U+FFFD",
		covers: func(c engineCase) bool {
			if c.parser != parserOne || c.at == onlyOne {
				return false
			}
			theirs := c.theirs[c.at]
			lone := theirs.lone
			theirs.lone = false
			return lone && theirs == c.ours[c.at]
		},
	},
	{
		name:   "surrogate pairs in two times three bytes",
		reason: "the 1.x decoder makes one character of them; no client encodes a pair so, and later decoders put U+FFFD twice, as ours",
		covers: func(c engineCase) bool {
			if c.parser != parserOne || c.at == onlyOne {
				return false
			}
			p, theirs := c.ours[c.at], c.theirs[c.at]
			theirs.lone = false
			twoFor := func(s string) string { return astral.ReplaceAllString(s, "\ufffd\ufffd") }
			p.data, theirs.data = twoFor(p.data), twoFor(theirs.data)
			raw := c.frames()[c.at]
			if once, ok := fromLatin1(string(raw)); ok {
				raw = once
			}
			_, pair := replaceSurrogates(raw)
			return p == theirs && pair
		},
	},
}

var (
	strayBase64  = regexp.MustCompile(`[^A-Za-z0-9+/_=\r\n-]`)
	innerPadding = regexp.MustCompile(`=[\r\n]*[^=\r\n]|===`)
	base64Space  = regexp.MustCompile(`[=\r\n]`)
	jsNumber     = regexp.MustCompile(`^[\s\v\p{Z}\x{feff}]*([+-]?(\d*\.?\d*([eE][+-]?\d+)?|\d+\.|Infinity)|0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+)[\s\v\p{Z}\x{feff}]*$`)
	longLength   = regexp.MustCompile(`^([0-9]{11,}|[\x00-\x09]{11,})$`)
	astral       = regexp.MustCompile(`[\x{10000}-\x{10ffff}]`)
)

// units is the length of text in UTF-16 code units.
func units(text string) int { return len(utf16.Encode([]rune(text))) }

// surrogateAt returns the surrogate that b begins with in the three bytes that UTF-8 would give it, or 0.
func surrogateAt(b []byte) rune {
	if len(b) < 3 || b[0] != 0xed || b[1] < 0xa0 || b[1] > 0xbf || b[2]&0xc0 != 0x80 {
		return 0
	}
	return 0xd000 | rune(b[1]&0x3f)<<6 | rune(b[2]&0x3f)
}

// replaceSurrogates puts U+FFFD where surrogates stand on their own, and says whether two of them are a pair.
func replaceSurrogates(b []byte) (replaced []byte, pair bool) {
	for len(b) > 0 {
		size := 1
		if r := surrogateAt(b); r != 0 {
			size = 3
			pair = pair || utf16.DecodeRune(r, surrogateAt(b[3:])) != utf8.RuneError
			replaced = append(replaced, "\ufffd"...)
		} else {
			replaced = append(replaced, b[0])
		}
		b = b[size:]
	}
	return replaced, pair
}

// fromLatin1 undoes latin1. It fails for plain ASCII, and for text that does not become UTF-8, but for surrogates.
func fromLatin1(text string) (once []byte, ok bool) {
	for _, r := range text {
		if r > 0xff {
			return nil, false
		}
		once = append(once, byte(r))
	}
	repaired, _ := replaceSurrogates(once)
	return once, len(once) < len(text) && utf8.Valid(repaired)
}

// encodedOnce says whether data is the text of frame, with characters beyond ASCII, and cannot be decoded again.
func encodedOnce(data string, frame []byte) bool {
	_, twice := fromLatin1(data)
	return !twice && string(frame[1:]) == data && strings.ContainsFunc(data, func(r rune) bool { return r >= utf8.RuneSelf })
}

// A culprit is where a decoder stops.
type culprit struct {
	header []byte // the length
	kind   byte   // before the length, in a binary payload
	short  bool   // less follows than the length says
	frame  []byte // the packet, if it is at fault
}

func (c engineCase) bad() culprit {
	_, bad := c.walk()
	return bad
}

// frames returns the packets of the input, up to the first mistake.
func (c engineCase) frames() [][]byte {
	frames, _ := c.walk()
	return frames
}

// badBase64 is the base64 of the packet that is at fault.
func (c engineCase) badBase64() string {
	mark := len("b")
	if c.decoder.rev == engineio.Revision3 {
		mark = len("b4")
	}
	frame := c.bad().frame
	if !bytes.HasPrefix(frame, []byte("b")) {
		return ""
	}
	return string(frame[min(mark, len(frame)):])
}

// walk cuts the input into packets.
func (c engineCase) walk() (frames [][]byte, bad culprit) {
	var next func(b []byte) (frame, rest []byte, bad *culprit)
	switch c.decoder.name {
	case "payload-text3":
		next = nextText3
	case "payload-binary3":
		next = nextBinary3
	case "payload4":
		next = func(b []byte) (frame, rest []byte, bad *culprit) {
			frame, rest, _ = bytes.Cut(b, []byte{engineio.Separator})
			return frame, rest, nil
		}
	default:
		return [][]byte{c.input}, culprit{frame: c.input}
	}
	for b := c.input; len(b) > 0; {
		kind := b[0]
		frame, rest, bad := next(b)
		if bad != nil {
			return frames, *bad
		}
		b = rest
		if len(frame) == 0 && c.decoder.name == "payload-text3" {
			continue
		}
		parse := engineio.ParseText
		if c.decoder.name == "payload-binary3" && kind == 1 {
			parse = engineio.ParseBinary
		}
		if _, err := parse(c.decoder.rev, frame); err != nil {
			return frames, culprit{frame: frame}
		}
		frames = append(frames, frame)
	}
	return frames, culprit{}
}

var shortNumber = regexp.MustCompile(`^[0-9]{1,10}$`)

func nextText3(b []byte) (frame, rest []byte, bad *culprit) {
	header, rest, found := bytes.Cut(b, []byte(":"))
	if !found || !shortNumber.Match(header) {
		return nil, nil, &culprit{header: header}
	}
	n, text := number(header, '0'), utf16.Encode([]rune(string(rest)))
	if n > len(text) {
		return nil, nil, &culprit{header: header, short: true}
	}
	return []byte(string(utf16.Decode(text[:n]))), []byte(string(utf16.Decode(text[n:]))), nil
}

func nextBinary3(b []byte) (frame, rest []byte, bad *culprit) {
	header, rest, found := bytes.Cut(b[1:], []byte{0xff})
	digits := bytes.IndexFunc(header, func(r rune) bool { return r > 9 }) < 0
	if !found || !digits || len(header) == 0 || len(header) > 10 {
		return nil, nil, &culprit{header: header, kind: b[0]}
	}
	n := number(header, 0)
	if n > len(rest) || b[0] > 1 {
		return nil, nil, &culprit{header: header, kind: b[0], short: n > len(rest)}
	}
	return rest[:n], rest[n:], nil
}

func number(digits []byte, zero byte) int {
	n := 0
	for _, c := range digits {
		n = n*10 + int(c-zero)
	}
	return n
}
