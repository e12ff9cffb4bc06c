package api

import (
	"context"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	// maxBatch is how many pushes one array may have.
	maxBatch = 10_000
	// flushAt is how many bytes of answers are written at once, at most, while more lines are waiting.
	flushAt = 16 << 10
	// answerTimeout is how long a caller may leave answers unread.
	answerTimeout = 30 * time.Second
)

// batch answers POST /v1/push/batch.
func (s *Server) batch(w http.ResponseWriter, r *http.Request, who *caller) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err == nil && (media == "application/x-ndjson" || media == "application/ndjson") {
		s.lines(w, r, who)
		return
	}
	s.array(w, r, who)
}

// array answers an array of pushes with an array of as many answers.
func (s *Server) array(w http.ResponseWriter, r *http.Request, who *caller) {
	k := s.borrow()
	defer s.giveBack(k)
	var refused *problem
	if k.in, refused = s.readBody(w, r, k.in[:0]); refused != nil {
		s.refuseV1(w, r, refused.fault())
		return
	}
	list := trimSpace(k.in)
	if bad := checkArray(list); bad != nil {
		s.refuseV1(w, r, bad)
		return
	}
	k.out = append(k.out[:0], '[')
	for one := range elements(list) {
		if len(k.out) > 1 {
			k.out = append(k.out, ',')
		}
		var bad *fault
		before := k.out
		if limited := who.spend(); limited != nil {
			bad = limited.fault()
		} else {
			k.out, bad = s.perform(r.Context(), who, one, before)
		}
		if bad != nil {
			k.out = bad.append(before)
		}
	}
	k.out = append(k.out, ']')
	s.send(w, r, http.StatusOK, s.jsonType, k.out)
}

// checkArray finds what is wrong with a batch as a whole.
func checkArray(list []byte) *fault {
	if !validJSON(list) {
		return &fault{code: codeBadJSON, detail: "The batch is not one valid JSON array in UTF-8."}
	}
	if list[0] != '[' {
		return invalid("The batch", "has to be a JSON array (lines need Content-Type: application/x-ndjson)")
	}
	n := 0
	for range elements(list) {
		n++
	}
	if n > maxBatch {
		return &fault{
			code: codeTooMany,
			detail: "The batch has " + strconv.Itoa(n) + " pushes, and at most " + strconv.Itoa(maxBatch) +
				" are allowed: split it, or send lines as application/x-ndjson.",
		}
	}
	return nil
}

// duplex is one NDJSON request: lines come in while answers go out.
type duplex struct {
	s    *Server
	r    *http.Request
	w    http.ResponseWriter
	ctl  *http.ResponseController
	in   lineReader
	out  []byte
	dead bool // answers cannot be sent any more
}

// lines answers each line of the body by a line, while the body may still be open.
func (s *Server) lines(w http.ResponseWriter, r *http.Request, who *caller) {
	d := &duplex{s: s, r: r, w: w, ctl: http.NewResponseController(w), in: lineReader{src: r.Body, max: s.maxLine}}
	if err := d.ctl.EnableFullDuplex(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		s.refuseV1(w, r, &fault{code: codeInternal, detail: "The connection cannot be used both ways at once."})
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	var mu sync.Mutex
	over := false // guarded by mu: the connection may serve another request
	l := s.newLink(r, who, func() {
		mu.Lock()
		defer mu.Unlock()
		if over {
			return
		}
		cancel()
		d.log("ending a link", d.ctl.SetReadDeadline(past()))
	})
	if l == nil {
		s.refuseV1(w, r, errStopping())
		return
	}
	defer func() {
		l.remove()
		mu.Lock()
		defer mu.Unlock()
		over = true
	}()
	h := w.Header()
	h["Content-Type"], h["Cache-Control"], h["X-Content-Type-Options"] = s.linesType, s.noStore, s.noSniff
	h.Set("X-Accel-Buffering", "no")
	if r.Header.Get("Expect") == "" { // or the client would not be told to send its body
		w.WriteHeader(http.StatusOK)
		d.flush()
	}
	d.run(ctx, l)
}

// run answers line by line until the body ends or answers cannot be sent.
func (d *duplex) run(ctx context.Context, l *link) {
	push := context.WithoutCancel(ctx) // a line that has arrived is pushed even if the link ends
	for !d.dead {
		line, err := d.in.next()
		switch {
		case errors.Is(err, errLineTooLong):
			d.refuse(&fault{
				code:   codeLineTooLong,
				detail: "The line has more than " + strconv.Itoa(d.in.max) + " bytes, and was skipped.",
			})
		case err != nil:
			d.flush()
			return
		case !blank(line):
			bad := l.allowed()
			if bad == nil {
				bad = l.turn(ctx, d.flush)
			}
			if bad != nil {
				d.refuse(bad)
				d.flush()
				return
			}
			d.out = append(l.answer(push, line, d.out), '\n')
		}
		if len(d.out) >= flushAt || !d.in.ready() {
			d.flush()
		}
	}
}

// refuse answers a line with a problem.
func (d *duplex) refuse(bad *fault) {
	d.s.logFault(d.r, bad)
	d.out = append(bad.append(d.out), '\n')
}

// flush sends the answers that there are.
func (d *duplex) flush() {
	if d.dead {
		return
	}
	d.log("bounding the time to answer", d.ctl.SetWriteDeadline(time.Now().Add(answerTimeout)))
	if len(d.out) > 0 {
		_, err := d.w.Write(d.out)
		d.dead = err != nil
		d.log("answers not sent", err)
		if d.out = d.out[:0]; cap(d.out) > maxScratch {
			d.out = nil
		}
	}
	if err := d.ctl.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		d.dead = true
		d.log("answers not sent", err)
	}
	d.log("bounding the time to answer", d.ctl.SetWriteDeadline(time.Time{}))
}

// log logs err unless it is nil.
func (d *duplex) log(message string, err error) { d.s.debug(d.r, message, err) }

// debug logs err unless it is nil, or says that a test's writer has no such thing.
func (s *Server) debug(r *http.Request, message string, err error) {
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		s.log.LogAttrs(r.Context(), slog.LevelDebug, message, slog.Any("error", err))
	}
}
