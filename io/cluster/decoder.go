package cluster

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"time"
)

// appendNumber appends a number that is not negative, as uvarint.
func appendNumber(b []byte, n int) []byte { return binary.AppendUvarint(b, uint64(n)) }

func appendNames(b []byte, names []string) []byte {
	b = appendNumber(b, len(names))
	for _, name := range names {
		b = appendText(b, name)
	}
	return b
}

// appendText appends a text behind its length.
func appendText[T string | []byte | json.RawMessage](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// decoder reads what the functions above append, and varints. After something that cannot be, it is bad, and reads nothing any more.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) fail() { d.bad, d.rest = true, nil }

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.fail()
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

// wait reads milliseconds.
func (d *decoder) wait() time.Duration {
	n := d.number()
	if n > math.MaxInt64/uint64(time.Millisecond) {
		d.fail()
		return 0
	}
	return time.Duration(n) * time.Millisecond
}

func (d *decoder) varint() int64 {
	n, size := binary.Varint(d.rest)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

// count reads how many things follow, of which each takes a byte at least.
func (d *decoder) count() int {
	n := d.number()
	if n > uint64(len(d.rest)) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) bytes() []byte {
	n := d.count()
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) text() string { return string(d.bytes()) }

func (d *decoder) names() []string {
	var names []string
	for range d.count() {
		names = append(names, d.text())
	}
	return names
}
