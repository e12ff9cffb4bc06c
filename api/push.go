package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"crier/io/hub"
)

// work is the memory that one call of /v1 works in.
type work struct {
	in, out []byte
}

// borrow returns memory to work in.
func (s *Server) borrow() *work {
	k, _ := s.works.Get().(*work)
	return k
}

// giveBack takes it again.
func (s *Server) giveBack(k *work) {
	if cap(k.in)+cap(k.out) <= maxScratch {
		s.works.Put(k)
	}
}

// read reads the body of a call into k.in. It reports whether that went well; otherwise it has answered.
func (s *Server) read(w http.ResponseWriter, r *http.Request, k *work) bool {
	var refused *problem
	if k.in, refused = s.readBody(w, r, k.in[:0]); refused != nil {
		s.refuseV1(w, r, refused.fault())
		return false
	}
	return true
}

// push answers POST /v1/push.
func (s *Server) push(w http.ResponseWriter, r *http.Request, who *caller) {
	k := s.borrow()
	defer s.giveBack(k)
	if !s.read(w, r, k) {
		return
	}
	if refused := who.spend(); refused != nil {
		s.refuseV1(w, r, refused.fault())
		return
	}
	var bad *fault
	if k.out, bad = s.perform(r.Context(), who, k.in, k.out[:0]); bad != nil {
		s.refuseV1(w, r, bad)
		return
	}
	s.send(w, r, http.StatusOK, s.jsonType, k.out)
}

// perform does what line, the JSON of one push, says for who, and appends the answer to dst. It keeps nothing of line.
func (s *Server) perform(ctx context.Context, who *caller, line, dst []byte) ([]byte, *fault) {
	dst, t, bad := s.begin(ctx, who, line, dst, maxAnswers, nil)
	if t != nil {
		return t.finish(ctx, dst)
	}
	return dst, bad
}

// ticket is a push whose result is not there yet.
type ticket struct {
	s     *Server
	who   *caller
	order order
	*flight
	duplicate bool
}

// begin does what line says, and appends the answer to dst or returns what it waits for: acknowledgements, of which keep
// bytes are wanted, the disk, or the result of a push with the same id. It is one of turns, if that is not nil.
func (s *Server) begin(ctx context.Context, who *caller, line, dst []byte, keep int, in *turns) ([]byte, *ticket, *fault) {
	var o order
	if bad := s.parse(line, &o); bad != nil {
		return dst, nil, bad
	}
	return s.carryOut(ctx, who, &o, dst, keep, in)
}

// carryOut is begin of a line that has been parsed.
func (s *Server) carryOut(ctx context.Context, who *caller, o *order, dst []byte, keep int, in *turns) ([]byte, *ticket, *fault) {
	if denied := who.reaches(&o.to); denied != nil {
		return dst, nil, denied.fault()
	}
	o.keep, o.turns = keep, in
	result, f, duplicate, err := s.deliver(ctx, who, o)
	switch {
	case err != nil:
		return dst, nil, s.blame(ctx, err)
	case f != nil:
		return dst, &ticket{s, who, *o, f, duplicate}, nil
	}
	dst = o.append(dst, &result, duplicate)
	s.reuse(o)
	return dst, nil, nil
}

// finish waits for the result and appends the answer to dst. A push whose id was that of one that failed is made now.
func (t *ticket) finish(ctx context.Context, dst []byte) ([]byte, *fault) {
	for {
		select {
		case <-t.landed:
		case <-ctx.Done():
			return dst, pushFault(ctx.Err())
		}
		if t.err == nil {
			return t.order.append(dst, &t.outcome, t.duplicate), nil
		}
		if !t.duplicate {
			return dst, t.s.blame(ctx, t.err)
		}
		t.order.turns = nil // it has lost its turn, and those of the lines that come are another goroutine's
		result, f, duplicate, err := t.s.deliver(ctx, t.who, &t.order)
		switch {
		case err != nil:
			return dst, t.s.blame(ctx, err)
		case f == nil:
			return t.order.append(dst, &result, duplicate), nil
		}
		t.flight, t.duplicate = f, duplicate
	}
}

