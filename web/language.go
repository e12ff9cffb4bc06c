package web

import (
	"iter"
	"strconv"
	"strings"
)

// language is one of the languages the pages are written in: a primary tag of
// BCP 47.
type language string

const (
	english language = "en"
	chinese language = "zh"
)

// chooseLanguage picks from Accept-Language, RFC 9110 §12.5.4: the wanted
// language with the highest weight, the earlier one on a tie, English when
// neither is named.
func chooseLanguage(header []string) language {
	best, weight := english, 0.0
	for tag, q := range qualities(header) {
		primary, _, _ := strings.Cut(tag, "-")
		l := language(primary)
		if (l == english || l == chinese) && q > weight {
			best, weight = l, q
		}
	}
	return best
}

// qualities yields the lower-case members of a weighted list header with their
// weight, 1 when none is given. Members with an unreadable weight are left out.
func qualities(header []string) iter.Seq2[string, float64] {
	return func(yield func(string, float64) bool) {
		for _, line := range header {
			for item := range strings.SplitSeq(line, ",") {
				name, q, ok := quality(item)
				if ok && !yield(name, q) {
					return
				}
			}
		}
	}
}

func quality(item string) (name string, q float64, ok bool) {
	name, params, _ := strings.Cut(strings.ToLower(item), ";")
	if name = strings.TrimSpace(name); name == "" {
		return "", 0, false
	}
	for param := range strings.SplitSeq(params, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if strings.TrimSpace(key) != "q" {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return "", 0, false
		}
		return name, q, true
	}
	return name, 1, true
}
