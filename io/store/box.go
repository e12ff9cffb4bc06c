package store

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"crier/io/hub"
)

// The parts of an inbox are buckets in its own. A place is 8 bytes, big-endian, and so is a time, in milliseconds since 1970.
//
//	letters     place → see encodeLetter: messages that somebody has yet to confirm, once for all of them
//	users       uid 0x00 → uvarint, how many letters wait for the user; uid 0x00 place → nothing, for each of them
//	addressees  place uid → the fate of the message for the user, 1 byte
//	receipts    place → see encodeReceipt
//	ids         id 0x00 scope → place
//	expiry      time place → nothing: when letters expire
//	retirement  time place → nothing: when receipts are forgotten of messages that nobody waits for
//
// The inbox itself has "totals", for what it would take long to count, and "id", 16 bytes that its journal has as well. The
// greatest place is the sequence of letters.
const (
	lettersPart    = "letters"
	usersPart      = "users"
	addresseesPart = "addressees"
	receiptsPart   = "receipts"
	idsPart        = "ids"
	expiryPart     = "expiry"
	retirementPart = "retirement"

	totalsKey = "totals"
	idKeyOf   = "id"
)

// What a letter takes beside its bytes, and each of its addressees, about.
const (
	letterCost    = 200
	addresseeCost = 150
)

// box is an inbox in one transaction.
type box struct {
	root, letters, users, addressees, receipts, ids, expiry, retirement *bolt.Bucket

	now     int64
	keep    time.Duration // of receipts
	totals  totals
	place   uint64 // whose receipt is at hand; 0: none
	receipt receipt

	// What is written last, see register and hand.
	last  uint64    // the greatest place
	names []naming  // of receipts
	due   []arrival // letters that users get
}

// naming is where a message is to be found by its id.
type naming struct {
	key   string
	place uint64
}

// makeInbox makes the parts that are missing, and returns the id.
func makeInbox(tx *bolt.Tx) (id []byte, err error) {
	root, err := tx.CreateBucketIfNotExists([]byte(inboxBucket))
	if err != nil {
		return nil, err
	}
	for _, part := range []string{lettersPart, usersPart, addresseesPart, receiptsPart, idsPart, expiryPart, retirementPart} {
		if _, err := root.CreateBucketIfNotExists([]byte(part)); err != nil {
			return nil, err
		}
	}
	if id = root.Get([]byte(idKeyOf)); id != nil {
		return bytes.Clone(id), nil
	}
	id = []byte(rand.Text()[:16])
	return id, root.Put([]byte(idKeyOf), id)
}

// openBox returns the inbox, which is there.
func (q *Inbox) openBox(tx *bolt.Tx) (*box, error) {
	root := tx.Bucket([]byte(inboxBucket))
	part := func(name string) *bolt.Bucket { return root.Bucket([]byte(name)) }
	b := &box{
		root:       root,
		letters:    part(lettersPart),
		users:      part(usersPart),
		addressees: part(addresseesPart),
		receipts:   part(receiptsPart),
		ids:        part(idsPart),
		expiry:     part(expiryPart),
		retirement: part(retirementPart),
		keep:       q.KeepReceipts,
		now:        millis(q.now()),
	}
	// What comes in the order of places or times fills its pages.
	for _, bucket := range []*bolt.Bucket{b.letters, b.addressees, b.receipts, b.expiry, b.retirement} {
		bucket.FillPercent = fillPercent
	}
	var err error
	b.totals, err = decodeTotals(root.Get([]byte(totalsKey)))
	return b, err
}

// close writes what the box has at hand.
func (b *box) close() error {
	if err := b.turn(0); err != nil {
		return err
	}
	return b.root.Put([]byte(totalsKey), encodeTotals(b.totals))
}

// turn has the receipt of a place at hand, after it has written the one before. The receipt of place 0 is none.
func (b *box) turn(place uint64) error {
	if b.place == place {
		return nil
	}
	if b.place != 0 {
		if err := b.receipts.Put(placeKey(b.place), encodeReceipt(&b.receipt)); err != nil {
			return err
		}
	}
	if b.place = place; place == 0 {
		return nil
	}
	var err error
	b.receipt, err = decodeReceipt(b.receipts.Get(placeKey(place)))
	return err
}

