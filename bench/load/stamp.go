package load

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"time"
)

// A content is a stamp and as many letters as make it long enough. The stamp is a mark, which tells this
// run from any other, when it was sent, in nanoseconds of the load's clock, and its number. All of it goes
// unchanged through JSON, forms and HTML, so it is found in whatever a server wraps around it.
const (
	markSize   = 8
	sentDigits = 15 // eleven days
	seqDigits  = 9
	// StampSize is how long a content is at least, in bytes.
	StampSize = markSize + sentDigits + seqDigits
)

var errStamp = errors.New("the server sent a part of a message, or changed it")

// Stamp writes and finds the contents of one run.
type Stamp struct{ mark []byte }

// NewStamp returns one with a mark of its own.
func NewStamp() Stamp {
	mark := make([]byte, markSize)
	for i := range mark {
		mark[i] = byte('a' + rand.IntN(26))
	}
	mark[0], mark[markSize-1] = '~', '~'
	return Stamp{mark: mark}
}

// Append appends the content of the seq-th message to somebody, of size bytes. seq counts from 1.
func (s Stamp) Append(dst []byte, sent time.Duration, seq, size int) []byte {
	dst = append(dst, s.mark...)
	dst = appendDigits(dst, int64(sent), sentDigits)
	dst = appendDigits(dst, int64(seq), seqDigits)
	for range size - StampSize {
		dst = append(dst, 'x')
	}
	return dst
}

// Next finds the first content in p, and returns what is behind its stamp. ok is false if there is none.
func (s Stamp) Next(p []byte) (sent time.Duration, seq int, rest []byte, ok bool, err error) {
	i := bytes.Index(p, s.mark)
	if i < 0 {
		return 0, 0, p, false, nil
	}
	if p = p[i:]; len(p) < StampSize {
		return 0, 0, p, false, errStamp
	}
	at, fine := parseDigits(p[markSize : markSize+sentDigits])
	n, fine2 := parseDigits(p[markSize+sentDigits : StampSize])
	if !fine || !fine2 {
		return 0, 0, p, false, errStamp
	}
	return time.Duration(at), int(n), p[StampSize:], true, nil
}

func appendDigits(dst []byte, v int64, digits int) []byte {
	from := len(dst)
	for range digits {
		dst = append(dst, '0')
	}
	for i := len(dst) - 1; i >= from; i-- {
		dst[i] = byte('0' + v%10)
		v /= 10
	}
	return dst
}

func parseDigits(p []byte) (v int64, ok bool) {
	for _, b := range p {
		if b < '0' || b > '9' {
			return 0, false
		}
		v = 10*v + int64(b-'0')
	}
	return v, true
}
