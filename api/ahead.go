package api

import (
	"io"
	"runtime"
)

const (
	// pieceSize is how many bytes are read ahead at a time, at most.
	pieceSize = 16 << 10
	// breatheAfter is how many lines are taken without breathing, about a millisecond.
	breatheAfter = 64
)

// ahead reads a source up to two pieces ahead, by a goroutine of its own, so that it knows whether who reads from it has to
// wait. The caller must call close.
type ahead struct {
	// static
	src   io.Reader
	dry   func()     // called by Read before it waits
	full  chan piece // with room for all pieces, as empty
	empty chan []byte

	// owned by who reads
	piece piece
	rest  []byte // of it
}

// piece is what one Read of the source came to.
type piece struct {
	bytes []byte
	err   error
}

// newAhead begins to read src, so many bytes at a time.
func newAhead(src io.Reader, size int, dry func()) *ahead {
	a := &ahead{src: src, dry: dry, full: make(chan piece, 2), empty: make(chan []byte, 2)}
	for range cap(a.empty) {
		a.empty <- make([]byte, size)
	}
	go a.run()
	return a
}

// run reads until the source ends or close is called.
func (a *ahead) run() {
	defer close(a.full)
	for buf := range a.empty {
		n, err := a.src.Read(buf)
		a.full <- piece{buf[:n], err}
		if err != nil {
			return
		}
	}
}

// Read implements [io.Reader].
func (a *ahead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.piece.err != nil {
			return 0, a.piece.err
		}
		if buf := a.piece.bytes; buf != nil {
			a.empty <- buf[:cap(buf)]
		}
		breathe() // also for the goroutine that reads ahead
		if len(a.full) == 0 {
			a.dry()
		}
		a.piece = <-a.full
		a.rest = a.piece.bytes
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// ended reports whether the source has been read to its end, or until an error.
func (a *ahead) ended() bool { return a.piece.err != nil }

// close waits until the source is not read any more. The caller has made sure that its Read does not wait.
func (a *ahead) close() {
	close(a.empty)
	for range a.full { // is closed when run returns
	}
}

// breathe lets other goroutines run. A link that always has a line to take would not: after 10 ms the runtime would think
// that it computes, and look every 20 µs whether it is inside a write, to take the processor from it. That costs a tenth of
// a line.
func breathe() { runtime.Gosched() }