// find returns the place of a message by the key of its id, 0 if there is none.
func (b *box) find(key string) uint64 { return placeOf(b.ids.Get([]byte(key))) }

// placeOf returns the place that v is, 0 if it is none.
func placeOf(v []byte) uint64 {
	if len(v) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(v)
}

// open begins the receipt of a message, and has it at hand. It can be found when register has been called.
func (b *box) open(place uint64, key string, r receipt) error {
	if err := b.turn(0); err != nil {
		return err
	}
	b.place, b.receipt = place, r
	b.last = max(b.last, place)
	b.names = append(b.names, naming{key, place})
	return nil
}

// register has messages found by their ids. These are written in their order, which is several times cheaper than any other.
func (b *box) register() error {
	if b.last > b.letters.Sequence() {
		if err := b.letters.SetSequence(b.last); err != nil {
			return err
		}
	}
	slices.SortStableFunc(b.names, func(x, y naming) int { return strings.Compare(x.key, y.key) })
	for _, n := range b.names {
		if err := b.ids.Put([]byte(n.key), placeKey(n.place)); err != nil {
			return err
		}
	}
	b.names = b.names[:0]
	return nil
}

// put keeps the letter of o, whose receipt is at hand, for those of its users who have not got it: hand gives it to them.
func (b *box) put(o *op, gone map[arrival]struct{}) error {
	waiting := 0
	for _, uid := range o.users {
		fate := hub.Waiting
		if _, is := gone[arrival{uid, o.place}]; is {
			fate = hub.Confirmed
			b.receipt.Waiting--
			b.receipt.Confirmed++
			b.totals.confirmed++
		} else {
			b.due = append(b.due, arrival{uid, o.place})
			waiting++
		}
		if err := b.addressees.Put(addresseeKey(o.place, uid), []byte{byte(fate)}); err != nil {
			return err
		}
	}
	if waiting == 0 {
		return b.retire()
	}
	if err := b.letters.Put(placeKey(o.place), o.letter); err != nil {
		return err
	}
	b.totals.letters++
	b.totals.bytes += letterSize(len(o.letter), b.receipt.Stored)
	b.totals.waiting += uint64(waiting)
	return b.expiry.Put(timeKey(b.receipt.expires, o.place), []byte{})
}

// hand gives users the letters that they are due, user by user, and evicts what has to make room.
func (b *box) hand(limits InboxOptions) error {
	slices.SortFunc(b.due, arrival.compare)
	var full []string
	for first, i := 0, 0; i < len(b.due); first = i {
		uid := b.due[first].uid
		for i < len(b.due) && b.due[i].uid == uid {
			i++
		}
		n, err := b.count(uid, i-first)
		if err != nil {
			return err
		}
		if n > limits.MaxPerUser {
			full = append(full, uid)
		}
		for _, a := range b.due[first:i] {
			if err := b.users.Put(userKey(uid, a.place), []byte{}); err != nil {
				return err
			}
		}
	}
	b.due = b.due[:0]
	for _, uid := range full {
		if err := b.evictOf(uid, limits.MaxPerUser); err != nil {
			return err
		}
	}
	for b.totals.bytes > uint64(limits.MaxBytes) {
		oldest, _ := b.letters.Cursor().First()
		if newest, _ := b.letters.Cursor().Last(); bytes.Equal(oldest, newest) { // or there is none
			return nil
		}
		if err := b.end(placeOf(oldest), hub.Evicted, 0); err != nil {
			return err
		}
	}
	return nil
}

// letterSize is what a letter of so many bytes for so many users counts.
func letterSize(bytes, users int) uint64 { return uint64(bytes + letterCost + users*addresseeCost) }

// count adds to the number of a user's letters and returns it.
func (b *box) count(uid string, add int) (int, error) {
	key := userKey(uid)
	n, _ := binary.Uvarint(b.users.Get(key)) // 0 if there is none
	total := int(n) + add
	if total <= 0 {
		return 0, b.users.Delete(key)
	}
	return total, b.users.Put(key, binary.AppendUvarint(nil, uint64(total)))
}

// evictOf evicts the oldest letters of a user who has more than so many.
func (b *box) evictOf(uid string, limit int) error {
	n, err := b.count(uid, 0)
	if err != nil {
		return err
	}
	for _, place := range b.of(uid, 0, n-limit) {
		if _, err := b.settle(uid, place, hub.Evicted); err != nil {
			return err
		}
	}
	return nil
}

