package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"

	"crier/io/hub"
)

const (
	// idsKeep is for how long the id of a push is known from the moment its result is.
	idsKeep = 5 * time.Minute
	// followEvery is how often it is looked what has become of the push of another node, and followFor for how long.
	followEvery = 25 * time.Millisecond
	followFor   = 10 * time.Second
	// maxFollowed is how many pushes of other nodes may be waited for.
	maxFollowed = 10_000
)

// IDs know the pushes of the last minutes of all nodes by their ids, so that doing one again does nothing.
//
// P:id:<mid> is a hash: h, the node and the epoch of who makes the push; t, the token that it has got; m, once the push is in a
// stream, the users and connections that it was for; r, its result.
type IDs struct {
	// static
	node *Node
	log  *slog.Logger
	run  context.Context // ends with Close
	stop context.CancelFunc
	work sync.WaitGroup

	mu       sync.Mutex
	followed []*followed
	results  map[string]landed // by token: what Redis has not taken yet
}

// followed is a push that another node makes.
type followed struct {
	mid   string
	until time.Time
	done  func(hub.Taken, error)
}

// landed is a result for a claim.
type landed struct {
	mid    string
	result []byte
}

// NewIDs returns IDs. The caller must call Close in the end, before it closes the Node.
func NewIDs(n *Node, log *slog.Logger) *IDs {
	t := &IDs{node: n, log: log, results: make(map[string]landed)}
	t.run, t.stop = context.WithCancel(context.Background())
	t.work.Go(t.tend)
	return t
}

// Close ends what waits for other nodes, with hub.ErrClosed.
func (t *IDs) Close() {
	t.stop()
	t.work.Wait()
}

// takeScript claims an id. Its arguments: the mid, a token, for how long in milliseconds. It answers nothing if the caller has it now, or
// what is known. A claim of its own node, which asks for none that it has, is one whose answer it never got.
var takeScript = nodeScript("take", `
	local id = P .. ':id:' .. ARGV[4]
	local is = redis.call('HMGET', id, 'h', 't', 'm', 'r')
	if is[4] then return {'result', is[4]} end
	if is[2] and is[2] ~= ARGV[5] and is[1] == NODE .. ' ' .. EPOCH then
		if is[3] then return {'made', is[3]} end
	elseif is[2] and is[2] ~= ARGV[5] then
		local node, epoch = string.match(is[1], '^(.*) (%d+)$')
		if redis.call('HGET', P .. ':n:' .. node, 'epoch') == epoch and tonumber(redis.call('ZSCORE', P .. ':nodes', node) or '0') > now() then
			return {'busy'}
		end
		if is[3] then return {'made', is[3]} end
	end
	redis.call('HSET', id, 'h', NODE .. ' ' .. EPOCH, 't', ARGV[5])
	redis.call('PEXPIRE', id, ARGV[6])
	return {'yours'}
`)

// landScript notes the result of a claim, or that there is none. Its arguments: the mid, the token, for how long, the result. A claim that
// Redis has lost is as good as one that it has, unless somebody else has one.
var landScript = nodeScript("land", `
	local id = P .. ':id:' .. ARGV[4]
	local holder = redis.call('HGET', id, 't')
	if holder and holder ~= ARGV[5] then return end
	if ARGV[7] == '' then
		redis.call('DEL', id)
		return
	end
	redis.call('HSET', id, 't', ARGV[5], 'r', ARGV[7])
	redis.call('HDEL', id, 'm')
	redis.call('PEXPIRE', id, ARGV[6])
`)

// Take asks for the id of a push, in a scope of ids. It fails if Redis is away: nothing is known then.
func (t *IDs) Take(ctx context.Context, scope, id string) (hub.Taken, error) {
	ctx, cancel := context.WithTimeout(ctx, inboxPatience)
	defer cancel()
	mid := midOf(scope, id)
	token := rand.Text()[:12]
	reply, err := t.node.Run(ctx, takeScript, mid, token, idsKeep.Milliseconds())
	if errors.Is(err, ErrInDoubt) && ctx.Err() == nil { // with the same token it is ours still
		reply, err = t.node.Run(ctx, takeScript, mid, token, idsKeep.Milliseconds())
	}
	t.release(mid, token, err)
	return parseClaim(reply, err, mid, token)
}

// release gives a claim back of which nobody knows whether it was made.
func (t *IDs) release(mid, token string, err error) {
	if errors.Is(err, ErrInDoubt) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		t.Land(token+" "+mid, nil)
	}
}