// append appends the result of o to dst.
func (o *order) append(dst []byte, result *outcome, duplicate bool) []byte {
	id := o.id
	if id == "" {
		id = o.parcel.message.ID
	}
	dst = append(dst, '{')
	if id != "" {
		dst = append(dst, `"id":`...)
		dst = appendJSONString(dst, []byte(id))
		dst = append(dst, ',')
	}
	dst = append(dst, `"matched":{"users":`...)
	dst = strconv.AppendInt(dst, int64(result.users), 10)
	dst = append(dst, `,"connections":`...)
	dst = strconv.AppendInt(dst, int64(result.connections), 10)
	dst = append(dst, '}')
	if result.partial {
		dst = append(dst, `,"partial":true`...)
	}
	dst = append(dst, `,"stored":`...)
	dst = strconv.AppendBool(dst, result.stored)
	if result.acked != nil {
		dst = result.acked.append(dst)
	}
	dst = append(dst, `,"duplicate":`...)
	dst = strconv.AppendBool(dst, duplicate || result.known)
	return append(dst, '}')
}

// blame logs an error that should not be, and returns what to tell the caller.
func (s *Server) blame(ctx context.Context, err error) *fault {
	bad := pushFault(err)
	if bad.code == codeInternal || bad.code == codeStoreFailed {
		s.log.LogAttrs(ctx, slog.LevelError, "call failed", slog.Any("error", err))
	}
	return bad
}

// deliver hands o to the hub, or only counts, or finds that it has been done before. With a flight, the result is there
// when that has landed.
func (s *Server) deliver(ctx context.Context, who *caller, o *order) (result outcome, f *flight, duplicate bool, err error) {
	if o.dryRun {
		if s.directory == nil {
			return outcome{}, nil, false, errNoDirectory
		}
		counted, err := s.directory.Count(ctx, o.to)
		return outcome{users: counted.Users, connections: counted.Connections, partial: counted.Partial}, nil, false, err
	}
	o.parcel.message.ID = o.id
	if o.id != "" {
		return s.deliverOnce(ctx, who, o)
	}
	if !s.waits(o) {
		result, err = s.hand(ctx, who, o)
		return result, nil, false, err
	}
	f = newFlight()
	return outcome{}, f, false, s.launch(ctx, who, o, f.land)
}

// deliverOnce hands o, which has an id, to the hub unless one with that id has been.
func (s *Server) deliverOnce(ctx context.Context, who *caller, o *order) (result outcome, f *flight, duplicate bool, err error) {
	key := who.scope + "\x00" + o.id
	f, first, err := s.repeats.take(key)
	switch {
	case err != nil:
		return outcome{}, nil, false, err
	case first && !s.waits(o):
		result, err = s.handOnce(ctx, who, o, key, f)
		return result, nil, false, err
	case first:
		if err = s.launchOnce(ctx, who, o, s.repeats.lander(key, f)); err != nil {
			s.repeats.land(key, f, outcome{}, err)
		}
		return outcome{}, f, false, err
	case f.over() && f.err == nil:
		return f.outcome, nil, true, nil
	}
	return outcome{}, f, true, nil
}

// handOnce gives o to the hub, and lands f with what comes of it, whatever that is.
func (s *Server) handOnce(ctx context.Context, who *caller, o *order, key string, f *flight) (result outcome, err error) {
	err = errPanicked
	defer func() { s.repeats.land(key, f, result, err) }()
	result, err = s.hand(ctx, who, o)
	return result, err
}

// hand gives o to the hub.
func (s *Server) hand(ctx context.Context, who *caller, o *order) (outcome, error) {
	if err := o.turns.wait(ctx); err != nil {
		return outcome{}, err
	}
	r, err := s.pusher.Push(ctx, hub.Push{To: o.to, Message: &o.parcel.message, Soon: !o.receipt})
	if err == nil && o.receipt {
		s.note(who, r, time.Now(), nil)
	}
	o.free = r.Free
	return outcome{users: r.Users, connections: r.Connections}, err
}

// waits says whether the result of o is there only later.
func (s *Server) waits(o *order) bool { return s.sender != nil || o.store || o.ack > 0 }

// launch gives o, which waits, to the hub, and lands what comes of it. Without an error it returns at once.
func (s *Server) launch(ctx context.Context, who *caller, o *order, land func(outcome, error)) error {
	switch {
	case o.store:
		return s.keep(ctx, who, o, land)
	case o.ack > 0:
		return s.ask(ctx, who, o, land)
	}
	return s.dispatch(ctx, who, o, land)
}

