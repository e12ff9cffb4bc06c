package parsers

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode/utf8"
)

// generator makes inputs, the same ones for the same seed.
type generator struct{ *rand.Rand }

// material is what the inputs of one decoder are made of.
type material[W any] struct {
	known  []string                               // tried as they are, and mutated
	tokens []string                               // what mutations insert, and random inputs consist of
	valid  func(generator) (input string, want W) // an input and what it means
	text   bool                                   // inputs are valid UTF-8
}

// input is one input. want is what it means, if that is known.
type input[W any] struct {
	bytes []byte
	want  *W
}

// inputs returns what is known and n more: valid ones, mutations and random ones.
func inputs[W any](g generator, m material[W], n int) []input[W] {
	list := make([]input[W], 0, len(m.known)+n)
	add := func(s string) {
		if m.text {
			s = strings.ToValidUTF8(s, "")
		}
		list = append(list, input[W]{bytes: []byte(s)})
	}
	for _, s := range m.known {
		add(s)
	}
	for range n {
		switch kind := g.IntN(10); {
		case kind < 3:
			s, want := m.valid(g)
			list = append(list, input[W]{bytes: []byte(s), want: &want})
		case kind < 5:
			s, _ := m.valid(g)
			add(g.mutated(s, m.tokens))
		case kind < 8:
			add(g.mutated(pick(g, m.known), m.tokens))
		default:
			add(g.random(m.tokens))
		}
	}
	return list
}

func pick[T any](g generator, list []T) T { return list[g.IntN(len(list))] }

// mutated changes s in one to four places.
func (g generator) mutated(s string, tokens []string) string {
	b := []byte(s)
	for range 1 + g.IntN(4) {
		i := g.IntN(len(b) + 1)
		j := min(len(b), i+1+g.IntN(4))
		switch g.IntN(6) {
		case 0:
			b = slices.Insert(b, i, []byte(pick(g, tokens))...)
		case 1:
			b = slices.Replace(b, i, j, []byte(pick(g, tokens))...)
		case 2:
			b = slices.Delete(b, i, j)
		case 3:
			b = slices.Insert(b, i, b[i:j]...)
		case 4:
			if i < len(b) {
				b[i] ^= 1 << g.IntN(8)
			}
		default:
			b = b[:i]
		}
	}
	return string(b)
}

func (g generator) random(tokens []string) string {
	var b strings.Builder
	for range g.IntN(10) {
		if g.IntN(5) == 0 {
			b.WriteByte(byte(g.Uint32()))
		} else {
			b.WriteString(pick(g, tokens))
		}
	}
	return b.String()
}

// alphabets for text: what JSON is made of, other scripts, what a second UTF-8 encoding and
// JavaScript's white space look like, and what separates packets.
var alphabets = []string{
	`abcXYZ019 _-/\"',:[]{}`,
	"中文é😀ÿ€яĀŁ\u0301",
	"\u00e4\u00b8\u00ad\u00c3\u00a9\u00f0\u009f\u0098\u0080Ā",
	"\u00a0\ufeff\u2028\u3000\t\v\r\n",
	"0123456789:b4-",
	"\x00\x01\x7f\ufffd\uffff\U0010ffff",
}

// text returns up to 20 characters, mostly of one alphabet.
func (g generator) text() string {
	first := []rune(pick(g, alphabets))
	var b strings.Builder
	for range g.IntN(20) {
		alphabet := first
		if g.IntN(8) == 0 {
			alphabet = []rune(pick(g, alphabets))
		}
		b.WriteRune(pick(g, alphabet))
	}
	return b.String()
}

func (g generator) bytes() []byte {
	b := make([]byte, g.IntN(12))
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	return b
}

// json returns a JSON text, with white space and escapes that no encoder would use.
func (g generator) json(depth int) string {
	kinds := 9
	if depth == 0 {
		kinds = 6
	}
	switch g.IntN(kinds) {
	case 0:
		return pick(g, []string{"null", "true", "false"})
	case 1, 2:
		return pick(g, []string{"0", "-0", "1", "-12", "1.5", "1e3", "2E-7", "1e400", "9007199254740993", "0.1"})
	case 3, 4, 5:
		return g.jsonString()
	case 6:
		return fmt.Sprintf(`{"_placeholder":%v,"num":%d}`, g.IntN(8) > 0, g.IntN(3))
	case 7:
		return g.jsonArray(depth - 1)
	default:
		var members []string
		for range g.IntN(3) {
			key := pick(g, []string{g.jsonString(), `"__proto__"`, `"num"`, `"a"`, `"a"`})
			members = append(members, key+g.blank()+":"+g.blank()+g.json(depth-1))
		}
		return "{" + strings.Join(members, ",") + "}"
	}
}

// jsonArray returns an array that begins with the given elements.
func (g generator) jsonArray(depth int, elements ...string) string {
	for range g.IntN(3) {
		elements = append(elements, g.json(depth))
	}
	return "[" + g.blank() + strings.Join(elements, g.blank()+","+g.blank()) + "]"
}

func (g generator) jsonString() string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range g.text() {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r < 0x10000 && g.IntN(10) == 0:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	if g.IntN(20) == 0 {
		b.WriteString(`\ud83d`)
	}
	b.WriteByte('"')
	return b.String()
}

func (g generator) blank() string {
	if g.IntN(6) > 0 {
		return ""
	}
	return pick(g, []string{" ", "\t", "\r\n"})
}

// latin1 is text whose characters are the bytes of s: what a second UTF-8 encoding makes of it.
func latin1(s string) string {
	var b []byte
	for i := range len(s) {
		b = utf8.AppendRune(b, rune(s[i]))
	}
	return string(b)
}

func newGenerator(seed, stream uint64) generator {
	return generator{rand.New(rand.NewPCG(seed, stream))}
}
