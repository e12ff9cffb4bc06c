package main

// A diary is the driver's book, and the timeline that its lines make.
type diary struct {
	book     *book
	timeline *timeline
}

// note files a line with the present time.
func (d *diary) note(line driverLine) error {
	line.At = now()
	d.timeline.add(line)
	return d.book.note(line)
}
