package configs

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Mistake is one thing that is wrong with the settings.
type Mistake struct {
	Key     string `json:"key"`             // the setting, or what was taken for one
	Value   string `json:"value,omitempty"` // as it may be shown: quoted, secrets masked; may be empty
	Problem string `json:"problem"`         // what is allowed
	Where   string `json:"where,omitempty"` // "default", "file crier.yaml:12", "env CRIER_LISTEN" or "flag --listen"; may be empty
}

// String is one line: KEY: "VALUE" PROBLEM (WHERE).
func (m Mistake) String() string {
	line := m.Key + ":"
	if m.Value != "" {
		line += " " + m.Value
	}
	line += " " + m.Problem
	if m.Where != "" {
		line += " (" + m.Where + ")"
	}
	return line
}

// Mistakes is the error of Load: everything that is wrong, in the order of the settings.
type Mistakes []Mistake

// Error has one line per mistake.
func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i, mistake := range m {
		lines[i] = mistake.String()
	}
	return strings.Join(lines, "\n")
}

// shown is text as it may be printed: a secret is masked if there is one, and so is what an address may hide.
func (s setting) shown(text string) string {
	if s.secret && text != "" {
		return mask
	}
	return redact(text)
}

// quoted is shown for a mistake: one line, not too long.
func (s setting) quoted(text string) string {
	if s.secret || isPrivate(text) {
		return mask
	}
	return quote(redact(text))
}

// redact masks user and password in http://user:password@host/, and the query, where tokens are put.
func redact(text string) string {
	scheme := ""
	if i := strings.Index(text, "://"); i >= 0 {
		scheme, text = text[:i+3], text[i+3:]
		if i := strings.IndexByte(text, '?'); i >= 0 && i+1 < len(text) {
			text = text[:i+1] + mask
		}
	}
	if i := strings.LastIndexByte(text, '@'); i >= 0 {
		text = mask + text[i:]
	}
	return scheme + text
}

// quote writes text in quotes, its end cut off if it is long.
func quote(text string) string {
	const most = 80 // bytes
	if len(text) <= most {
		return strconv.Quote(text)
	}
	end := most
	for !utf8.RuneStart(text[end]) && end > most-utf8.UTFMax {
		end--
	}
	return strconv.Quote(text[:end]) + "…"
}

// name writes a key nobody knows: as it is if it looks like one, else in quotes.
func name(key string) string {
	if key != "" && strings.IndexFunc(key, func(r rune) bool { return !isAlphanumeric(r) && !strings.ContainsRune("_.-", r) }) < 0 && len(key) <= 80 {
		return key
	}
	return quote(key)
}

// unknown is the problem of a key that is none, with the nearest one there is.
func unknown(what, key string, candidates []string) string {
	if best := Nearest(key, candidates); best != "" {
		return "is not " + what + "; did you mean " + best + "?"
	}
	return "is not " + what
}

// Nearest returns the candidate that somebody who wrote key probably meant: the one fewest edits away, or
// "" if all are too far. A candidate with the same last part (ping_timeout, socketio.ping_timeout) is near,
// and one with a part less behind it (tls.key_file, tls.key).
func Nearest(key string, candidates []string) string {
	if len(key) > 80 {
		return ""
	}
	best, least := "", max(1, len(key)*2/5)+1
	for _, candidate := range candidates {
		d := editDistance(strings.ToLower(key), strings.ToLower(candidate))
		if lastPart(key) == lastPart(candidate) || strings.HasPrefix(key, candidate+"_") {
			d = min(d, 2)
		}
		if d < least {
			best, least = candidate, d
		}
	}
	return best
}

// lastPart is what is behind the last dot of a key or a flag.
func lastPart(key string) string {
	return strings.TrimLeft(key[strings.LastIndexByte(key, '.')+1:], "-")
}

// editDistance is the Levenshtein distance of two short texts, in bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
