package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"crier/io/hub"
)

// witness is a node that writes down what it carries out.
type witness struct {
	*Node
	log *logBook

	mu     sync.Mutex
	bodies []string
	at     []hub.Position
	gaps   []Gap
	epochs []uint64
}

// newWitness makes a node; the test's end closes it.
func newWitness(t *testing.T, server *redisServer, name string) *witness {
	t.Helper()
	r, err := NewRedis(RedisOptions{URL: "redis://" + server.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	w := &witness{log: &logBook{}}
	w.Node, err = NewNode(NodeOptions{Redis: r, Name: name, Logger: slog.New(slog.NewTextHandler(w.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	w.OnEntry(KindPush, func(e Entry) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.bodies, w.at = append(w.bodies, fmt.Sprintf("%s %d %s", e.Origin, e.Number, e.Body)), append(w.at, e.At)
	})
	w.OnGap(func(g Gap) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.gaps = append(w.gaps, g)
	})
	w.OnJoin(func(epoch uint64) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.epochs = append(w.epochs, epoch)
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := w.Close(ctx); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the log of %s:\n%s", name, w.log)
		}
	})
	return w
}

// begin starts a witness and waits until it reads.
func (w *witness) begin(t *testing.T) *witness {
	t.Helper()
	w.Start()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := w.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *witness) taken() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.bodies)
}

func (w *witness) missed() []Gap {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.gaps)
}

// push adds an entry, as soon as Redis is there.
func (w *witness) push(t *testing.T, stream string, number uint64) hub.Position {
	t.Helper()
	var at hub.Position
	await(t, "an entry is added", func() bool {
		var err error
		at, err = w.Append(context.Background(), stream, KindPush, number, []byte(stream))
		if err != nil && !errors.Is(err, ErrAway) {
			t.Fatal(err)
		}
		return err == nil
	})
	return at
}

// TestStreams has three nodes add to all streams at once: each node carries out its own and the common one in one order.
func TestStreams(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	names := []string{"a", "b", "c"}
	nodes := make([]*witness, len(names))
	for i, name := range names {
		nodes[i] = newWitness(t, server, name).begin(t)
	}
	const rounds = 300
	// One script adds several entries: to the common stream before the own one and behind it.
	mixed := func(w *witness, to string, number uint64) {
		frame := func(text string) []byte { return appendEntry(nil, KindPush, w.Name(), number, []byte(text)) }
		if _, err := w.Run(context.Background(), appendScript, "all", frame("all 1"), "s:"+to, frame(to), "all", frame("all 2")); err != nil {
			t.Error(err)
		}
	}
	var all sync.WaitGroup
	for _, w := range nodes {
		all.Go(func() {
			for i := range rounds {
				mixed(w, names[i%len(names)], uint64(i))
			}
		})
	}
	all.Wait()
	for _, w := range nodes {
		want := len(names)*rounds*2 + rounds
		await(t, "everything has come", func() bool { return len(w.taken()) >= want })
		if got := len(w.taken()); got != want {
			t.Errorf("%s: %d entries, want %d", w.Name(), got, want)
		}
		if !slices.IsSorted(w.at) {
			t.Errorf("%s: not in the order of positions", w.Name())
		}
		next := make(map[string]int) // of each origin, by what it has added
		for _, line := range w.taken() {
			var origin, text string
			var number int
			if _, err := fmt.Sscanf(line, "%s %d %s", &origin, &number, &text); err != nil {
				t.Fatal(err)
			}
			if text == "all" {
				text += line[len(line)-1:]
			}
			if key := origin + " " + text; text != w.Name() && number != next[key] {
				t.Fatalf("%s: %q instead of %d", w.Name(), line, next[key])
			} else {
				next[key]++
			}
		}
		if len(w.missed()) > 0 {
			t.Errorf("%s: gaps %v", w.Name(), w.missed())
		}
	}
}

// TestStreamResumes has a node's connections cut: it goes on where it was.
func TestStreamResumes(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	a, b := newWitness(t, server, "a").begin(t), newWitness(t, server, "b").begin(t)
	for i := range uint64(100) {
		if i%10 == 3 {
			server.do(t, []any{"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"})
		}
		stream := "all"
		if i%2 == 0 {
			stream = "s:b"
		}
		a.push(t, stream, i)
	}
	await(t, "the last one has come", func() bool {
		got := b.taken()
		return len(got) > 0 && strings.HasPrefix(got[len(got)-1], "a 99 ")
	})
	// What is in doubt was repeated by this test, so there can be copies, but nothing is missing.
	next := uint64(0)
	for _, line := range b.taken() {
		if strings.HasPrefix(line, fmt.Sprintf("a %d ", next)) {
			next++
		}
	}
	if next != 100 || len(b.missed()) > 0 {
		t.Errorf("%d came in order; gaps %v", next, b.missed())
	}
}