// dispatch sends o to all servers, and lands what came of it when they have said so. Without an error it returns at once.
func (s *Server) dispatch(ctx context.Context, who *caller, o *order, land func(outcome, error)) error {
	if err := o.turns.wait(ctx); err != nil {
		return err
	}
	receipt, now := o.receipt, time.Now()
	sent := o.turns.send()
	err := s.sender.Send(ctx, hub.Push{To: o.to, Message: &o.parcel.message, Claim: o.claim}, func(r hub.Result) {
		if receipt {
			s.note(who, r, now, nil)
		}
		close(sent)
		land(outcome{users: r.Users, connections: r.Connections, partial: r.Partial}, nil)
	})
	if err != nil {
		close(sent)
	}
	return err
}

var (
	// errNoDirectory says that nothing can be listed or counted.
	errNoDirectory = errors.New("this server cannot list or count connections")
	// errPanicked is what others with the same id are told of a push that has panicked.
	errPanicked = errors.New("the push panicked")
)

// pushFault returns what to tell the caller of an error of the hub.
func pushFault(err error) *fault {
	for _, known := range [...]error{hub.ErrBadUID, hub.ErrBadRoom, hub.ErrBadAudience} {
		if errors.Is(err, known) {
			return &fault{code: codeInvalidField, detail: "to: " + known.Error() + "."}
		}
	}
	switch {
	case errors.Is(err, errTableFull):
		return &fault{
			code: codeTableFull, retry: repeatFor / 10,
			detail: "Too many pushes with an id were made in the last minutes: come back later, or push without id.",
		}
	case errors.Is(err, hub.ErrClosed):
		return &fault{code: codeStopping, retry: stopRetry, detail: "The server is stopping: try again, with the same id if there is one."}
	case errors.Is(err, hub.ErrAway):
		return &fault{code: codeRedisAway, retry: stopRetry, detail: "Redis is away, and what it keeps for all servers cannot be changed meanwhile: try again, with the same id if there is one."}
	case errors.Is(err, hub.ErrBusy):
		return &fault{code: codeRedisAway, retry: stopRetry, detail: "Redis does not keep up with what is pushed, and nobody got the message: come back later."}
	case errors.Is(err, hub.ErrBadMessage):
		return invalid("event", "has to be a name of valid UTF-8")
	case errors.Is(err, hub.ErrTooManyAsked):
		return &fault{
			code: codeTooManyAcks, retry: stopRetry,
			detail: "Too many acknowledgements are being waited for: come back later, or push without ack.",
		}
	case errors.Is(err, hub.ErrTooManyRooms):
		return &fault{code: codeTooMany, detail: "The user is a member of 1,000 rooms: remove some, or push to users."}
	case errors.Is(err, hub.ErrTooManyUsers):
		return &fault{code: codeTooMany, detail: "The message is for more than 100,000 users, which is as many as one can be stored for: push to smaller rooms, or without store and ttl."}
	case errors.Is(err, hub.ErrTooMuch):
		return &fault{code: codeMessageTooLarge, detail: "The message is larger than all stored messages together may be: raise inbox.max_bytes, or push without store and ttl."}
	case errors.Is(err, hub.ErrInbox):
		return &fault{code: codeStoreFailed, retry: stopRetry, detail: "The message could not be stored, and nobody got it: try again, with the same id if there is one. The log has more."}
	case errors.Is(err, errNoKeeper), errors.Is(err, hub.ErrNoInbox), errors.Is(err, hub.ErrNotUsers):
		return &fault{code: codeUnsupported, detail: "This server cannot store messages: leave store and ttl out."}
	case errors.Is(err, hub.ErrStore):
		return &fault{code: codeStoreFailed, retry: stopRetry, detail: "The membership could not be stored, and stays as it was: try again. The log has more."}
	case errors.Is(err, errNoAsker):
		return &fault{code: codeUnsupported, detail: "This server cannot ask for acknowledgements: leave ack out."}
	case errors.Is(err, errNoDirectory):
		return &fault{code: codeUnsupported, detail: "This server cannot list or count connections."}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &fault{code: codeBodyIncomplete, detail: "The call was ended before the push was made."}
	}
	return &fault{code: codeInternal, detail: "The push could not be made."}
}
