package socketio

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"crier/fallback"
)

// outcome is what the function of a broadcast with acknowledgements was called with.
type outcome struct {
	replies []Reply
	err     error
}

func recordRound() (func([]Reply, error), <-chan outcome) {
	got := make(chan outcome, 10)
	return func(r []Reply, err error) { got <- outcome{r, err} }, got
}

// answers says what came of whom, in the order of the sockets.
func (o outcome) answers(sockets []*Socket) string {
	var list []string
	for _, r := range o.replies {
		text := string(r.JSON(0))
		if b, ok := r.Binary(0); ok {
			text = fmt.Sprintf("bytes %s", b)
		}
		list = append(list, fmt.Sprint(slices.Index(sockets, r.Socket), ":", text))
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// pending is how many acknowledgements the socket waits for.
func (s *Socket) pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rare == nil {
		return 0
	}
	return len(s.rare.acks)
}

func TestRound(t *testing.T) {
	h := serve(t, nil)
	came := arrivals(h.Main())
	var callers []*caller
	var sockets []*Socket
	for _, k := range kinds {
		callers = append(callers, h.join(t, k))
		sockets = append(sockets, take(t, "socket", came))
	}
	fn, got := recordRound()
	if err := h.Main().All().EmitWithAck(patience, fn, "ask", JSON("é"), Binary([]byte("b"))); err != nil {
		t.Fatal(err)
	}
	id := ""
	for i, c := range callers {
		rest := c.wantPrefix("51-")
		rest, _, _ = strings.Cut(rest, "[")
		if i > 0 {
			same(t, "id", rest, id) // so that all get the same bytes
		}
		id = rest
		c.want([]byte("b"))
	}
	var num int64
	if _, err := fmt.Sscan(id, &num); err != nil || num < firstRound || num >= 2*firstRound {
		t.Fatalf("the id %q is none that all clients take", id)
	}
	for i, c := range callers {
		same(t, "outcomes so far", len(got), 0)
		if i == 1 {
			c.send(`61-`+id+`[{"_placeholder":true,"num":0}]`, []byte("one"))
		} else {
			c.send(fmt.Sprintf(`3%s["n%d"]`, id, i), `3`+id+`["again"]`)
		}
		c.sync("")
	}
	o := take(t, "outcome", got)
	// What is kept is not overwritten by what came later.
	same(t, "answers", o.answers(sockets), `0:"n0" 1:bytes one 2:"n2" 3:"n3"`)
	if o.err != nil {
		t.Error(o.err)
	}
	for _, s := range sockets {
		same(t, "pending", s.pending(), 0)
	}
	same(t, "outcomes too many", len(got), 0)
}

// The question is asked for longer and longer, until the one answer comes in time.
func TestRoundMissing(t *testing.T) {
	for wait := 50 * time.Millisecond; !roundMissing(t, wait); wait *= 2 {
		if wait > patience {
			t.Fatalf("no answer within %v", wait)
		}
	}
}

// roundMissing asks three clients, of which one answers and one leaves. It reports whether the answer came in time.
func roundMissing(t *testing.T, wait time.Duration) bool {
	t.Helper()
	h := serve(t, nil)
	came := arrivals(h.Main())
	var callers []*caller
	var sockets []*Socket
	for range 4 {
		callers = append(callers, h.join(t, ws5))
		sockets = append(sockets, take(t, "socket", came))
	}
	fn, got := recordRound()
	if err := sockets[3].Broadcast().EmitWithAck(wait, fn, "ask"); err != nil {
		t.Fatal(err)
	}
	for _, c := range callers[:3] {
		id := strings.TrimSuffix(c.wantPrefix("2"), `["ask"]`)
		if c == callers[1] {
			c.send("3" + id + "[1]")
		}
		if c == callers[2] {
			c.send("1") // leaves
		}
	}
	o := take(t, "outcome", got)
	if len(o.replies) == 0 {
		return false
	}
	same(t, "answers", o.answers(sockets), "1:1")
	var missing *MissingError
	if !errors.As(o.err, &missing) || !errors.Is(o.err, ErrAckTimeout) {
		t.Fatalf("error: %v", o.err)
	}
	same(t, "asked, missing", [2]int{missing.Asked, missing.Missing}, [2]int{3, 2})
	same(t, "text", o.err.Error(), "socketio: 2 of 3 clients did not acknowledge: "+ErrAckTimeout.Error())
	for _, s := range sockets {
		same(t, "pending", s.pending(), 0)
	}
	callers[0].send("31073741825[]") // late
	callers[0].sync("")
	same(t, "outcomes too many", len(got), 0)
	return true
}

// Nobody is waited for who has gone.
func TestRoundGone(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		came := arrivals(h.Main())
		c := h.join(t, k)
		s := take(t, "socket", came)
		fn, got := recordRound()
		if err := h.Main().All().EmitWithAck(time.Hour, fn, "ask"); err != nil {
			t.Fatal(err)
		}
		c.wantPrefix("2")
		s.Session().Close()
		o := take(t, "outcome", got)
		if !errors.Is(o.err, ErrDisconnected) || errors.Is(o.err, ErrAckTimeout) || len(o.replies) > 0 {
			t.Errorf("outcome: %+v", o)
		}
	})
}

