package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"
)

// ErrDeposed says that this node is not the leader any more.
var ErrDeposed = errors.New("another server leads now")

// LeaderOptions are the settings of a [Leader].
type LeaderOptions struct {
	// Node is who wants to lead. Required.
	Node *Node
	// Begin makes what only one of all nodes has, for a term, and returns what ends it: that is called once, when the term is
	// over or is given up, and must return when ctx ends. After an error another node may try, or this one again. Required.
	Begin func(t *Term) (end func(ctx context.Context), err error)
	// Logger gets what nobody can be told otherwise. Nil: nothing is logged.
	Logger *slog.Logger
}

// Leader sees to it that one of all nodes leads, this one if no other does. P:leader has the term, and expires unless it is renewed.
type Leader struct {
	// static
	options LeaderOptions
	node    *Node
	log     *slog.Logger
	lease   time.Duration
	ctx     context.Context
	cancel  context.CancelFunc
	ended   chan struct{} // closed at the end of run
	closing chan struct{} // closed by Close

	mu     sync.Mutex
	closed bool
	begun  bool
	term   *Term // nil while this node does not lead
}

// Term is the time in which a node leads, without a break.
type Term struct {
	node   *Node
	token  string
	ctx    context.Context // ends with it
	cancel context.CancelFunc
	ended  chan struct{} // closed when what Begin made has ended

	mu    sync.Mutex
	until time.Time // nobody else leads before
}

// NewLeader returns a Leader whose Start is to be called, and its Close in the end.
func NewLeader(o LeaderOptions) (*Leader, error) {
	if o.Node == nil || o.Begin == nil {
		return nil, errors.New("cluster: Node or Begin is missing in LeaderOptions")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Leader{
		options: o, node: o.Node, log: o.Logger, lease: o.Node.options.Lease,
		ended: make(chan struct{}), closing: make(chan struct{}),
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l, nil
}

// Start begins to look whether there is a leader.
func (l *Leader) Start() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.begun && !l.closed {
		l.begun = true
		go l.run()
	}
}

// Close ends the term, if there is one, and then gives the lead away, so that another node has it at once. It is bounded by ctx,
// and may be called again, and without Start.
func (l *Leader) Close(ctx context.Context) error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.closing)
	}
	begun := l.begun
	l.mu.Unlock()
	if !begun {
		l.cancel()
		return nil
	}
	stop := context.AfterFunc(ctx, l.cancel)
	defer stop()
	<-l.ended
	l.cancel()
	if ctx.Err() != nil {
		return fmt.Errorf("ending what the leader has: %w", ctx.Err())
	}
	return nil
}

// Is tells whether this node leads.
func (l *Leader) Is() bool {
	l.mu.Lock()
	t := l.term
	l.mu.Unlock()
	return t.Lasts()
}

// Where returns the node that leads; known is false while none does.
func (l *Leader) Where(ctx context.Context) (node string, known bool, err error) {
	token, err := redis.String(l.node.client.Command(ctx, "GET", l.node.Key("leader")))
	if errors.Is(err, redis.ErrNil) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("finding the leader: %w", err)
	}
	_, node, known = strings.Cut(token, ":")
	return node, known, nil
}

// leadScript: the term that this node believes to have, or nothing, and the length of a lease in milliseconds. It answers the term
// that there is, and 1 if it is this node's: its old one or, if it had none, one that has just begun.
var leadScript = nodeScript("lead", `
	local key, own, lease = P .. ':leader', ARGV[4], ARGV[5]
	local is = redis.call('GET', key)
	if is and is ~= own then return {is, '0'} end
	if not is and own ~= '' then return {'', '0'} end
	if not is then own = text(position()) .. ':' .. NODE end
	redis.call('SET', key, own, 'PX', lease)
	return {own, '1'}
`)

// resignScript ends a term.
var resignScript = nodeScript("resign", `
	if redis.call('GET', P .. ':leader') == ARGV[4] then redis.call('DEL', P .. ':leader') end
`)

// run takes and renews the lead until Close.
func (l *Leader) run() {
	defer close(l.ended)
	ticker := time.NewTicker(l.lease / 10)
	defer ticker.Stop()
	for {
		l.campaign()
		select {
		case <-l.closing:
			l.resign()
			return
		case <-ticker.C:
		}
	}
}

