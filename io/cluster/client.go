package cluster

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomodule/redigo/redis"

	"crier/io/hub"
)

const (
	// callTimeout bounds the wait for each answer of a [Client].
	callTimeout = 2 * time.Second
	// maxWaiting and maxWaitingBytes bound the calls that wait for their turn.
	maxWaiting      = 1 << 16
	maxWaitingBytes = 64 << 20
	// maxBatch and maxBatchBytes bound what is sent at once; one call goes in any case.
	maxBatch      = 1024
	maxBatchBytes = 1 << 20
)

var (
	// ErrAway says that Redis could not be reached, or does not take commands at present: the call has changed nothing,
	// unless the error is ErrInDoubt as well.
	ErrAway = hub.ErrAway
	// ErrInDoubt says that no answer came, so that nobody knows whether the call has been carried out.
	ErrInDoubt = errors.New("it is not known whether Redis has carried it out")
	// ErrBusy says that too many calls wait already: this one was not made.
	ErrBusy = hub.ErrBusy
)

// Script is a Lua script, which Redis knows by its hash once it has been told.
type Script struct{ name, body, hash string }

// NewScript returns a script. The name is for errors.
func NewScript(name, body string) *Script {
	sum := sha1.Sum([]byte(body)) // it is what Redis calls scripts by
	return &Script{name: name, body: body, hash: hex.EncodeToString(sum[:])}
}

// ClientOptions are the settings of a [Client].
type ClientOptions struct {
	// Redis is where the commands go. Required.
	Redis *Redis
	// Prepare is called on every new connection, before anything else is sent, with what sends a command and waits for its
	// answer. An error ends the connection. Nil: nothing is to be done.
	Prepare func(do func(name string, args ...any) (any, error)) error
	// Logger gets what is wrong with Redis. Nil: nothing is logged.
	Logger *slog.Logger
}

// Client sends commands and scripts to Redis over one connection, in the order of the calls. What is called during one round
// trip is sent together in the next. While there is no connection calls fail at once. All its methods may be called by many
// goroutines at once.
type Client struct {
	// static
	redis   *Redis
	prepare func(do func(name string, args ...any) (any, error)) error
	line    lifeline
	wake    chan struct{} // holds one token when something waits
	ready   chan struct{} // closed when there is a connection for the first time
	ended   chan struct{} // closed when nothing runs any more

	cancel atomic.Pointer[context.CancelFunc] // nil before Start

	// of the goroutine of run
	loaded map[*Script]bool // what Redis knows
	once   sync.Once        // closes ready

	mu      sync.Mutex
	open    bool // there is a connection
	waiting []*call
	bytes   int // of waiting
}

// call is what one caller wants.
type call struct {
	script *Script // nil for a command
	name   string  // of the command
	args   []any   // for a script: the number of keys, the keys, the arguments
	size   int     // bytes
	done   func(reply any, err error)
}

// NewClient returns a Client that does nothing yet.
func NewClient(o ClientOptions) (*Client, error) {
	if o.Redis == nil {
		return nil, errors.New("cluster: Redis is missing in ClientOptions")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Client{
		redis: o.Redis, prepare: o.Prepare, wake: make(chan struct{}, 1), ready: make(chan struct{}), ended: make(chan struct{}),
		line: lifeline{
			log: o.Logger, back: "connected to Redis: this server is one of several", status: Status{Since: time.Now()},
			away: "Redis is away: until it is back, this server is alone; trying again",
		},
	}, nil
}

// Start connects to Redis, and again whenever the connection is lost, until Close. It must be called once at most.
func (c *Client) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel.Store(&cancel)
	go func() {
		defer close(c.ended)
		c.line.run(ctx, c.serve)
	}()
}

// Close ends the connection; what waits for an answer fails. It waits for the end of what the callers' functions do, or of
// ctx. It may be called again, and without Start.
func (c *Client) Close(ctx context.Context) error {
	cancel := c.cancel.Load()
	if cancel == nil {
		return nil
	}
	(*cancel)()
	select {
	case <-c.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("ending the connection to Redis: %w", ctx.Err())
	}
}

