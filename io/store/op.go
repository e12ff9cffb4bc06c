package store

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"crier/io/hub"
)

// op is one thing that happens in an inbox.
type op struct {
	kind  opKind
	place uint64 // of a put; of a note, for a message that has none yet

	// Of a put.
	key     string // of its id, see idKey
	receipt receipt
	text    []byte // encodeReceipt of that
	letter  []byte
	users   []string // in order
	stored  func(hub.Deposited)

	// Of a confirmation.
	uid    string
	places []uint64

	note hub.Note // of a note; its Time counts in milliseconds
}

// newPut returns a put, which has yet to get its place.
func newPut(d hub.Deposit, now time.Time) *op {
	o := &op{
		kind:   opPut,
		key:    idKey(d.Message.ID, d.Scope),
		letter: encodeLetter(d.Message, millis(d.Expires)),
		users:  slices.Clone(d.Users),
		receipt: receipt{
			Receipt: hub.Receipt{
				Note:   hub.Note{Scope: d.Scope, ID: d.Message.ID, Users: d.Online, Connections: d.Connections},
				Stored: len(d.Users), Waiting: len(d.Users),
			},
			pushed: millis(now), expires: millis(d.Expires),
		},
	}
	slices.Sort(o.users)
	o.text = encodeReceipt(&o.receipt)
	return o
}

type opKind byte

const (
	opPut     opKind = 1 + iota // a message is stored
	opConfirm                   // a user has got some
	opNote                      // something is to be in a receipt
)

// size is about what the op takes in memory.
func (o *op) size() int {
	n := 200 + len(o.letter) + len(o.uid) + 8*len(o.places)
	for _, uid := range o.users {
		n += 64 + len(uid)
	}
	return n
}

// appendOps appends ops to b, one after the other: the kind, 1 byte; of a put and a note the place, a uvarint, and the receipt,
// as encodeReceipt has it, behind its length; of a put also the letter behind its length, and the users behind their
// number and each behind its length; of a confirmation the user behind the length, and the places behind their number.
func appendOps(b []byte, all []*op) []byte {
	for _, o := range all {
		switch b = append(b, byte(o.kind)); o.kind {
		case opPut:
			b = binary.AppendUvarint(b, o.place)
			b = appendText(b, o.text)
			b = appendText(b, o.letter)
			b = binary.AppendUvarint(b, uint64(len(o.users)))
			for _, uid := range o.users {
				b = appendText(b, uid)
			}
		case opConfirm:
			b = appendText(b, o.uid)
			b = binary.AppendUvarint(b, uint64(len(o.places)))
			for _, place := range o.places {
				b = binary.AppendUvarint(b, place)
			}
		case opNote:
			b = binary.AppendUvarint(b, o.place)
			b = appendText(b, encodeReceipt(&receipt{Receipt: hub.Receipt{Note: o.note}, pushed: o.note.Time.UnixMilli()}))
		}
	}
	return b
}

// decodeOps undoes appendOps. Letters share the memory of b. An error wraps ErrDamaged.
func decodeOps(b []byte) (all []*op, err error) {
	d := decoder{rest: b}
	for len(d.rest) > 0 && !d.bad && err == nil {
		o := &op{kind: opKind(d.byte())}
		switch o.kind {
		case opPut:
			o.place = d.uvarint()
			o.text = d.text()
			o.receipt, err = decodeReceipt(o.text)
			o.key = idKey(o.receipt.ID, o.receipt.Scope)
			o.letter = d.text()
			for n := d.uvarint(); n > 0 && !d.bad; n-- {
				o.users = append(o.users, string(d.text()))
			}
		case opConfirm:
			o.uid = string(d.text())
			for n := d.uvarint(); n > 0 && !d.bad; n-- {
				o.places = append(o.places, d.uvarint())
			}
		case opNote:
			o.place = d.uvarint()
			var r receipt
			r, err = decodeReceipt(d.text())
			o.note = r.Note
			o.note.Time = timeOfMillis(r.pushed)
		default:
			d.bad = true
		}
		all = append(all, o)
	}
	if err == nil && d.bad {
		err = fmt.Errorf("%w: an entry of its journal cannot be read", ErrDamaged)
	}
	return all, err
}

// fresh is what is in the journal and has not been taken over from there.
type fresh struct {
	entries []freshEntry
	ops     int
	bytes   int
	letters map[string][]*op    // puts, by each user
	ids     map[string]*op      // puts, by idKey
	gone    map[string][]uint64 // confirmations, by user
}

