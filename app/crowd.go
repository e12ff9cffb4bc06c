package app

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"crier/api"
	"crier/configs"
	"crier/fallback"
	"crier/io/engineio"
	"crier/io/wsconn"
)

const (
	// What is left to the push port, the store, callbacks and Redis of the descriptors that there are: a tenth, but so many.
	leastReserve, mostReserve = 64, 1000
	// rememberAddresses is how many addresses are remembered before those that are no use any more are looked for.
	rememberAddresses = 1024
)

// When who was refused should come again.
const (
	fullRetry    = 10 * time.Second
	tooManyRetry = 10 * time.Second
	tooFastRetry = time.Second
)

// noEntry is why a client may not come in now.
type noEntry struct {
	code  engineio.ErrorCode
	name  string // its stable name
	text  string
	retry time.Duration
}

// crowd bounds how many clients there are, how many of one address, and how fast these come.
type crowd struct {
	// Static.
	most       int // clients; 0: no bound
	perAddress int // clients of one address; 0: no bound
	perSecond  int // clients that come from one address; 0: no bound
	count      func() int
	start      time.Time

	proxies atomic.Pointer[[]netip.Prefix] // whose X-Forwarded-For is believed

	full, tooMany, tooFast atomic.Uint64 // refused

	mu        sync.Mutex
	addresses map[netip.Addr]*address
	sweepAt   int // how many addresses make it worth to look for those that are no use any more
}

// address is what is known of one, guarded by the crowd's mu.
type address struct {
	clients int
	free    time.Duration // when as many as in a second may come again; since crowd.start
}

// newCrowd takes the limits, and how many descriptors there are, 0 for no bound. count tells how many clients there are.
func newCrowd(l configs.Limits, proxies []netip.Prefix, files int, count func() int) *crowd {
	most := l.Connections
	if most < 0 {
		most = files - reserve(files)
	}
	c := &crowd{
		most: most, perAddress: l.ConnectionsPerIP, perSecond: l.HandshakesPerIP, count: count,
		start: time.Now(), addresses: make(map[netip.Addr]*address), sweepAt: rememberAddresses,
	}
	c.proxies.Store(&proxies)
	return c
}

// reserve is how many of the descriptors are not for clients.
func reserve(files int) int {
	return min(max(files/10, leastReserve), mostReserve, files/2)
}

// enter lets a client in, or says why not. leave, unless nil, is to be called when it has gone.
func (c *crowd) enter(r *http.Request) (leave func(), no *noEntry) {
	if c.most > 0 && c.count() >= c.most {
		c.full.Add(1)
		return nil, &noEntry{
			engineio.Overloaded, "full",
			fmt.Sprintf("the server has %d clients, as many as it takes (setting `limits.connections`)", c.most), fullRetry,
		}
	}
	if c.perAddress == 0 && c.perSecond == 0 {
		return nil, nil
	}
	return c.enterFrom(network(peerOf(r.RemoteAddr, r.Header, *c.proxies.Load())))
}

// network is what counts as one address: one customer's network, with IPv6.
func network(a netip.Addr) netip.Addr {
	if a.Is6() {
		return netip.PrefixFrom(a, 64).Masked().Addr()
	}
	return a
}

func (c *crowd) enterFrom(from netip.Addr) (leave func(), no *noEntry) {
	now := time.Since(c.start)
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.addresses[from]
	if a == nil {
		c.sweep(now)
		a = new(address)
		c.addresses[from] = a
	}
	if c.perAddress > 0 && a.clients >= c.perAddress {
		c.tooMany.Add(1)
		return nil, &noEntry{
			engineio.TooManyRequests, "too_many",
			fmt.Sprintf("%s has %d clients here, as many as one address may (setting `limits.connections_per_ip`)", from, a.clients), tooManyRetry,
		}
	}
	if c.perSecond > 0 { // GCRA (ITU-T I.371), with a burst of one second
		free := max(a.free, now) + time.Second/time.Duration(c.perSecond)
		if free-now > time.Second {
			c.tooFast.Add(1)
			return nil, &noEntry{
				engineio.TooManyRequests, "too_fast",
				fmt.Sprintf("more than %d clients a second come from %s (setting `limits.handshakes_per_ip`)", c.perSecond, from), tooFastRetry,
			}
		}
		a.free = free
	}
	if c.perAddress == 0 {
		return nil, nil
	}
	a.clients++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if a.clients--; a.clients == 0 && a.free <= time.Since(c.start) {
			delete(c.addresses, from)
		}
	}, nil
}

// sweep forgets addresses without clients that may come as they like, when there are many. Called with mu held.
func (c *crowd) sweep(now time.Duration) {
	if len(c.addresses) < c.sweepAt {
		return
	}
	for from, a := range c.addresses {
		if a.clients == 0 && a.free <= now {
			delete(c.addresses, from)
		}
	}
	c.sweepAt = max(rememberAddresses, 2*len(c.addresses))
}

// enterEngine is [engineio.Options].Enter, and enterFallback [fallback.Options].Enter.
func (c *crowd) enterEngine(r *http.Request) (leave func(), e *engineio.RequestError) {
	leave, no := c.enter(r)
	if no != nil {
		return nil, &engineio.RequestError{Code: no.code, Detail: no.text, RetryAfter: no.retry}
	}
	return leave, nil
}

func (c *crowd) enterFallback(r *http.Request) (leave func(), err error) {
	leave, no := c.enter(r)
	if no != nil {
		status := http.StatusTooManyRequests
		if no.code == engineio.Overloaded {
			status = http.StatusServiceUnavailable
		}
		return nil, fallback.Reason{Status: status, Code: no.name, Text: no.text}
	}
	return leave, nil
}

// clientCount is how many clients there are.
func (a *App) clientCount() int {
	return a.sockets.Engine().Stats().Sessions + a.fallbacks.Stats().Clients
}

// openConnections is how many connections of the public port there are. They may be more than the clients: one that polls can
// have two.
func (a *App) openConnections() int64 {
	open := a.public.newcomers.open.Load() + a.sockets.Engine().Stats().WebSockets + a.streams.Stats().Open
	if fast := a.public.fast; fast != nil {
		open += int64(fast.Open())
	}
	return open
}

// lags counts the clients that were closed since they read too slowly.
func (a *App) lags() wsconn.LagCounts {
	return a.sockets.Engine().Stats().SlowConsumers.Plus(a.fallbacks.Stats().SlowConsumers)
}

// limitFigures are what the push port shows of the limits.
func (a *App) limitFigures() api.LimitFigures {
	engine, others, queues := a.sockets.Engine().Stats(), a.fallbacks.Stats(), a.budget.Stats()
	f := api.LimitFigures{
		Connections: a.crowd.most,
		Full:        a.crowd.full.Load(), TooMany: a.crowd.tooMany.Load(), TooFast: a.crowd.tooFast.Load(),
		Slow:   a.lags().Total(),
		PutOff: uint64(engine.Rests) + others.Rests,
		Queued: queues.Bytes, QueueTotal: queues.Limit, Evicted: queues.Evicted,
	}
	if d := a.public.door; d != nil {
		f.TurnedAway = d.turned.Load()
	}
	return f
}
