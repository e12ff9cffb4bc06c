package cli

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// style is how a text looks on a terminal: parameters of SGR (ECMA-48, section 8.3.117).
type style string

const (
	bold   style = "1"
	faint  style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
)

// terminal is where something is printed for people.
type terminal struct {
	out    io.Writer
	live   bool // it is a terminal, where what has been printed can be replaced
	colour bool
}

// terminalOf returns what w is. There is no colour where somebody wants none (no-color.org), or the terminal has none.
func terminalOf(w io.Writer) terminal {
	f, ok := w.(*os.File)
	live := ok && term.IsTerminal(int(f.Fd()))
	return terminal{out: w, live: live, colour: live && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// paint returns a text in a style, where there is colour.
func (t terminal) paint(s style, text string) string {
	if !t.colour || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// progressPause is the least time between two states of a progress.
const progressPause = 200 * time.Millisecond

// progress is a line of a terminal that says how far something is. Where there is no terminal it says nothing.
type progress struct {
	terminal
	start, shown time.Time
	there        bool // the line is there
}

func newProgress(t terminal) *progress { return &progress{terminal: t, start: time.Now()} }

// say shows a state, unless the one before was shown just now and this one will not last.
func (p *progress) say(lasts bool, text func(since time.Duration) string) {
	if !p.live {
		return
	}
	now := time.Now()
	if !lasts && now.Sub(p.shown) < progressPause {
		return
	}
	p.shown, p.there = now, true
	fmt.Fprintf(p.out, "\r\x1b[K%s", p.paint(faint, text(now.Sub(p.start))))
}

// clear takes the line away, before something else is printed.
func (p *progress) clear() {
	if p.there {
		p.there = false
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
