package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/gomodule/redigo/redis"

	"crier/io/hub"
)

// maxHelpers is how many questions of other nodes are answered at once; others are passed over, and those nodes get along without.
const maxHelpers = 16

// ErrSilent says that a node that should have did not answer in time.
var ErrSilent = errors.New("another server has not answered in time")

// topic is what a question is about. As with [Kind], no number is ever used again.
type topic byte

const (
	topicCount topic = 1 // how many connections an audience has
	topicUsers topic = 2 // a page of the users
	topicRooms topic = 3 // a page of the rooms
	topicRoom  topic = 4 // a page of the connections of a room
	topicUser  topic = 5 // the connections of a user

	topicOccupants topic = 6 // the users in rooms
)

// questionScript adds a question to the common stream, and answers the nodes whose lease has not ended.
var questionScript = nodeScript("question", `
	append('all', ARGV[4])
	return redis.call('ZRANGEBYSCORE', P .. ':nodes', '(' .. text(now()), '+inf')
`)

// answerTo has fn answer what other nodes want to know about something, by many goroutines at once. It is called before Start.
func (r *Relay) answerTo(about topic, fn func(body []byte) ([]byte, error)) { r.topics[about] = fn }

// askAll asks all other nodes about something, and returns their answers, in no order. Its error is ErrSilent beside what others have
// answered, or that of [Node.Run].
func (r *Relay) askAll(ctx context.Context, about topic, body []byte) ([][]byte, error) {
	return r.fanOut(ctx, KindRequest, append([]byte{byte(about)}, body...))
}

// fanOut adds an entry to the common stream, and returns what the other nodes answer.
func (r *Relay) fanOut(ctx context.Context, kind Kind, body []byte) ([][]byte, error) {
	one := &parcel{}
	if err := r.reserve(one); err != nil {
		return nil, err
	}
	over := make(chan *wait, 1)
	w := r.waits.add(one.number, func(w *wait) { over <- w })
	reply, err := r.node.Run(ctx, questionScript, appendEntry(nil, kind, r.node.Name(), one.number, body))
	nodes, err := redis.Strings(reply, err)
	if err != nil {
		w.forget()
		return nil, fmt.Errorf("asking the other servers: %w", err)
	}
	w.expect(r.others(nodes), answerWait)
	select {
	case <-over:
	case <-ctx.Done():
		w.give(true)
		<-over
	}
	answers := make([][]byte, len(w.answers))
	for i := range answers {
		answers[i] = w.answers[i].body
	}
	if w.partial {
		err = ErrSilent
	}
	return answers, err
}

// answerRequest carries out an entry of KindRequest.
func (r *Relay) answerRequest(e Entry) {
	if e.Origin == r.node.Name() || len(e.Body) == 0 {
		return
	}
	fn := r.topics[topic(e.Body[0])]
	if fn == nil { // it is of a later version
		return
	}
	if !r.beginToHelp() {
		return
	}
	go func() {
		defer r.helping.Done()
		defer func() { <-r.helpers }()
		body, err := fn(e.Body[1:])
		if err != nil {
			r.log.Debug("what another server wants to know is not answered", "node", e.Origin, "error", err)
			return
		}
		r.reply(e.Origin, appendReply(nil, e.Number, body))
	}()
}

// beginToHelp takes a token, if there is one, and until Close.
func (r *Relay) beginToHelp() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	select {
	case r.helpers <- struct{}{}:
		r.helping.Add(1)
		return true
	default:
		return false
	}
}

// Count implements [hub.Hub.Count] for all nodes: of users alone as the directory has them.
func (r *Relay) Count(ctx context.Context, a hub.Audience) (hub.Result, error) {
	result, err := r.hub.Count(ctx, a)
	if err != nil {
		return hub.Result{}, err
	}
	if users := onlyUsers(&a); users != nil {
		counts, err := redis.Ints(r.node.Run(ctx, countScript, anyOf(users)...))
		if err != nil || len(counts) != len(users) {
			result.Partial = true
			return result, nil
		}
		result = r.matched(result, users, counts)
		result.Delivered = 0
		return result, nil
	}
	answers, err := r.askAll(ctx, topicCount, appendAudience(nil, &a))
	result.Partial = err != nil
	for _, body := range answers {
		other, err := parseResult(body)
		result.Partial = result.Partial || err != nil
		add(&result, other)
	}
	return result, nil
}

func (r *Relay) answerCount(body []byte) ([]byte, error) {
	d := decoder{rest: body}
	a := d.audience(0)
	if d.bad || len(d.rest) > 0 {
		return nil, errNotPush
	}
	result, err := r.hub.Count(context.Background(), a)
	return appendResult(nil, &result), err
}

// countScript answers how many connections each user has on other nodes than this one.
var countScript = nodeScript("count", `
	local counts = {}
	for i = 4, #ARGV do
		local count, entry = 0, redis.call('HGETALL', P .. ':u:' .. ARGV[i])
		for f = 1, #entry, 2 do
			if string.sub(entry[f], 1, 2) == 'n:' and string.sub(entry[f], 3) ~= NODE then
				count = count + tonumber(string.match(entry[f + 1], '^%d+'))
			end
		end
		counts[i - 3] = count
	end
	return counts
`)

func anyOf(texts []string) []any {
	list := make([]any, len(texts))
	for i, text := range texts {
		list[i] = text
	}
	return list
}

// Disconnect implements [hub.Hub.Disconnect] for all nodes: the connections here are kicked at once, the others when their nodes read
// it, and counted if that is within a second; else the error is hub.ErrPartial. Without Redis nobody is, as it would not be
// everybody.
func (r *Relay) Disconnect(ctx context.Context, a hub.Audience) (int, error) {
	if !r.node.Client().Up() {
		return 0, fmt.Errorf("disconnecting clients: %w", ErrAway)
	}
	n, err := r.disconnect(ctx, a)
	if err != nil {
		return 0, err
	}
	answers, err := r.fanOut(ctx, KindDisconnect, appendAudience(nil, &a))
	if err != nil && !errors.Is(err, ErrSilent) {
		return n, fmt.Errorf("disconnecting clients: %w", err)
	}
	for _, body := range answers {
		d := decoder{rest: body}
		n += int(d.number())
	}
	return n, partial(err)
}

// carryDisconnect carries out an entry of KindDisconnect.
func (r *Relay) carryDisconnect(e Entry) {
	if e.Origin == r.node.Name() {
		return
	}
	d := decoder{rest: e.Body}
	a := d.audience(0)
	if d.bad || len(d.rest) > 0 {
		r.log.Warn("a disconnection of another server is passed over", "node", e.Origin)
		return
	}
	n, err := r.disconnect(context.Background(), a)
	if err != nil {
		r.log.Warn("a disconnection of another server is passed over", "node", e.Origin, "error", err)
		return
	}
	r.replies[e.Origin] = appendReply(r.replies[e.Origin], e.Number, appendNumber(nil, n))
}
