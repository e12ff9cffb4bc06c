//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"crier/bench/load"
	"crier/bench/proc"
)

// run is a measurement under way.
type run struct {
	o     Options
	fleet *load.Fleet
	push  place
	form  load.Form
	res   *Result
}

// errInterrupted is the cause of a run that the user has ended.
var errInterrupted = errors.New("interrupted")

// Run measures. It calls tell about every second with how far it is. If the run is cut short the result is of the part
// that there is, or nil if there is none, and the error says why; the error is [ErrLost] if the run was whole and
// messages were not.
func Run(ctx context.Context, o Options, tell func(string)) (*Result, error) {
	o.complete()
	if err := o.validate(); err != nil {
		return nil, err
	}
	target, err := o.target()
	if err != nil {
		return nil, err
	}
	r := &run{o: o, form: o.Server.Form, res: &Result{Mode: o.Mode, URL: o.URL}}
	if o.pushes() {
		if r.push, err = find("URL of the push port", o.PushURL); err != nil {
			return nil, err
		}
		if r.push.path != "" {
			r.form.Path = r.push.path
		}
		if o.Key != "" {
			r.form.Header = "Authorization: Bearer " + o.Key + "\r\n"
		}
	}
	if err := r.descriptors(); err != nil {
		return nil, err
	}
	r.fleet, err = load.NewFleet(load.Options{Target: target, From: o.sources(target.Addr.Addr()), Concurrency: o.Concurrency, Patience: o.Patience})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var reporter sync.WaitGroup
	reporter.Go(func() { r.report(ctx, tell) })
	err = r.measure(ctx)
	cancel(nil)
	reporter.Wait()
	err = errors.Join(explain(err, o), r.fleet.Close())
	switch {
	case err != nil && r.res.Connect == nil && r.res.Work == nil:
		return nil, err
	case err == nil && !r.res.Faultless():
		err = ErrLost
	}
	return r.res, err
}

// measure connects the clients and does what the mode is about.
func (r *run) measure(ctx context.Context) error {
	err := r.connect(ctx)
	if err == nil {
		err = r.work(ctx)
	}
	counts := r.fleet.Counts()
	var memErr error
	if r.res.Memory != nil {
		r.res.Memory.After, memErr = r.resident()
	}
	if err == nil && memErr == nil && r.o.Leave > 0 {
		err = r.leave(ctx)
	}
	r.res.Complete = err == nil
	if err != nil {
		r.res.Cut = err.Error()
		if errors.Is(err, context.Canceled) {
			err = errInterrupted
			r.res.Cut = err.Error()
		}
	}
	r.res.Duplicates, r.res.OutOfOrder, r.res.Dropped = counts.Again, counts.Late, counts.Lost
	r.res.Failed, r.res.Heartbeats, r.res.Sleepers = counts.Failed, counts.Beats, counts.Asleep
	for _, e := range r.fleet.Faults() {
		r.res.Errors = append(r.res.Errors, e.Error())
	}
	return errors.Join(err, memErr)
}

// leave has all clients go, and looks later what is left of them.
func (r *run) leave(ctx context.Context) error {
	r.fleet.Disband()
	if err := sleep(ctx, r.o.Leave); err != nil {
		return err
	}
	left, err := r.resident()
	r.res.Memory.Left = left
	return err
}

// work does what the mode is about, after a warm-up if there is to be one.
func (r *run) work(ctx context.Context) error {
	if r.o.Mode == Broadcast && r.o.Sleepers > 0 {
		r.fleet.Add(r.o.Sleepers, load.Sleep)
		err := r.fleet.Await(ctx, r.o.Patience, func(c load.Counts) bool { return c.Asleep == r.o.Sleepers })
		if err != nil {
			return err
		}
	}
	if r.o.WarmUp > 0 {
		warm := *r
		warm.o.Duration, warm.res = r.o.WarmUp, new(Result)
		if err := warm.once(ctx); err != nil {
			return fmt.Errorf("warming up: %w", err)
		}
	}
	return r.once(ctx)
}

func (r *run) once(ctx context.Context) error {
	r.fleet.Begin()
	switch r.o.Mode {
	case Idle:
		return r.idle(ctx)
	case Push:
		return r.pushes(ctx)
	case Events:
		return r.events(ctx)
	case Churn:
		return r.churn(ctx)
	case Storm:
		return r.storm(ctx)
	default:
		return r.broadcast(ctx)
	}
}

// connect connects the clients that stay.
func (r *run) connect(ctx context.Context) error {
	if r.o.Server.Silent {
		return nil
	}
	n, began := r.o.Clients, time.Now()
	server, err := r.clock()
	if err != nil {
		return err
	}
	before, err := r.resident()
	if err != nil {
		return err
	}
	r.fleet.Add(n, load.Stay)
	err = r.fleet.Await(ctx, r.o.Patience, func(c load.Counts) bool { return c.Ready >= n })
	counts := r.fleet.Counts()
	r.res.Clients = counts.Ready
	if counts.Logins == 0 && n > 0 {
		return err
	}
	_, logins, _ := r.fleet.Latency()
	rate := newRate("logins", counts.Logins, r.fleet.LastAt().Sub(began), newLatency(logins))
	cpuErr := server.stop(rate)
	r.res.Connect = rate
	if r.o.PID != 0 && n > 0 {
		connected, memErr := r.resident()
		cpuErr = errors.Join(cpuErr, memErr)
		r.res.Memory = &Memory{Before: before, Connected: connected, PerClient: float64(connected-before) / float64(n)}
	}
	return errors.Join(err, cpuErr)
}

