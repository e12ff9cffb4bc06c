package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomodule/redigo/redis"

	"crier/io/hub"
)

const (
	// leastRead and mostRead are how many entries of each stream are read at once: fewer as long as they are large, so that what is read at
	// once is not much more than readBytes.
	leastRead = 8
	mostRead  = 512
	readBytes = 2 << 20
	// blockTime is how long Redis waits for the next entry before it says that there is none.
	blockTime = 5 * time.Second
)

// Gap says that entries are missing which this node has not carried out.
type Gap struct {
	// Stream is the name of the stream, without the prefix; empty if it is not known which.
	Stream string
	// Missing is how many; 0 if that is not known.
	Missing uint64
	// After is the last position that was carried out.
	After hub.Position
}

var errNoStream = errors.New("the answer is not one of XREAD")

// reader carries out what is in a node's own stream and in the common one, as one order.
type reader struct {
	// static
	node    *Node
	line    lifeline
	carry   map[Kind]func(Entry)
	reached []func(hub.Position)
	read    []func()
	gap     []func(Gap)
	begun   chan struct{} // closed by begin
	ready   chan struct{} // closed when the streams are being read for the first time
	ended   chan struct{} // closed at the end of run

	gaps atomic.Uint64

	// owned by run, once it has begun
	streams [2]stream
	last    hub.Position // everything up to it has been carried out
	until   hub.Position // up to it, what has been read is all there is
	count   int          // of entries that are read at once
	once    sync.Once    // closes ready

	mu   sync.Mutex
	born string // the data whose entries are being counted
	lost bool   // it is not what it was
}

// stream is one of the two.
type stream struct {
	name    string // without the prefix
	key     string
	counted bool   // carried is known
	carried uint64 // the number of the last entry
	owed    uint64 // there has been one of this number
	list    []numbered
}

// numbered is an entry as it is in a stream.
type numbered struct {
	at     hub.Position
	number uint64
	frame  []byte
}

func (r *reader) init(n *Node) {
	r.node = n
	r.carry = make(map[Kind]func(Entry))
	r.count = leastRead
	r.begun, r.ready, r.ended = make(chan struct{}), make(chan struct{}), make(chan struct{})
	r.line = lifeline{
		log: n.log, status: Status{Since: time.Now()},
		back: "reading what the other servers say", away: "what the other servers say cannot be read; trying again",
	}
	for i, name := range []string{"s:" + n.Name(), "all"} {
		r.streams[i] = stream{name: name, key: n.Key(name)}
	}
}

// begin says where to begin.
func (r *reader) begin(after hub.Position, born string, counts ...uint64) {
	r.mu.Lock()
	r.last, r.born = after, born
	r.mu.Unlock()
	for i, n := range counts {
		r.streams[i].counted, r.streams[i].carried = true, n
	}
	close(r.begun)
}

func (r *reader) start(ctx context.Context) {
	go func() {
		defer close(r.ended)
		select {
		case <-r.begun:
			for _, fn := range r.reached { // what was before is for nobody here
				fn(r.last)
			}
			r.line.run(ctx, r.serve)
		case <-ctx.Done():
		}
	}()
}

// mustBe says what names the data in Redis now.
func (r *reader) mustBe(born string, err error) error {
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if born != r.born {
		r.born, r.lost = born, true
	}
	return nil
}

// serve connects once and carries entries out until the connection ends.
func (r *reader) serve(ctx context.Context) (up bool, err error) {
	conn, address, err := r.node.options.Redis.dial(ctx)
	if err != nil {
		return false, err
	}
	defer r.node.client.Check()
	defer conn.close()
	if err := r.prepare(conn); err != nil {
		return false, err
	}
	r.line.up(address)
	r.once.Do(func() { close(r.ready) })
	for {
		some, err := r.fetch(conn)
		if err != nil {
			return true, err
		}
		if !some {
			r.settle()
			continue
		}
		r.carryOut()
	}
}

