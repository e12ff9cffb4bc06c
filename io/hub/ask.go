package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// maxAsked is how many connections a hub waits for at once, each counted as often as it is asked.
	maxAsked = 1 << 20
	// maxKept is how many bytes of answers it keeps at once for those who wait with a bound.
	maxKept = 64 << 20
	// answerCost is what an answer takes beside its bytes.
	answerCost = 128
)

// ErrTooManyAsked is returned by [Hub.Ask] while so many acknowledgements are waited for that there is no room for more.
var ErrTooManyAsked = errors.New("too many acknowledgements are being waited for")

// Question says how [Hub.Ask] waits.
type Question struct {
	// Wait is for how long.
	Wait time.Duration
	// Keep bounds the memory of the answers that Done gets, in bytes; those beyond it are counted only. Zero: no bound.
	Keep int
	// Done is called once, never before Ask returns, on whatever goroutine comes by: it must be quick.
	Done func(Answers)
	// Placed, if not nil, is for who asks the connections of several hubs: it is called once, unless asking fails, when the message has its place
	// in the order that these have in common, or can have none. It must be quick. A Hub takes no notice.
	Placed func()
}

// Answers are what came of a question.
type Answers struct {
	// Pushed is what Ask returned.
	Pushed Result
	// Asked is how many connections were asked; not those that are no [Asker], or could not take the message at all.
	Asked int
	// Connections are how many of them acknowledged, and Users how many users those were logged in as.
	Connections, Users int
	// List has the answers in the order of their arrival, without those that Keep had no room for: Truncated.
	List      []Answer
	Truncated bool
	// Late says that the time was up; else the others have ended.
	Late bool
}

// Answer is what the client of a connection acknowledged a message with.
type Answer struct {
	Member     *Member // nil on another server
	Connection string  // its id
	UID        string  // who it was; "" without a login
	// Args are valid JSON. Attachments stand in them as in a [Message].
	Args        []json.RawMessage
	Attachments [][]byte
}

// Asker is a [Conn] that can ask its client for an acknowledgement. Its Deliver, given a message with [Message.Ask], calls
// [Ask.Expect] before it sends, and then one of [Ask.Answer] and [Ask.Miss], unless Forget comes first.
type Asker interface {
	Conn
	// Member is its place in the hub.
	Member() *Member
	// Forget ends the wait for the acknowledgement of m, if it still waits.
	Forget(m *Message)
}

// Ask is a question under way.
type Ask struct {
	// Static.
	hub     *Hub
	message *Message
	Question
	reserved int64 // of hub.asked

	mu    sync.Mutex
	timer *time.Timer // nil while the connections are being asked
	asked []Asker
	open  int // those of asked that may still answer, and one for the asking
	got   Answers
	users map[*user]struct{} // those of got
	kept  int64              // bytes of got
	over  bool
}

// Ask is [Hub.Push] of a message that every connection is asked to acknowledge. When all have done so or have ended, or
// after q.Wait, q.Done gets their answers. It fails as Push does, or with [ErrTooManyAsked]; then Done is not called. The
// message must not have been pushed before.
func (h *Hub) Ask(ctx context.Context, p Push, q Question) (Result, error) {
	if err := h.check(ctx, &p); err != nil {
		return Result{}, fmt.Errorf("asking for acknowledgements: %w", err)
	}
	sc := h.newScratch()
	defer h.release(sc)
	sc.resolve(h, &p.To)
	a, err := h.newAsk(p.Message, q, len(sc.list))
	if err != nil {
		return Result{}, fmt.Errorf("asking for acknowledgements: %w", err)
	}
	p.Message.ask = a
	var r Result
	if h.recovery.active() {
		r = h.giveInTurn(&p, sc, func() {})
	} else {
		r = h.give(&p, sc)
	}
	a.start(r)
	return r, nil
}

