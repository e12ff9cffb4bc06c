package api

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
)

// person is a connection, as the naive model of audiences knows it.
type person struct {
	ear   *ear
	uid   string
	rooms []string
}

// randomAudience is an audience as JSON has it, of names that mean different things as users, rooms and connections.
type randomAudience struct {
	Users       []string        `json:"users,omitempty"`
	Rooms       []string        `json:"rooms,omitempty"`
	Connections []string        `json:"connections"`
	All         bool            `json:"all,omitempty"`
	Except      *randomAudience `json:"except,omitempty"`
}

func newAudience(r *rand.Rand, names []string, depth int) *randomAudience {
	pick := func() []string {
		var list []string
		for range r.IntN(4) {
			list = append(list, names[r.IntN(len(names))]) // some of them twice
		}
		return list
	}
	a := &randomAudience{Users: pick(), Rooms: pick(), Connections: append([]string{}, pick()...), All: r.IntN(4) == 0}
	if depth < 4 && r.IntN(2) == 0 {
		a.Except = newAudience(r, names, depth+1)
	}
	return a
}

// has is the model: the union of what is named, minus the exception.
func (a *randomAudience) has(p *person) bool {
	in := a.All
	for _, uid := range a.Users {
		in = in || uid == p.uid
	}
	for _, room := range a.Rooms {
		for _, r := range p.rooms {
			in = in || r == room
		}
	}
	for _, id := range a.Connections {
		in = in || id == p.ear.id
	}
	return in && (a.Except == nil || !a.Except.has(p))
}

func TestAudienceAlgebra(t *testing.T) {
	h := realHub(t)
	s := newServer(t, Options{Pusher: h})
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	names := make([]string, 12)
	for i := range names {
		names[i] = fmt.Sprint("n", i)
	}
	people := make([]*person, 60)
	for i := range people {
		p := &person{}
		id := fmt.Sprint("other", i)
		if i < len(names) {
			id = names[i]
		}
		if r.IntN(4) > 0 {
			p.uid = names[r.IntN(len(names))]
		}
		for _, n := range r.Perm(len(names))[:r.IntN(4)] {
			p.rooms = append(p.rooms, names[n])
		}
		p.ear = listen(t, h, id, p.uid, p.rooms...)
		people[i] = p
	}
	for round := range 1000 {
		a := newAudience(r, names, 0)
		to, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		got := pushed(t, s, fmt.Sprintf(`{"to":%s,"data":%d}`, to, round))
		dry := pushed(t, s, fmt.Sprintf(`{"to":%s,"data":%d,"dry_run":true}`, to, round))
		users, connections := map[string]bool{}, 0
		for _, p := range people {
			heard := len(p.ear.take())
			want := 0
			if a.has(p) {
				want = 1
				connections++
				if p.uid != "" {
					users[p.uid] = true
				}
			}
			if heard != want {
				t.Fatalf("seed %d: %s got %d messages to %s, want %d", seed, p.ear.id, heard, to, want)
			}
		}
		if got.Matched != dry.Matched || got.Matched.Users != len(users) || got.Matched.Connections != connections {
			t.Fatalf("seed %d: %s matched %+v, dry %+v, want %d and %d", seed, to, got.Matched, dry.Matched, len(users), connections)
		}
	}
}