// prepare finds out what there must be to read.
func (r *reader) prepare(conn *conn) error {
	born, err := redis.String(conn.Do("GET", r.node.Key("born")))
	if errors.Is(err, redis.ErrNil) { // it is named when the node registers
		return errors.New("Redis has no data yet, or not any more")
	}
	if err := r.mustBe(born, err); err != nil {
		return err
	}
	counts, err := redis.Strings(conn.Do("HMGET", r.node.Key("count"), r.streams[0].name, r.streams[1].name))
	if err != nil {
		return err
	}
	for i := range r.streams {
		r.streams[i].owed, err = strconv.ParseUint("0"+counts[i], 10, 64)
		if err != nil {
			return err
		}
	}
	return nil
}

// fetch waits for entries and reads them into the lists. Without any for a while it reports that there are none.
func (r *reader) fetch(conn *conn) (some bool, err error) {
	after := strconv.FormatUint(uint64(r.last), 10)
	own, all := &r.streams[0], &r.streams[1]
	reply, err := redis.DoWithTimeout(conn.Conn, blockTime+answerTimeout, "XREAD", "COUNT", r.count,
		"BLOCK", blockTime.Milliseconds(), "STREAMS", own.key, all.key, after, after)
	if err != nil {
		return false, fmt.Errorf("reading the streams: %w", err)
	}
	own.list, all.list = nil, nil
	r.until = ^hub.Position(0)
	if err := r.take(reply); err != nil {
		return false, err
	}
	switch n, m := len(own.list), len(all.list); {
	case n > 1 && m == 0:
		return true, r.complete(conn, all, own.list[n-1].at, after)
	case n == 0 && m > 1:
		return true, r.complete(conn, own, all.list[m-1].at, after)
	default:
		return n+m > 0, nil
	}
}

// complete reads the stream that had nothing, while the other had something up to a position: Redis before 7.2 answers who waits
// with what is in the first stream that gets something, even if something earlier is in the other by then, as there can be when
// one script adds several entries. Where there is just one entry, it is the first of all.
func (r *reader) complete(conn *conn, rest *stream, until hub.Position, after string) error {
	r.until = until
	reply, err := conn.Do("XREAD", "COUNT", r.count, "STREAMS", rest.key, after)
	if err != nil {
		return fmt.Errorf("reading the streams: %w", err)
	}
	return r.take(reply)
}

// take puts what XREAD has answered into the lists.
func (r *reader) take(reply any) error {
	if reply == nil {
		return nil
	}
	streams, err := redis.Values(reply, nil)
	if err != nil {
		return fmt.Errorf("reading the streams: %w", err)
	}
	for _, one := range streams {
		pair, err := redis.Values(one, nil)
		if err != nil || len(pair) != 2 {
			return errNoStream
		}
		key, err := redis.String(pair[0], nil)
		i := slices.IndexFunc(r.streams[:], func(s stream) bool { return s.key == key })
		if err != nil || i < 0 {
			return errNoStream
		}
		if r.streams[i].list, err = parseEntries(pair[1]); err != nil {
			return err
		}
	}
	return nil
}

