package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"

	"crier/io/hub"
)

const (
	// replayTimeout bounds how long what a client has missed is read.
	replayTimeout = 5 * time.Second
	// replaySlack is how much more of a stream is read than the first client needs: others come that were lost earlier.
	replaySlack = hub.Position(10 * time.Second / time.Microsecond)
	// rangeCount is how many entries are read at once.
	rangeCount = 500
)

// past is what was pushed before clients came here: copies of streams, made when somebody comes who was on another node, and gone
// on with for the next.
type past struct {
	// static
	node   *Node
	limits hub.Recovery

	mu       sync.Mutex
	replicas map[string]*replica // by the name of the stream
}

// replica is a copy of a stream.
type replica struct {
	stream string
	turn   chan struct{} // holds one token while nobody has the rest

	log     hub.Log // nil: nothing has been read
	changes []hub.Change
	from    hub.Position // behind that everything is there, as far as the log has not let go of it
	upto    hub.Position // up to there
	number  uint64       // of the last entry, 0 if there was none
	used    time.Time
}

// part is what a client needs of a stream.
type part struct {
	*replica
	from, to hub.Position
}

// stay is a line of a path: since when which node has had a session.
func stay(since hub.Position, node string) string {
	return strconv.FormatUint(uint64(since), 10) + " " + node + "\n"
}

// Replay implements [hub.Shared].
func (s *Sessions) Replay(one *hub.Recoverable, after, until hub.Position) (*hub.Replay, error) {
	ctx, cancel := context.WithTimeout(context.Background(), replayTimeout)
	defer cancel()
	parts, err := s.past.parts(one.Path, after, until)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		if err := s.past.reach(ctx, p); err != nil {
			return nil, fmt.Errorf("reading the stream %s: %w", p.stream, err)
		}
	}
	all := parts[0]
	found := &hub.Replay{Find: func(spans []hub.Span) ([]*hub.Logged, error) { return find(parts, spans) }}
	all.lock()
	defer all.unlock()
	for _, c := range all.changes {
		if c.At > all.from && c.At <= all.to {
			found.Changes = append(found.Changes, c)
		}
	}
	return found, nil
}

// parts says what is to be read: of the common stream first, then of those of the nodes that have had the session.
func (p *past) parts(path string, after, until hub.Position) ([]part, error) {
	parts := []part{{p.of("all"), after, until}}
	lines := strings.Split(strings.TrimSuffix(path, "\n"), "\n")
	since := func(i int) (hub.Position, string, error) {
		text, node, _ := strings.Cut(lines[i], " ")
		at, err := strconv.ParseUint(text, 10, 64)
		return hub.Position(at), node, err
	}
	for i := range lines {
		from, node, err := since(i)
		if err != nil {
			return nil, fmt.Errorf("reading where a session was: %w", err)
		}
		to := until
		if i+1 < len(lines) {
			if to, _, err = since(i + 1); err != nil {
				return nil, fmt.Errorf("reading where a session was: %w", err)
			}
		}
		if i == 0 && after < from {
			return nil, errMissing
		}
		if from, to = max(from, after), min(to, until); from < to {
			parts = append(parts, part{p.of("s:" + node), from, to})
		}
	}
	return parts, nil
}

// of returns the replica of a stream, and lets go of those that nobody has needed for long.
func (p *past) of(stream string) *replica {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for name, r := range p.replicas {
		if now.Sub(r.used) > p.node.options.Keep {
			delete(p.replicas, name)
		}
	}
	r := p.replicas[stream]
	if r == nil {
		r = &replica{stream: stream, turn: make(chan struct{}, 1)}
		r.turn <- struct{}{}
		p.replicas[stream] = r
	}
	r.used = now
	return r
}

func (r *replica) lock()   { <-r.turn }
func (r *replica) unlock() { r.turn <- struct{}{} }

// find gathers what can be for one of the spans. A message that is in several streams has one position in all of them.
func find(parts []part, spans []hub.Span) ([]*hub.Logged, error) {
	var list []*hub.Logged
	for _, p := range parts {
		p.lock()
		some, complete := p.log.Since(p.from, spans)
		p.unlock()
		if !complete {
			return nil, errMissing
		}
		for _, one := range some {
			if one.At <= p.to {
				list = append(list, one)
			}
		}
	}
	slices.SortFunc(list, func(a, b *hub.Logged) int { return cmp.Compare(a.At, b.At) })
	return slices.CompactFunc(list, func(a, b *hub.Logged) bool { return a.At == b.At }), nil
}

// reach has a replica have a part.
func (p *past) reach(ctx context.Context, one part) error {
	r := one.replica
	select {
	case <-r.turn:
		defer r.unlock()
	case <-ctx.Done():
		return ctx.Err()
	}
	if r.log != nil && r.from <= one.from {
		if r.upto >= one.to {
			return nil
		}
		if err := p.extend(ctx, r, one.to); err != nil || r.from <= one.from {
			return err
		}
	}
	for _, from := range []hub.Position{one.from - min(one.from, replaySlack), one.from} {
		r.log, r.changes, r.from, r.upto, r.number = hub.NewLog(p.limits, ""), nil, from, from, 0
		r.log.Forget(from)
		if err := p.extend(ctx, r, one.to); err != nil {
			r.log = nil
			return err
		}
		if r.from <= one.from {
			return nil
		}
	}
	r.log = nil
	return errMissing
}

