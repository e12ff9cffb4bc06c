package configs

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// value is one field of a Config seen as text. Each kind of setting has one implementation.
type value interface {
	// kind names what the setting takes, for the help: "DURATION", "LIST".
	kind() string
	// list reports whether several items are taken. Otherwise set gets exactly one.
	list() bool
	// set stores the items, or stores nothing and returns each one that is wrong.
	set(items []string) []fault
	// items returns what is stored, such that set would store the same again.
	items() []string
}

// fault is one item that a setting does not take.
type fault struct {
	item    string // empty: the fault is that nothing was given
	problem string // what is allowed, such as "must be true or false"
}

// one parses the single item of a scalar setting into *p.
func one[T any](p *T, items []string, parse func(string) (T, error)) []fault {
	got, err := parse(items[0])
	if err != nil {
		return []fault{{items[0], err.Error()}}
	}
	*p = got
	return nil
}

// many parses the items of a list setting into *p. Two items that come to the same text are a fault.
func many[T any](p *[]T, items []string, parse func(string) (T, error), text func(T) string) []fault {
	var got []T
	var faults []fault
	seen := make(map[string]bool, len(items))
	for _, item := range items {
		element, err := parse(item)
		switch {
		case err != nil:
			faults = append(faults, fault{item, err.Error()})
		case seen[text(element)]:
			faults = append(faults, fault{item, "is given twice; once is enough"})
		default:
			seen[text(element)] = true
			got = append(got, element)
		}
	}
	if faults == nil {
		*p = got
	}
	return faults
}

// textValue is a string; parse checks it and may bring it into its usual form.
type textValue struct {
	p     *string
	name  string // the kind
	parse func(string) (string, error)
}

func (v textValue) kind() string { return v.name }
func (v textValue) list() bool   { return false }

func (v textValue) set(items []string) []fault { return one(v.p, items, v.parse) }

func (v textValue) items() []string { return []string{*v.p} }

// choice is a string that must be one of a few words.
func choice(p *string, words ...string) value {
	return textValue{p, strings.Join(words, "|"), func(text string) (string, error) {
		if !slices.Contains(words, text) {
			return "", fmt.Errorf("must be %s", orList(words))
		}
		return text, nil
	}}
}

// listValue is a list of strings; parse checks one item.
type listValue struct {
	p     *[]string
	name  string
	least int // how many items there must be
	parse func(string) (string, error)
}

func (v listValue) kind() string    { return v.name }
func (v listValue) list() bool      { return true }
func (v listValue) items() []string { return *v.p }

func (v listValue) set(items []string) []fault {
	if len(items) < v.least {
		return []fault{{"", "must name at least one"}}
	}
	return many(v.p, items, v.parse, func(text string) string { return text })
}

// choices is a list of words out of a few.
func choices(p *[]string, words ...string) value {
	return listValue{p, "LIST", 1, func(text string) (string, error) {
		if !slices.Contains(words, text) {
			return "", fmt.Errorf("must be a list of %s", orList(words))
		}
		return text, nil
	}}
}

// prefixValue is a list of networks.
type prefixValue struct{ p *[]netip.Prefix }

func (v prefixValue) kind() string { return "LIST" }
func (v prefixValue) list() bool   { return true }

func (v prefixValue) set(items []string) []fault {
	return many(v.p, items, parsePrefix, netip.Prefix.String)
}

func (v prefixValue) items() []string {
	texts := make([]string, len(*v.p))
	for i, prefix := range *v.p {
		texts[i] = prefix.String()
	}
	return texts
}

// boolValue is a switch.
type boolValue struct{ p *bool }

func (v boolValue) kind() string               { return "true|false" }
func (v boolValue) list() bool                 { return false }
func (v boolValue) set(items []string) []fault { return one(v.p, items, parseBool) }
func (v boolValue) items() []string            { return []string{strconv.FormatBool(*v.p)} }

// durationValue is a Go duration within bounds, both allowed.
type durationValue struct {
	p           *time.Duration
	least, most time.Duration
}