// Up tells whether there is a connection.
func (c *Client) Up() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}

// Status tells how the connection is.
func (c *Client) Status() Status { return c.line.state() }

// Do runs a script and returns what it answers, as redigo has it. An error wraps ErrAway if there is no connection, and
// ErrInDoubt if it was lost, or ctx ended, before the answer; it is ErrBusy, or a redis.Error that the script has raised.
func (c *Client) Do(ctx context.Context, s *Script, keys []string, args ...any) (any, error) {
	return c.await(ctx, newScriptCall(s, keys, args))
}

// Command is Do for a command. It must not be one that waits, or that changes the connection.
func (c *Client) Command(ctx context.Context, name string, args ...any) (any, error) {
	return c.await(ctx, &call{name: name, args: args, size: sizeOf(args)})
}

// Go is Do for somebody who does not wait: done is called with the answer, in the order of the calls, by the goroutine that
// all answers come to; so it must be quick. Without a connection it is called before Go returns.
func (c *Client) Go(done func(reply any, err error), s *Script, keys []string, args ...any) {
	one := newScriptCall(s, keys, args)
	one.done = done
	if err := c.enqueue(one); err != nil {
		done(nil, one.wrap(err))
	}
}

// Check has the connection tried, as when another one to the same Redis has been lost: one that nothing is sent over does not tell.
func (c *Client) Check() {
	if err := c.enqueue(ping()); err != nil {
		return // there is none, or it is being tried
	}
}

func ping() *call { return &call{name: "PING", done: func(any, error) {}} }

func newScriptCall(s *Script, keys []string, args []any) *call {
	all := make([]any, 0, 1+len(keys)+len(args))
	all = append(all, len(keys))
	for _, key := range keys {
		all = append(all, key)
	}
	all = append(all, args...)
	return &call{script: s, args: all, size: sizeOf(all)}
}

// sizeOf is about how many bytes arguments have.
func sizeOf(args []any) int {
	n := 16 * (1 + len(args))
	for _, arg := range args {
		switch arg := arg.(type) {
		case string:
			n += len(arg)
		case []byte:
			n += len(arg)
		}
	}
	return n
}

// wrap says what has failed.
func (c *call) wrap(err error) error {
	if c.script != nil {
		return fmt.Errorf("running the script %s in Redis: %w", c.script.name, err)
	}
	return fmt.Errorf("sending %s to Redis: %w", c.name, err)
}

func (c *Client) await(ctx context.Context, one *call) (any, error) {
	type answer struct {
		reply any
		err   error
	}
	got := make(chan answer, 1)
	one.done = func(reply any, err error) { got <- answer{reply, err} }
	if err := c.enqueue(one); err != nil {
		return nil, one.wrap(err)
	}
	select {
	case a := <-got:
		return a.reply, a.err
	case <-ctx.Done():
		return nil, one.wrap(fmt.Errorf("%w: %w", ErrInDoubt, ctx.Err()))
	}
}

