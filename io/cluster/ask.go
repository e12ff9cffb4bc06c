package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"crier/io/hub"
)

var errNotAnswer = errors.New("is no answer that this version understands")

// Ask is [hub.Hub.Ask] of the connections of all nodes. What it returns is of this node; q.Done gets the rest. q.Placed is called when Redis
// has it, or does not get it.
func (r *Relay) Ask(ctx context.Context, p hub.Push, q hub.Question) (hub.Result, error) {
	if err := ctx.Err(); err != nil {
		return hub.Result{}, fmt.Errorf("asking for acknowledgements: %w", err)
	}
	one := &parcel{push: p, since: time.Now(), placed: q.Placed}
	if err := r.reserve(one); err != nil {
		return hub.Result{}, fmt.Errorf("asking for acknowledgements: %w", err)
	}
	one.wait = r.await(one.number, q)
	one.wait.part()
	part := hub.Question{Wait: q.Wait, Keep: q.Keep, Done: func(a hub.Answers) { one.wait.join(appendAnswers(nil, &a)) }}
	own, err := r.hub.AskPart(0, p, hub.Untracked, part)
	if err != nil {
		one.wait.forget()
		return hub.Result{}, err
	}
	one.own, one.users, one.most = own, onlyUsers(&p.To), q.Wait+answerWait
	if own.Waiting {
		one.wait.part()
	}
	one.rest = func(at hub.Position) int {
		asked, err := r.hub.AskPart(at, p, hub.Tracked, part)
		if err != nil && own.Waiting {
			one.wait.join(appendAnswers(nil, &hub.Answers{}))
		}
		return asked.Delivered
	}
	r.enqueue(one, appendPush(nil, &pushed{Push: p, Ask: q.Wait, Keep: q.Keep}))
	return own.Result, nil
}

// receiveAsk carries out a push of another node whose clients are to acknowledge it.
func (r *Relay) receiveAsk(e Entry, p *pushed) {
	_, err := r.hub.AskPart(e.At, p.Push, hub.Everyone, hub.Question{Wait: p.Ask, Keep: p.Keep, Done: func(a hub.Answers) {
		r.acknowledge(e.Origin, e.Number, &a)
	}})
	if err != nil {
		r.log.Warn("clients could not be asked what another server wants to know", "node", e.Origin, "error", err)
	}
}

// await has q.Done called with what the nodes say that are expected to ([wait.expect]), in the end, to the entry of this number.
func (r *Relay) await(number uint64, q hub.Question) *wait {
	return r.waits.add(number, func(w *wait) { q.Done(w.acknowledgements(q.Keep)) })
}

// acknowledge tells the origin of a question what the clients here have answered. It does not wait.
func (r *Relay) acknowledge(origin string, number uint64, a *hub.Answers) {
	r.reply(origin, appendReply(nil, number, appendAnswers(nil, a)))
}

// inquire begins to wait for what the clients of all nodes answer, those here included: until heard is told what these have.
func (r *Relay) inquire(q hub.Question) (*wait, error) {
	one := &parcel{}
	if err := r.reserve(one); err != nil {
		return nil, err
	}
	w := r.await(one.number, q)
	w.part()
	return w, nil
}

// heard is told what the clients here have answered, and waits on for those nodes as long as their clients have time, until then.
func (w *wait) heard(a *hub.Answers, nodes []string, until time.Time) {
	w.join(appendAnswers(nil, a))
	w.expect(nodes, max(time.Until(until), 0)+answerWait)
}

// acknowledgements puts together what the nodes have answered, of which keep bytes are wanted; 0: all.
func (w *wait) acknowledgements(keep int) hub.Answers {
	var all hub.Answers
	all.Pushed.Partial = w.partial
	users, bytes := make(map[string]struct{}), 0
	for _, a := range w.answers {
		one, err := parseAnswers(a.body)
		if err != nil {
			all.Pushed.Partial = true
			continue
		}
		add(&all.Pushed, one.Pushed)
		all.Asked += one.Asked
		all.Connections += one.Connections
		all.Users += one.Users
		all.Truncated = all.Truncated || one.Truncated
		all.Late = all.Late || one.Late
		for _, answer := range one.List {
			if bytes += answerSize(&answer); keep > 0 && bytes > keep {
				all.Truncated = true
				continue
			}
			all.List = append(all.List, answer)
			if answer.UID != "" {
				users[answer.UID] = struct{}{}
			}
		}
	}
	if !all.Truncated { // then it is known who they were
		all.Users = len(users)
	}
	return all
}

// add adds the figures of another node.
func add(r *hub.Result, other hub.Result) {
	r.Users += other.Users
	r.Connections += other.Connections
	r.Delivered += other.Delivered
	r.Dropped += other.Dropped
	r.Slow += other.Slow
	r.Gone += other.Gone
	r.Failed += other.Failed
}

func answerSize(a *hub.Answer) int {
	n := len(a.UID) + len(a.Connection)
	for _, arg := range a.Args {
		n += len(arg)
	}
	for _, data := range a.Attachments {
		n += len(data)
	}
	return n
}

// The flags of answers.
const (
	flagTruncated = 1 << iota
	flagLate
)

// appendAnswers appends what clients have acknowledged: the flags; the figures of the push; how many were asked, have acknowledged it,
// and were how many users; the answers behind their number, each the connection, the uid, and arguments and attachments behind
// their numbers.
func appendAnswers(b []byte, a *hub.Answers) []byte {
	var flags byte
	if a.Truncated {
		flags |= flagTruncated
	}
	if a.Late {
		flags |= flagLate
	}
	b = appendResult(append(b, flags), &a.Pushed)
	for _, n := range []int{a.Asked, a.Connections, a.Users, len(a.List)} {
		b = appendNumber(b, n)
	}
	for i := range a.List {
		one := &a.List[i]
		b = appendText(appendText(b, one.Connection), one.UID)
		b = appendNumber(b, len(one.Args))
		for _, arg := range one.Args {
			b = appendText(b, arg)
		}
		b = appendNumber(b, len(one.Attachments))
		for _, data := range one.Attachments {
			b = appendText(b, data)
		}
	}
	return b
}

// parseAnswers undoes appendAnswers. The answers share the memory of b.
func parseAnswers(b []byte) (hub.Answers, error) {
	d := decoder{rest: b}
	flags := d.byte()
	a := hub.Answers{Pushed: d.result(), Truncated: flags&flagTruncated != 0, Late: flags&flagLate != 0}
	a.Asked, a.Connections, a.Users = int(d.number()), int(d.number()), int(d.number())
	for range d.count() {
		one := hub.Answer{Connection: d.text(), UID: d.text()}
		for range d.count() {
			one.Args = append(one.Args, json.RawMessage(d.bytes()))
		}
		for range d.count() {
			one.Attachments = append(one.Attachments, d.bytes())
		}
		a.List = append(a.List, one)
	}
	if d.bad || len(d.rest) > 0 {
		return hub.Answers{}, errNotAnswer
	}
	return a, nil
}
