package load

import (
	"math/rand/v2"
	"strconv"
	"time"
)

// Users are whom one sender pushes to: each push goes to a random one. No two senders may share a
// user, or nobody could tell in which order to expect what they send.
type Users struct {
	first, step int   // the users are first, first+step, …
	seq         []int // pushes to each so far
	rng         *rand.Rand
	now         func() time.Duration
	size        int
}

// UID is the uid of user i.
func UID(i int) string { return "user-" + strconv.Itoa(i) }

// Share splits users 0 to n-1 among senders; their contents have size bytes and the time of now.
func Share(n, senders, size int, now func() time.Duration) []*Users {
	shares := make([]*Users, senders)
	for i := range shares {
		shares[i] = &Users{
			first: i, step: senders, seq: make([]int, (n-i+senders-1)/senders),
			rng: rand.New(rand.NewPCG(1, uint64(i))), now: now, size: size,
		}
	}
	return shares
}

// AppendPush appends the JSON of one push of /v1 to the next user.
func (u *Users) AppendPush(dst []byte) []byte {
	i := u.rng.IntN(len(u.seq))
	u.seq[i]++
	dst = append(dst, `{"to":{"users":["user-`...)
	dst = strconv.AppendInt(dst, int64(u.first+i*u.step), 10)
	dst = append(dst, `"]},"event":"new_msg","data":"`...)
	dst = AppendContent(dst, u.now(), u.seq[i], u.size)
	return append(dst, `"}`...)
}

// delivered is in the answer to every push that reached its user.
const delivered = `"matched":{"users":1,"connections":1}`
