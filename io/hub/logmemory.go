package hub

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What a logged message takes beside its bytes, and each name in its audience.
const (
	recordCost = 400
	nameCost   = 120
)

// memoryLog is a [Log] in memory, bounded by the age, the number and the bytes of its messages. An index by what audiences
// name makes Since as quick as its result is short.
type memoryLog struct {
	// static
	epoch       string // sets the offsets of this log apart from those of others
	keep        time.Duration
	maxMessages int
	maxBytes    int

	records []record // the oldest first
	bytes   int
	lost    Position // messages up to it may be missing
	index   map[address][]Position
}

// record is a message in the log.
type record struct {
	Logged
	time time.Time
	cost int
}

// address is what an audience names.
type address struct {
	kind SpanKind
	name string
}

// NewLog returns a [Log] in memory, bounded as o says, whose offsets begin with epoch.
func NewLog(o Recovery, epoch string) Log { return newMemoryLog(o, epoch) }

func newMemoryLog(o Recovery, epoch string) *memoryLog {
	return &memoryLog{
		epoch:       epoch,
		keep:        o.Window + o.Notice,
		maxMessages: o.MaxMessages,
		maxBytes:    o.MaxBytes,
		index:       make(map[address][]Position),
	}
}

// Append implements [Log].
func (l *memoryLog) Append(at Position, m *Message, to *Audience) (oldest Position) {
	now := time.Now()
	l.evict(now.Add(-l.keep))
	cost := costOf(m, to)
	if cost > l.maxBytes || l.maxMessages == 0 {
		l.Forget(at)
		return at
	}
	l.add(record{Logged{at, m.clone(), to.clone()}, now, cost})
	l.bound()
	return l.records[0].At
}

// bound drops what is too much.
func (l *memoryLog) bound() {
	for len(l.records) > l.maxMessages || l.bytes > l.maxBytes {
		l.drop()
	}
}

// costOf is how many bytes a message takes in the log, about.
func costOf(m *Message, to *Audience) int {
	names, bytes := to.extent()
	return recordCost + nameCost*names + bytes + m.size()
}

func (l *memoryLog) add(r record) {
	l.records = append(l.records, r)
	l.bytes += r.cost
	r.To.each(func(a address) {
		list := l.index[a]
		if len(list) == 0 || list[len(list)-1] != r.At { // an audience may name somebody twice
			l.index[a] = append(list, r.At)
		}
	})
}

// evict drops what is older than a time.
func (l *memoryLog) evict(before time.Time) {
	for len(l.records) > 0 && l.records[0].time.Before(before) {
		l.drop()
	}
}

// outdate drops what is too old, and tells how long the oldest of the rest has left, if there is one.
func (l *memoryLog) outdate(now time.Time) (left time.Duration, some bool) {
	l.evict(now.Add(-l.keep))
	if len(l.records) == 0 {
		l.clear()
		return 0, false
	}
	return l.records[0].time.Add(l.keep).Sub(now) + 1, true // at that age it is kept
}

// clear lets go of what the messages were filed in. None is there.
func (l *memoryLog) clear() { l.records, l.index = nil, make(map[address][]Position) }

// drop forgets the oldest message.
func (l *memoryLog) drop() {
	r := l.records[0]
	l.records[0] = record{}
	l.records = l.records[1:]
	l.bytes -= r.cost
	l.lost = r.At
	r.To.each(func(a address) {
		switch list := l.index[a]; {
		case len(list) == 0 || list[0] != r.At:
		case len(list) == 1:
			delete(l.index, a)
		default:
			l.index[a] = list[1:]
		}
	})
}

// Forget implements [Log].
func (l *memoryLog) Forget(until Position) {
	for len(l.records) > 0 && l.records[0].At <= until {
		l.drop()
	}
	l.lost = max(l.lost, until)
	if len(l.records) == 0 {
		l.clear()
	}
}

// Since implements [Log].
func (l *memoryLog) Since(after Position, spans []Span) (list []*Logged, complete bool) {
	if after < l.lost {
		return nil, false
	}
	var found []Position
	for i := range spans {
		s := &spans[i]
		in := l.index[address{s.Kind, s.Name}]
		from, _ := slices.BinarySearch(in, max(after, s.Since)+1)
		for _, at := range in[from:] {
			if at > s.Until {
				break
			}
			found = append(found, at)
		}
	}
	slices.Sort(found)
	for _, at := range slices.Compact(found) {
		i, _ := slices.BinarySearchFunc(l.records, at, func(r record, at Position) int { return cmp.Compare(r.At, at) })
		list = append(list, &l.records[i].Logged)
	}
	return list, true
}

// Offset implements [Log].
func (l *memoryLog) Offset(at Position) string {
	b := append(make([]byte, 0, len(l.epoch)+14), l.epoch...)
	return string(strconv.AppendUint(append(b, '-'), uint64(at), 36))
}

// Find implements [Log].
func (l *memoryLog) Find(offset string) (at Position, known bool) {
	epoch, number, _ := strings.Cut(offset, "-")
	n, err := strconv.ParseUint(number, 36, 64)
	if err != nil || epoch != l.epoch {
		return 0, false
	}
	return Position(n), true
}

// each calls fn for everything that the audience names, exceptions aside.
func (a *Audience) each(fn func(address)) {
	if a.All {
		fn(address{SpanEverybody, ""})
		return
	}
	for _, uid := range a.Users {
		fn(address{SpanUser, uid})
	}
	for _, room := range a.Rooms {
		fn(address{SpanRoom, room})
	}
	for _, id := range a.Connections {
		fn(address{SpanConnection, id})
	}
}

// extent returns how many names the audience has, those of exceptions included, and how many bytes these are.
func (a *Audience) extent() (names, bytes int) {
	if a == nil {
		return 0, 0
	}
	names, bytes = a.Except.extent()
	for _, list := range [][]string{a.Users, a.Rooms, a.Connections} {
		names += len(list)
		for _, name := range list {
			bytes += len(name)
		}
	}
	return names, bytes
}

// clone returns a copy that shares no memory.
func (a *Audience) clone() Audience {
	c := Audience{Users: cloneNames(a.Users), Rooms: cloneNames(a.Rooms), Connections: cloneNames(a.Connections), All: a.All}
	if a.Except != nil {
		except := a.Except.clone()
		c.Except = &except
	}
	return c
}

func cloneNames(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	c := make([]string, len(names))
	for i, name := range names {
		c[i] = strings.Clone(name)
	}
	return c
}

// size is how many bytes a message is about.
func (m *Message) size() int {
	n := len(m.ID) + len(m.Event)
	for _, arg := range m.Args {
		n += len(arg)
	}
	for _, data := range m.Attachments {
		n += len(data)
	}
	return n
}

// clone returns a copy that shares no memory, without an Ask.
func (m *Message) clone() *Message {
	c := &Message{ID: strings.Clone(m.ID), Event: strings.Clone(m.Event), ShowID: m.ShowID}
	room := make([]byte, 0, m.size())
	own := func(data []byte) []byte {
		from := len(room)
		room = append(room, data...)
		return room[from:len(room):len(room)]
	}
	for _, arg := range m.Args {
		c.Args = append(c.Args, json.RawMessage(own(arg)))
	}
	for _, data := range m.Attachments {
		c.Attachments = append(c.Attachments, own(data))
	}
	return c
}
