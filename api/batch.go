package api

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"crier/io/rawjson"
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
	if !s.read(w, r, k) {
		return
	}
	list := trimSpace(k.in)
	if bad := checkArray(list); bad != nil {
		s.refuseV1(w, r, bad)
		return
	}
	k.out = append(k.out[:0], '[')
	var later []place
	var in turns
	n := 0
	for one := range elements(list) {
		if n++; n > 1 {
			k.out = append(k.out, ',')
		}
		before := k.out
		var bad *fault
		if limited := who.spend(); limited != nil {
			bad = limited.fault()
		} else {
			var t *ticket
			k.out, t, bad = s.begin(r.Context(), who, one, before, arrayAnswers, &in)
			if t != nil {
				later = append(later, place{len(k.out), t})
			}
		}
		if bad != nil {
			k.out = bad.append(before)
		}
	}
	k.out = append(k.out, ']')
	s.send(w, r, http.StatusOK, s.jsonType, complete(r.Context(), k.out, later))
}

// place is where in an array an answer belongs that is not there yet.
type place struct {
	at     int
	ticket *ticket
}

// complete waits for the answers that are missing, and returns out with them.
func complete(ctx context.Context, out []byte, later []place) []byte {
	if len(later) == 0 {
		return out
	}
	var whole []byte
	from := 0
	for _, p := range later {
		whole = append(whole, out[from:p.at]...)
		from = p.at
		before := whole
		var bad *fault
		if whole, bad = p.ticket.finish(ctx, before); bad != nil {
			whole = bad.append(before)
		}
	}
	return append(whole, out[from:]...)
}

// checkArray finds what is wrong with a batch as a whole.
func checkArray(list []byte) *fault {
	if !rawjson.Valid(list) {
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
	s   *Server
	r   *http.Request
	w   http.ResponseWriter
	ctl *http.ResponseController
	src *ahead     // the body
	in  lineReader // of src

	out  []byte      // owned by the goroutine that answers
	dead atomic.Bool // answers cannot be sent any more
}

// lines answers each line of the body by a line, while the body may still be open.
func (s *Server) lines(w http.ResponseWriter, r *http.Request, who *caller) {
	d := &duplex{s: s, r: r, w: w, ctl: http.NewResponseController(w)}
	if err := d.ctl.EnableFullDuplex(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		s.refuseV1(w, r, &fault{code: codeInternal, detail: "The connection cannot be used both ways at once."})
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	// The request's context also ends by the deadline that ends the reading, below: then there are answers to be sent.
	gone, leave := context.WithCancel(context.WithoutCancel(r.Context()))
	defer leave()
	var ending atomic.Bool
	defer context.AfterFunc(r.Context(), func() {
		if !ending.Load() {
			leave()
		}
	})()
	var mu sync.Mutex
	over := false // guarded by mu: the connection may serve another request
	l := s.newLink(gone, r, who, d, func() {
		mu.Lock()
		defer mu.Unlock()
		if over {
			return
		}
		ending.Store(true)
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
	d.begin(l)
	defer d.end()
	if !d.run(ctx, l) {
		leave()
	}
	l.rest()
}

// begin begins to read the body. Whenever that waits, the lines taken before are answered.
func (d *duplex) begin(l *link) {
	size := pieceSize
	if n := d.r.ContentLength; n >= 0 && n < pieceSize {
		size = int(n) + 1 // so that the end is met with the last bytes, or behind them
	}
	d.src = newAhead(d.r.Body, size, l.idle)
	d.in = lineReader{src: d.src, max: d.s.maxLine}
}

// end sees to it that the body is not read any more.
func (d *duplex) end() {
	if !d.src.ended() {
		d.log("ending a link", d.ctl.SetReadDeadline(past()))
	}
	d.src.close()
}

// run takes line by line until the body ends, the link may not go on, or the caller breaks off. It reports whether answers
// are still wanted.
func (d *duplex) run(ctx context.Context, l *link) (wanted bool) {
	for !d.dead.Load() {
		line, err := d.in.next()
		if err != nil && l.take(ctx) != nil {
			return true
		}
		switch {
		case errors.Is(err, errLineTooLong):
			l.skip(&fault{
				code:   codeLineTooLong,
				detail: "The line has more than " + strconv.Itoa(d.in.max) + " bytes, and was skipped.",
			})
		case err != nil:
			return errors.Is(err, io.EOF) || ctx.Err() != nil // or it is us who end it
		default:
			due := !blank(line) && l.add(line)
			if (due || !d.in.atHand()) && l.take(ctx) != nil {
				return true
			}
		}
	}
	l.take(ctx) // nobody is told, but what has arrived is pushed
	return false
}

// put implements [outlet].
func (d *duplex) put(answer []byte) {
	d.out = append(append(d.out, answer...), '\n')
	if len(d.out) >= flushAt {
		d.flush()
	}
}

// flush implements [outlet].
func (d *duplex) flush() {
	if d.dead.Load() {
		d.out = nil
		return
	}
	d.log("bounding the time to answer", d.ctl.SetWriteDeadline(time.Now().Add(answerTimeout)))
	if len(d.out) > 0 {
		_, err := d.w.Write(d.out)
		d.fail(err)
		if d.out = d.out[:0]; cap(d.out) > maxScratch {
			d.out = nil
		}
	}
	if err := d.ctl.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		d.fail(err)
	}
	d.log("bounding the time to answer", d.ctl.SetWriteDeadline(time.Time{}))
}

// fail ends the request if err is not nil: whoever reads is woken.
func (d *duplex) fail(err error) {
	if err == nil {
		return
	}
	d.log("answers not sent", err)
	d.dead.Store(true)
	d.log("ending a link", d.ctl.SetReadDeadline(past()))
}

// log logs err unless it is nil.
func (d *duplex) log(message string, err error) { d.s.debug(d.r, message, err) }

// debug logs err unless it is nil, or says that a test's writer has no such thing.
func (s *Server) debug(r *http.Request, message string, err error) {
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		s.log.LogAttrs(r.Context(), slog.LevelDebug, message, slog.Any("error", err))
	}
}
