package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"crier/io/jobs"
)

// jobFormat begins every stored job. Another layout gets another number, so that old jobs can be told from new ones.
const jobFormat = 1

// encodeJob returns a job without its number: jobFormat, then Key, Payload and LastError, each behind its length; Due,
// Expires, Created and Parked as varint nanoseconds since 1970, 0 for the zero time; Attempts; Batch behind its length,
// BatchJobs behind their number. Lengths and numbers are uvarints.
func encodeJob(j jobs.Job) []byte {
	b := make([]byte, 0, 64+len(j.Key)+len(j.Payload)+len(j.LastError)+len(j.Batch))
	b = append(b, jobFormat)
	b = appendText(b, j.Key)
	b = appendText(b, j.Payload)
	b = appendText(b, j.LastError)
	for _, t := range []time.Time{j.Due, j.Expires, j.Created, j.Parked} {
		var ns int64
		if !t.IsZero() {
			ns = t.UnixNano()
		}
		b = binary.AppendVarint(b, ns)
	}
	b = binary.AppendUvarint(b, uint64(j.Attempts))
	b = appendText(b, j.Batch)
	b = binary.AppendUvarint(b, uint64(len(j.BatchJobs)))
	for _, id := range j.BatchJobs {
		b = binary.AppendUvarint(b, id)
	}
	return b
}

func appendText[T string | []byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// decodeJob undoes encodeJob. The payload shares the memory of v. An error wraps ErrDamaged.
func decodeJob(k, v []byte) (jobs.Job, error) {
	d := decoder{rest: v}
	if len(k) != 8 || d.byte() != jobFormat {
		return jobs.Job{}, fmt.Errorf("%w: job %x cannot be read", ErrDamaged, k)
	}
	j := jobs.Job{ID: binary.BigEndian.Uint64(k)}
	j.Key = string(d.text())
	j.Payload = d.text()
	j.LastError = string(d.text())
	for _, t := range []*time.Time{&j.Due, &j.Expires, &j.Created, &j.Parked} {
		if ns := d.varint(); ns != 0 {
			*t = time.Unix(0, ns)
		}
	}
	j.Attempts = int(d.uvarint())
	j.Batch = string(d.text())
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		j.BatchJobs = append(j.BatchJobs, d.uvarint())
	}
	if d.bad || len(d.rest) > 0 {
		return jobs.Job{}, fmt.Errorf("%w: job %d cannot be read", ErrDamaged, j.ID)
	}
	return j, nil
}

// encodeOnline returns what is kept of an online user.
func encodeOnline(version uint64, since time.Time) []byte {
	return binary.AppendVarint(binary.AppendUvarint(nil, version), since.UnixMicro())
}

func decodeOnline(k, v []byte) (Online, error) {
	d := decoder{rest: v}
	o := Online{UID: string(k), Version: d.uvarint(), Since: time.UnixMicro(d.varint())}
	if d.bad || len(d.rest) > 0 {
		return Online{}, fmt.Errorf("%w: the presence of a user cannot be read", ErrDamaged)
	}
	return o, nil
}

// membershipKey is uid 0x00 room: neither can have that byte in it.
func membershipKey(uid, room string) []byte { return []byte(uid + "\x00" + room) }

func decodeMembership(k []byte) (uid, room string, err error) {
	before, after, found := bytes.Cut(k, []byte{0})
	if !found {
		return "", "", fmt.Errorf("%w: a membership cannot be read", ErrDamaged)
	}
	return string(before), string(after), nil
}

// fits tells whether a name can be part of a key.
func fits(name string) bool { return name != "" && !strings.Contains(name, "\x00") }

// decoder takes values off the front of rest. Once bad, it returns zeros.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.bad = true
		return 0
	}
	c := d.rest[0]
	d.rest = d.rest[1:]
	return c
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	d.skip(n)
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	d.skip(n)
	return v
}

func (d *decoder) skip(n int) {
	if n <= 0 {
		d.bad, d.rest = true, nil
		return
	}
	d.rest = d.rest[n:]
}

func (d *decoder) text() []byte {
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		d.bad, d.rest = true, nil
		return nil
	}
	text := d.rest[:n:n]
	d.rest = d.rest[n:]
	return text
}
