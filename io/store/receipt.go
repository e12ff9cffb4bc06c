package store

import (
	"fmt"
	"strings"
	"time"

	"crier/io/hub"
)

// Receipt returns what became of a message, or of the one that scope and id name first, or else, with anyScope, of one
// that another caller gave that id. Otherwise it fails with hub.ErrNoReceipt.
func (q *Inbox) Receipt(scope, id string, anyScope bool) (r hub.Receipt, err error) {
	if err := q.settled(); err != nil {
		return hub.Receipt{}, fmt.Errorf("writing receipts: %w", err)
	}
	err = q.view(func(b *box) error {
		place, err := b.look(scope, id, anyScope)
		if err != nil {
			return err
		}
		r, err = b.publish(place)
		return err
	})
	if err != nil {
		return hub.Receipt{}, fmt.Errorf("reading a receipt: %w", err)
	}
	return r, nil
}

// look returns the place of a message, or hub.ErrNoReceipt.
func (b *box) look(scope, id string, anyScope bool) (uint64, error) {
	if place := b.find(idKey(id, scope)); place != 0 {
		return place, nil
	}
	if anyScope {
		k, v := b.ids.Cursor().Seek([]byte(idKey(id, "")))
		if strings.HasPrefix(string(k), id+"\x00") && placeOf(v) != 0 {
			return placeOf(v), nil
		}
	}
	return 0, hub.ErrNoReceipt
}

// publish returns the receipt of a place as others see it: what is due to expire has expired.
func (b *box) publish(place uint64) (hub.Receipt, error) {
	if err := b.turn(place); err != nil {
		return hub.Receipt{}, err
	}
	r := b.receipt.Receipt
	r.Time = time.UnixMilli(b.receipt.pushed)
	if ms := b.receipt.expires; ms != 0 {
		r.Expires = time.UnixMilli(ms)
		if ms <= b.now {
			r.Expired, r.Waiting = r.Expired+r.Waiting, 0
		}
	}
	return r, nil
}

// Addressees returns users for whom a message was stored, by growing uid: the first behind after, at most so many, of those
// that begin with prefix; and whether there are more. It finds the message as Receipt does, and fails as that.
func (q *Inbox) Addressees(scope, id string, anyScope bool, after, prefix string, limit int) (list []hub.Addressee, more bool, err error) {
	if err := q.settled(); err != nil {
		return nil, false, fmt.Errorf("writing receipts: %w", err)
	}
	err = q.view(func(b *box) error {
		place, err := b.look(scope, id, anyScope)
		if err != nil {
			return err
		}
		r, err := b.publish(place)
		if err != nil {
			return err
		}
		c := b.addressees.Cursor()
		start := addresseeKey(place, max(after, prefix))
		for k, v := c.Seek(start); strings.HasPrefix(string(k), string(addresseeKey(place, prefix))); k, v = c.Next() {
			one := hub.Addressee{UID: string(k[8:]), Fate: hub.Fate(v[0])}
			if one.UID <= after {
				continue
			}
			if one.Fate == hub.Waiting && r.Waiting == 0 {
				one.Fate = hub.Expired
			}
			if len(list) == limit {
				more = true
				return nil
			}
			list = append(list, one)
		}
		return nil
	})
	if err != nil {
		return nil, false, fmt.Errorf("reading a receipt: %w", err)
	}
	return list, more, nil
}
