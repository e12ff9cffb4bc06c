package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomodule/redigo/redis"

	"crier/io/hub"
	"crier/io/jobs"
)

const (
	// doubtPause is how often it is looked whether Redis is back, to find out what has become of a call.
	doubtPause = 20 * time.Millisecond
	// maxCallbacks is how many callbacks may wait unless told otherwise.
	maxCallbacks = 1_000_000
)

// AttendanceOptions are the settings of an [Attendance].
type AttendanceOptions struct {
	// Node is who speaks. Required.
	Node *Node
	// Window is how long what is for a user goes on coming to this node when he has gone, if his connection can be recovered.
	Window time.Duration
	// Grace is how long the users of a node have to come back, anywhere, when it has stopped, or when all nodes had.
	Grace time.Duration
	// Callback writes what the business is told of a change, in two parts: the version, in digits, goes between. No parts: it
	// is told nothing. Nil: never.
	Callback func(hub.PresenceChange) (head, tail []byte, err error)
	// Retention is how long callbacks are tried; zero: as long as it takes.
	Retention time.Duration
	// MaxCallbacks is how many may wait; zero: 1,000,000. While there are as many, nobody comes or goes.
	MaxCallbacks int
	// Interval is how often it is looked for nodes that have gone; zero: a second.
	Interval time.Duration
	// Logger gets what nobody can be told otherwise. Nil: nothing is logged.
	Logger *slog.Logger
}

// Attendance is the [hub.Attendance] of a node: the directory of all nodes' users in Redis. Who is online is decided there, in
// the same step in which the callback about it becomes a job of the [Queue].
//
// P:u:<uid> has for each node that the user is with "n:<node>" = "<connections>,<1 with a trail>,<epoch>", and for each that he has
// left "l:<node>" = the position up to which what is for him still goes to its stream; "on" while he is online, "v" the version
// of his last change, "d" why he will go offline unless he comes back. P:nu:<node>:<epoch> has the users of a node; P:online how many
// users have connections, and how many those are.
type Attendance struct {
	// static
	options AttendanceOptions
	node    *Node
	log     *slog.Logger
	here    []byte // the entry that says that there are new users
	ctx     context.Context
	cancel  context.CancelFunc
	tasks   sync.WaitGroup

	number uint64 // of the last batch; of the hub's goroutine

	users, connections atomic.Int64
}

var _ hub.Attendance = (*Attendance)(nil)

// NewAttendance returns an Attendance whose Start is to be called, and its Close in the end.
func NewAttendance(o AttendanceOptions) (*Attendance, error) {
	if o.Node == nil || o.Window < 0 || o.Grace < 0 || o.Retention < 0 || o.MaxCallbacks < 0 || o.Interval < 0 {
		return nil, errors.New("cluster: Node is missing in AttendanceOptions, or a time or limit is negative")
	}
	if o.MaxCallbacks == 0 {
		o.MaxCallbacks = maxCallbacks
	}
	if o.Interval == 0 {
		o.Interval = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	a := &Attendance{options: o, node: o.Node, log: o.Logger, here: appendEntry(nil, KindHere, o.Node.Name(), 0, nil)}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	return a, nil
}

// Start begins to look for nodes that have gone.
func (a *Attendance) Start() { a.tasks.Go(func() { a.reap(a.ctx) }) }

// Close ends that, and makes Attend fail.
func (a *Attendance) Close() {
	a.cancel()
	a.tasks.Wait()
}

// Online returns how many users have connections, on all nodes, and how many these are, as it was a second ago at most; while
// Redis is away, as it was then.
func (a *Attendance) Online() (users, connections int) {
	return int(a.users.Load()), int(a.connections.Load())
}

// Reachable implements [hub.Attendance].
func (a *Attendance) Reachable() bool { return a.node.client.Up() && a.node.Epoch() != 0 }

// Attend implements [hub.Attendance]. While it is not known whether Redis has carried the changes out, it does not return.
func (a *Attendance) Attend(changes []hub.PresenceChange) (hub.Position, error) {
	epoch := a.node.Epoch()
	if epoch == 0 {
		return 0, ErrAway
	}
	a.number++
	args, err := a.arguments(epoch, changes)
	if err != nil {
		return 0, err
	}
	for {
		reply, err := a.node.client.Do(a.ctx, attendScript, a.node.keys, args...)
		switch {
		case err == nil:
			return a.attended(reply)
		case a.ctx.Err() != nil:
			return 0, a.ctx.Err()
		case !errors.Is(err, ErrInDoubt):
			return 0, a.node.noticed(err)
		}
		// The next try is of the same changes under the same number, which Redis knows if it has carried them out.
		if err := a.back(epoch); err != nil {
			return 0, err
		}
	}
}

// back waits until there is a connection again. It fails if the node has been given up meanwhile: all that it has said is void.
func (a *Attendance) back(epoch uint64) error {
	ticker := time.NewTicker(doubtPause)
	defer ticker.Stop()
	for {
		select {
		case <-a.ctx.Done():
			return a.ctx.Err()
		case <-ticker.C:
		}
		switch {
		case a.node.Epoch() != epoch:
			return ErrFenced
		case a.node.client.Up():
			return nil
		}
	}
}

// arguments are those of attendScript.
func (a *Attendance) arguments(epoch uint64, changes []hub.PresenceChange) ([]any, error) {
	o := &a.options
	args := make([]any, 0, 7+7*len(changes))
	args = append(args, a.node.Name(), epoch, a.node.options.MaxMessages, a.number, o.Window.Microseconds(), a.here, o.MaxCallbacks)
	for _, c := range changes {
		head, tail, err := a.callback(c)
		if err != nil {
			return nil, err
		}
		sign, trails := "-", "0"
		if c.Online {
			sign = "+"
		}
		if c.Trails {
			trails = "1"
		}
		args = append(args, c.UID, sign, c.Connections, trails, c.Cause, head, tail)
	}
	return args, nil
}

// callback returns the two parts of the job that tells of a change; none if it is not told.
func (a *Attendance) callback(c hub.PresenceChange) (head, tail []byte, err error) {
	o := &a.options
	if o.Callback == nil {
		return nil, nil, nil
	}
	if c.Online {
		c.Connections = max(c.Connections, 1)
	}
	before, after, err := o.Callback(c)
	if err != nil || len(before) == 0 {
		return nil, nil, err
	}
	now := time.Now()
	job := jobs.Job{Key: c.UID, Due: now, Created: now, Payload: before}
	if o.Retention > 0 {
		job.Expires = now.Add(o.Retention)
	}
	return appendJob(nil, &job), after, nil
}

// attended reads what attendScript has answered.
func (a *Attendance) attended(reply any) (hub.Position, error) {
	numbers, err := redis.Int64s(reply, nil)
	if err != nil || len(numbers) != 3 {
		return 0, fmt.Errorf("telling the directory: Redis answered %v, %w", reply, err)
	}
	at := hub.Position(numbers[0])
	a.node.saw(at)
	a.counted(numbers[1], numbers[2])
	return at, nil
}

func (a *Attendance) counted(users, connections int64) {
	a.users.Store(users)
	a.connections.Store(connections)
}
