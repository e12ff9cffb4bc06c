package wsconn

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func newBudget(t testing.TB, o BudgetOptions) *Budget {
	t.Helper()
	b, err := NewBudget(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// owner is a connection of a budget's.
type owner struct {
	budget *Budget
	name   int
	told   func(name int) // when it is evicted; or nil

	mu      sync.Mutex
	account Account
	bytes   int
}

// set says what waits.
func (o *owner) set(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes = n
	o.budget.Charge(&o.account, o, n)
}

// Evict implements [Evictee].
func (o *owner) Evict() {
	if o.told != nil {
		o.told(o.name)
	}
	o.set(0)
}

func owners(b *Budget, n int) []*owner {
	list := make([]*owner, n)
	for i := range list {
		list[i] = &owner{budget: b, name: i}
	}
	return list
}

// Who follows is told of each step up or down, once, and of nothing less.
func TestBudgetMoved(t *testing.T) {
	b := newBudget(t, BudgetOptions{Step: 100})
	o := owners(b, 1)[0]
	for n, step := range []struct {
		bytes int
		told  bool
	}{{99, false}, {100, true}, {150, false}, {199, false}, {1, false}, {0, true}, {99, false}, {350, true}, {449, false}, {251, false}, {250, true}} {
		o.set(step.bytes)
		told := false
		select {
		case <-b.Moved():
			told = true
		default:
		}
		if told != step.told {
			t.Errorf("step %d, %d bytes: told %t", n, step.bytes, told)
		}
	}
	for _, n := range []int{1000, 0, 1000} { // nobody listens, and nobody waits
		o.set(n)
	}
	<-b.Moved()
	select {
	case <-b.Moved():
		t.Error("told twice")
	default:
	}
	silent := newBudget(t, BudgetOptions{})
	owners(silent, 1)[0].set(1 << 30)
	select {
	case <-silent.Moved():
		t.Error("told without a step")
	default:
	}
}

// The sum is right after every step, and nothing is listed that has nothing.
func TestBudgetAgainstModel(t *testing.T) {
	b := newBudget(t, BudgetOptions{})
	rnd := rand.New(rand.NewPCG(1, 2))
	all := owners(b, 20)
	sum, listed := 0, 0
	for range 20_000 {
		o := all[rnd.IntN(len(all))]
		n := rnd.IntN(1000) * rnd.IntN(2)
		sum += n - o.bytes
		o.set(n)
		if got := b.Stats(); got.Bytes != int64(sum) || got.Evicted != 0 {
			t.Fatalf("%+v, want %d bytes", got, sum)
		}
	}
	for _, o := range all {
		if o.bytes > 0 {
			listed++
		}
	}
	if got := len(b.debts()); got != listed {
		t.Errorf("%d accounts are listed, want %d", got, listed)
	}
	for _, o := range all {
		o.set(0)
	}
	if got := b.Stats(); got.Bytes != 0 || b.first != nil {
		t.Errorf("%d bytes are left", got.Bytes)
	}
}

// Whatever happens at once, the sum is never less than nothing, is back to nothing when all have left, and nobody is left
// with too much.
func TestBudgetAtOnce(t *testing.T) {
	const limit = 20_000
	b := newBudget(t, BudgetOptions{Bytes: limit})
	var negative atomic.Bool
	var all sync.WaitGroup
	list := owners(b, 50)
	for i, o := range list {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(i), 5))
			for range 2000 {
				o.set(rnd.IntN(2000) * rnd.IntN(3))
				if b.Stats().Bytes < 0 {
					negative.Store(true)
				}
			}
		})
	}
	all.Wait()
	b.work.Wait() // nobody adds any more
	if got := b.Stats(); got.Bytes < 0 || got.Bytes > limit || got.Evicted == 0 || negative.Load() {
		t.Errorf("%+v, negative %v", got, negative.Load())
	}
	for _, o := range list {
		o.set(0)
	}
	if got := b.Stats(); got.Bytes != 0 || b.first != nil {
		t.Errorf("%d bytes are left", got.Bytes)
	}
}

// The largest go first, and no more of them than it takes to free an eighth.
func TestBudgetEvictsTheLargest(t *testing.T) {
	b := newBudget(t, BudgetOptions{Bytes: 1000})
	var gone []int
	list := owners(b, 8)
	for i, n := range []int{10, 300, 20, 100, 200, 30, 250, 90} { // 1000 in all
		list[i].told = func(name int) { gone = append(gone, name) }
		list[i].set(n)
	}
	if got := b.Stats(); got.Bytes != 1000 || got.Evicted != 0 {
		t.Fatalf("%+v before there was too much", got)
	}
	list[0].set(11)
	b.work.Wait()
	if !slices.Equal(gone, []int{1}) { // 701 are left
		t.Errorf("evicted %v", gone)
	}
	list[0].set(650) // 1340
	b.work.Wait()
	if !slices.Equal(gone, []int{1, 0}) { // 690
		t.Errorf("evicted %v", gone)
	}
	list[2].set(331) // 1001
	b.work.Wait()
	if got := b.Stats(); !slices.Equal(gone, []int{1, 0, 2}) || got.Bytes != 670 || got.Evicted != 3 {
		t.Errorf("evicted %v, %+v", gone, got)
	}
}

