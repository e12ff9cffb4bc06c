package cluster

import (
	"encoding/binary"
	"errors"
	"time"

	"crier/io/jobs"
)

// jobFormat begins every stored job. Another layout gets another number.
const jobFormat = 1

var errNotJob = errors.New("a stored job cannot be read")

// appendJob appends a job as it is in Redis, without its number: jobFormat, then Key and LastError, each behind its length;
// Due, Expires, Created and Parked as varint nanoseconds since 1970, 0 for the zero time; Attempts; Batch behind its length, BatchJobs
// behind their number. Lengths and numbers are uvarints. The rest is the payload, so that a script can write the end of it.
func appendJob(b []byte, j *jobs.Job) []byte {
	b = append(b, jobFormat)
	b = appendText(b, j.Key)
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
	return append(b, j.Payload...)
}

// parseJob undoes appendJob. The payload is a part of b.
func parseJob(b []byte) (jobs.Job, error) {
	var j jobs.Job
	d := decoder{rest: b}
	if d.byte() != jobFormat {
		return j, errNotJob
	}
	j.Key, j.LastError = d.text(), d.text()
	for _, t := range []*time.Time{&j.Due, &j.Expires, &j.Created, &j.Parked} {
		if ns := d.varint(); ns != 0 {
			*t = time.Unix(0, ns)
		}
	}
	j.Attempts = int(d.number())
	j.Batch = d.text()
	for n := d.number(); n > 0 && !d.bad; n-- {
		j.BatchJobs = append(j.BatchJobs, d.number())
	}
	if d.bad {
		return j, errNotJob
	}
	j.Payload = d.rest
	return j, nil
}
