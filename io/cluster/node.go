package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gomodule/redigo/redis"

	"crier/io/hub"
)

// leaseTime is how long the others believe, unless told otherwise, that a node is there which says nothing. It does so three
// times in that.
const leaseTime = 10 * time.Second

// ErrNameTaken says that another server has taken this one's name, and is there.
var ErrNameTaken = errors.New("another server has the same name (setting `cluster.node`); each must have its own")

// NodeOptions are the settings of a [Node].
type NodeOptions struct {
	// Redis is what the nodes have in common. Required.
	Redis *Redis
	// Prefix begins the names of all keys. Empty: crier.
	Prefix string
	// Name is the node's own among all nodes: 1 to 255 bytes without a control character. Required.
	Name string
	// Advertise is where the other nodes reach this one over HTTP; empty: they cannot.
	Advertise string
	// Version is the program's, for those who look.
	Version string
	// Lease is how long the others believe that this node is there if it says nothing; zero: 10 seconds. All must have the same.
	Lease time.Duration
	// Grace is how long users have to come back, to any node, when this one has left, or when there was none.
	Grace time.Duration
	// Keep is for how long the streams keep what was added, and MaxMessages how many entries one of them keeps. Zero: 3 minutes,
	// and 100,000.
	Keep        time.Duration
	MaxMessages int
	// Logger gets what is wrong with Redis. Nil: nothing is logged.
	Logger *slog.Logger
}

// Node is this server among those that share a Redis: it is registered there with an epoch, under a lease that it renews, and
// reads what is for it. Its methods may be called by many goroutines at once, but those that begin with On: these before Start.
type Node struct {
	// static
	options NodeOptions
	tag     string
	keys    []string // of every script
	client  *Client
	reader  reader
	log     *slog.Logger
	joined  []func(epoch uint64)
	wake    chan struct{} // holds one token when there is something to see to
	ended   chan struct{} // closed at the end of run

	cancel atomic.Pointer[context.CancelFunc] // nil before Start
	epoch  atomic.Uint64                      // 0 before the first registration
	seen   atomic.Uint64                      // the greatest position that this node has heard of

	told uint64 // the epoch that the functions of OnJoin know; of run
}