// parseClaim reads what takeScript answers.
func parseClaim(reply any, err error, mid, token string) (hub.Taken, error) {
	list, err := redis.ByteSlices(reply, err)
	if err != nil || len(list) == 0 {
		return hub.Taken{}, fmt.Errorf("asking for the id of a push: %w", err)
	}
	switch {
	case string(list[0]) == "yours":
		return hub.Taken{Token: token + " " + mid}, nil
	case len(list) < 2:
		return hub.Taken{}, nil
	case string(list[0]) == "result":
		return hub.Taken{Result: list[1]}, nil
	}
	c := hub.Taken{Made: true}
	if _, err := fmt.Sscan(string(list[1]), &c.Users, &c.Connections); err != nil {
		return hub.Taken{}, fmt.Errorf("asking for the id of a push: Redis says %q: %w", list[1], err)
	}
	return c, nil
}

// Follow calls done once somebody else has made the push, or has failed: then it is the caller's to make. If it takes too long the
// error is hub.ErrBusy. done is called by a goroutine that others wait for, and must not wait.
func (t *IDs) Follow(scope, id string, done func(hub.Taken, error)) {
	t.mu.Lock()
	room := len(t.followed) < maxFollowed && t.run.Err() == nil
	if room {
		t.followed = append(t.followed, &followed{midOf(scope, id), time.Now().Add(followFor), done})
	}
	t.mu.Unlock()
	if !room {
		done(hub.Taken{}, hub.ErrBusy)
	}
}

// Land notes the result of the push of a claim; nil says that it was not made. It does not wait.
func (t *IDs) Land(token string, result []byte) {
	own, mid, _ := strings.Cut(token, " ")
	one := landed{mid, result}
	t.mu.Lock()
	t.results[own] = one
	t.mu.Unlock()
	t.land(own, one)
}

// land tells Redis a result. What it does not take is told again.
func (t *IDs) land(token string, one landed) {
	t.node.Go(func(_ any, err error) {
		if errors.Is(err, ErrAway) || errors.Is(err, ErrFenced) || errors.Is(err, hub.ErrBusy) {
			return
		}
		if err != nil {
			t.log.Warn("the result of a push with an id is not known to other servers", "error", err)
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.results, token)
	}, landScript, one.mid, token, idsKeep.Milliseconds(), one.result)
}

// tend looks what has become of the pushes of other nodes, and tells Redis again what it has not taken.
func (t *IDs) tend() {
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-t.run.Done():
			t.giveUp()
			return
		case <-ticker.C:
		}
		t.look()
		if n%40 == 0 {
			t.again()
		}
	}
}

// again tells Redis what it has not taken, which after a while is of no use to anybody.
func (t *IDs) again() {
	t.mu.Lock()
	if len(t.results) > maxFollowed {
		clear(t.results)
	}
	results := make(map[string]landed, len(t.results))
	for token, one := range t.results {
		results[token] = one
	}
	t.mu.Unlock()
	for token, one := range results {
		t.land(token, one)
	}
}

// look asks for what is followed, together.
func (t *IDs) look() {
	t.mu.Lock()
	list := t.followed
	t.followed = nil
	t.mu.Unlock()
	if len(list) == 0 {
		return
	}
	claims, errs := make([]hub.Taken, len(list)), make([]error, len(list))
	var asked sync.WaitGroup
	asked.Add(len(list))
	for i, f := range list {
		token := rand.Text()[:12]
		t.node.Go(func(reply any, err error) {
			claims[i], errs[i] = parseClaim(reply, err, f.mid, token)
			t.release(f.mid, token, err)
			asked.Done()
		}, takeScript, f.mid, token, idsKeep.Milliseconds())
	}
	asked.Wait()
	for i, f := range list {
		c, err := claims[i], errs[i]
		busy := err == nil && c.Token == "" && c.Result == nil && !c.Made
		switch {
		case busy && time.Now().Before(f.until):
			t.mu.Lock()
			t.followed = append(t.followed, f)
			t.mu.Unlock()
		case busy:
			f.done(hub.Taken{}, hub.ErrBusy)
		default:
			f.done(c, err)
		}
	}
}

// giveUp ends what is followed.
func (t *IDs) giveUp() {
	t.mu.Lock()
	list := t.followed
	t.followed = nil
	t.mu.Unlock()
	for _, f := range list {
		f.done(hub.Taken{}, hub.ErrClosed)
	}
}
