package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"crier/io/hub"
	"crier/io/jobs"
)

// ruler is an office that would lead. What it does as the leader is a jobs.Runner on the queue.
type ruler struct {
	*office
	leader *Leader
}

// receiver is who the callbacks are for: it writes down all, and fails now and then.
type receiver struct {
	mu   sync.Mutex
	got  []told
	busy map[string]string // by user, who is just telling of him
	t    *testing.T
}

func (r *receiver) take(name string, job jobs.Job) (retry bool, err error) {
	var one told
	if err := json.Unmarshal(job.Payload, &one); err != nil {
		r.t.Errorf("%s: %v", job.Payload, err)
	}
	r.mu.Lock()
	if other := r.busy[one.UID]; other != "" {
		r.t.Errorf("%s and %s tell of %s at the same time", other, name, one.UID)
	}
	r.busy[one.UID] = name
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.busy[one.UID] = ""
		if err == nil {
			r.got = append(r.got, one)
		}
	}()
	if rand.IntN(20) == 0 {
		return true, errors.New("not now")
	}
	return false, nil
}

func (r *receiver) taken() []told {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// newRuler opens an office with a leader; the test's end closes it.
func newRuler(t *testing.T, o officeOptions, to *receiver) *ruler {
	t.Helper()
	r := &ruler{office: newOffice(t, o)}
	var err error
	r.leader, err = NewLeader(LeaderOptions{Node: r.Node, Begin: func(term *Term) (func(context.Context), error) {
		queue := NewQueue(term)
		runner, err := jobs.New(jobs.Options{
			Queue: queue, MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
			Handler: func(_ context.Context, job jobs.Job) (bool, error) { return to.take(o.name, job) },
		})
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithCancel(context.Background())
		var follow sync.WaitGroup
		follow.Go(func() {
			queue.Follow(ctx, func(job jobs.Job) { runner.TakeUp(job) }, func(err error) { t.Error(err) })
		})
		return func(ctx context.Context) {
			cancel()
			follow.Wait()
			runner.Stop(ctx)
		}, nil
	}, Logger: slog.New(slog.NewTextHandler(r.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.resign(t) })
	r.leader.Start()
	return r
}

func (r *ruler) resign(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.leader.Close(ctx); err != nil {
		t.Error(err)
	}
}

// leads waits until one of them leads, and returns which.
func leads(t *testing.T, rulers ...*ruler) *ruler {
	t.Helper()
	var first *ruler
	await(t, "somebody leads", func() bool {
		n := 0
		for _, r := range rulers {
			if r.leader.Is() {
				first = r
				n++
			}
		}
		if n > 1 {
			t.Fatalf("%d of them lead", n)
		}
		return n == 1
	})
	return first
}

// The lead moves while users come and go: by a stop, by a cut line, and by death. Every callback arrives, in order of each user, and
// no two nodes send at the same time.
func TestLeadMoves(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	to := &receiver{busy: make(map[string]string), t: t}
	var rulers []*ruler
	lines := make(map[*ruler]*proxy)
	for _, name := range []string{"a", "b", "c", "d"} {
		line := newProxy(t, server.Addr())
		r := newRuler(t, officeOptions{name: name, redis: line.listener.Addr().String()}, to)
		lines[r] = line
		rulers = append(rulers, r)
	}
	calm := newOffice(t, officeOptions{name: "calm", redis: server.Addr()}) // where the users are
	stop := make(chan struct{})
	end := sync.OnceFunc(func() { close(stop) })
	t.Cleanup(end) // before the offices are closed
	var load sync.WaitGroup
	for i := range 5 {
		load.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				m, err := calm.hub.Connect(&browser{id: fmt.Sprint(i, "-", n)})
				if err == nil {
					err = m.Login("user " + strconv.Itoa(i))
				}
				if err != nil {
					t.Error(err)
					return
				}
				m.Gone()
				n := len(to.taken())
				for deadline := time.Now().Add(10 * time.Millisecond); len(to.taken()) == n && time.Now().Before(deadline); {
					time.Sleep(time.Millisecond) // a pace that the receiver can follow
				}
			}
		})
	}
	more := func(what string) {
		t.Helper()
		n := len(to.taken())
		await(t, what, func() bool { return len(to.taken()) > n+20 })
	}
	more("callbacks arrive")
	first := leads(t, rulers...)
	first.resign(t)
	rulers = slices.DeleteFunc(rulers, func(r *ruler) bool { return r == first })
	more("callbacks arrive after a stop")
	second := leads(t, rulers...)
	lines[second].sever(true)
	await(t, "it has noticed", func() bool { return !second.leader.Is() })
	others := slices.DeleteFunc(slices.Clone(rulers), func(r *ruler) bool { return r == second })
	third := leads(t, others...)
	more("callbacks arrive after a cut")
	lines[second].heal()
	lines[third].freeze()
	await(t, "it has noticed", func() bool { return !third.leader.Is() })
	rulers = slices.DeleteFunc(rulers, func(r *ruler) bool { return r == third })
	leads(t, rulers...)
	more("callbacks arrive after a stand-still")
	lines[third].heal()
	end()
	load.Wait()
	await(t, "all callbacks have arrived", func() bool { return server.ask(t, "XLEN", "crier:j") == int64(0) })
	by := make(map[string][]told)
	for _, one := range to.taken() {
		if all := by[one.UID]; len(all) > 0 {
			switch last := all[len(all)-1]; {
			case last.Version == one.Version: // again, since the answer was not noted
				continue
			case last.Version > one.Version:
				t.Errorf("%s: version %d behind %d", one.UID, one.Version, last.Version)
			case last.Online == one.Online:
				t.Errorf("%s: %+v behind %+v", one.UID, one, last)
			}
		}
		by[one.UID] = append(by[one.UID], one)
	}
	for uid, all := range by {
		if all[len(all)-1].Online {
			t.Errorf("the last that was told of %s is that he is online", uid)
		}
	}
	if len(by) != 5 {
		t.Errorf("%d users were told of", len(by))
	}
}

