//go:build linux

package stage

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// kept is how many lines a tail has.
const kept = 40

// tail is the end of a log.
type tail struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed and replaced with every line
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, line)
	t.lines = t.lines[max(0, len(t.lines)-kept):]
	close(t.more)
	t.more = make(chan struct{})
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}

// find returns what the first group matches in the last line that matches, and a channel that is closed when there are more lines.
func (t *tail) find(pattern *regexp.Regexp) (match string, more <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, line := range t.lines {
		if found := pattern.FindStringSubmatch(line); found != nil {
			match = found[1]
		}
	}
	return match, t.more
}

// await waits for a line, until ctx ends or the program does.
func (t *tail) await(ctx context.Context, gone <-chan struct{}, pattern *regexp.Regexp) (string, error) {
	for {
		match, more := t.find(pattern)
		if match != "" {
			return match, nil
		}
		select {
		case <-more:
		case <-gone:
			return "", fmt.Errorf("the program ended:\n%s", t.text())
		case <-ctx.Done():
			return "", fmt.Errorf("the program does not say %s:\n%s", pattern, t.text())
		}
	}
}
