package api

import (
	"bytes"
	"strconv"
)

// maxUsers is how many users one call of the legacy form may name.
const maxUsers = 10_000

// variable is one variable of a form, as PHP would hold it: unset, a string, or an array of strings.
type variable struct {
	set     bool
	text    []byte // of a string
	values  *array // of an array
	invalid string // why it is neither, or ""
}

// array is a PHP array of strings.
type array struct {
	values [][]byte
	places map[string]int // key → index in values
	next   int            // the key that [] stands for
}

// form is the variables of one query or body that mean something here. They share memory with what they were parsed
// from, which parsing overwrites.
type form struct {
	any              bool // it had a variable, of whatever name
	typ, to, content variable
	key              variable
}

// named returns the variable called name, or nil if it means nothing here.
func (f *form) named(name string) *variable {
	switch name {
	case "type":
		return &f.typ
	case "to":
		return &f.to
	case "content":
		return &f.content
	case "key":
		return &f.key
	}
	return nil
}

// parseQuery adds the variables of a query string or urlencoded body, as PHP's parse_str() reads it: nothing is an
// error, and of two values for a name the later one stays. It overwrites p.
func (f *form) parseQuery(p []byte) {
	for len(p) > 0 {
		var pair []byte
		pair, p, _ = bytes.Cut(p, []byte{'&'})
		name, value, _ := bytes.Cut(pair, []byte{'='})
		f.assign(unescape(name), unescape(value))
	}
}

// assign gives the variable that name stands for a value. As in PHP, name[] appends to an array, name[k] sets one of
// its elements, spaces before the name and all from a NUL on are no part of it, and a [ without its ] is an underscore.
// A name that is empty or begins with [ is none.
func (f *form) assign(name, value []byte) {
	if i := bytes.IndexByte(name, 0); i >= 0 {
		name = name[:i]
	}
	name = bytes.TrimLeft(name, " ")
	if len(name) == 0 || name[0] == '[' {
		return
	}
	f.any = true
	base, index := name, []byte(nil)
	if i := bytes.IndexByte(name, '['); i >= 0 {
		if bytes.IndexByte(name[i:], ']') < 0 {
			return // no name of ours ends in an underscore
		}
		base, index = name[:i], name[i:]
	}
	v := f.named(string(base))
	if v == nil {
		return
	}
	if index == nil {
		*v = variable{set: true, text: value}
		return
	}
	key, rest, _ := bytes.Cut(index[1:], []byte{']'})
	if len(rest) > 0 && rest[0] == '[' {
		v.set, v.invalid = true, "an array within an array is no list of users"
		return
	}
	v.put(string(bytes.TrimLeft(key, " \t\r\n")), value)
}

// put sets one element of an array, which v becomes if it is none; the key "" is the next free number.
func (v *variable) put(key string, value []byte) {
	if v.values == nil {
		*v = variable{set: true, values: &array{}, invalid: v.invalid}
	}
	a := v.values
	if len(a.values) >= maxUsers {
		v.invalid = "it names more than " + strconv.Itoa(maxUsers) + " users, so split the call"
		return
	}
	if a.places == nil {
		a.places = make(map[string]int)
	}
	if key == "" {
		key = strconv.Itoa(a.next)
	}
	if n, err := strconv.Atoi(key); err == nil && n >= a.next && strconv.Itoa(n) == key {
		a.next = n + 1
	}
	if i, found := a.places[key]; found {
		a.values[i] = value
		return
	}
	a.places[key] = len(a.values)
	a.values = append(a.values, value)
}

// unescape decodes the percent signs and pluses of p in place, and leaves what is no escape as it stands.
func unescape(p []byte) []byte {
	first := bytes.IndexAny(p, "%+")
	if first < 0 {
		return p
	}
	n := first
	for i := first; i < len(p); i++ {
		c := p[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(p) && unhex(p[i+1]) >= 0 && unhex(p[i+2]) >= 0:
			c = byte(unhex(p[i+1])<<4 | unhex(p[i+2]))
			i += 2
		}
		p[n] = c
		n++
	}
	return p[:n]
}

// unhex returns the value of a hexadecimal digit, or -1.
func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
