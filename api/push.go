package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"

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

// push answers POST /v1/push.
func (s *Server) push(w http.ResponseWriter, r *http.Request, who *caller) {
	k := s.borrow()
	defer s.giveBack(k)
	var refused *problem
	if k.in, refused = s.readBody(w, r, k.in[:0]); refused != nil {
		s.refuseV1(w, r, refused.fault())
		return
	}
	if refused = who.spend(); refused != nil {
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
	o, bad := s.parse(line)
	if bad != nil {
		return dst, bad
	}
	if denied := who.reaches(&o.to); denied != nil {
		return dst, denied.fault()
	}
	result, duplicate, err := s.deliver(ctx, who, &o)
	if err != nil {
		bad := pushFault(err)
		if bad.code == codeInternal {
			s.log.LogAttrs(ctx, slog.LevelError, "push failed", slog.Any("error", err))
		}
		return dst, bad
	}
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
	dst = append(dst, `},"stored":false,"duplicate":`...)
	dst = strconv.AppendBool(dst, duplicate)
	return append(dst, '}'), nil
}

// deliver hands o to the hub, or only counts, or finds that it has been done before.
func (s *Server) deliver(ctx context.Context, who *caller, o *order) (result outcome, duplicate bool, err error) {
	if o.dryRun {
		if s.directory == nil {
			return outcome{}, false, errNoDirectory
		}
		counted, err := s.directory.Count(ctx, o.to)
		return outcome{counted.Users, counted.Connections}, false, err
	}
	o.parcel.message.ID = o.id
	if o.id == "" {
		result, err = s.hand(ctx, o.to, o.parcel)
		return result, false, err
	}
	to, p := o.to, o.parcel
	return s.repeats.do(ctx, who.scope+"\x00"+o.id, func() (outcome, error) { return s.hand(ctx, to, p) })
}

// hand gives a parcel to the hub.
func (s *Server) hand(ctx context.Context, to hub.Audience, p *parcel) (outcome, error) {
	r, err := s.pusher.Push(ctx, hub.Push{To: to, Message: &p.message})
	return outcome{r.Users, r.Connections}, err
}

// errNoDirectory says that nothing can be listed or counted.
var errNoDirectory = errors.New("this server cannot list or count connections")

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
	case errors.Is(err, hub.ErrBadMessage):
		return invalid("event", "has to be a name of valid UTF-8")
	case errors.Is(err, errNoDirectory):
		return &fault{code: codeUnsupported, detail: "This server cannot list or count connections."}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &fault{code: codeBodyIncomplete, detail: "The call was ended before the push was made."}
	}
	return &fault{code: codeInternal, detail: "The push could not be made."}
}
