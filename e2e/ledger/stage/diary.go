package stage

import "sync"

// A Diary is the driver's book, and the timeline that its lines make.
type Diary struct {
	Timeline *Timeline
	book     *Book

	mu sync.Mutex // makes the order of the lines that of their times
}

// Note files a line with the present time.
func (d *Diary) Note(line Line) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	line.At = Now()
	d.Timeline.Add(line)
	return d.book.Note(line)
}