// Whose client has read meanwhile stays.
func TestBudgetSparesWhoHasRead(t *testing.T) {
	b := newBudget(t, BudgetOptions{Bytes: 1000})
	var gone []int
	list := owners(b, 3)
	for _, o := range list {
		o.told = func(name int) { gone = append(gone, name) }
	}
	list[0].told = func(name int) {
		gone = append(gone, name)
		list[1].set(100) // it had 500, and was to be the next
	}
	list[0].set(600)
	list[2].set(300) // behind both
	list[1].set(500) // 1400
	b.work.Wait()
	if got := b.Stats(); !slices.Equal(gone, []int{0}) || got.Bytes != 400 {
		t.Errorf("evicted %v, %+v", gone, got)
	}
}

// Without a limit, and without a budget, nobody is evicted.
func TestBudgetWithoutLimit(t *testing.T) {
	b := newBudget(t, BudgetOptions{})
	o := &owner{budget: b, told: func(int) { t.Error("evicted") }}
	o.set(math.MaxInt)
	if got := b.Stats().Bytes; got != math.MaxInt {
		t.Errorf("%d bytes", got)
	}
	o.set(0)
	none := &owner{told: func(int) { t.Error("evicted") }}
	none.set(1)
	if _, err := NewBudget(BudgetOptions{Bytes: -1}); err == nil {
		t.Error("a negative limit is taken")
	}
}

// The first eviction is logged at once, those of the minute that follows together at its end, and what is left by Close.
func TestBudgetLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		b, err := NewBudget(BudgetOptions{Bytes: 100, Logger: slog.New(slog.NewTextHandler(&out, nil))})
		if err != nil {
			t.Fatal(err)
		}
		o := &owner{budget: b}
		lines := func() int {
			synctest.Wait()
			b.mu.Lock() // which is held by who writes it
			defer b.mu.Unlock()
			return strings.Count(out.String(), "furthest behind")
		}
		for i, step := range []struct {
			evictions int
			wait      time.Duration
			lines     int
		}{
			{1, 0, 1}, {5, 0, 1}, {0, time.Minute, 2}, {0, 10 * time.Minute, 2}, {1, 0, 3}, {2, 0, 3},
		} {
			for range step.evictions {
				o.set(101)
				synctest.Wait()
			}
			time.Sleep(step.wait)
			if got := lines(); got != step.lines {
				t.Fatalf("step %d: %d lines, want %d:\n%s", i, got, step.lines, &out)
			}
		}
		b.Close()
		b.Close()
		o.set(101)
		if got := lines(); got != 4 || b.Stats().Evicted != 9 {
			t.Errorf("%d lines after Close, %d evicted:\n%s", got, b.Stats().Evicted, &out)
		}
		for _, want := range []string{"clients=1 bytes=101 limit=100 closed_in_all=1", "clients=5 bytes=505", "clients=2 bytes=202"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("the log does not say %q:\n%s", want, &out)
			}
		}
	})
}

// Of connections that do not read, those are ended that have most; the others get what is sent, and the sum is what waits.
func TestBudgetOfConnections(t *testing.T) {
	const limit = 4 << 20
	b := newBudget(t, BudgetOptions{Bytes: limit})
	u := newUpgrader(t, Options{Budget: b, QueueBytes: 1 << 30, QueueMessages: 1 << 30, WriteTimeout: time.Hour})
	var stuck []*Conn
	var ends []*recorder
	for range 4 {
		server, _ := tcpPair(t)
		r := newRecorder()
		stuck, ends = append(stuck, start(t, u, server, r)), append(ends, r)
	}
	server, client := tcpPair(t)
	healthy := start(t, u, server, newRecorder())
	frame := AppendText(nil, bytes.Repeat([]byte("x"), 10_000))
	for i := range 2000 { // nothing of it can be taken, beyond what the system keeps
		for n, c := range stuck {
			if n > 0 && i%10 > 3*n { // the first gets most
				continue
			}
			if err := c.Send(frame, 1); err != nil && !errors.Is(err, ErrClosed) {
				t.Fatal(err)
			}
		}
		if err := healthy.Send(frame, 1); err != nil {
			t.Fatal(err)
		}
		if f, err := readFrame(client); err != nil || len(f.Payload) != 10_000 {
			t.Fatalf("the healthy one got %d bytes, %v", len(f.Payload), err)
		}
	}
	if err := ends[0].wait(t); !errors.Is(err, errEvicted) {
		t.Errorf("the one with most has ended with %v", err)
	}
	b.work.Wait()
	sum := 0
	for _, c := range stuck {
		if c.mu.Lock(); c.out != nil {
			sum += c.out.kept()
		}
		c.mu.Unlock()
	}
	if got := b.Stats(); got.Bytes != int64(sum) || got.Bytes > limit || got.Evicted == 0 {
		t.Errorf("%+v, and %d bytes wait", got, sum)
	}
	for _, c := range stuck {
		c.Abort()
	}
	if got := b.Stats().Bytes; got != 0 {
		t.Errorf("%d bytes are left", got)
	}
}

