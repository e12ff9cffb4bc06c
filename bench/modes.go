//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"crier/bench/load"
)

// sleep waits for d, and returns the cause of ctx if that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// linger is how long it is waited for messages that should not come, such as the same one again.
const linger = 100 * time.Millisecond

// idle lets the clients be.
func (r *run) idle(ctx context.Context) error {
	r.fleet.Gather(true)
	server, err := r.clock()
	if err != nil {
		return err
	}
	err = sleep(ctx, r.o.Duration)
	r.res.Work = newRate("heartbeats", r.fleet.Counts().Beats, time.Since(server.began), nil)
	err = errors.Join(err, server.stop(r.res.Work))
	if m := r.res.Memory; m != nil {
		now, memErr := r.resident()
		m.PerClient = float64(now-m.Before) / float64(r.o.Clients)
		err = errors.Join(err, memErr)
	}
	return err
}

// ahead is how many broadcasts are under way if their rate is what the server takes.
const ahead = 4

// broadcast sends messages to everybody.
func (r *run) broadcast(ctx context.Context) (err error) {
	r.fleet.Gather(true)
	pub := load.NewPublisher(r.push.addr, r.push.host, r.form)
	defer func() { err = errors.Join(err, pub.Close()) }()
	server, err := r.clock()
	if err != nil {
		return err
	}
	err = r.send(ctx, pub, server.began)
	if err == nil {
		err = r.settle(ctx, func(c load.Counts) bool { return c.Rounds == 0 })
	}
	r.missing(err, func(int) int { return r.res.Sent })
	messages, _, last := r.fleet.Latency()
	r.res.Last = newLatency(last)
	return errors.Join(err, r.finish("deliveries", r.fleet.Counts().Deliveries, messages, server))
}

// send broadcasts at the rate that is asked for, or that the server takes.
func (r *run) send(ctx context.Context, pub *load.Publisher, began time.Time) error {
	contents := make([][]byte, r.o.Burst)
	for n := 0; time.Since(began) < r.o.Duration; n++ {
		var err error
		if r.o.Rate > 0 {
			err = sleep(ctx, time.Until(began.Add(time.Duration(float64(n*r.o.Burst)/r.o.Rate*float64(time.Second)))))
		} else {
			err = r.fleet.Await(ctx, r.o.Patience, func(c load.Counts) bool { return c.Rounds < ahead*r.o.Burst })
		}
		if err != nil {
			return err
		}
		if r.fleet.Counts().Ready == 0 {
			return errors.New("no client is left")
		}
		for i := range contents {
			contents[i] = r.fleet.Broadcasting(nil, r.o.Size)
		}
		r.res.Sent += len(contents)
		if err := pub.Publish(ctx, contents, r.o.Patience); err != nil {
			return err
		}
	}
	return nil
}

// pushes sends messages to users at random.
func (r *run) pushes(ctx context.Context) error {
	r.fleet.Gather(true)
	senders := r.o.Concurrency
	if r.o.Via == Lines || r.o.Via == Stream {
		senders = 1
	}
	shares := r.fleet.Share(r.o.Clients, senders, r.o.Size, r.form)
	server, err := r.clock()
	if err != nil {
		return err
	}
	var answered, refused int
	var fault error
	if r.o.Via == Lines || r.o.Via == Stream {
		answered, refused, fault, err = r.overLink(ctx, shares[0])
	} else {
		answered, refused, fault, err = r.overCallers(ctx, shares)
	}
	r.res.Sent, r.res.Refused = answered+refused, refused
	if fault != nil {
		r.res.Errors = append(r.res.Errors, "a push was refused: "+fault.Error())
	}
	if r.o.Server.Silent {
		r.res.Work = newRate("pushes answered", answered, time.Since(server.began), r.res.Answer)
		return errors.Join(err, server.stop(r.res.Work))
	}
	if err == nil {
		err = r.settle(ctx, func(c load.Counts) bool { return c.Deliveries >= answered })
	}
	r.missing(err, load.Owed(shares))
	r.res.Lost = max(r.res.Lost-refused, 0)
	messages, _, _ := r.fleet.Latency()
	return errors.Join(err, r.finish("pushes delivered", r.fleet.Counts().Deliveries, messages, server))
}