// parseEntries reads the entries of one stream, as XREAD and XRANGE have them.
func parseEntries(reply any) ([]numbered, error) {
	entries, err := redis.Values(reply, nil)
	if err != nil {
		return nil, errNoStream
	}
	list := make([]numbered, len(entries))
	for i, entry := range entries {
		pair, err := redis.Values(entry, nil)
		if err != nil || len(pair) != 2 {
			return nil, errNoStream
		}
		id, err := redis.String(pair[0], nil)
		if err != nil {
			return nil, errNoStream
		}
		fields, err := redis.ByteSlices(pair[1], nil)
		if err != nil {
			return nil, errNoStream
		}
		if list[i], err = parseNumbered(id, fields); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// parseNumbered reads an entry: its id is the position and -0, its fields are m, the frame, and n, the number. What others may
// have added has no frame.
func parseNumbered(id string, fields [][]byte) (numbered, error) {
	text, _, _ := strings.Cut(id, "-")
	at, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return numbered{}, errNoStream
	}
	one := numbered{at: hub.Position(at)}
	for i := 0; i+1 < len(fields); i += 2 {
		switch string(fields[i]) {
		case "m":
			one.frame = fields[i+1]
		case "n":
			if one.number, err = strconv.ParseUint(string(fields[i+1]), 10, 64); err != nil {
				return numbered{}, errNoStream
			}
		}
	}
	return one, nil
}

// carryOut carries out what has been read, in the order of positions: up to where one of the streams may go on.
func (r *reader) carryOut() {
	r.recount()
	r.bound()
	for {
		s := r.next()
		if s == nil {
			break
		}
		one := s.list[0]
		s.list = s.list[1:]
		r.check(s, one.number)
		r.carryOutOne(one)
		r.last = one.at
		r.node.saw(one.at)
		for _, fn := range r.reached {
			fn(one.at)
		}
	}
	for _, fn := range r.read {
		fn()
	}
}

// bound finds out up to where what has been read is all there is, and how much is read the next time.
func (r *reader) bound() {
	full, bytes := false, 0
	for i := range r.streams {
		list := r.streams[i].list
		if len(list) >= r.count {
			full = true
			r.until = min(r.until, list[len(list)-1].at)
		}
		for _, one := range list {
			bytes += len(one.frame)
		}
	}
	switch {
	case bytes > readBytes:
		r.count = max(r.count/4, leastRead)
	case full:
		r.count = min(2*r.count, mostRead)
	}
}

// next returns the stream whose entry is next, or nil.
func (r *reader) next() *stream {
	var first *stream
	for i := range r.streams {
		s := &r.streams[i]
		if len(s.list) > 0 && s.list[0].at <= r.until && (first == nil || s.list[0].at < first.list[0].at) {
			first = s
		}
	}
	return first
}

func (r *reader) carryOutOne(one numbered) {
	e, err := parseEntry(one.frame)
	if err != nil {
		r.node.log.Warn("an entry of a stream is passed over", "position", uint64(one.at), "error", err)
		return
	}
	e.At = one.at
	if fn := r.carry[e.Kind]; fn != nil { // another one is of a later version
		fn(e)
	}
}

// check finds out whether entries are missing before the one of this number.
func (r *reader) check(s *stream, number uint64) {
	if number == 0 { // others have added it
		return
	}
	if s.counted && number != s.carried+1 {
		r.missing(Gap{Stream: s.name, Missing: max(number, s.carried+1) - s.carried - 1, After: r.last})
	}
	s.counted, s.carried = true, number
}

// settle finds out, when there is nothing to read, whether there should be.
func (r *reader) settle() {
	r.recount()
	for i := range r.streams {
		if s := &r.streams[i]; s.counted && s.carried < s.owed {
			r.missing(Gap{Stream: s.name, Missing: s.owed - s.carried, After: r.last})
			s.carried = s.owed
		}
	}
}

// recount begins to count anew if Redis has lost data.
func (r *reader) recount() {
	r.mu.Lock()
	lost := r.lost
	r.lost = false
	r.mu.Unlock()
	if !lost {
		return
	}
	r.missing(Gap{After: r.last})
	for i := range r.streams {
		r.streams[i].counted = false
	}
}

func (r *reader) missing(g Gap) {
	r.gaps.Add(1)
	r.node.log.Warn("what other servers have pushed is missing here: Redis does not have it any more", "stream", g.Stream, "entries", g.Missing)
	for _, fn := range r.gap {
		fn(g)
	}
}

// Gaps is how often entries were missing.
func (n *Node) Gaps() uint64 { return n.reader.gaps.Load() }

// Append adds an entry to a stream, "all" or "s:" and the name of a node, and returns its position. Its error is that of [Node.Run].
func (n *Node) Append(ctx context.Context, stream string, kind Kind, number uint64, body []byte) (hub.Position, error) {
	reply, err := n.Run(ctx, appendScript, stream, appendEntry(nil, kind, n.Name(), number, body))
	at, err := redis.Uint64(reply, err)
	n.saw(hub.Position(at))
	return hub.Position(at), err
}

// Born names the data that Redis has; empty before the first registration.
func (n *Node) Born() string {
	n.reader.mu.Lock()
	defer n.reader.mu.Unlock()
	return n.reader.born
}
