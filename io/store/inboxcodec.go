package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"crier/io/hub"
)

// letterFormat and receiptFormat begin every stored letter and receipt, as jobFormat does jobs.
const (
	letterFormat  = 1
	receiptFormat = 1
)

// encodeLetter returns what is kept of a message: letterFormat; when it expires, as varint milliseconds since 1970; 1 with
// ShowID, else 0; ID and Event, each behind its length; Args and Attachments, each behind their number and every one behind its length.
func encodeLetter(m *hub.Message, expires int64) []byte {
	size := 32 + len(m.ID) + len(m.Event)
	for _, a := range m.Args {
		size += binary.MaxVarintLen32 + len(a)
	}
	for _, a := range m.Attachments {
		size += binary.MaxVarintLen32 + len(a)
	}
	b := append(make([]byte, 0, size), letterFormat)
	b = binary.AppendVarint(b, expires)
	if m.ShowID {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = appendText(b, m.ID)
	b = appendText(b, m.Event)
	b = binary.AppendUvarint(b, uint64(len(m.Args)))
	for _, a := range m.Args {
		b = appendText(b, []byte(a))
	}
	b = binary.AppendUvarint(b, uint64(len(m.Attachments)))
	for _, a := range m.Attachments {
		b = appendText(b, a)
	}
	return b
}

// decodeLetter undoes encodeLetter. The message shares the memory of v. An error wraps ErrDamaged.
func decodeLetter(v []byte) (m *hub.Message, expires int64, err error) {
	d := decoder{rest: v}
	if d.byte() != letterFormat {
		d.bad = true
	}
	expires = d.varint()
	m = &hub.Message{ShowID: d.byte() == 1, ID: string(d.text()), Event: string(d.text())}
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		m.Args = append(m.Args, json.RawMessage(d.text()))
	}
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		m.Attachments = append(m.Attachments, d.text())
	}
	if d.bad || len(d.rest) > 0 {
		return nil, 0, fmt.Errorf("%w: a stored message cannot be read", ErrDamaged)
	}
	return m, expires, nil
}

// letterExpires returns when a letter expires. An error wraps ErrDamaged.
func letterExpires(v []byte) (int64, error) {
	d := decoder{rest: v}
	if d.byte() != letterFormat {
		d.bad = true
	}
	expires := d.varint()
	if d.bad {
		return 0, fmt.Errorf("%w: a stored message cannot be read", ErrDamaged)
	}
	return expires, nil
}

// encodeReceipt returns what is kept of a receipt: receiptFormat; Scope and ID, each behind its length; when the message was
// pushed, when it expires, and when nobody waited for it any more, as varint milliseconds since 1970, 0 if it does not or did
// not; Users, Connections, Delivered, Stored, Confirmed, Expired and Evicted; a byte 1 with the users and connections that
// have acknowledged it, or 0. Numbers are uvarints.
func encodeReceipt(r *receipt) []byte {
	b := append(make([]byte, 0, 64+len(r.Scope)+len(r.ID)), receiptFormat)
	b = appendText(b, r.Scope)
	b = appendText(b, r.ID)
	for _, ms := range []int64{r.pushed, r.expires, r.retired} {
		b = binary.AppendVarint(b, ms)
	}
	for _, n := range []int{r.Users, r.Connections, r.Delivered, r.Stored, r.Confirmed, r.Expired, r.Evicted} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	if r.Acked == nil {
		return append(b, 0)
	}
	b = append(b, 1)
	b = binary.AppendUvarint(b, uint64(r.Acked.Users))
	return binary.AppendUvarint(b, uint64(r.Acked.Connections))
}

// receipt is a receipt as it is kept: its times are milliseconds since 1970, and those of the embedded one are not used.
type receipt struct {
	hub.Receipt
	pushed, expires, retired int64
}