// of returns the places of a user's first letters behind one, at most so many.
func (b *box) of(uid string, after uint64, limit int) (places []uint64) {
	prefix := userKey(uid)
	c := b.users.Cursor()
	for k, _ := c.Seek(userKey(uid, after+1)); len(k) == len(prefix)+8 && string(k[:len(prefix)]) == string(prefix) && len(places) < limit; k, _ = c.Next() {
		places = append(places, placeOf(k[len(prefix):]))
	}
	return places
}

// end settles a letter for those who still wait for it: at most so many, 0 for all. What it has not room for is left.
func (b *box) end(place uint64, fate hub.Fate, limit int) error {
	var uids []string
	prefix := placeKey(place)
	c := b.addressees.Cursor()
	for k, v := c.Seek(prefix); len(k) > 8 && string(k[:8]) == string(prefix) && (limit == 0 || len(uids) < limit); k, v = c.Next() {
		if v[0] == byte(hub.Waiting) {
			uids = append(uids, string(k[8:]))
		}
	}
	for _, uid := range uids {
		if ok, err := b.settle(uid, place, fate); err != nil {
			return err
		} else if !ok {
			return fmt.Errorf("%w: a stored message waits for a user who does not have it", ErrDamaged)
		}
	}
	return nil
}

// settle takes a letter from a user; fate is what has become of it for him. It reports whether he had it.
func (b *box) settle(uid string, place uint64, fate hub.Fate) (bool, error) {
	key := userKey(uid, place)
	if b.users.Get(key) == nil {
		return false, nil
	}
	if err := b.users.Delete(key); err != nil {
		return false, err
	}
	if _, err := b.count(uid, -1); err != nil {
		return false, err
	}
	if err := b.addressees.Put(addresseeKey(place, uid), []byte{byte(fate)}); err != nil {
		return false, err
	}
	if err := b.turn(place); err != nil {
		return false, err
	}
	b.totals.waiting--
	r := &b.receipt
	switch r.Waiting--; fate {
	case hub.Confirmed:
		r.Confirmed++
		b.totals.confirmed++
	case hub.Expired:
		r.Expired++
		b.totals.expired++
	default:
		r.Evicted++
		b.totals.evicted++
	}
	if r.Waiting > 0 {
		return true, nil
	}
	return true, b.remove(place)
}

// remove removes the letter at hand, which nobody waits for any more.
func (b *box) remove(place uint64) error {
	letter := b.letters.Get(placeKey(place))
	if letter == nil {
		return fmt.Errorf("%w: a stored message is missing", ErrDamaged)
	}
	b.totals.letters--
	b.totals.bytes -= letterSize(len(letter), b.receipt.Stored)
	if err := b.letters.Delete(placeKey(place)); err != nil {
		return err
	}
	if err := b.expiry.Delete(timeKey(b.receipt.expires, place)); err != nil {
		return err
	}
	return b.retire()
}

// retire has the receipt at hand kept for a while yet.
func (b *box) retire() error {
	b.receipt.retired = b.now + b.keep.Milliseconds()
	b.totals.retired += 1 + uint64(b.receipt.Stored)
	return b.retirement.Put(timeKey(b.receipt.retired, b.place), []byte{})
}

// forget removes a retired receipt, and the addressees of its message.
func (b *box) forget(place uint64) error {
	if err := b.turn(place); err != nil {
		return err
	}
	r := b.receipt
	b.place = 0
	b.totals.retired -= 1 + uint64(r.Stored)
	if err := b.retirement.Delete(timeKey(r.retired, place)); err != nil {
		return err
	}
	if err := b.receipts.Delete(placeKey(place)); err != nil {
		return err
	}
	if key := idKey(r.ID, r.Scope); b.find(key) == place {
		if err := b.ids.Delete([]byte(key)); err != nil {
			return err
		}
	}
	prefix := placeKey(place)
	var keys [][]byte
	c := b.addressees.Cursor()
	for k, _ := c.Seek(prefix); len(k) > 8 && string(k[:8]) == string(prefix); k, _ = c.Next() {
		keys = append(keys, append([]byte(nil), k...))
	}
	for _, k := range keys {
		if err := b.addressees.Delete(k); err != nil {
			return err
		}
	}
	return nil
}