// reign returns a term that lasts.
func reign(t *testing.T, n *Node) *Term {
	t.Helper()
	terms := make(chan *Term, 1)
	l, err := NewLeader(LeaderOptions{Node: n, Begin: func(term *Term) (func(context.Context), error) {
		terms <- term
		return func(context.Context) {}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	l.Start()
	t.Cleanup(func() {
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	select {
	case term := <-terms:
		return term
	case <-time.After(patience):
		t.Fatal("no term has begun")
		return nil
	}
}

// The queue is one like any other.
func TestQueue(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	w := newWitness(t, server, "a").begin(t)
	term := reign(t, w.Node)
	q := NewQueue(term)
	now := time.Now().Round(0)
	add := []jobs.Job{
		{Key: "u", Payload: []byte("first"), Due: now, Created: now, Expires: now.Add(time.Hour)},
		{Payload: []byte("\x00\xff"), Created: now},
		{Key: "v", Created: now},
	}
	if err := q.Add(add); err != nil {
		t.Fatal(err)
	}
	if add[0].ID == 0 || add[1].ID <= add[0].ID || add[2].ID <= add[1].ID {
		t.Fatalf("numbers %d, %d, %d", add[0].ID, add[1].ID, add[2].ID)
	}
	changed := add[0]
	changed.Attempts, changed.LastError, changed.Batch, changed.BatchJobs, changed.Parked = 3, "no", "b", []uint64{add[0].ID, add[2].ID}, now
	if err := q.Save(changed, add[2]); err != nil {
		t.Fatal(err)
	}
	if err := q.Remove(add[1].ID, 1); err != nil {
		t.Fatal(err)
	}
	if err := q.Save(changed, add[1]); !errors.Is(err, jobs.ErrNotFound) {
		t.Errorf("saving what is gone: %v", err)
	}
	if _, err := q.Get(add[1].ID); !errors.Is(err, jobs.ErrNotFound) {
		t.Errorf("getting what is gone: %v", err)
	}
	same := func(got, want jobs.Job) {
		t.Helper()
		if len(got.Payload) == 0 {
			got.Payload = want.Payload
		}
		for _, at := range []*time.Time{&got.Due, &got.Expires, &got.Created, &got.Parked} {
			*at = at.Round(0)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	got, err := q.Get(changed.ID)
	if err != nil {
		t.Fatal(err)
	}
	same(got, changed)
	var all []jobs.Job
	read := func() {
		t.Helper()
		if err := q.Each(func(j jobs.Job) error { all = append(all, j); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	read()
	if len(all) != 2 {
		t.Fatalf("%d jobs, want 2", len(all))
	}
	same(all[0], changed)
	same(all[1], add[2])
	more := make([]jobs.Job, 2*queueRead+1)
	if err := q.Add(more); err != nil {
		t.Fatal(err)
	}
	q = NewQueue(term)
	all = nil
	read()
	if len(all) != 2+len(more) || !slices.IsSortedFunc(all, func(a, b jobs.Job) int { return int(int64(a.ID) - int64(b.ID)) }) {
		t.Errorf("%d jobs, want %d in order", len(all), 2+len(more))
	}
	boom := errors.New("boom")
	if err := NewQueue(term).Each(func(jobs.Job) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("Each: %v", err)
	}

	// Another node leads: nothing of this term counts any more.
	server.do(t, []any{"SET", "crier:leader", "1:b"})
	for what, err := range map[string]error{
		"Add": q.Add(add), "Save": q.Save(changed), "Remove": q.Remove(1), "Each": q.Each(nil),
		"schedules": NewSchedules(term).Save(map[string][]byte{"s": []byte("x")}),
	} {
		if !errors.Is(err, ErrDeposed) {
			t.Errorf("%s after the term: %v", what, err)
		}
	}
	if n := server.ask(t, "EXISTS", "crier:schedules"); n != int64(0) {
		t.Error("a schedule was stored after the term")
	}
}

// A read that the end of the term cuts short is no trouble to be told of.
func TestFollowToTheEnd(t *testing.T) {
	t.Parallel()
	w := newWitness(t, startRedis(t), "a").begin(t)
	term := reign(t, w.Node)
	term.cancel()
	q := NewQueue(term)
	if err := q.Each(nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a read after the end: %v", err)
	}
	q.Follow(t.Context(), nil, func(err error) { t.Errorf("told of %v", err) })
}

func TestSchedulesAreKept(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	s := NewSchedules(reign(t, newWitness(t, server, "a").begin(t).Node))
	records := make(map[string][]byte)
	for i := range scheduleRead + 10 {
		records[strconv.Itoa(i)] = []byte{byte(i), 0, 0xff}
	}
	if err := s.Save(records); err != nil {
		t.Fatal(err)
	}
	change := map[string][]byte{"1": nil, "2": []byte("other"), "none": nil}
	if err := s.Save(change); err != nil {
		t.Fatal(err)
	}
	delete(records, "1")
	records["2"] = []byte("other")
	got := make(map[string][]byte)
	if err := s.Each(func(id string, record []byte) error {
		got[id] = slices.Clone(record)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, records) {
		t.Errorf("%d records, want %d", len(got), len(records))
	}
}

// What Begin cannot make, another one may: the lead is not kept for nothing.
func TestLeadThatCannotBegin(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	a := newWitness(t, server, "a").begin(t)
	tries := make(chan struct{}, 100)
	l, err := NewLeader(LeaderOptions{Node: a.Node, Begin: func(*Term) (func(context.Context), error) {
		select {
		case tries <- struct{}{}:
		default:
		}
		return nil, errors.New("no room")
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	l.Start()
	await(t, "it was tried again", func() bool { return len(tries) > 1 })
	b := newWitness(t, server, "b").begin(t)
	reign(t, b.Node)
	await(t, "the other one leads", func() bool {
		node, known, err := l.Where(context.Background())
		return err == nil && known && node == "b"
	})
}

// Callbacks beyond the most that may wait are refused, and nobody is told of halfway.
func TestTooManyCallbacks(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	c := newClerk(t, server, "a")
	c.options.MaxCallbacks = 2
	c.say(t, hub.PresenceChange{UID: "u", Online: true}, hub.PresenceChange{UID: "v", Online: true})
	if _, err := c.Attend([]hub.PresenceChange{{UID: "w", Online: true}}); err == nil {
		t.Fatal("a third callback was taken")
	}
	if n := server.ask(t, "EXISTS", "crier:u:w"); n != int64(0) {
		t.Error("who could not be told of is in the directory")
	}
}

func FuzzJob(f *testing.F) {
	now := time.Unix(5, 7)
	f.Add(appendJob(nil, &jobs.Job{Key: "u", Payload: []byte("p"), Due: now, Created: now}))
	f.Add(appendJob(nil, &jobs.Job{LastError: "no", Attempts: 300, Parked: now, Batch: "b", BatchJobs: []uint64{1, 1 << 50}}))
	f.Fuzz(func(t *testing.T, form []byte) {
		job, err := parseJob(form)
		if err != nil {
			return
		}
		again, err := parseJob(appendJob(nil, &job)) // numbers have more than one form
		if err != nil || !reflect.DeepEqual(again, job) {
			t.Errorf("%x is read as %+v, and that as %+v (%v)", form, job, again, err)
		}
	})
}