// campaign asks once who leads.
func (l *Leader) campaign() {
	t := l.current()
	select {
	case <-t.over():
		l.depose(t, "what it has to do could not be begun")
		return
	default:
	}
	asked := time.Now()
	ctx, cancel := context.WithTimeout(l.ctx, l.lease/4)
	reply, err := l.node.Run(ctx, leadScript, t.name(), l.lease.Milliseconds())
	cancel()
	fields, err := redis.Strings(reply, err)
	mine := err == nil && len(fields) == 2 && fields[1] == "1"
	switch {
	case mine && t != nil && fields[0] == t.token:
		t.extend(asked.Add(l.lease))
	case t != nil && (err == nil || !t.Lasts() || errors.Is(err, ErrFenced)):
		l.depose(t, "another server does, or Redis was away for too long")
	case mine && t == nil:
		l.enthrone(fields[0], asked.Add(l.lease))
	case err != nil && !errors.Is(err, ErrAway) && !errors.Is(err, ErrFenced) && l.ctx.Err() == nil:
		l.log.Warn("it could not be found out which server leads", "error", err)
	}
}

func (l *Leader) current() *Term {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.term
}

// enthrone begins a term.
func (l *Leader) enthrone(token string, until time.Time) {
	t := &Term{node: l.node, token: token, ended: make(chan struct{}), until: until}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	l.mu.Lock()
	l.term = t
	l.mu.Unlock()
	l.log.Info("this server leads: it sends the callbacks and makes the timed pushes of all", "term", token)
	go l.reign(t)
}

// reign has a term's things begun, and ended with it.
func (l *Leader) reign(t *Term) {
	defer close(t.ended)
	defer t.cancel()
	end, err := l.options.Begin(t)
	if err != nil {
		if t.ctx.Err() == nil {
			l.log.Error("this server cannot lead; another one may, or it tries again", "error", err)
		}
		return
	}
	select {
	case <-t.ctx.Done():
	case <-l.closing:
	}
	ctx, cancel := context.WithDeadline(l.ctx, t.lastMoment())
	defer cancel()
	end(ctx)
}

// depose ends a term that is over, and waits for that.
func (l *Leader) depose(t *Term, why string) {
	l.log.Warn("this server does not lead any more", "reason", why)
	t.cancel()
	l.forget(t)
}

// resign ends the term there is, and says so to the others.
func (l *Leader) resign() {
	if t := l.current(); t != nil {
		l.forget(t)
	}
}

// forget waits for the end of a term, and gives up what is left of it.
func (l *Leader) forget(t *Term) {
	ticker := time.NewTicker(l.lease / 4)
	defer ticker.Stop()
	for ended := false; !ended; {
		select {
		case <-t.ended:
			ended = true
		case <-ticker.C: // Close lets what is under way end
			l.prolong(t)
		}
	}
	l.mu.Lock()
	l.term = nil
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(l.ctx, l.lease/4)
	defer cancel()
	if _, err := l.node.Run(ctx, resignScript, t.token); err != nil && !errors.Is(err, ErrAway) && !errors.Is(err, ErrFenced) && l.ctx.Err() == nil {
		l.log.Warn("the lead could not be given away; it ends by itself", "error", err)
	}
}

// prolong renews a term that is about to end by itself.
func (l *Leader) prolong(t *Term) {
	if t.ctx.Err() != nil {
		return
	}
	asked := time.Now()
	ctx, cancel := context.WithTimeout(l.ctx, l.lease/4)
	defer cancel()
	fields, err := redis.Strings(l.node.Run(ctx, leadScript, t.token, l.lease.Milliseconds()))
	switch {
	case err == nil && len(fields) == 2 && fields[0] == t.token && fields[1] == "1":
		t.extend(asked.Add(l.lease))
	case err == nil, !t.Lasts():
		t.cancel()
	}
}

// Lasts tells whether nobody else can lead yet. It may be called on a nil term, which does not.
func (t *Term) Lasts() bool {
	if t == nil || t.ctx.Err() != nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Now().Before(t.until)
}

// Done is closed when the term is over. What it has begun is to end at once.
func (t *Term) Done() <-chan struct{} { return t.ctx.Done() }

// Node is the node that leads.
func (t *Term) Node() *Node { return t.node }

func (t *Term) extend(until time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.until = until
}

// lastMoment is when what the term has begun must have ended.
func (t *Term) lastMoment() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.until
}

// over is closed when the term's things have ended; of a nil term, never.
func (t *Term) over() <-chan struct{} {
	if t == nil {
		return nil
	}
	return t.ended
}

func (t *Term) name() string {
	if t == nil {
		return ""
	}
	return t.token
}

// termScript returns a script of the leader, for [Term.run]: its own arguments begin at ARGV[5].
func termScript(name, body string) *Script {
	return nodeScript(name, `
	if redis.call('GET', P .. ':leader') ~= ARGV[4] then return redis.error_reply('DEPOSED another node leads') end
`+body)
}

// run runs a script of the leader. Its error is ErrDeposed if the term is over.
func (t *Term) run(ctx context.Context, s *Script, args ...any) (any, error) {
	reply, err := t.node.Run(ctx, s, append([]any{t.token}, args...)...)
	return reply, deposed(err)
}
