package store

import (
	"time"

	"crier/io/hub"
)

const (
	// sweepEvery is how often it is looked what has expired, and sweepSize how many are removed in one transaction.
	sweepEvery = 2 * time.Second
	sweepSize  = 1000
)

// sweepForever removes what has expired, until Close.
func (q *Inbox) sweepForever() {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			q.sweep()
		case <-q.quit:
			return
		}
	}
}

// sweep removes letters that have expired and receipts that are forgotten. What is left after an error is removed later.
func (q *Inbox) sweep() {
	for more := q.due(); more; {
		select {
		case <-q.quit:
			return
		default:
		}
		err := q.update(func(b *box) (err error) {
			more, err = b.sweep(q.MaxReceipts)
			return err
		})
		if err != nil {
			return // the Store has logged it
		}
	}
}

// due reports whether there is anything to be swept.
func (q *Inbox) due() (is bool) {
	err := q.view(func(b *box) error {
		_, letter := b.dueLetter()
		_, receipt := b.dueReceipt(q.MaxReceipts)
		is = letter || receipt
		return nil
	})
	return is && err == nil
}

// dueLetter returns the first letter that has expired.
func (b *box) dueLetter() (place uint64, is bool) {
	k, _ := b.expiry.Cursor().First()
	return placeOfTime(k), k != nil && timeOf(k) <= b.now
}

// dueReceipt returns the first receipt that is to be forgotten.
func (b *box) dueReceipt(limit int) (place uint64, is bool) {
	k, _ := b.retirement.Cursor().First()
	return placeOfTime(k), k != nil && (timeOf(k) <= b.now || b.totals.retired > uint64(limit))
}

// sweep removes so many of what is due, and reports whether there may be more.
func (b *box) sweep(maxReceipts int) (more bool, err error) {
	for n := 0; n < sweepSize; {
		if place, is := b.dueLetter(); is {
			if err := b.turn(place); err != nil {
				return false, err
			}
			todo := min(b.receipt.Waiting, sweepSize)
			if err := b.end(place, hub.Expired, todo); err != nil {
				return false, err
			}
			n += max(todo, 1)
		} else if place, is := b.dueReceipt(maxReceipts); is {
			if err := b.forget(place); err != nil {
				return false, err
			}
			n++
		} else {
			return false, nil
		}
	}
	return true, nil
}

// The two halves of a timeKey; 0 of no key.

func timeOf(k []byte) int64 {
	if len(k) != 16 {
		return 0
	}
	return int64(placeOf(k[:8]))
}

func placeOfTime(k []byte) uint64 {
	if len(k) != 16 {
		return 0
	}
	return placeOf(k[8:])
}