// TestGaps loses entries in all the ways there are.
func TestGaps(t *testing.T) {
	t.Parallel()
	server := newRedis(t)
	server.Start(t)
	a, b := newWitness(t, server, "a").begin(t), newWitness(t, server, "b").begin(t)
	a.push(t, "all", 1)
	a.push(t, "s:b", 2)
	await(t, "both have come", func() bool { return len(b.taken()) == 2 })

	// What has been carried out may go.
	server.do(t, []any{"XTRIM", "crier:all", "MAXLEN", 0}, []any{"DEL", "crier:s:b"})
	a.push(t, "all", 3)
	a.push(t, "s:b", 4)
	await(t, "both have come", func() bool { return len(b.taken()) == 4 })
	if got := b.missed(); len(got) > 0 {
		t.Fatalf("gaps %v", got)
	}

	// Others may not: the entry goes in the same moment as it comes.
	server.do(t, []any{"EVAL", `
		for i = 1, 2 do
			redis.call('HINCRBY', 'crier:count', 's:b', 1)
		end`, 0})
	at := a.push(t, "s:b", 5)
	await(t, "a gap", func() bool { return len(b.missed()) == 1 && len(b.taken()) == 5 })
	if g := b.missed()[0]; g.Stream != "s:b" || g.Missing != 2 || g.After >= at {
		t.Errorf("gap %+v", g)
	}

	// Redis loses everything.
	server.Kill(t)
	await(t, "Redis is away", func() bool { return !a.Client().Up() && !b.Client().Up() })
	before := b.at[len(b.at)-1]
	server.Start(t)
	await(t, "Redis is there", func() bool { return a.Client().Up() && b.Client().Up() })
	a.push(t, "all", 6)
	await(t, "another gap", func() bool { return len(b.missed()) == 2 && len(b.taken()) == 6 })
	if g := b.missed()[1]; g.Stream != "" || b.at[5] <= before || b.Gaps() != 2 {
		t.Errorf("gap %+v, then position %d", g, b.at[5])
	}
	await(t, "both have registered again", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.epochs) == 2 && b.epochs[1] > b.epochs[0]
	})
}

// TestLease has a node given up while it is there, and its name taken.
func TestLease(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	a := newWitness(t, server, "a").begin(t)
	first := a.Epoch()
	server.do(t, []any{"DEL", "crier:n:a"})
	if _, err := a.Append(context.Background(), "all", KindPush, 1, nil); !errors.Is(err, ErrFenced) {
		t.Errorf("a node that was given up: %v", err)
	}
	await(t, "another epoch", func() bool { return a.Epoch() > first })
	a.push(t, "all", 2)
	await(t, "an entry", func() bool { return len(a.taken()) == 1 })

	// Another one with its name, as when it was killed and has been started again.
	next := newWitness(t, server, "a").begin(t)
	if _, err := a.Append(context.Background(), "all", KindPush, 1, nil); !errors.Is(err, ErrFenced) {
		t.Errorf("a node whose name was taken: %v", err)
	}
	await(t, "the log says so", func() bool { return strings.Contains(a.log.String(), "another server has the same name") })
	if next.Epoch() <= a.Epoch() {
		t.Errorf("epochs %d and %d", a.Epoch(), next.Epoch())
	}
	next.push(t, "all", 3)
}

func TestLeave(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	a := newWitness(t, server, "a").begin(t)
	b := newWitness(t, server, "b").begin(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := a.Close(ctx); err != nil {
		t.Fatal(err)
	}
	nodes, err := redis.Strings(b.Client().Command(ctx, "ZRANGE", b.Key("nodes"), 0, -1))
	if err != nil || !slices.Equal(nodes, []string{"b"}) {
		t.Errorf("%q, %v", nodes, err)
	}
	if _, err := NewNode(NodeOptions{Redis: nowhere(t), Name: strings.Repeat("x", 256)}); err == nil {
		t.Error("a long name was taken")
	}
}

// TestNodeWithoutRedis closes before there was one.
func TestNodeWithoutRedis(t *testing.T) {
	t.Parallel()
	n, err := NewNode(NodeOptions{Redis: nowhere(t), Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	n.Start()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := n.Ready(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ready: %v", err)
	}
	if err := n.Close(context.Background()); err != nil {
		t.Error(err)
	}
}
