//go:build linux

// Package storm has very many clients of a server come back at the same moment, after it was killed, and clients of one address come
// faster than that may: who is let in, how soon, and what becomes of what was stored for them?
package storm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"crier/bench"
	"crier/bench/load"
	"crier/e2e/rig"
)

// Options say how much there is of everything.
type Options struct {
	Binary   string // Crier's program
	Dir      string // it runs there
	Clients  int
	Patience time.Duration // how long nothing may happen
}

// Result is what became of a storm. All times are since the kill.
type Result struct {
	Ready  time.Duration // the new process took calls
	Back   time.Duration // all were logged in again
	Stored time.Duration // all had what was stored for them before the kill and since
	Pushed time.Duration // all had a push to all

	Lost  int   // messages that have not come
	Late  int   // that came after a later one
	Users error // what is wrong with what the business was told of them
}

// Wrong says what must not be, whatever the machine: nil, or each of it.
func (r *Result) Wrong() error {
	var errs []error
	if r.Lost > 0 || r.Late > 0 {
		errs = append(errs, fmt.Errorf("%d messages were lost in a storm, and %d came out of order", r.Lost, r.Late))
	}
	return errors.Join(append(errs, r.Users)...)
}

// crew is a third of the clients.
type crew struct {
	fleet       *load.Fleet
	first, size int // its users
}

// run is one under way.
type run struct {
	o      Options
	server *rig.Server
	told   *callbacks
	crews  []*crew
	http   *http.Client
}

// settings are those of a server from which nobody has gone because it was killed.
func settings(told string) map[string]string {
	return map[string]string{
		"store.path": "crier.db", "inbox.open": "true", "webhook.url": told, "webhook.batch": "500", "presence.offline_delay": "100ms",
		"presence.restart_grace": "1h", "log.level": "warn", "drain.spread": "0s",
	}
}

// Run makes a storm.
func Run(ctx context.Context, o Options) (res *Result, err error) {
	told := newCallbacks()
	calls, err := rig.Receive(told.take)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, calls.Close()) }()
	server, err := rig.New(rig.Options{Binary: o.Binary, Dir: o.Dir, Settings: settings(calls.URL())})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	r := &run{o: o, server: server, told: told, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}}
	defer r.http.CloseIdleConnections()
	if err := server.Start(ctx); err != nil {
		return nil, err
	}
	err = r.connect(ctx)
	if err == nil {
		res, err = r.storm(ctx)
	}
	for _, c := range r.crews {
		err = errors.Join(err, c.fleet.Close())
	}
	if err != nil {
		return nil, errors.Join(err, errors.New(server.Tail()))
	}
	if err := r.leave(ctx); err != nil {
		return nil, err
	}
	res.Users = told.judge(o.Clients)
	stopping, cancel := context.WithTimeout(ctx, o.Patience)
	defer cancel()
	return res, server.Stop(stopping)
}

// connect brings everybody in.
func (r *run) connect(ctx context.Context) error {
	address, err := netip.ParseAddrPort(r.server.Public)
	if err != nil {
		return fmt.Errorf("finding the server: %w", err)
	}
	crier := bench.Servers()["crier"]
	first := 0
	for n, as := range []struct {
		speech load.Speech
		eio    int
	}{{load.SocketIO, 4}, {load.SocketIO, 3}, {load.Polling, 4}} {
		target := load.Target{
			Addr: address, Host: r.server.Public, Path: crier.Path, Speech: as.speech, EIO: as.eio, Login: crier.Login, LoggedIn: crier.LoggedIn,
		}
		fleet, err := load.NewFleet(load.Options{Target: target, Concurrency: 100, Patience: r.o.Patience, First: first})
		if err != nil {
			return err
		}
		c := &crew{fleet, first, (r.o.Clients + n) / 3}
		first += c.size
		r.crews = append(r.crews, c)
		fleet.Add(c.size, load.Stay)
	}
	return r.await(ctx, func(c *crew, is load.Counts) bool { return is.Ready == c.size })
}

