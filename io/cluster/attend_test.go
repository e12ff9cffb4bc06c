package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"crier/io/hub"
)

// told is what a test's callbacks say.
type told struct {
	UID     string
	Online  bool
	Cause   string
	Version uint64
}

// tellTest is a Callback.
func tellTest(c hub.PresenceChange) (head, tail []byte, err error) {
	return fmt.Appendf(nil, `{"UID":%q,"Online":%t,"Cause":%q,"Version":`, c.UID, c.Online, c.Cause), []byte("}"), nil
}

// clerk is a node with an Attendance that nobody but the test calls.
type clerk struct {
	*witness
	*Attendance
	here map[string]hub.PresenceChange // who is with it
}

func newClerk(t *testing.T, server *redisServer, name string) *clerk {
	t.Helper()
	c := &clerk{witness: newWitness(t, server, name), here: make(map[string]hub.PresenceChange)}
	var err error
	c.Attendance, err = NewAttendance(AttendanceOptions{
		Node: c.Node, Window: time.Minute, Callback: tellTest, Logger: slog.New(slog.NewTextHandler(c.witness.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Attendance.Close)
	c.begin(t)
	return c
}

// say has the node tell of changes, and of all who are with it when it has been given up.
func (c *clerk) say(t *testing.T, changes ...hub.PresenceChange) {
	t.Helper()
	for _, one := range changes {
		if one.Online {
			c.here[one.UID] = one
		} else {
			delete(c.here, one.UID)
		}
	}
	epoch := c.Epoch()
	_, err := c.Attend(changes)
	for errors.Is(err, ErrFenced) {
		await(t, "the node is back", func() bool { return c.Epoch() != epoch })
		epoch = c.Epoch()
		_, err = c.Attend(slices.Collect(maps.Values(c.here)))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// callbacks are the jobs in Redis, as what they say.
func callbacks(t *testing.T, server *redisServer) []told {
	t.Helper()
	reply, err := redis.Values(server.ask(t, "XRANGE", "crier:j", "-", "+"), nil)
	if err != nil {
		t.Fatal(err)
	}
	list, err := parseEntries(reply)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]told, len(list))
	for i, one := range list {
		job, err := parseJob(one.frame)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(job.Payload, &all[i]); err != nil {
			t.Fatalf("%s: %v", job.Payload, err)
		}
		if job.Key != all[i].UID || uint64(one.at) != all[i].Version {
			t.Errorf("job %d of %q says %+v", one.at, job.Key, all[i])
		}
	}
	return all
}

// ask sends one command and returns the answer.
func (s *redisServer) ask(t *testing.T, name string, args ...any) any {
	t.Helper()
	c, err := redis.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	reply, err := c.Do(name, args...)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return reply
}

// TestDirectoryModel does what nodes do at random, and compares with what a naive model says that must come of it: who is online,
// each transition told once, in order, and all figures.
func TestDirectoryModel(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	names := []string{"a", "b", "c:1"}
	clerks := make([]*clerk, len(names))
	for i, name := range names {
		clerks[i] = newClerk(t, server, name)
	}
	random := rand.New(rand.NewPCG(8, uint64(time.Now().UnixNano())))
	var want []told // without versions
	online := make(map[string]bool)
	elsewhere := func(uid string, but *clerk) bool {
		return slices.ContainsFunc(clerks, func(c *clerk) bool { _, here := c.here[uid]; return c != but && here })
	}
	settle := func(uid, cause string, now bool) {
		if online[uid] == now {
			return
		}
		online[uid] = now
		want = append(want, told{UID: uid, Online: now, Cause: cause})
	}
	said := make(map[*clerk]uint64) // the epoch of the last batch: of another one, its number means nothing
	for range 1500 {
		c := clerks[random.IntN(len(clerks))]
		uid := "user " + strconv.Itoa(random.IntN(12))
		_, here := c.here[uid]
		switch n := random.IntN(20); {
		case n < 11: // comes, or has other connections
			c.say(t, hub.PresenceChange{UID: uid, Online: true, Connections: random.IntN(3), Trails: random.IntN(2) == 0})
			settle(uid, "", true)
			said[c] = c.Epoch()
		case n < 17 && here:
			c.say(t, hub.PresenceChange{UID: uid, Cause: "logout", Trails: c.here[uid].Trails})
			if !elsewhere(uid, c) {
				settle(uid, "logout", false)
			}
		case n < 18 && !here: // a visit, told as one
			was := elsewhere(uid, c)
			c.say(t, hub.PresenceChange{UID: uid, Online: true, Connections: 1}, hub.PresenceChange{UID: uid, Cause: "disconnect"})
			if !was {
				settle(uid, "", true)
				settle(uid, "disconnect", false)
			}
		case n < 19 && said[c] != c.Epoch():
		case n < 19: // the same batch again, as after a lost answer
			c.number--
			fallthrough
		default:
			if n < 19 {
				if _, err := c.Attend([]hub.PresenceChange{{UID: "nobody", Online: true}}); err != nil && c.number != 0 {
					t.Fatal(err)
				}
				break
			}
			// It is given up by another one, and comes back with all its users.
			epoch := c.Epoch()
			server.do(t, []any{"ZADD", "crier:nodes", 1, c.Name()})
			judge := clerks[(slices.Index(clerks, c)+1)%len(clerks)]
			if err := judge.sweep(context.Background(), true); err != nil {
				t.Fatal(err)
			}
			gone := slices.Sorted(maps.Keys(c.here))
			for _, uid := range gone {
				if !elsewhere(uid, c) {
					settle(uid, "node", false)
				}
			}
			c.say(t)
			if c.Epoch() == epoch {
				t.Fatal("it was not given up")
			}
			for _, uid := range gone {
				settle(uid, "", true)
			}
		}
	}
	compareTold(t, callbacks(t, server), want)
	users, connections := 0, 0
	seen := make(map[string]int)
	for _, c := range clerks {
		for uid, one := range c.here {
			seen[uid] += one.Connections
		}
	}
	for uid, n := range seen {
		connections += n
		if n > 0 {
			users++
		}
		if !online[uid] {
			t.Errorf("the model has %s offline, with a node", uid)
		}
	}
	figures, err := redis.Strings(server.ask(t, "HMGET", "crier:online", "users", "connections"), nil)
	if got := strings.Join(figures, " "); err != nil || got != fmt.Sprint(users, connections) {
		t.Errorf("%s users and connections (%v), want %d %d", got, err, users, connections)
	}
	for i := range 12 {
		uid := "user " + strconv.Itoa(i)
		fields, err := redis.StringMap(server.ask(t, "HGETALL", "crier:u:"+uid), nil)
		if err != nil {
			t.Fatal(err)
		}
		if (fields["on"] == "1") != online[uid] {
			t.Errorf("%s: %v, want online %v", uid, fields, online[uid])
		}
		for _, c := range clerks {
			want := ""
			if one, here := c.here[uid]; here {
				want = fmt.Sprintf("%d,%d,%d", one.Connections, map[bool]int{true: 1}[one.Trails], c.Epoch())
			}
			if got := fields["n:"+c.Name()]; got != want {
				t.Errorf("%s at %s: %q, want %q", uid, c.Name(), got, want)
			}
		}
	}
	for _, c := range clerks {
		key := fmt.Sprintf("crier:nu:%s:%d", c.Name(), c.Epoch())
		if n, err := redis.Int(server.ask(t, "SCARD", key), nil); n != len(c.here) || err != nil {
			t.Errorf("%s has %d users (%v), want %d", key, n, err, len(c.here))
		}
	}
	if n, err := redis.Int(server.ask(t, "ZCARD", "crier:due"), nil); n != 0 || err != nil {
		t.Errorf("%d users are due (%v), want none", n, err)
	}
}

// compareTold compares what was told with what had to be, of each user, and sees to the versions.
func compareTold(t *testing.T, got, want []told) {
	t.Helper()
	line := func(all []told) map[string][]string {
		by := make(map[string][]string)
		last := make(map[string]uint64)
		for _, one := range all {
			by[one.UID] = append(by[one.UID], fmt.Sprint(one.Online, one.Cause))
			if one.Version != 0 && one.Version <= last[one.UID] {
				t.Errorf("%s: version %d after %d", one.UID, one.Version, last[one.UID])
			}
			last[one.UID] = one.Version
		}
		return by
	}
	told, due := line(got), line(want)
	for uid := range due {
		if !slices.Equal(told[uid], due[uid]) {
			t.Errorf("%s was told %q,\nwant %q", uid, told[uid], due[uid])
		}
	}
	if len(told) != len(due) {
		t.Errorf("%d users were told of, want %d", len(told), len(due))
	}
}
