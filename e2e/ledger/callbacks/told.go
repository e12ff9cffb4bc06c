package callbacks

import (
	"fmt"
	"strconv"

	"crier/e2e/ledger/stage"
)

// A report is what one user's callbacks say.
type report struct {
	callbacks []callback // each once, as they were noted first
	intervals []interval // in which the user was online, in order
	repeats   int        // requests that came again after they had been noted
}

// An interval is the time from an online to the next offline; to is never if there is none.
type interval struct{ from, to stage.Stamp }

// reports sorts the receiver's lines by users, and finds what is wrong with them as such.
func (e *evidence) reports(accuse func(stage.Violation)) map[string]*report {
	m := mail{
		reports: map[string]*report{}, bodies: map[string]string{}, events: map[string]bool{}, newest: map[string]callbackLine{}, accuse: accuse,
	}
	for _, line := range e.lines {
		if line.Wrong != "" {
			accuse(stage.Violation{Kind: "malformed", ID: line.ID, Text: line.Wrong})
		}
		if line.Outcome != refused {
			m.open(line)
		}
	}
	for uid, r := range m.reports {
		if e.visits[uid] == nil {
			accuse(stage.Violation{Kind: "false arrival", UID: uid, Text: "there is no such user"})
		}
		r.arrange(uid, accuse)
	}
	return m.reports
}

// mail is what reports are made of.
type mail struct {
	reports map[string]*report
	bodies  map[string]string       // by webhook-id
	events  map[string]bool         // ids of callbacks
	newest  map[string]callbackLine // of each user, the request with the newest callback
	accuse  func(stage.Violation)
}

// open takes a request into account that was noted, for the first time or again.
func (m *mail) open(line callbackLine) {
	all, err := readCallbacks([]byte(line.Body))
	if err != nil {
		m.accuse(stage.Violation{Kind: "malformed", ID: line.ID, At: line.At, Text: err.Error()})
		return
	}
	if line.Outcome == repeated && m.bodies[line.ID] != line.Body {
		m.accuse(stage.Violation{Kind: "changed", UID: all[0].Data.UID, ID: line.ID, At: line.At, Text: "a repetition says something else than " + m.bodies[line.ID]})
	}
	m.bodies[line.ID] = line.Body
	for _, c := range all {
		uid := c.Data.UID
		if m.reports[uid] == nil {
			m.reports[uid] = &report{}
		}
		switch r := m.reports[uid]; {
		case line.Outcome == repeated:
			r.repeats++
			if n := m.newest[uid]; n.ID != line.ID && seconds(line.Sent) > seconds(n.Sent) {
				m.accuse(stage.Violation{Kind: "order", UID: uid, ID: c.ID, At: line.At, Text: "an older callback was sent again after " + n.ID})
			}
		case m.events[c.ID]:
			m.accuse(stage.Violation{Kind: "twice", UID: uid, ID: c.ID, At: line.At, Text: "it was sent under another webhook-id before"})
		default:
			m.events[c.ID] = true
			m.newest[uid] = line
			r.callbacks = append(r.callbacks, c)
		}
	}
}

func seconds(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// arrange checks the sequence of the callbacks and makes the intervals of it. Where it does not alternate, one that says
// what is known already makes no difference.
func (r *report) arrange(uid string, accuse func(stage.Violation)) {
	online := false
	var last callback
	for i, c := range r.callbacks {
		if i > 0 && c.Data.Version <= last.Data.Version {
			accuse(stage.Violation{Kind: "version", UID: uid, ID: c.ID, At: c.at(), Text: fmt.Sprintf("version %d came after %d", c.Data.Version, last.Data.Version)})
		}
		if i > 0 && c.at() < last.at()-blur {
			accuse(stage.Violation{Kind: "time", UID: uid, ID: c.ID, At: c.at(), Text: "its time is before that of " + last.ID})
		}
		if c.online() == online {
			text := "came after " + last.ID
			if i == 0 {
				text = "came first"
			}
			accuse(stage.Violation{Kind: "alternation", UID: uid, ID: c.ID, At: c.at(), Text: c.Type + " " + text})
		} else if c.online() {
			r.intervals = append(r.intervals, interval{c.at(), stage.Never})
		} else {
			r.intervals[len(r.intervals)-1].to = c.at()
		}
		online, last = c.online(), c
	}
}

// covering returns the interval at t. A time in a callback is cut to milliseconds, and so are those in the books.
func (r *report) covering(t stage.Stamp) (interval, bool) {
	for _, one := range r.intervals {
		if one.from <= t+blur && t-blur <= one.to {
			return one, true
		}
	}
	return interval{}, false
}
