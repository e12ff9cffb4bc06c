package e2e

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A logbook keeps the lines a program writes and lets tests wait for one. It is an [io.Writer].
type logbook struct {
	mu      sync.Mutex
	partial string
	lines   []string
	changed chan struct{} // closed and replaced whenever lines grows
}

func newLogbook() *logbook {
	return &logbook{changed: make(chan struct{})}
}

// Write files p's complete lines. It never fails.
func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	parts := strings.Split(l.partial+string(p), "\n")
	l.partial = parts[len(parts)-1]
	if whole := parts[:len(parts)-1]; len(whole) > 0 {
		l.lines = append(l.lines, whole...)
		close(l.changed)
		l.changed = make(chan struct{})
	}
	return len(p), nil
}

// text returns everything written so far.
func (l *logbook) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(append(l.lines[:len(l.lines):len(l.lines)], l.partial), "\n")
}

// find returns the nth line that has all the phrases, and a channel that is closed when there are more lines.
func (l *logbook) find(nth int, phrases []string) (line string, found bool, more <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.lines {
		if missingPhrase(one, phrases) != "" {
			continue
		}
		if nth--; nth == 0 {
			return one, true, l.changed
		}
	}
	return "", false, l.changed
}

// await returns the first line that has all the phrases, in whatever case, as soon as it is there.
// It fails the test when it does not come, or when gone is closed without it.
func (l *logbook) await(t *testing.T, gone <-chan struct{}, phrases ...string) string {
	t.Helper()
	return l.awaitLines(t, gone, 1, phrases...)
}

// awaitLines is await until n lines have all the phrases, of which it returns the last.
func (l *logbook) awaitLines(t *testing.T, gone <-chan struct{}, n int, phrases ...string) string {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for ended := false; ; {
		line, found, more := l.find(n, phrases)
		if found {
			return line
		}
		if ended {
			t.Fatalf("the program ended without %d lines that have all of %q", n, phrases)
		}
		select {
		case <-more:
		case <-gone:
			ended = true
		case <-limit.C:
			t.Fatalf("there are not %d log lines that have all of %q", n, phrases)
		}
	}
}

// missingPhrase returns the first of phrases that text lacks, whatever its case; "" when it has all.
func missingPhrase(text string, phrases []string) string {
	lower := strings.ToLower(text)
	for _, one := range phrases {
		if !strings.Contains(lower, strings.ToLower(one)) {
			return one
		}
	}
	return ""
}

// attribute returns the value of key in a line of slog's text format, "" if it is not there.
func attribute(line, key string) string {
	_, rest, found := strings.Cut(" "+line, " "+key+"=")
	if !found {
		return ""
	}
	if quoted, err := strconv.QuotedPrefix(rest); err == nil {
		if value, err := strconv.Unquote(quoted); err == nil {
			return value
		}
	}
	value, _, _ := strings.Cut(rest, " ")
	return value
}