func (r *run) overLink(ctx context.Context, users *load.Users) (answered, refused int, fault, err error) {
	dial := load.DialLines
	if r.o.Via == Stream {
		dial = load.DialStream
	}
	l, err := dial(load.LinkOptions{Addr: r.push.addr, Host: r.push.host, Form: r.form}, users)
	if err != nil {
		return 0, 0, nil, err
	}
	err = l.Run(ctx, r.o.Duration, r.o.Patience)
	if closeErr := l.Close(); err == nil { // else it is closed
		err = closeErr
	}
	return int(l.Answered.Load()), int(l.Refused.Load()), l.Fault, err
}

func (r *run) overCallers(ctx context.Context, shares []*load.Users) (answered, refused int, fault, err error) {
	o := load.CallerOptions{Addr: r.push.addr, Host: r.push.host, Form: r.form, Fresh: r.o.Via == Fresh, Rate: r.o.Rate}
	if r.o.Via == Batch {
		o.Batch = r.o.Batch
		o.Rate = r.o.Rate / float64(r.o.Batch)
	}
	c, err := load.NewCallers(o, shares)
	if err != nil {
		return 0, 0, nil, err
	}
	err = errors.Join(c.Run(ctx, r.o.Duration, r.o.Patience), c.Close())
	r.res.Answer = newLatency(c.Latency)
	return int(c.Answered.Load()), int(c.Refused.Load()), c.Fault, err
}

// events has clients send events, and waits for the acknowledgements.
func (r *run) events(ctx context.Context) error {
	server, err := r.clock()
	if err != nil {
		return err
	}
	r.fleet.Talk(r.o.AtOnce)
	err = sleep(ctx, r.o.Duration)
	sent := r.fleet.Hush()
	if err == nil {
		err = r.settle(ctx, func(c load.Counts) bool { return c.Acks >= c.Events })
	}
	r.res.Sent = r.fleet.Counts().Events
	r.missing(err, sent)
	messages, _, _ := r.fleet.Latency()
	return errors.Join(err, r.finish("events acknowledged", r.fleet.Counts().Acks, messages, server))
}

// churn has more clients come and go.
func (r *run) churn(ctx context.Context) error {
	server, err := r.clock()
	if err != nil {
		return err
	}
	r.fleet.Add(r.o.Concurrency, load.Churn)
	until := server.began.Add(r.o.Duration)
	err = r.fleet.Await(ctx, r.o.Patience, func(load.Counts) bool { return time.Now().After(until) })
	counts := r.fleet.Counts()
	_, logins, _ := r.fleet.Latency()
	r.res.Work = newRate("clients that came and went", counts.Logins, time.Since(server.began), newLatency(logins))
	err = errors.Join(err, server.stop(r.res.Work))
	r.fleet.Retire()
	return err
}

// storm breaks all connections at once and waits until everybody is back, again and again.
func (r *run) storm(ctx context.Context) error {
	server, err := r.clock()
	if err != nil {
		return err
	}
	n, back := r.o.Clients, time.Duration(0)
	for err == nil && (len(r.res.Storms) == 0 || time.Since(server.began) < r.o.Duration) {
		began := time.Now()
		r.fleet.Storm()
		if err = r.fleet.Await(ctx, r.o.Patience, func(c load.Counts) bool { return c.Ready == n }); err == nil {
			took := r.fleet.LastAt().Sub(began)
			r.res.Storms = append(r.res.Storms, took.Seconds())
			back += took
		}
	}
	counts := r.fleet.Counts()
	_, logins, _ := r.fleet.Latency()
	r.res.Work = newRate("clients that came back", counts.Logins, back, newLatency(logins))
	if err != nil {
		err = fmt.Errorf("%d of %d clients were back: %w", counts.Ready, n, err)
	}
	return errors.Join(err, server.stop(r.res.Work))
}

// settle waits for what is still to come. That it does not come is no error, but a loss.
func (r *run) settle(ctx context.Context, done func(load.Counts) bool) error {
	err := r.fleet.Await(ctx, r.o.Patience, done)
	if err != nil && !errors.Is(err, load.ErrStalled) {
		return err
	}
	return sleep(ctx, linger)
}

// missing counts what has not come: as lost if the run was whole, and as outstanding if nobody can know.
func (r *run) missing(err error, owed func(user int) int) {
	missing := r.fleet.Missing(owed)
	if err == nil || errors.Is(err, load.ErrStalled) {
		r.res.Lost = missing
	} else {
		r.res.Outstanding = missing
	}
}

// finish notes how much has come until now.
func (r *run) finish(what string, count int, h *hdrhistogram.Histogram, server *clock) error {
	r.res.Work = newRate(what, count, r.fleet.LastAt().Sub(server.began), newLatency(h))
	return server.stop(r.res.Work)
}
