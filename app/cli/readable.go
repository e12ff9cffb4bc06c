package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
)

// readable writes arguments on one line, for people: a lone string as it is, anything else as JSON.
func readable(args []json.RawMessage) string {
	var text string
	if len(args) == 1 && len(args[0]) > 0 && args[0][0] == '"' && json.Unmarshal(args[0], &text) == nil {
		return printable(text)
	}
	var b bytes.Buffer
	for i, arg := range args {
		if i > 0 {
			b.WriteByte(' ')
		}
		if err := json.Compact(&b, arg); err != nil {
			b.WriteString("?") // never: it has been parsed
		}
	}
	return printable(b.String())
}

// printable returns text that does nothing to a terminal but show itself, on one line: what is not meant to be seen is escaped
// as in JSON.
func printable(text string) string {
	return escape(text, func(r rune) bool {
		return !unicode.IsPrint(r) && r != '\u200d' // which joins emoji
	})
}

// escapeControls escapes the control characters in JSON, of which none stands outside a string.
func escapeControls(text string) string { return escape(text, unicode.IsControl) }

// escape writes the characters that bad says are, as JSON escapes them.
func escape(text string, bad func(rune) bool) string {
	if strings.IndexFunc(text, bad) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case !bad(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