// newAsk makes a question to so many connections, if there is room for it.
func (h *Hub) newAsk(m *Message, q Question, connections int) (*Ask, error) {
	n := int64(connections)
	if h.asked.Add(n) > maxAsked {
		h.asked.Add(-n)
		return nil, ErrTooManyAsked
	}
	return &Ask{hub: h, message: m, Question: q, reserved: n, open: 1}, nil
}

// cancel undoes newAsk. It does nothing for nil.
func (a *Ask) cancel() {
	if a != nil {
		a.hub.asked.Add(-a.reserved)
	}
}

// recount says that it goes to so many connections. It does nothing for nil.
func (a *Ask) recount(connections int) {
	if a != nil {
		a.hub.asked.Add(int64(connections) - a.reserved)
		a.reserved = int64(connections)
	}
}

// start begins to count the time. Who has answered already has not ended the question. It does nothing for nil.
func (a *Ask) start(r Result) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.got.Pushed = r
	wait := a.Wait
	if a.open--; a.open == 0 {
		wait = 0 // Done is called on a goroutine of its own all the same
	}
	a.timer = time.AfterFunc(wait, a.timeUp)
}

// Expect says that the client of c is about to be asked. It reports false when it is too late: nobody waits for the answer.
func (a *Ask) Expect(c Asker) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return false
	}
	a.asked = append(a.asked, c)
	a.open++
	return true
}

// postpone says that a connection will be asked later, and resume that it has been, or will not be. They do nothing for nil.
func (a *Ask) postpone() {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open++
}

func (a *Ask) resume() {
	if a != nil {
		a.settle(func() {})
	}
}

// Answer says what the client of c acknowledged the message with. The hub owns the arguments from now on.
func (a *Ask) Answer(c Asker, args []json.RawMessage, attachments [][]byte) {
	m := c.Member()
	m.confirmed(a.message.place)
	u := m.user.Load()
	one := Answer{Member: m, Connection: m.conn.ID(), Args: args, Attachments: attachments}
	if u != nil {
		one.UID = u.uid
	}
	a.settle(func() {
		a.got.Connections++
		if u != nil {
			if a.users == nil {
				a.users = make(map[*user]struct{})
			}
			a.users[u] = struct{}{}
		}
		if a.keep(&one) {
			a.got.List = append(a.got.List, one)
		} else {
			a.got.Truncated = true
		}
	})
}

// Miss says that c has ended, or that the message could not be sent after all.
func (a *Ask) Miss(Asker) { a.settle(func() {}) }

// settle counts one of those asked, unless it is too late.
func (a *Ask) settle(count func()) {
	a.mu.Lock()
	if a.over {
		a.mu.Unlock()
		return
	}
	count()
	a.open--
	last := a.open == 0 // not before start
	if a.over = last; last {
		a.timer.Stop()
	}
	a.mu.Unlock()
	if last {
		a.finish()
	}
}

// keep reports whether there is room for an answer, and takes it. Called with mu held.
func (a *Ask) keep(one *Answer) bool {
	if a.Keep == 0 {
		return true
	}
	size := int64(answerCost + len(one.UID))
	for _, arg := range one.Args {
		size += int64(len(arg))
	}
	for _, data := range one.Attachments {
		size += int64(len(data))
	}
	if a.kept+size > int64(a.Keep) {
		return false
	}
	if a.hub.kept.Add(size) > maxKept {
		a.hub.kept.Add(-size)
		return false
	}
	a.kept += size
	return true
}

// timeUp ends the question if nothing else has.
func (a *Ask) timeUp() {
	a.mu.Lock()
	if a.over {
		a.mu.Unlock()
		return
	}
	a.over, a.got.Late = true, a.open > 0
	a.mu.Unlock()
	for _, c := range a.asked {
		c.Forget(a.message)
	}
	a.finish()
}

// finish calls Done. Nothing changes any more.
func (a *Ask) finish() {
	a.got.Asked, a.got.Users = len(a.asked), len(a.users)
	a.hub.asked.Add(-a.reserved)
	a.Done(a.got)
	a.hub.kept.Add(-a.kept)
}
