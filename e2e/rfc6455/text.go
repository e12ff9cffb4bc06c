package rfc6455

import (
	"fmt"
	"slices"
	"strings"
)

// badText is what no text can have in it: not UTF-8 (RFC 3629 §3).
var badText = map[string]string{
	"a continuation byte":              "\x80",
	"the last continuation byte":       "\xbf",
	"many continuation bytes":          "\x80\xbf\x80\xbf\x80",
	"a start of two alone":             "\xc3",
	"a start of three alone":           "\xe2",
	"a start of three and one":         "\xe2\x82",
	"a start of four alone":            "\xf0",
	"a start of four and two":          "\xf0\x9f\x98",
	"a start of two before a letter":   "\xc3x",
	"a start of three before a letter": "\xe2\x82x",
	"an overlong slash in two bytes":   "\xc0\xaf",
	"an overlong slash in three bytes": "\xe0\x80\xaf",
	"an overlong slash in four bytes":  "\xf0\x80\x80\xaf",
	"the longest overlong of two":      "\xc1\xbf",
	"the longest overlong of three":    "\xe0\x9f\xbf",
	"the longest overlong of four":     "\xf0\x8f\xbf\xbf",
	"an overlong NUL":                  "\xc0\x80",
	"the first high surrogate":         "\xed\xa0\x80",
	"the last low surrogate":           "\xed\xbf\xbf",
	"a pair of surrogates":             "\xed\xa0\xbd\xed\xb8\x80",
	"a code point behind the last":     "\xf4\x90\x80\x80",
	"a start of four that never is":    "\xf5\x80\x80\x80",
	"a start of five":                  "\xf8\x88\x80\x80\x80",
	"a start of six":                   "\xfc\x84\x80\x80\x80\x80",
	"the byte fe":                      "\xfe",
	"the byte ff":                      "\xff",
	"Latin-1":                          "caf\xe9!",
	"a good character and a cut one":   "é\xc3",
	"UTF-16":                           "\xff\xfeh\x00",
}

// goodText is at the edges of what text can have.
var goodText = map[string]string{
	"Greek": "κόσμε", "Chinese": "中文测试", "an emoji": "😀", "a family of emojis": "👨‍👩‍👧‍👦", "the last of one byte": "\x7f",
	"the first of two": "\u0080", "the last of two": "\u07ff", "the first of three": "\u0800", "the last before surrogates": "\ud7ff",
	"the first behind surrogates": "\ue000", "the replacement character": "\ufffd", "a noncharacter": "\uffff", "another noncharacter": "\ufffe",
	"a noncharacter in the middle": "\ufdd0", "the first of four": "\U00010000", "the last of all": "\U0010ffff", "a byte order mark": "\ufeffx",
	"combining marks": "e\u0301\u0323", "right to left": "\u202eabc\u202c", "line separators": "a\u2028b\u2029c",
}

func sorted(m map[string]string) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// texts are the cases of RFC 6455 §8.1.
func texts() []Case {
	var all []Case
	add := func(name string, build func(*script)) { all = append(all, Case{"8.1 text", name, build}) }
	for _, name := range sorted(goodText) {
		content := goodText[name]
		add(name, func(s *script) { s.text(content) })
		add(name+", cut between all bytes", func(s *script) {
			payload, at := s.message(opText, []byte(content))
			if s.unfit {
				return
			}
			sizes := []int{at}
			for range len(content) - 1 {
				sizes = append(sizes, 1)
			}
			s.send(split(opText, payload, sizes...)...)
			s.answer(opText, payload)
		})
	}
	for _, name := range sorted(badText) {
		content := badText[name]
		add(name, func(s *script) {
			s.text("before")
			payload, _ := s.message(opText, []byte(content))
			s.send(fin(opText, payload))
			s.closed(1007)
		})
		add(name+", cut in its midst", func(s *script) {
			payload, at := s.message(opText, []byte(content))
			if s.unfit {
				return
			}
			s.send(split(opText, payload, at+len(content)/2)...)
			s.closed(1007)
		})
		add(name+", which is no text in binary", func(s *script) {
			payload, _ := s.message(opBinary, []byte(content))
			s.echo(opBinary, payload)
		})
	}
	add("a character cut by pings", func(s *script) {
		payload, at := s.message(opText, []byte("😀"))
		if s.unfit {
			return
		}
		for n, f := range split(opText, payload, at+1, 1, 1) {
			s.send(f)
			if n < 3 {
				s.send(fin(opPing, []byte{0xff}))
				s.pong([]byte{0xff})
			}
		}
		s.answer(opText, payload)
	})
	add("half a character at the end of one message, the other half at the beginning of the next", func(s *script) {
		payload, at := s.message(opText, []byte("😀"))
		if s.unfit {
			return
		}
		s.send(fin(opText, payload[:at+2]), fin(opText, payload[at+2:]))
		s.closed(1007)
	})
	add("a bad byte at the end of much text", func(s *script) {
		payload, _ := s.message(opText, []byte(strings.Repeat("中", 300_000)+"\xff"))
		s.send(fin(opText, payload))
		s.closed(1007)
	})
	for _, n := range []int{1, 2, 3, 4, 5, 6, 7, 8} {
		add(fmt.Sprintf("a bad byte behind %d others", n), func(s *script) { // where a word ends
			payload, _ := s.message(opText, []byte(strings.Repeat("x", n)+"\xff"))
			s.send(fin(opText, payload))
			s.closed(1007)
		})
	}
	return all
}
