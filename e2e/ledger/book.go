package main

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

// A stamp is a time in milliseconds since 1970, as all books carry it.
type stamp int64

// never is later than every time.
const never stamp = 1 << 62

func now() stamp { return stampOf(time.Now()) }

func stampOf(t time.Time) stamp { return stamp(t.UnixMilli()) }

// span returns d as a distance of stamps.
func span(d time.Duration) stamp { return stamp(d.Milliseconds()) }

// A book is a file of JSON lines that only grows.
type book struct {
	mu   sync.Mutex
	file *os.File
}

// newBook makes the book path, which must not be there.
func newBook(path string) (*book, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("making a book: %w", err)
	}
	return &book{file: file}, nil
}

// note files a line.
func (b *book) note(line any) error {
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

func (b *book) close() error { return b.file.Close() }

// readBook calls each for every line of the book path. A last line without its end was being written when its writer was
// killed, and is left out.
func readBook[T any](path string, each func(T)) error {
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
