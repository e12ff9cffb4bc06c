package main

import "sync"

// A diary is the driver's book, and the timeline that its lines make.
type diary struct {
	book     *book
	timeline *timeline

	mu sync.Mutex // makes the order of the lines that of their times
}

// note files a line with the present time.
func (d *diary) note(line driverLine) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	line.At = now()
	d.timeline.add(line)
	return d.book.note(line)
}
