package inboxtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"crier/io/hub"
)

// letter is a message in the naive inbox.
type letter struct {
	id    string
	place uint64
	fates map[string]hub.Fate
}

// naive is what an inbox has to be like, without any cleverness: all letters there ever were, in order.
type naive struct {
	perUser int
	letters []*letter
}

func (n *naive) find(id string) *letter {
	i := slices.IndexFunc(n.letters, func(l *letter) bool { return l.id == id })
	if i < 0 {
		return nil
	}
	return n.letters[i]
}

func (n *naive) waiting(uid string) (list []*letter) {
	for _, l := range n.letters {
		if fate, is := l.fates[uid]; is && fate == hub.Waiting {
			list = append(list, l)
		}
	}
	return list
}

func (n *naive) put(id string, place uint64, users []string) {
	l := &letter{id, place, make(map[string]hub.Fate)}
	n.letters = append(n.letters, l)
	for _, uid := range users {
		l.fates[uid] = hub.Waiting
		if list := n.waiting(uid); len(list) > n.perUser {
			list[0].fates[uid] = hub.Evicted
		}
	}
}

func (n *naive) confirm(uid string, place uint64) {
	for _, l := range n.waiting(uid) {
		if l.place == place {
			l.fates[uid] = hub.Confirmed
		}
	}
}

func (n *naive) expire(id string) {
	l := n.find(id)
	for uid, fate := range l.fates {
		if fate == hub.Waiting {
			l.fates[uid] = hub.Expired
		}
	}
}

func (n *naive) text(id string) string {
	l := n.find(id)
	var of [4]int
	list := ""
	users := make([]string, 0, len(l.fates))
	for uid, fate := range l.fates {
		of[fate]++
		users = append(users, uid)
	}
	slices.Sort(users)
	for _, uid := range users {
		list += fmt.Sprintf(" %s %s", uid, l.fates[uid])
	}
	return fmt.Sprintf("%d: %d %d %d %d", len(users), of[hub.Waiting], of[hub.Confirmed], of[hub.Expired], of[hub.Evicted]) + list
}

// model does the same at random with an inbox and the naive one, and compares.
func model(t *testing.T, open Open) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 8))
			n := &naive{perUser: 5}
			expires := seed%2 == 0
			if expires { // what has expired may count for a while, so that something is evicted for it
				n.perUser = 1000
			}
			q := box{open(t, Bounds{MaxPerUser: n.perUser}), t}
			all := []string{"a", "b", "c", "d"}
			user := func() string { return all[rnd.IntN(len(all))] }
			for step := range 400 {
				switch rnd.IntN(10) {
				case 0, 1, 2, 3:
					n.add(q, fmt.Sprint(step), some(rnd, all), time.Hour)
				case 4:
					id := fmt.Sprint(step)
					if !expires {
						continue
					}
					n.add(q, id, some(rnd, all), time.Millisecond)
					n.expire(id)
					q.become(id, n.text(id))
				case 5, 6, 7:
					uid := user()
					if list := n.waiting(uid); len(list) > 0 {
						place := list[rnd.IntN(len(list))].place
						n.confirm(uid, place)
						q.Confirm(uid, []uint64{place, place + 1<<40})
						q.fates("") // before anything else has to make room: an inbox may not be through until it is asked
					}
				case 8:
					if len(n.letters) > 0 {
						id := n.letters[rnd.IntN(len(n.letters))].id
						if r := q.put(deposit(id, "again", user())); !r.Known || r.Users != len(n.find(id).fates) {
							t.Fatalf("%s again: %+v", id, r)
						}
					}
				case 9:
					n.compare(q, user(), rnd)
				}
			}
			for _, uid := range all {
				n.compare(q, uid, rnd)
			}
			for _, l := range n.letters {
				q.become(l.id, n.text(l.id))
			}
		})
	}
}

func some(rnd *rand.Rand, all []string) (users []string) {
	for _, uid := range all {
		if rnd.IntN(2) == 0 {
			users = append(users, uid)
		}
	}
	return users
}

func (n *naive) add(q box, id string, users []string, ttl time.Duration) {
	q.t.Helper()
	d := deposit(id, "", users...)
	d.Expires = time.Now().Add(ttl)
	r := q.put(d)
	if r.Known || len(n.letters) > 0 && r.Place <= n.letters[len(n.letters)-1].place {
		q.t.Fatalf("%s: %+v", id, r)
	}
	n.put(id, r.Place, users)
	q.fates("") // before something is confirmed, for which nothing would have to make room
}

// compare compares what waits for a user, whole and a page of it.
func (n *naive) compare(q box, uid string, rnd *rand.Rand) {
	q.t.Helper()
	q.fates("")
	var want []string
	list := n.waiting(uid)
	for _, l := range list {
		want = append(want, l.id)
	}
	q.has(uid, want...)
	if len(list) == 0 {
		return
	}
	i, count := rnd.IntN(len(list)), 1+rnd.IntN(3)
	got, err := q.Next(uid, list[i].place, count, 1<<20)
	if err != nil {
		q.t.Fatal(err)
	}
	rest := list[i+1:]
	if len(got) != min(count, len(rest)) {
		q.t.Fatalf("%d letters of %d, %d wanted", len(got), len(rest), count)
	}
	for j, l := range got {
		if l.Place != rest[j].place {
			q.t.Fatalf("place %d, want %d", l.Place, rest[j].place)
		}
	}
}