func newRate(what string, count int, d time.Duration, l *Latency) *Rate {
	rate := &Rate{What: what, Count: count, Latency: l}
	if d > 0 {
		rate.Seconds = d.Seconds()
		rate.PerSecond = float64(count) / rate.Seconds
	}
	return rate
}

func (r *run) resident() (int, error) {
	if r.o.PID == 0 {
		return 0, nil
	}
	return proc.Process(r.o.PID).Resident()
}

// clock reads what the server's process uses from now on.
func (r *run) clock() (*clock, error) {
	c := &clock{pid: r.o.PID, began: time.Now(), load: proc.Own()}
	var err error
	if c.pid != 0 {
		c.before, err = proc.Process(c.pid).CPU()
	}
	return c, err
}

type clock struct {
	pid    int
	began  time.Time
	before proc.CPUTime
	load   time.Duration
}

// stop adds to rate what has been used.
func (c *clock) stop(rate *Rate) error {
	rate.LoadCores = (proc.Own() - c.load).Seconds() / time.Since(c.began).Seconds()
	if c.pid == 0 {
		return nil
	}
	now, err := proc.Process(c.pid).CPU()
	if err != nil {
		return err
	}
	used := now.Since(c.before)
	rate.CPU = &CPU{User: used.User.Seconds(), System: used.System.Seconds(), Cores: used.Total().Seconds() / time.Since(c.began).Seconds()}
	if total := used.Total().Seconds(); total > 0 && rate.Count > 0 {
		rate.CPU.PerSecond = float64(rate.Count) / total
		rate.CPU.PerMillion = total / float64(rate.Count) * 1e6
	}
	return nil
}

// spare is how many descriptors are kept for what is no connection.
const spare = 50

// descriptors checks that there are enough; the runtime has made their number as large as it may be.
func (r *run) descriptors() error {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("reading the limit of descriptors: %w", err)
	}
	need := uint64(r.o.Clients + r.o.Sleepers + 2*r.o.Concurrency + spare)
	if r.o.Server.Silent {
		need -= uint64(r.o.Clients) // none of them connects
	}
	if need > l.Max {
		return fmt.Errorf("%d clients need %d descriptors, and a process may have %d here: raise that (ulimit -n %d, or LimitNOFILE), or take fewer clients",
			r.o.Clients, need, l.Max, need)
	}
	l.Cur = max(l.Cur, need)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("raising the limit of descriptors: %w", err)
	}
	return nil
}

// explain says what to do about an error.
func explain(err error, o Options) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ECONNREFUSED):
		at := o.URL + " (--url)"
		switch {
		case o.Server.Silent:
			at = o.PushURL + " (--push-url)"
		case o.pushes():
			at += ", and its push port at " + o.PushURL + " (--push-url)"
		}
		return fmt.Errorf("%w: is the server running at %s?", err, at)
	case errors.Is(err, unix.EADDRNOTAVAIL) && len(o.From) > 0:
		return fmt.Errorf("%w: the addresses of --from are none of this machine, or have no ports left: name more of them", err)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%w: this machine has no ports left to connect from: name more of its addresses with --from, or widen net.ipv4.ip_local_port_range", err)
	case errors.Is(err, unix.EMFILE):
		return fmt.Errorf("%w: this process may have no more descriptors: raise ulimit -n, or take fewer clients", err)
	case errors.Is(err, load.ErrStalled):
		return fmt.Errorf("%w: it was waited for %s (--patience)", err, o.Patience)
	}
	return err
}

// report tells every second how far the run is.
func (r *run) report(ctx context.Context, tell func(string)) {
	if tell == nil {
		return
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	last, began := r.fleet.Counts(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		text := fmt.Sprintf("%s, %s", r.o.Mode, time.Since(began).Round(time.Second))
		now := r.fleet.Counts()
		if !r.o.Server.Silent {
			text += ": " + progress(now, last, r.o.Clients)
		}
		tell(text)
		last = now
	}
}

func progress(now, last load.Counts, clients int) string {
	text := fmt.Sprintf("%d of %d clients", now.Ready, clients)
	for _, n := range []struct {
		now, last int
		what      string
	}{
		{now.Logins, last.Logins, "logins"}, {now.Deliveries, last.Deliveries, "deliveries"}, {now.Acks, last.Acks, "acknowledgements"},
	} {
		if rate := n.now - n.last; rate > 0 {
			text += fmt.Sprintf(", %d %s/s", rate, n.what)
		}
	}
	if bad := now.Again + now.Late + now.Lost + now.Failed; bad > 0 {
		text += fmt.Sprintf(", %d faults", bad)
	}
	return text
}