func (v durationValue) kind() string    { return "DURATION" }
func (v durationValue) list() bool      { return false }
func (v durationValue) items() []string { return []string{formatDuration(*v.p)} }

func (v durationValue) set(items []string) []fault {
	return one(v.p, items, func(text string) (time.Duration, error) {
		d, err := time.ParseDuration(text)
		if err != nil || d < v.least || d > v.most {
			return 0, fmt.Errorf("must be a duration from %s to %s, such as 500ms, 25s or 1m30s",
				formatDuration(v.least), formatDuration(v.most))
		}
		return d, nil
	})
}

// sizeValue is a number of bytes within bounds, both allowed.
type sizeValue struct {
	p           *int64
	least, most int64
}

func (v sizeValue) kind() string    { return "SIZE" }
func (v sizeValue) list() bool      { return false }
func (v sizeValue) items() []string { return []string{formatSize(*v.p)} }

func (v sizeValue) set(items []string) []fault {
	return one(v.p, items, func(text string) (int64, error) {
		n, err := parseSize(text)
		if err != nil || n < v.least || n > v.most {
			return 0, fmt.Errorf("must be a size from %s to %s bytes, such as 65536, 64KB (1000 each) or 1MiB (1024×1024)",
				formatSize(v.least), formatSize(v.most))
		}
		return n, nil
	})
}

// autoSizeValue is a number of bytes, or -1, which is written auto.
type autoSizeValue struct {
	p    *int64
	most int64
}

func (v autoSizeValue) kind() string { return "auto|SIZE" }
func (v autoSizeValue) list() bool   { return false }

func (v autoSizeValue) items() []string {
	if *v.p < 0 {
		return []string{"auto"}
	}
	return []string{formatSize(*v.p)}
}

func (v autoSizeValue) set(items []string) []fault {
	return one(v.p, items, func(text string) (int64, error) {
		if strings.EqualFold(text, "auto") {
			return -1, nil
		}
		n, err := parseSize(text)
		if err != nil || n < 0 || n > v.most {
			return 0, fmt.Errorf("must be auto or a size from 0 to %s bytes, such as 256MiB", formatSize(v.most))
		}
		return n, nil
	})
}

// countValue is a whole number within bounds, both allowed.
type countValue struct {
	p           *int
	least, most int
}

func (v countValue) kind() string    { return "NUMBER" }
func (v countValue) list() bool      { return false }
func (v countValue) items() []string { return []string{strconv.Itoa(*v.p)} }

func (v countValue) set(items []string) []fault {
	return one(v.p, items, func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		if err != nil || n < v.least || n > v.most {
			return 0, fmt.Errorf("must be a whole number from %d to %d", v.least, v.most)
		}
		return n, nil
	})
}

// autoValue is a count, or -1, which is written auto.
type autoValue struct {
	p    *int
	most int
}

func (v autoValue) kind() string { return "auto|NUMBER" }
func (v autoValue) list() bool   { return false }

func (v autoValue) items() []string {
	if *v.p < 0 {
		return []string{"auto"}
	}
	return []string{strconv.Itoa(*v.p)}
}

func (v autoValue) set(items []string) []fault {
	return one(v.p, items, func(text string) (int, error) {
		if strings.EqualFold(text, "auto") {
			return -1, nil
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > v.most {
			return 0, fmt.Errorf("must be auto or a whole number from 0 to %d", v.most)
		}
		return n, nil
	})
}

// levelValue is how much is logged.
type levelValue struct{ p *slog.Level }

func (v levelValue) kind() string    { return "debug|info|warn|error" }
func (v levelValue) list() bool      { return false }
func (v levelValue) items() []string { return []string{strings.ToLower(v.p.String())} }

func (v levelValue) set(items []string) []fault {
	return one(v.p, items, func(text string) (slog.Level, error) {
		for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
			if strings.EqualFold(text, level.String()) {
				return level, nil
			}
		}
		return 0, fmt.Errorf("must be %s", orList(strings.Split(v.kind(), "|")))
	})
}

// orList writes "a, b or c".
func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