// farewell ends its connection with a word, as those do that have one to say.
type farewell struct {
	*recorder
	c *Conn
}

func (f *farewell) Evict() {
	f.c.Discard()
	f.c.Close(4429, "slow")
}

// A handler can tell why: what has been written in part is finished, the rest dropped, and the word comes at once.
func TestEvictWithAWord(t *testing.T) {
	b := newBudget(t, BudgetOptions{Bytes: 2 << 20})
	u := newUpgrader(t, Options{Budget: b, QueueBytes: 1 << 30, QueueMessages: 1 << 30, CloseTimeout: time.Hour})
	server, client := unixPair(t) // whose buffers nobody empties but the client
	h := &farewell{recorder: newRecorder()}
	c, err := u.attach(server, nil, func(c *Conn) Handler {
		h.c = c
		return h
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	sent := 0
	for i := 0; ; i++ {
		err := c.Send(AppendText(nil, fmt.Appendf(nil, "%08d%02000d", i, 0)), 1)
		if errors.Is(err, ErrClosed) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		sent++
	}
	b.work.Wait()
	if got := b.Stats(); got.Bytes > joinSize || got.Bytes == 0 || got.Evicted != 1 {
		t.Errorf("%+v", got)
	}
	for i := 0; ; i++ {
		f, err := readFrame(client)
		if err != nil {
			t.Fatal(err)
		}
		if f.Header.OpCode == 8 {
			if string(f.Payload) != "\x11\x4dslow" || i == 0 || i == sent {
				t.Errorf("closed by %q after %d messages of %d", f.Payload, i, sent)
			}
			break
		}
		if want := fmt.Sprintf("%08d", i); !strings.HasPrefix(string(f.Payload), want) || len(f.Payload) != 2008 {
			t.Fatalf("got %.20q, want %s", f.Payload, want)
		}
	}
	client.Close()
	if err := h.wait(t); err == nil {
		t.Error("Closed without an error")
	}
	if got := b.Stats().Bytes; got != 0 {
		t.Errorf("%d bytes are left", got)
	}
}

// One that is closing already, or has much in hand, is ended without a word.
func TestDiscardEnds(t *testing.T) {
	for _, tt := range []struct {
		name  string
		first func(t *testing.T, c *Conn)
	}{
		{"a large message in part", func(t *testing.T, c *Conn) { clog(t, c) }},
		{"closing", func(t *testing.T, c *Conn) {
			clog(t, c)
			c.Close(1000, "")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBudget(t, BudgetOptions{})
			u := newUpgrader(t, Options{Budget: b})
			server, _ := tcpPair(t)
			r := newRecorder()
			c := start(t, u, server, r)
			tt.first(t, c)
			if b.Stats().Bytes == 0 {
				t.Fatal("nothing waits")
			}
			c.Discard()
			if got := b.Stats().Bytes; got != 0 {
				t.Errorf("%d bytes are left", got)
			}
			if err := r.wait(t); err == nil {
				t.Error("Closed without an error")
			}
			c.Discard()
		})
	}
	t.Run("nothing waits", func(t *testing.T) {
		u := newUpgrader(t, Options{})
		server, client := tcpPair(t)
		c := start(t, u, server, newRecorder())
		c.Discard()
		if err := c.Send(AppendText(nil, []byte("behind a gap")), 1); !errors.Is(err, ErrClosed) {
			t.Errorf("after Discard: %v", err)
		}
		c.CloseWith(AppendText(nil, []byte("a word")), 4429, "")
		if f, err := readFrame(client); err != nil || string(f.Payload) != "a word" {
			t.Errorf("%q, %v", f.Payload, err)
		}
	})
}

// A stream whose owner sees to nothing is aborted.
func TestEvictStream(t *testing.T) {
	b := newBudget(t, BudgetOptions{Bytes: 1 << 20})
	u := newUpgrader(t, Options{Budget: b})
	server, client := tcpPair(t)
	s, ended := startStream(t, u, server, false)
	if err := s.Send(make([]byte, 4<<20), 1); err != nil {
		t.Fatal(err)
	}
	wantEnded(t, ended, errEvicted)
	if got := b.Stats(); got.Bytes != 0 || got.Evicted != 1 {
		t.Errorf("%+v", got)
	}
	client.Close()
}
