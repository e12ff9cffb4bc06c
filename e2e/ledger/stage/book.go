package stage

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// A Stamp is a time in milliseconds since 1970, as all books carry it.
type Stamp int64

// Never is later than every time.
const Never Stamp = 1 << 62

// Now is the present time.
func Now() Stamp { return StampOf(time.Now()) }

// StampOf returns the stamp of a time.
func StampOf(t time.Time) Stamp { return Stamp(t.UnixMilli()) }

// Span returns d as a distance of stamps.
func Span(d time.Duration) Stamp { return Stamp(d.Milliseconds()) }

// A Book is a file of JSON lines that only grows.
type Book struct {
	mu   sync.Mutex
	file *os.File
}

// newBook makes the book path, which must not be there.
func newBook(path string) (*Book, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("making a book: %w", err)
	}
	return &Book{file: file}, nil
}

// Note files a line.
func (b *Book) Note(line any) error {
	text, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("noting in %s: %w", b.file.Name(), err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err := b.file.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("noting in %s: %w", b.file.Name(), err)
	}
	return nil
}

func (b *Book) close() error { return b.file.Close() }

// ReadBook calls each for every line of the book path. A last line without its end was being written when its writer was
// killed, and is left out.
func ReadBook[T any](path string, each func(T)) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("reading a book: %w", err)
	}
	err = readLines(file, each)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}

func readLines[T any](from io.Reader, each func(T)) error {
	lines := bufio.NewReader(from)
	for n := 1; ; n++ {
		text, err := lines.ReadBytes('\n')
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		var line T
		if err := json.Unmarshal(bytes.TrimSpace(text), &line); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		each(line)
	}
}