// With nobody to ask there is nothing missing; and the function does not run in
// its caller, who may hold a lock that it wants.
func TestRoundOfNobody(t *testing.T) {
	h := serve(t, nil)
	fn, got := recordRound()
	free := make(chan struct{})
	held := func(r []Reply, err error) {
		<-free
		fn(r, err)
	}
	if err := h.Main().To("nobody").EmitWithAck(time.Hour, held, "ask"); err != nil {
		t.Fatal(err)
	}
	close(free)
	if o := take(t, "outcome", got); o.err != nil || len(o.replies) > 0 {
		t.Errorf("outcome: %+v", o)
	}
}

// Who cannot be asked is missing: here the queue is full, and a volatile event is dropped.
func TestRoundNotSent(t *testing.T) {
	for _, k := range []kind{polling5, polling4} {
		t.Run(k.name, func(t *testing.T) {
			h := serve(t, func(o *Options) { o.Engine.Polling = fallback.Polling(1_000_000, 1<<20, 2, nil) })
			came := arrivals(h.Main())
			h.join(t, k) // no GET waits
			s := take(t, "socket", came)
			fn, got := recordRound()
			check := func(b Broadcast, name string) {
				t.Helper()
				if err := b.EmitWithAck(time.Hour, fn, "ask"); err != nil {
					t.Fatal(err)
				}
				var missing *MissingError
				if o := take(t, name, got); !errors.As(o.err, &missing) || missing.Missing != 1 || !errors.Is(o.err, ErrDisconnected) {
					t.Errorf("%s: %+v", name, o)
				}
				same(t, "pending", s.pending(), 0)
			}
			check(h.Main().All().Volatile(), "volatile")
			for range 2 {
				if err := s.Emit("fills the queue"); err != nil {
					t.Fatal(err)
				}
			}
			check(h.Main().All(), "full queue")
		})
	}
}

// A panic in the function of a broadcast ends nobody's connection: it is nobody's in particular.
func TestRoundPanic(t *testing.T) {
	h := serve(t, nil)
	c := h.join(t, ws5)
	for _, answered := range []bool{true, false} {
		if err := h.Main().All().EmitWithAck(10*time.Millisecond, func([]Reply, error) { panic("a bug") }, "ask"); err != nil {
			t.Fatal(err)
		}
		id := strings.TrimSuffix(c.wantPrefix("2"), `["ask"]`)
		if answered {
			c.send("3" + id + "[]")
		}
		await(t, "the log", func() bool { return strings.Contains(h.log.String(), "a bug") })
		h.log.reset()
		c.sync("")
	}
}

// Own ids and those of broadcasts never meet, also when they have come around.
func TestAckIDs(t *testing.T) {
	h := serve(t, nil)
	came := arrivals(h.Main())
	c := h.join(t, ws5)
	s := take(t, "socket", came)
	fn, got := record()
	if err := s.EmitWithAck(patience, fn, "ask"); err != nil {
		t.Fatal(err)
	}
	c.want(`20["ask"]`)
	s.mu.Lock()
	s.nextAck = ownIDs - 1
	s.mu.Unlock()
	h.Main().rounds.Store(firstRound - 2)
	for _, want := range []string{fmt.Sprint(ownIDs - 1), "1"} { // 0 is still waiting
		if err := s.EmitWithAck(patience, fn, "ask"); err != nil {
			t.Fatal(err)
		}
		c.want("2" + want + `["ask"]`)
	}
	round, outcomes := recordRound()
	for _, want := range []int{2*firstRound - 1, firstRound} {
		if err := h.Main().All().EmitWithAck(patience, round, "ask"); err != nil {
			t.Fatal(err)
		}
		c.want(fmt.Sprintf(`2%d["ask"]`, want))
		c.send(fmt.Sprintf("3%d[]", want))
		if o := take(t, "outcome", outcomes); o.err != nil {
			t.Error(o.err)
		}
	}
	c.send("31[1]", "30[0]")
	same(t, "answer", take(t, "answer", got), answer{"1", nil})
	same(t, "answer", take(t, "answer", got), answer{"0", nil})
}
