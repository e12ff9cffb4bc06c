package load

import (
	"math/rand/v2"
	"time"
)

// Users are whom one sender pushes to: each push goes to a random one. No two senders may share a
// user, or nobody could tell in which order to expect what they send.
type Users struct {
	first, step int      // the users are first, first+step, …
	seq         []uint32 // pushes to each so far
	rng         *rand.Rand
	body        template
	stamp       Stamp
	now         func() time.Duration
	size        int
}

// share splits users 0 to n-1 among senders.
func share(n, senders, size int, f Form, stamp Stamp, now func() time.Duration) []*Users {
	senders = min(senders, n)
	shares := make([]*Users, senders)
	for i := range shares {
		shares[i] = &Users{
			first: i, step: senders, seq: make([]uint32, (n-i+senders-1)/senders),
			rng: rand.New(rand.NewPCG(1, uint64(i))), body: parseTemplate(f.One), stamp: stamp, now: now, size: size,
		}
	}
	return shares
}

// AppendPush appends the body of a push to the next user.
func (u *Users) AppendPush(dst []byte) []byte {
	i := u.rng.IntN(len(u.seq))
	u.seq[i]++
	return u.body.append(dst, u.first+i*u.step, func(dst []byte) []byte {
		return u.stamp.Append(dst, u.now(), int(u.seq[i]), u.size)
	})
}

// Owed is how many pushes have been made to each user, by shares that nobody uses any more.
func Owed(shares []*Users) func(user int) int {
	return func(user int) int {
		u := shares[user%len(shares)]
		return int(u.seq[user/len(shares)])
	}
}
