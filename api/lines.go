package api

import (
	"bytes"
	"errors"
	"io"
)

const (
	// firstLine is the memory that a reader of lines begins with.
	firstLine = 4 << 10
	// lineSpare is how much longer than its message a line may be, for the names that it is to.
	lineSpare = 1 << 20
)

// errLineTooLong says that a line was longer than it may be. The next call reads on behind it.
var errLineTooLong = errors.New("the line is too long")

// MaxLine returns how many bytes one line of a link may have under these limits of Options, defaults filled in: base64 and
// escapes make a message longer. The Upgrader of /v1/stream must take as much.
func MaxLine(maxBody, maxContent int64) int {
	if maxContent == 0 || maxContent > (maxBody-lineSpare)/2 {
		return int(maxBody)
	}
	return int(2*maxContent + lineSpare)
}

// lineReader cuts a stream into lines (https://github.com/ndjson/ndjson-spec). Its memory grows as bytes arrive.
type lineReader struct {
	src        io.Reader
	max        int // bytes of a line, its end not counted
	buf        []byte
	start, end int   // buf[start:end] has been read and not yet returned
	searched   int   // there is no line end in buf[start:searched]
	skip       bool  // what comes up to the next line end belongs to a line too long
	err        error // of src
}

// next returns the next line without its end, valid until the next call; the last one needs no end. The error is
// errLineTooLong, io.EOF, or that of the source, and then what there is of a line is dropped.
func (l *lineReader) next() ([]byte, error) {
	if l.start == l.end && len(l.buf) > maxScratch {
		l.buf = nil // a link may be idle for long
		l.drop()
	}
	for {
		if l.atHand() {
			line := l.buf[l.start:l.searched]
			l.start = l.searched + 1
			l.searched = l.start
			if l.skip {
				l.skip = false
				continue
			}
			return l.check(line)
		}
		if l.skip {
			l.drop()
		} else if l.end-l.start > l.max {
			l.drop()
			l.skip = true
			return nil, errLineTooLong
		}
		if l.err != nil {
			line := l.buf[l.start:l.end]
			l.drop()
			if len(line) == 0 || !errors.Is(l.err, io.EOF) {
				return nil, l.err
			}
			return l.check(line)
		}
		l.read()
	}
}

// atHand reports whether the next line has been read as a whole: then next does not wait.
func (l *lineReader) atHand() bool {
	i := bytes.IndexByte(l.buf[l.searched:l.end], '\n')
	if i < 0 {
		l.searched = l.end
		return false
	}
	l.searched += i
	return true
}

// drop forgets what has been read.
func (l *lineReader) drop() { l.start, l.searched, l.end = 0, 0, 0 }

// check returns the line unless it is too long.
func (l *lineReader) check(line []byte) ([]byte, error) {
	if len(line) > l.max {
		return nil, errLineTooLong
	}
	return bytes.TrimSuffix(line, []byte{'\r'}), nil
}

// read reads once from the source, behind what is there.
func (l *lineReader) read() {
	if l.end == len(l.buf) {
		old := l.buf[l.start:l.end]
		if l.start < len(l.buf)/2 || len(l.buf) == 0 {
			l.buf = make([]byte, min(max(2*len(l.buf), firstLine), l.max+firstLine))
		}
		l.searched -= l.start // what has been searched stays searched
		l.start, l.end = 0, copy(l.buf, old)
	}
	var n int
	n, l.err = l.src.Read(l.buf[l.end:])
	l.end += n
}
