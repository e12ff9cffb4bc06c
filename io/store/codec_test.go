package store

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"crier/io/hub"
	"crier/io/jobs"
)

// What can be read comes out the same when it is written again.
func FuzzJob(f *testing.F) {
	at := time.Unix(1770000000, 1)
	f.Add(encodeJob(jobs.Job{}))
	f.Add(encodeJob(jobs.Job{
		Key: "k", Payload: []byte("p"), LastError: "e", Due: at, Expires: at, Created: at, Parked: at,
		Attempts: 300, Batch: "b", BatchJobs: []uint64{1, 1 << 60},
	}))
	f.Fuzz(func(t *testing.T, v []byte) {
		k := jobKey(7)
		job, err := decodeJob(k, v)
		if err != nil {
			return
		}
		again, err := decodeJob(k, encodeJob(job))
		if err != nil || !reflect.DeepEqual(job, again) {
			t.Fatalf("%+v became %+v, %v", job, again, err)
		}
	})
}

func FuzzOnline(f *testing.F) {
	f.Add([]byte("u"), encodeOnline(1<<60, time.Unix(1, 0)))
	f.Fuzz(func(t *testing.T, k, v []byte) {
		o, err := decodeOnline(k, v)
		if err != nil {
			return
		}
		again, err := decodeOnline(k, encodeOnline(o.Version, o.Since))
		if err != nil || o.UID != again.UID || o.Version != again.Version || !o.Since.Equal(again.Since) {
			t.Fatalf("%+v became %+v, %v", o, again, err)
		}
	})
}

func TestDecodeRefuses(t *testing.T) {
	good := encodeJob(jobs.Job{Key: "key", Payload: []byte("payload"), Attempts: 3})
	for n := range good {
		if _, err := decodeJob(jobKey(1), good[:n]); err == nil {
			t.Errorf("%d bytes of %d were taken", n, len(good))
		}
	}
	for name, v := range map[string][]byte{
		"more":         append(bytes.Clone(good), 0),
		"other format": append([]byte{jobFormat + 1}, good[1:]...),
		"long text":    {jobFormat, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
	} {
		if _, err := decodeJob(jobKey(1), v); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := decodeJob([]byte("short"), good); err == nil {
		t.Error("a short key was taken")
	}
	if _, _, err := decodeMembership([]byte("u")); err == nil {
		t.Error("a key without a room was taken")
	}
}

func FuzzReceipt(f *testing.F) {
	f.Add(encodeReceipt(&receipt{}))
	f.Add(encodeReceipt(&receipt{
		Receipt: hub.Receipt{Note: hub.Note{ID: "id", Scope: "ü", Users: 3, Connections: 2, Acked: &hub.Acked{Users: 1, Connections: 2}}, Stored: 300, Confirmed: 2},
		pushed:  1, expires: 1 << 60, retired: -1,
	}))
	f.Fuzz(func(t *testing.T, v []byte) {
		r, err := decodeReceipt(v)
		if err != nil {
			return
		}
		again, err := decodeReceipt(encodeReceipt(&r))
		if err != nil || !reflect.DeepEqual(r, again) {
			t.Fatalf("%+v became %+v, %v", r, again, err)
		}
	})
}

func FuzzTotals(f *testing.F) {
	f.Add(encodeTotals(totals{}))
	f.Add(encodeTotals(totals{applied: 1, letters: 300, waiting: 1 << 63, expired: 7}))
	f.Fuzz(func(t *testing.T, v []byte) {
		figures, err := decodeTotals(v)
		if err != nil {
			return
		}
		if again, err := decodeTotals(encodeTotals(figures)); err != nil || again != figures {
			t.Fatalf("%+v became %+v, %v", figures, again, err)
		}
	})
}