// enqueue has the call made, if there is a connection and room.
func (c *Client) enqueue(one *call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.open:
		return ErrAway
	case len(c.waiting) >= maxWaiting || len(c.waiting) > 0 && c.bytes+one.size > maxWaitingBytes:
		return ErrBusy
	}
	c.bytes += one.size
	if c.waiting = append(c.waiting, one); len(c.waiting) == 1 {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// take returns what is to be sent next.
func (c *Client) take() []*call {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, bytes := 0, 0
	for n < len(c.waiting) && n < maxBatch && (n == 0 || bytes+c.waiting[n].size <= maxBatchBytes) {
		bytes += c.waiting[n].size
		n++
	}
	batch := c.waiting[:n:n]
	c.waiting = c.waiting[n:]
	if len(c.waiting) == 0 {
		c.waiting = nil
	}
	c.bytes -= bytes
	return batch
}

// serve connects once and makes calls until the connection ends.
func (c *Client) serve(ctx context.Context) (up bool, err error) {
	conn, address, err := c.redis.dial(ctx)
	if err != nil {
		return false, err
	}
	defer conn.close()
	c.loaded = make(map[*Script]bool)
	if c.prepare != nil {
		if err := c.prepare(conn.Do); err != nil {
			return false, fmt.Errorf("preparing the connection to Redis at %s: %w", address, err)
		}
	}
	c.mu.Lock()
	c.open = true
	c.mu.Unlock()
	c.once.Do(func() { close(c.ready) })
	c.line.up(address)
	defer c.shut()
	ticker := time.NewTicker(pingInterval)
	defer ticker.Stop()
	for {
		batch := c.take()
		if len(batch) == 0 {
			select {
			case <-c.wake:
				continue
			case <-ctx.Done():
				return true, ctx.Err()
			case <-ticker.C: // so that it is noticed in time that there is nobody any more
				batch = []*call{ping()}
			}
		}
		if err := c.exchange(conn, batch); err != nil {
			return true, err
		}
	}
}

// shut fails what waits, now that there is no connection.
func (c *Client) shut() {
	c.mu.Lock()
	c.open = false
	waiting := c.waiting
	c.waiting, c.bytes = nil, 0
	c.mu.Unlock()
	for _, one := range waiting {
		one.done(nil, one.wrap(ErrAway))
	}
}

// exchange sends calls and hands each its answer. An error means that the connection is of no use any more.
func (c *Client) exchange(conn *conn, batch []*call) error {
	told := make([]bool, len(batch)) // Redis was told the script with its call
	err := c.send(conn, batch, told)
	var again []*call
	var useless error // what Redis says
	for i, one := range batch {
		var reply any
		if err == nil && told[i] {
			_, err = receive(conn) // what is wrong with the script, the call will tell
		}
		if err == nil {
			reply, err = receive(conn)
		}
		if err != nil { // from now on there are no answers
			one.done(nil, one.wrap(fmt.Errorf("%w: %w: %w", ErrAway, ErrInDoubt, err)))
			continue
		}
		said, failed := reply.(redis.Error)
		switch {
		case !failed:
			one.done(reply, nil)
		case one.script != nil && !told[i] && strings.HasPrefix(string(said), "NOSCRIPT"):
			again = append(again, one)
		case refuses(said):
			useless = said
			one.done(nil, one.wrap(fmt.Errorf("%w: %w", ErrAway, said)))
		default:
			one.done(nil, one.wrap(said))
		}
	}
	if err == nil {
		err = useless
	}
	if len(again) == 0 {
		return err
	}
	if err != nil {
		for _, one := range again {
			one.done(nil, one.wrap(fmt.Errorf("%w: %w", ErrAway, err)))
		}
		return err
	}
	return c.repeat(conn, again)
}

// repeat makes calls again whose scripts somebody has had Redis forget.
func (c *Client) repeat(conn *conn, batch []*call) error {
	clear(c.loaded)
	return c.exchange(conn, batch)
}

// send sends calls, each with its script if Redis does not know that yet, and notes which those are.
func (c *Client) send(conn *conn, batch []*call, told []bool) error {
	for i, one := range batch {
		name, args := one.name, one.args
		if s := one.script; s != nil {
			if told[i] = !c.loaded[s]; told[i] {
				c.loaded[s] = true
				if err := conn.Send("SCRIPT", "LOAD", s.body); err != nil {
					return err
				}
			}
			name, args = "EVALSHA", append([]any{s.hash}, args...)
		}
		if err := conn.Send(name, args...); err != nil {
			return err
		}
	}
	return conn.Flush()
}

// receive returns one answer, which is a redis.Error if Redis says so, or why there is none.
func receive(conn *conn) (any, error) {
	reply, err := redis.ReceiveWithTimeout(conn.Conn, callTimeout)
	var said redis.Error
	if errors.As(err, &said) {
		return said, nil
	}
	return reply, err
}

// refuses tells whether Redis takes no commands at present, or not here: a connection to another one may be better.
func refuses(said redis.Error) bool {
	for _, prefix := range []string{"READONLY", "LOADING", "MASTERDOWN", "NOAUTH"} {
		if strings.HasPrefix(string(said), prefix) {
			return true
		}
	}
	return false
}