// decodeReceipt undoes encodeReceipt. An error wraps ErrDamaged.
func decodeReceipt(v []byte) (r receipt, err error) {
	d := decoder{rest: v}
	if d.byte() != receiptFormat {
		d.bad = true
	}
	r.Scope, r.ID = string(d.text()), string(d.text())
	for _, ms := range []*int64{&r.pushed, &r.expires, &r.retired} {
		*ms = d.varint()
	}
	for _, n := range []*int{&r.Users, &r.Connections, &r.Delivered, &r.Stored, &r.Confirmed, &r.Expired, &r.Evicted} {
		*n = int(d.uvarint())
	}
	if d.byte() == 1 {
		r.Acked = &hub.Acked{Users: int(d.uvarint()), Connections: int(d.uvarint())}
	}
	if r.Waiting = r.Stored - r.Confirmed - r.Expired - r.Evicted; d.bad || len(d.rest) > 0 || r.Waiting < 0 {
		return receipt{}, fmt.Errorf("%w: a receipt cannot be read", ErrDamaged)
	}
	return r, nil
}

// totals are the figures of an inbox. They are kept with it.
type totals struct {
	applied                     uint64 // the last entry of the journal that has been taken over
	letters, waiting, bytes     uint64 // messages that somebody waits for; by how many, added up; what they take
	retired                     uint64 // receipts of messages that nobody waits for, and their addressees
	confirmed, expired, evicted uint64 // ever, a message for each user
}

func (t *totals) all() []*uint64 {
	return []*uint64{&t.applied, &t.letters, &t.waiting, &t.bytes, &t.retired, &t.confirmed, &t.expired, &t.evicted}
}

func encodeTotals(t totals) []byte {
	var b []byte
	for _, n := range t.all() {
		b = binary.AppendUvarint(b, *n)
	}
	return b
}

// decodeTotals undoes encodeTotals; nothing is all zeros. An error wraps ErrDamaged.
func decodeTotals(v []byte) (t totals, err error) {
	if v == nil {
		return totals{}, nil
	}
	d := decoder{rest: v}
	for _, n := range t.all() {
		*n = d.uvarint()
	}
	if d.bad || len(d.rest) > 0 {
		return totals{}, fmt.Errorf("%w: the figures of the inbox cannot be read", ErrDamaged)
	}
	return t, nil
}

// The keys of an inbox. A uid or an id of a message never has a zero byte in it.

func placeKey(place uint64) []byte { return binary.BigEndian.AppendUint64(nil, place) }

// userKey is that of a letter of the user, or, without a place, of the number of them, which comes before them.
func userKey(uid string, place ...uint64) []byte {
	b := append(make([]byte, 0, len(uid)+9), uid...)
	b = append(b, 0)
	for _, p := range place {
		b = binary.BigEndian.AppendUint64(b, p)
	}
	return b
}

func addresseeKey(place uint64, uid string) []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(uid)), place), uid...)
}

func idKey(id, scope string) string { return id + "\x00" + scope }

// timeKey is that of a place in the order of time.
func timeKey(ms int64, place uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(make([]byte, 0, 16), uint64(ms)), place)
}

// checkInbox reads one entry of a part of an inbox.
func checkInbox(part string, k, v []byte) (err error) {
	bad := false
	switch part {
	case lettersPart:
		bad = len(k) != 8
		_, err = letterExpires(v)
	case usersPart:
		uid, place, cut := bytes.Cut(k, []byte{0})
		bad = !cut || len(uid) == 0 || len(place) != 0 && len(place) != 8
	case addresseesPart:
		bad = len(k) < 9 || len(v) != 1 || v[0] > byte(hub.Evicted)
	case receiptsPart:
		bad = len(k) != 8
		_, err = decodeReceipt(v)
	case idsPart:
		bad = bytes.IndexByte(k, 0) < 1 || len(v) != 8
	case expiryPart, retirementPart:
		bad = len(k) != 16
	case "":
		if string(k) == totalsKey {
			_, err = decodeTotals(v)
		}
	}
	if bad {
		return fmt.Errorf("%w: an entry of %q in the inbox cannot be read", ErrDamaged, part)
	}
	return err
}

func millis(t time.Time) int64 { return t.UnixMilli() }

func timeOfMillis(ms int64) time.Time { return time.UnixMilli(ms) }
