package load

import (
	"fmt"
	"strconv"
	"time"
)

// EventPrefix is how a push looks to a client, up to its content.
const EventPrefix = `42["new_msg","`

// A content is a stamp (when it was sent, in nanoseconds of the load's clock, and its number) and as
// many letters as make it long enough.
const (
	sentDigits = 19
	seqDigits  = 9
	stampSize  = sentDigits + seqDigits
)

// AppendContent appends the content of the seq-th push to a client, of size bytes, at least 28. seq
// counts from 1 after [Fleet.Reset].
func AppendContent(dst []byte, sent time.Duration, seq, size int) []byte {
	dst = appendDigits(dst, int64(sent), sentDigits)
	dst = appendDigits(dst, int64(seq), seqDigits)
	for range size - stampSize {
		dst = append(dst, 'x')
	}
	return dst
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

func parseContent(content []byte) (sent time.Duration, seq int, err error) {
	if len(content) < stampSize {
		return 0, 0, fmt.Errorf("a content of %d bytes", len(content))
	}
	at, err := strconv.ParseInt(string(content[:sentDigits]), 10, 64)
	if err == nil {
		seq, err = strconv.Atoi(string(content[sentDigits:stampSize]))
	}
	if err != nil {
		return 0, 0, fmt.Errorf("parsing a content: %w", err)
	}
	return time.Duration(at), seq, nil
}