// freshEntry is an entry of the journal.
type freshEntry struct {
	number uint64
	ops    []*op
}

// add adds an entry.
func (f *fresh) add(number uint64, ops []*op) {
	if f.letters == nil {
		f.letters, f.ids, f.gone = make(map[string][]*op), make(map[string]*op), make(map[string][]uint64)
	}
	f.entries = append(f.entries, freshEntry{number, ops})
	f.ops += len(ops)
	for _, o := range ops {
		f.bytes += o.size()
		switch o.kind {
		case opPut:
			f.ids[o.key] = o
			for _, uid := range o.users {
				f.letters[uid] = append(f.letters[uid], o)
			}
		case opConfirm:
			f.gone[o.uid] = append(f.gone[o.uid], o.places...)
		}
	}
}

// last returns the number of the last entry, 0 if there is none.
func (f *fresh) last() uint64 {
	if len(f.entries) == 0 {
		return 0
	}
	return f.entries[len(f.entries)-1].number
}

// empty reports whether there is nothing.
func (f *fresh) empty() bool { return len(f.entries) == 0 }

// hindsight is what some changes say of messages that are stored by the same: it need not be written twice.
type hindsight struct {
	gone  map[arrival]struct{}
	notes map[string]hub.Note // by the key of the put
}

// arrival is a letter and a user.
type arrival struct {
	uid   string
	place uint64
}

func (a arrival) compare(b arrival) int {
	return cmp.Or(cmp.Compare(a.uid, b.uid), cmp.Compare(a.place, b.place))
}

// lookAhead returns what entries say of the messages in them.
func lookAhead(entries []freshEntry) hindsight {
	h := hindsight{make(map[arrival]struct{}), make(map[string]hub.Note)}
	var notes []hub.Note
	for _, e := range entries {
		for _, o := range e.ops {
			if o.kind == opNote {
				notes = append(notes, o.note)
			}
			for _, place := range o.places {
				h.gone[arrival{o.uid, place}] = struct{}{}
			}
		}
	}
	if len(notes) == 0 {
		return h
	}
	put := make(map[string]struct{})
	for _, e := range entries {
		for _, o := range e.ops {
			if o.kind == opPut {
				put[o.key] = struct{}{}
			}
		}
	}
	for _, n := range notes {
		key := idKey(n.ID, n.Scope)
		if _, is := put[key]; is {
			h.notes[key] = addNote(h.notes[key], n)
		}
	}
	return h
}

// addNote returns what two notes say, of which n is the later one.
func addNote(before, n hub.Note) hub.Note {
	if n.Acked == nil {
		n.Acked = before.Acked
	}
	return n
}

// apply makes the changes of some entries.
func (b *box) apply(entries []freshEntry, limits InboxOptions) error {
	h := lookAhead(entries)
	for _, e := range entries {
		if e.number <= b.totals.applied {
			continue
		}
		for _, o := range e.ops {
			if err := b.make(o, h); err != nil {
				return err
			}
		}
		b.totals.applied = e.number
	}
	if err := b.register(); err != nil {
		return err
	}
	return b.hand(limits)
}

// make makes one change, but for what register and hand do for all of them.
func (b *box) make(o *op, h hindsight) error {
	switch o.kind {
	case opPut:
		r := o.receipt
		if n, is := h.notes[o.key]; is {
			r.note(n)
		}
		if err := b.open(o.place, o.key, r); err != nil {
			return err
		}
		return b.put(o, h.gone)
	case opConfirm:
		for _, place := range o.places {
			if _, err := b.settle(o.uid, place, hub.Confirmed); err != nil {
				return err
			}
		}
		return nil
	}
	return b.note(o, h)
}

// note adds a note to a receipt, or begins one.
func (b *box) note(o *op, h hindsight) error {
	n := o.note
	key := idKey(n.ID, n.Scope)
	if _, is := h.notes[key]; is { // the put has it
		return nil
	}
	if err := b.register(); err != nil { // another note may have begun it
		return err
	}
	place := b.find(key)
	if place == 0 {
		if err := b.open(o.place, key, receipt{Receipt: hub.Receipt{Note: n}, pushed: n.Time.UnixMilli()}); err != nil {
			return err
		}
		return b.retire()
	}
	if err := b.turn(place); err != nil {
		return err
	}
	b.receipt.note(n)
	return nil
}

// note adds a note.
func (r *receipt) note(n hub.Note) {
	r.Users, r.Connections, r.Delivered = n.Users, n.Connections, n.Delivered
	if n.Acked != nil {
		r.Acked = n.Acked
	}
}