// await waits until done says so of each crew.
func (r *run) await(ctx context.Context, done func(*crew, load.Counts) bool) error {
	for _, c := range r.crews {
		if err := c.fleet.Await(ctx, r.o.Patience, func(is load.Counts) bool { return done(c, is) }); err != nil {
			return fmt.Errorf("%+v of %d clients, %v: %w", c.fleet.Counts(), c.size, c.fleet.Faults(), err)
		}
	}
	return nil
}

// storm kills the server when something has just been stored for everybody, and has all come back.
func (r *run) storm(ctx context.Context) (*Result, error) {
	for _, c := range r.crews {
		c.fleet.Begin()
		c.fleet.ComeBack()
	}
	if err := r.store(ctx); err != nil {
		return nil, err
	}
	killed := time.Now()
	if err := r.server.Kill(); err != nil {
		return nil, fmt.Errorf("killing the server: %w", err)
	}
	res := new(Result)
	if err := r.server.Start(ctx); err != nil {
		return nil, err
	}
	res.Ready = time.Since(killed)
	if err := r.store(ctx); err != nil {
		return nil, err
	}
	if err := r.await(ctx, func(c *crew, is load.Counts) bool { return is.Lost >= c.size && is.Ready == c.size }); err != nil {
		return nil, err
	}
	res.Back = time.Since(killed)
	var err error
	if res.Lost, err = r.missing(ctx, 2); err != nil {
		return nil, err
	}
	res.Stored = time.Since(killed)
	for _, c := range r.crews {
		if err := r.push(ctx, `{"all":true}`, c.fleet.Broadcasting(nil, load.StampSize), false); err != nil {
			return nil, err
		}
	}
	lost, err := r.missing(ctx, 3)
	if err != nil {
		return nil, err
	}
	res.Lost = max(res.Lost, lost)
	res.Pushed = time.Since(killed)
	for _, c := range r.crews {
		res.Late += c.fleet.Counts().Late
	}
	return res, nil
}

// missing waits until everybody has so many messages, and returns how many have not come when nothing comes any more.
func (r *run) missing(ctx context.Context, messages int) (int, error) {
	all := 0
	for _, c := range r.crews {
		left := func() int { return c.fleet.Missing(func(int) int { return messages }) }
		err := c.fleet.Await(ctx, r.o.Patience, func(load.Counts) bool { return left() == 0 })
		if err != nil && !errors.Is(err, load.ErrStalled) {
			return 0, err
		}
		all += left()
	}
	return all, nil
}

// usersAtOnce is how many users a push names.
const usersAtOnce = 500

// store pushes to each user something that is stored until it has arrived.
func (r *run) store(ctx context.Context) error {
	for _, c := range r.crews {
		content := c.fleet.Broadcasting(nil, load.StampSize)
		for from := 0; from < c.size; from += usersAtOnce {
			var uids []string
			for n := from; n < min(from+usersAtOnce, c.size); n++ {
				uids = append(uids, `"`+load.UID(c.first+n)+`"`)
			}
			if err := r.push(ctx, `{"users":[`+strings.Join(uids, ",")+`]}`, content, true); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) push(ctx context.Context, to string, content []byte, store bool) error {
	body := fmt.Sprintf(`{"to":%s,"event":"new_msg","data":"%s","store":%t}`, to, content, store)
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+r.server.Push+"/v1/push", strings.NewReader(body))
	if err != nil {
		return err
	}
	q.Header.Set("Content-Type", "application/json")
	a, err := answerTo(r.http, q)
	if err != nil {
		return fmt.Errorf("pushing: %w", err)
	}
	if a.status != http.StatusOK {
		return fmt.Errorf("a push was answered %d %.200q", a.status, a.body)
	}
	return nil
}

// leave waits until the business has been told of everybody who has gone, or for as long as patience lasts.
func (r *run) leave(ctx context.Context) error {
	end := time.NewTimer(r.o.Patience)
	defer end.Stop()
	for {
		if _, gone := r.told.count(); gone == r.o.Clients {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-end.C:
			return nil // what is missing is told by judge
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