// extend reads on, and finds out whether something is missing: then from is behind it.
func (p *past) extend(ctx context.Context, r *replica, to hub.Position) error {
	first := r.number == 0
	for {
		list, err := p.fetch(ctx, r)
		if err != nil {
			return err
		}
		for _, one := range list {
			if r.number != 0 && one.number != 0 && one.number != r.number+1 {
				p.miss(r, one.at-1)
			}
			p.add(r, one)
		}
		if len(list) < rangeCount {
			break
		}
	}
	r.upto = max(r.upto, to)
	if !first {
		return nil
	}
	whole, err := p.whole(ctx, r)
	if err == nil && !whole {
		p.miss(r, to)
	}
	return err
}

// miss says that something may be missing up to a position.
func (p *past) miss(r *replica, until hub.Position) {
	r.log.Forget(until)
	r.from = until
}

// fetch reads the next entries.
func (p *past) fetch(ctx context.Context, r *replica) ([]numbered, error) {
	reply, err := p.node.Client().Command(ctx, "XRANGE", p.node.Key(r.stream), fmt.Sprintf("(%d-0", r.upto), "+", "COUNT", rangeCount)
	if err != nil {
		return nil, err
	}
	return parseEntries(reply)
}

// add takes an entry, if it is of use to those who come back.
func (p *past) add(r *replica, one numbered) {
	r.upto = one.at
	if one.number != 0 {
		r.number = one.number
	}
	e, err := parseEntry(one.frame)
	if err != nil {
		return // the reader has said so
	}
	e.At = one.at
	msg, to, change, err := readEntry(e)
	switch {
	case err != nil:
	case change != nil:
		change.At = one.at
		r.changes = append(r.changes, *change)
	case msg != nil:
		r.log.Append(one.at, msg, &to)
	}
}

// whole tells whether nothing is missing behind from. What a stream has lost is older than its first entry, and older than from
// unless the stream is full, which it stays for as long as what was lost for that would be kept.
func (p *past) whole(ctx context.Context, r *replica) (bool, error) {
	reply, err := redis.Strings(p.node.Run(ctx, surveyScript, r.stream))
	if err != nil {
		return false, err
	}
	var n [6]uint64
	for i := range n {
		if n[i], err = strconv.ParseUint(reply[i], 10, 64); err != nil {
			return false, err
		}
	}
	count, length, added := n[0], n[1], n[2]
	first, last, now := hub.Position(n[3]), hub.Position(n[4]), hub.Position(n[5])
	keep := hub.Position(p.node.options.Keep.Microseconds())
	switch {
	case last == 0: // each node begins its own with a mark
		return count == 0 && r.stream == "all", nil
	case count == length, last <= r.from, length > 0 && first <= r.from:
		return true, nil
	case count != added: // it has been removed, and begun again
		return false, nil
	default:
		return length < uint64(p.node.options.MaxMessages) && r.from+keep >= now, nil
	}
}

// surveyScript: a stream. It answers how many entries were ever added to it, how many it has, how many were added since it was
// begun, the positions of the first and of the last that was added, and the time.
var surveyScript = nodeScript("survey", `
	local stream = ARGV[4]
	local key = P .. ':' .. stream
	local count = redis.call('HGET', P .. ':count', stream) or '0'
	if redis.call('EXISTS', key) == 0 then return {count, '0', '0', '0', '0', text(now())} end
	local info = redis.call('XINFO', 'STREAM', key)
	local of = {}
	for i = 1, #info, 2 do of[info[i]] = info[i + 1] end
	local first = of['first-entry'] and string.match(of['first-entry'][1], '^%d+') or '0'
	local last = string.match(of['last-generated-id'], '^%d+')
	return {count, text(of['length']), text(of['entries-added']), first, last, text(now())}
`)

// readEntry reads what is for those who come back.
func readEntry(e Entry) (*hub.Message, hub.Audience, *hub.Change, error) {
	switch e.Kind {
	case KindPush, KindNews, KindEmitted:
		body := e.Body
		if e.Kind == KindEmitted {
			body = body[min(len(sum{}), len(body)):]
		}
		p, err := parsePush(body)
		if err != nil || p.Message.Volatile || p.Message.Transient || p.Ask > 0 {
			return nil, hub.Audience{}, nil, err
		}
		return p.Message, p.To, nil, nil
	case KindStored:
		one, err := parseStored(e.Body)
		if err != nil {
			return nil, hub.Audience{}, nil, err
		}
		return one.Message, one.To, nil, nil
	case KindDisconnect:
		a, err := parseAudience(e.Body)
		return nil, hub.Audience{}, &hub.Change{Disconnect: &a}, err
	case KindJoined, KindLeft:
		uid, room, _ := strings.Cut(string(e.Body), "\x00")
		return nil, hub.Audience{}, &hub.Change{UID: uid, Room: room, Added: e.Kind == KindJoined}, nil
	default:
		return nil, hub.Audience{}, nil, nil
	}
}