// NewNode returns a Node that does nothing yet.
func NewNode(o NodeOptions) (*Node, error) {
	if o.Redis == nil || o.Name == "" || len(o.Name) > maxNodeName {
		return nil, errors.New("cluster: Redis or Name is missing in NodeOptions, or the name is longer than 255 bytes")
	}
	if o.Prefix == "" {
		o.Prefix = "crier"
	}
	if o.Lease == 0 {
		o.Lease = leaseTime
	}
	if o.Keep == 0 {
		o.Keep = 3 * time.Minute
	}
	if o.MaxMessages == 0 {
		o.MaxMessages = 100_000
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	n := &Node{
		options: o, tag: newTag(), keys: []string{o.Prefix}, log: o.Logger,
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	var err error
	if n.client, err = NewClient(ClientOptions{Redis: o.Redis, Prepare: n.prepare, Logger: o.Logger}); err != nil {
		return nil, err
	}
	n.reader.init(n)
	return n, nil
}

// newTag returns six random letters and digits.
func newTag() string { return strings.ToLower(rand.Text()[:6]) }

// Name is the node's name.
func (n *Node) Name() string { return n.options.Name }

// Tag is a short name that no other node has had, and this one only since it was started.
func (n *Node) Tag() string { return n.tag }

// Epoch is the number of the node's registration; 0 before the first. Each is greater than all before, of every node.
func (n *Node) Epoch() uint64 { return n.epoch.Load() }

// Client is the node's connection for commands.
func (n *Node) Client() *Client { return n.client }

// Key is the name of a key: its parts behind the prefix, with colons between.
func (n *Node) Key(parts ...string) string { return n.options.Prefix + ":" + strings.Join(parts, ":") }

// OnEntry has fn carry out the entries of one kind. It is called for one entry after the other of both streams, in the order
// of their positions, and must not wait for anything.
func (n *Node) OnEntry(kind Kind, fn func(Entry)) { n.reader.carry[kind] = fn }

// OnReached has fn called when everything up to a position has been carried out, by the same goroutine: behind each entry,
// whatever its kind, and before the first, with the position at which the node was registered.
func (n *Node) OnReached(fn func(hub.Position)) { n.reader.reached = append(n.reader.reached, fn) }

// OnRead has fn called when all that has been read at once has been carried out, by the same goroutine.
func (n *Node) OnRead(fn func()) { n.reader.read = append(n.reader.read, fn) }

// OnGap has fn called when entries are missing, by the same goroutine, before what comes behind them is carried out.
func (n *Node) OnGap(fn func(Gap)) { n.reader.gap = append(n.reader.gap, fn) }

// OnJoin has fn called when the node has been registered: at first, and with another epoch when the others had given it up or
// Redis has lost its data. Until it returns the lease is not renewed.
func (n *Node) OnJoin(fn func(epoch uint64)) { n.joined = append(n.joined, fn) }

// Advertise says where the other nodes reach this one over HTTP; before Start, for who does not know it earlier.
func (n *Node) Advertise(url string) { n.options.Advertise = url }

// Start connects to Redis, and again whenever the connection is lost, until Close. It must be called once at most.
func (n *Node) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel.Store(&cancel)
	n.client.Start()
	go func() {
		defer close(n.ended)
		n.run(ctx)
	}()
	n.reader.start(ctx)
}

// Ready waits until the node has been registered and reads its streams, or until ctx ends.
func (n *Node) Ready(ctx context.Context) error {
	for _, ready := range []chan struct{}{n.client.ready, n.reader.ready} {
		select {
		case <-ready:
		case <-ctx.Done():
			return fmt.Errorf("waiting for Redis: %w", ctx.Err())
		}
	}
	return nil
}

// Close gives the registration back, if Redis is there, and ends the connections. It is bounded by ctx, and may be called again,
// and without Start.
func (n *Node) Close(ctx context.Context) error {
	cancel := n.cancel.Load()
	if cancel == nil {
		return nil
	}
	(*cancel)()
	var errs []error
	for _, ended := range []chan struct{}{n.ended, n.reader.ended} {
		select {
		case <-ended:
		case <-ctx.Done():
			errs = append(errs, fmt.Errorf("leaving the other servers: %w", ctx.Err()))
		}
	}
	if _, err := n.Run(ctx, leaveScript, n.options.Grace.Microseconds()); err != nil && !errors.Is(err, ErrAway) && !errors.Is(err, ErrFenced) {
		errs = append(errs, fmt.Errorf("leaving the other servers: %w", err))
	}
	return errors.Join(append(errs, n.client.Close(ctx))...)
}

// Others returns the names of the other nodes that are there, in no order. Its error is that of [Node.Run].
func (n *Node) Others(ctx context.Context) ([]string, error) {
	nodes, err := redis.Strings(n.Run(ctx, nodesScript))
	return slices.DeleteFunc(nodes, func(name string) bool { return name == n.Name() }), err
}

var nodesScript = nodeScript("nodes", `return redis.call('ZRANGEBYSCORE', P .. ':nodes', '(' .. text(now()), '+inf')`)

// arguments are those of a script, behind what the library wants to know.
func (n *Node) arguments(own []any) []any {
	all := make([]any, 0, 3+len(own))
	return append(append(all, n.options.Name, n.epoch.Load(), n.options.MaxMessages), own...)
}

// saw notes a position.
func (n *Node) saw(at hub.Position) {
	for {
		seen := n.seen.Load()
		if uint64(at) <= seen || n.seen.CompareAndSwap(seen, uint64(at)) {
			return
		}
	}
}

func (n *Node) signal() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// run renews the lease, and registers again when the node has been given up.
func (n *Node) run(ctx context.Context) {
	ticker := time.NewTicker(n.options.Lease / 3)
	defer ticker.Stop()
	for {
		if epoch := n.Epoch(); epoch != n.told {
			n.told = epoch
			for _, fn := range n.joined {
				fn(epoch)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-n.wake:
		}
		n.renew(ctx)
	}
}

// renew extends the lease. What is wrong is logged, unless Redis is away, which the client has said.
func (n *Node) renew(ctx context.Context) {
	reply, err := n.client.Do(ctx, renewScript, n.keys, n.arguments([]any{
		n.options.Lease.Microseconds(), n.options.Keep.Microseconds(), (n.options.Keep + 2*n.options.Lease).Milliseconds(),
	})...)
	if errors.Is(fenced(err), ErrFenced) {
		n.log.Warn("the other servers have given this one up, since it was silent for too long; it comes back")
		err = n.again(ctx)
	} else if err == nil {
		err = n.reader.mustBe(redis.String(reply, nil))
	}
	if err != nil && !errors.Is(err, ErrAway) && ctx.Err() == nil {
		n.log.Error("this server could not say that it is there", "error", err)
	}
}

// again registers over the connection that there is.
func (n *Node) again(ctx context.Context) error {
	got := make(chan error, 1)
	n.client.Go(func(reply any, err error) { // in turn with prepare
		if err == nil {
			err = n.register(reply)
		}
		got <- err
	}, registerScript, n.keys, n.registration()...)
	select {
	case err := <-got:
		return taken(err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// prepare registers on a new connection.
func (n *Node) prepare(do func(string, ...any) (any, error)) error {
	if err := examine(do); err != nil {
		return err
	}
	args := append([]any{registerScript.body, len(n.keys), n.keys[0]}, n.registration()...)
	reply, err := do("EVAL", args...)
	if err != nil {
		return taken(err)
	}
	return n.register(reply)
}

// registration are the arguments of registerScript.
func (n *Node) registration() []any {
	return []any{
		n.options.Name, noEpoch, n.options.MaxMessages,
		n.tag, n.epoch.Load(), n.options.Lease.Microseconds(), n.seen.Load(), n.options.Advertise, n.options.Version, rand.Text(),
		n.options.Grace.Microseconds(),
	}
}

// register notes what registerScript has answered.
func (n *Node) register(reply any) error {
	fields, err := redis.Strings(reply, nil)
	if err != nil || len(fields) != 5 {
		return fmt.Errorf("registering: Redis answered %v, %w", reply, err)
	}
	var numbers [4]uint64
	for i := range numbers {
		if numbers[i], err = strconv.ParseUint(fields[i], 10, 64); err != nil {
			return fmt.Errorf("registering: Redis answered %v, %w", reply, err)
		}
	}
	at := hub.Position(numbers[1])
	n.saw(at)
	if n.Epoch() == 0 { // who sees the epoch finds the rest
		n.reader.begin(at, fields[4], numbers[2], numbers[3])
	}
	n.epoch.Store(numbers[0])
	n.signal()
	return n.reader.mustBe(fields[4], nil)
}

// taken makes ErrNameTaken of what Redis says.
func taken(err error) error {
	var said redis.Error
	if errors.As(err, &said) && strings.HasPrefix(string(said), "TAKEN") {
		return ErrNameTaken
	}
	return err
}

// registerScript: the node's tag, its epoch if it has one or 0, its lease in microseconds, the greatest position that it has
// heard of, its address, its version, a random text. It answers the epoch, the last position, how many entries were ever added to
// the node's stream and to the common one, and what names the data in Redis.
//
// P:nodes has the end of each lease; P:n:<node> what is known of a node; P:epoch the last epoch; P:grace until when nobody goes offline, since
// no node was there. P:born names the data: another
// value says that some of it has been lost, which a node knows that has heard of a later position than Redis.
var registerScript = nodeScript("register", directory+`
	local tag, epoch, lease, seen = ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])
	local key, stream = P .. ':n:' .. NODE, 's:' .. NODE
	last = tonumber(redis.call('GET', P .. ':pos') or '0')
	if last < seen then
		last = seen
		redis.call('SET', P .. ':born', ARGV[10])
	else
		redis.call('SET', P .. ':born', ARGV[10], 'NX')
	end
	local known = redis.call('HMGET', key, 'epoch', 'tag')
	if known[1] ~= epoch or known[2] ~= tag then
		if epoch ~= '0' and known[2] and known[2] ~= tag and tonumber(redis.call('ZSCORE', P .. ':nodes', NODE) or '0') > now() then
			return redis.error_reply('TAKEN another node has the name')
		end
		epoch = text(math.max(tonumber(redis.call('GET', P .. ':epoch') or '0') + 1, now()))
		redis.call('SET', P .. ':epoch', epoch)
		if known[1] then ended(NODE, known[1], 'node', 0) end
		local left = redis.call('HLEN', P .. ':ended') + redis.call('ZCARD', P .. ':due')
		if left > 0 and ARGV[11] ~= '0' and redis.call('ZCOUNT', P .. ':nodes', text(now()), '+inf') == 0 then
			redis.call('SET', P .. ':grace', text(now() + ARGV[11]), 'PX', text(math.ceil(ARGV[11] / 1000)))
		end
		redis.call('HSET', key, 'epoch', epoch, 'tag', tag, 'advertise', ARGV[8], 'version', ARGV[9], 'started', text(now()))
	end
	redis.call('ZADD', P .. ':nodes', text(now() + lease), NODE)
	local counts = redis.call('HMGET', P .. ':count', stream, 'all')
	return {epoch, text(position()), counts[1] or '0', counts[2] or '0', redis.call('GET', P .. ':born')}
`)

// renewScript: the lease and for how long streams are kept, in microseconds, and how long that of a node is kept which is not
// there, in milliseconds. It answers what names the data in Redis.
var renewScript = nodeScript("renew", `
	redis.call('ZADD', P .. ':nodes', text(now() + ARGV[4]), NODE)
	local oldest = text(now() - ARGV[5]) .. '-0'
	redis.call('XTRIM', P .. ':all', 'MINID', '~', oldest)
	redis.call('XTRIM', P .. ':s:' .. NODE, 'MINID', '~', oldest)
	redis.call('PEXPIRE', P .. ':s:' .. NODE, ARGV[6])
	return redis.call('GET', P .. ':born')
`)

// leaveScript gives the registration back. Its users have so many microseconds to come back, anywhere.
var leaveScript = nodeScript("leave", directory+`
	ended(NODE, EPOCH, 'restart', tonumber(ARGV[4]))
`)
