// Package app puts the parts of Crier together: it is the only package that
// sees them all.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"crier/api"
	"crier/api/schedule"
	"crier/api/webhook"
	"crier/configs"
	"crier/fallback"
	"crier/io/cluster"
	"crier/io/engineio"
	"crier/io/hub"
	"crier/io/netpoll"
	"crier/io/socketio"
	"crier/io/store"
	"crier/io/wsconn"
	"crier/web"
)

// callbackTimeout bounds how long a stop delivers pending callbacks or, with a
// store, waits for those under way.
const callbackTimeout = 10 * time.Second

// forwardTimeout bounds how long a stop waits for the answers to clients' events.
const forwardTimeout = 2 * time.Second

// linkBuffer is how many bytes of /v1/stream are read at once: its answers leave in one piece after each read, and such a
// write costs as much as two pushes. There are few of these connections, and a buffer is held only while something comes.
const linkBuffer = 64 << 10

// How long a stop waits, one after the other, for clients that have been told to go, for requests under way, and for the
// goroutines of what it has cut off.
const (
	sessionTimeout = 5 * time.Second
	requestTimeout = 5 * time.Second
	restTimeout    = 5 * time.Second
)

// StopTimeout bounds the stop of a server with these settings.
func StopTimeout(cfg *configs.Config) time.Duration {
	return cfg.Drain.Spread + sessionTimeout + requestTimeout + restTimeout + callbackTimeout
}

var errStopping = errors.New("stopping")

// App is one running server.
type App struct {
	// static
	cfg       *configs.Config
	log       *slog.Logger
	node      string       // the name of this server
	store     *store.Store // nil without store.path
	inbox     *store.Inbox // nil without store.path
	receipts  api.Receipts
	hub       *hub.Hub
	sender    *webhook.Sender    // nil without webhook.url, and in a cluster
	forwarder *webhook.Forwarder // nil without forward.events
	poller    *netpoll.Poller
	epolls    bool            // the poller does
	links     *netpoll.Poller // of /v1/stream
	schedules *schedule.Book  // nil in a cluster
	gate      *gate           // nil in auth.mode open
	sockets   *socketio.Server
	fallbacks *fallback.Server
	cluster   *clustered       // nil without cluster.redis
	passage   *passage         // nil without cluster.redis
	streams   *wsconn.Upgrader // of the fallbacks
	budget    *wsconn.Budget   // of what waits for clients
	collector *collector
	crowd     *crowd
	files     int // descriptors that the process may have; 0: no bound
	metrics   *metrics
	pulse     *pulse
	emitters  *cluster.Emitters // nil without cluster.redis
	api       *api.Server
	counter   *counter
	tidy      *tidy

	leaveTime time.Duration // see drain

	stopping atomic.Bool
	stopOnce sync.Once
	stopErr  error

	// set by Start
	public *endpoint
	push   *endpoint // nil when everything is on one port
	site   atomic.Pointer[web.Site]
	failed chan error
}

// New builds a server from valid settings; nothing listens yet. After an
// error nothing is left running.
func New(cfg *configs.Config, log *slog.Logger) (*App, error) {
	a := &App{
		cfg: cfg, log: log, failed: make(chan error, 2), leaveTime: leaveTime,
		poller: netpoll.New(netpoll.Options{}), links: netpoll.New(netpoll.Options{ReadBuffer: linkBuffer}),
	}
	if err := a.build(); err != nil {
		ctx, cancel := context.WithTimeout(context.Background(), sessionTimeout)
		defer cancel()
		return nil, errors.Join(err, a.Stop(ctx))
	}
	return a, nil
}

// build makes the parts, those that others need first.
func (a *App) build() error {
	var err error
	if a.node, err = os.Hostname(); err != nil {
		return fmt.Errorf("finding this machine's name: %w", err)
	}
	if err := a.usePoller(a.cfg.SocketIO.Poller); err != nil {
		return err
	}
	if err := a.buildCluster(); err != nil {
		return err
	}
	if err := a.buildPassage(); err != nil {
		return err
	}
	if err := a.buildStore(); err != nil {
		return err
	}
	if err := a.buildInbox(); err != nil {
		return err
	}
	if err := a.buildWebhook(); err != nil {
		return err
	}
	if err := a.buildSchedules(); err != nil {
		return err
	}
	if err := a.buildForwarder(); err != nil {
		return err
	}
	options, err := a.hubOptions()
	if err != nil {
		return err
	}
	if a.hub, err = hub.New(options); err != nil {
		return err
	}
	if err := a.joinCluster(); err != nil {
		return err
	}
	if a.files, err = descriptors(); err != nil {
		return err
	}
	a.crowd = newCrowd(a.cfg.Limits, a.cfg.TrustedProxies, a.files, a.clientCount)
	if err := a.buildGate(); err != nil {
		return err
	}
	if a.budget, err = wsconn.NewBudget(wsconn.BudgetOptions{Bytes: a.queueTotal(), Step: queueStep, Logger: a.log}); err != nil {
		return err
	}
	a.collector = newCollector(func() int64 { return a.budget.Stats().Bytes }, a.budget.Moved(), newGoHeap())
	if err := a.buildSockets(); err != nil {
		return err
	}
	if err := a.buildEmitters(); err != nil {
		return err
	}
	a.tidy = newTidy(func() int { return a.hub.Stats().Sockets }, debug.FreeOSMemory)
	a.counter = newCounter(a.hub, a.online, a.cfg.Presence.CountEvent, a.cfg.Presence.CountInterval, a.log)
	c := newClients(a.door(), a.counter, a.log)
	f := forwarding{forwarder: a.forwarder, loginFirst: a.gate != nil, maxArgs: 2 * a.cfg.SocketIO.MaxPayload, log: a.log}
	c.register(a.sockets.Main())
	attend(a.sockets.Main().On, f.events(a.cfg.Forward.Events))
	if err := a.buildFallbacks(c, f); err != nil {
		return err
	}
	return a.buildAPI()
}

// usePoller has clients' connections waited for as socketio.poller says. Without TLS, that is: it has a goroutine for each.
func (a *App) usePoller(mode string) error {
	if mode == "goroutine" {
		return nil
	}
	err := a.poller.UseEpoll()
	if errors.Is(err, netpoll.ErrNoEpoll) && mode == "auto" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("setting `socketio.poller`: %w; goroutine does without it", err)
	}
	a.epolls = true
	return nil
}

func (a *App) buildAPI() error {
	access, err := newAccess(a.cfg)
	if err != nil {
		return err
	}
	upgrader, err := wsconn.NewUpgrader(wsconn.Options{
		Poller:      a.links,
		MaxPayload:  int64(api.MaxLine(a.cfg.API.MaxBody, a.cfg.SocketIO.MaxPayload)),
		KeepPayload: linkBuffer,
		Logger:      a.log,
	})
	if err != nil {
		return err
	}
	docs, err := a.newDocs()
	if err != nil {
		return err
	}
	dashboard, err := web.NewDashboard(web.DashboardOptions{Logger: a.log})
	if err != nil {
		return err
	}
	a.metrics = newMetrics(a)
	a.pulse = newPulse((&sampler{app: a}).take)
	options := api.Options{
		Pusher:     measured{a.hub, a.metrics.pushes, time.Now()},
		Metrics:    a.metrics.handler(),
		Profiles:   profiles(),
		Directory:  a.directory(),
		Docs:       docs,
		Dashboard:  dashboard,
		Pulse:      a.pulse,
		Upgrader:   upgrader,
		Access:     access,
		MaxBody:    a.cfg.API.MaxBody,
		MaxContent: a.cfg.SocketIO.MaxPayload,
		Ready:      a.ready,
		Callbacks:  a.callbacks(),
		Schedules:  a.schedules,
		Limits:     a.limitFigures,
		Logger:     a.log,
	}
	if a.store != nil {
		options.Store = a.storeFigures
	}
	a.completeAPI(&options)
	if a.passage != nil {
		options.Leader = a.passage
	}
	a.keeping(&options)
	if a.emitters != nil {
		options.Redis = a.redisFigures
	}
	a.api, err = api.New(options)
	return err
}

// newDocs is the manual of the push port.
func (a *App) newDocs() (*web.Docs, error) {
	d := api.Describe()
	o := web.DocsOptions{Description: d.OpenAPI, Rights: d.Rights, Logger: a.log}
	for _, c := range d.Codes {
		o.Codes = append(o.Codes, web.DocsCode{Code: c.Name, Status: c.Status, Title: c.Title})
	}
	return web.NewDocs(o)
}

func (a *App) buildSockets() error {
	c := a.cfg.SocketIO
	origins, err := engineio.NewOrigins(a.cfg.Origins)
	if err != nil {
		return err
	}
	engine := engineio.Options{
		PingInterval:      c.PingInterval,
		PingTimeout:       c.PingTimeout,
		UpgradeTimeout:    c.UpgradeTimeout,
		MaxPayload:        c.MaxPayload,
		QueueBytes:        int(a.cfg.Limits.QueueBytes),
		QueueMessages:     a.cfg.Limits.QueueMessages,
		MessagesPerSecond: a.cfg.Limits.EventsPerSecond,
		Enter:             a.crowd.enterEngine,
		RefuseRevision3:   !c.AllowEIO3,
		PerMessageDeflate: c.PerMessageDeflate,
		NoWebSocket:       !slices.Contains(c.Transports, "websocket"),
		Origins:           origins,
		Poller:            a.poller,
		Budget:            a.budget,
	}
	if a.passage != nil {
		engine.Tag = a.passage.tag
	}
	if slices.Contains(c.Transports, "polling") {
		engine.Polling = fallback.Polling(c.MaxPayload, engine.QueueBytes, engine.QueueMessages, a.budget)
	}
	a.sockets, err = socketio.New(socketio.Options{
		Engine:          engine,
		ConnectTimeout:  a.connectTimeout(),
		Hub:             a.hub,
		Recovery:        a.recovery(),
		ForgetHandshake: true,
		NoHeader:        a.gate == nil,
		Logger:          a.log,
	})
	if err != nil {
		return err
	}
	for _, name := range c.Namespaces {
		n, err := a.sockets.Of(name)
		if err != nil {
			return err
		}
		if a.gate != nil {
			a.gate.guard(n)
		}
	}
	return nil
}

// ready is the answer of /readyz.
func (a *App) ready() error {
	if a.stopping.Load() {
		return errStopping
	}
	return nil
}

// Err tells of a listener that died while the server ran.
func (a *App) Err() <-chan error { return a.failed }

// Addr is the bound address of the public port, and PushAddr that of the push
// port; they are the same when everything is on one port. Empty before Start.
func (a *App) Addr() string { return a.public.addr() }

// PushAddr is the bound address of the push port; see [App.Addr].
func (a *App) PushAddr() string {
	if a.push == nil {
		return a.public.addr()
	}
	return a.push.addr()
}

// Stop ends the server: it lets nobody in any more, closes the sessions over
// drain.spread in such a way that clients come back to whoever listens next,
// then stops listening, and delivers the callbacks that are owed for up to 10 s;
// with a store, the next start does that. ctx bounds all of it. It can be called
// more than once, and without Start.
func (a *App) Stop(ctx context.Context) error {
	a.stopOnce.Do(func() { a.stopErr = a.stop(ctx) })
	return a.stopErr
}

func (a *App) stop(ctx context.Context) error {
	a.stopping.Store(true)
	errs := []error{a.public.leaveToNext()}
	if a.hub != nil {
		a.hub.Drain()
	}
	a.drain(ctx)
	errs = append(errs, a.hangUp(ctx))
	a.gate.close()

	callbacks, cancelCallbacks := context.WithTimeout(ctx, callbackTimeout)
	defer cancelCallbacks()
	errs = append(errs, a.stopRelay(callbacks))
	a.cluster.hasten()
	if a.hub != nil {
		errs = append(errs, a.hub.Close(callbacks))
	}
	errs = append(errs, a.leaveCluster(callbacks))
	if a.sender != nil {
		errs = append(errs, a.sender.Close(callbacks))
	}
	if a.inbox != nil {
		errs = append(errs, a.inbox.Close())
	}
	errs = append(errs, a.saveRecovery())
	if a.store != nil {
		errs = append(errs, a.store.Close())
	}
	return errors.Join(errs...)
}

// hangUp ends what clients, callers and emitters are connected by. Clients are told while the ports are still open, for who
// polls comes back to hear it.
func (a *App) hangUp(ctx context.Context) error {
	var errs []error
	sessions, cancel := context.WithTimeout(ctx, sessionTimeout)
	defer cancel()
	if a.schedules != nil {
		errs = append(errs, a.schedules.Close(sessions))
	}
	errs = append(errs, a.leaveLead(sessions))
	if a.emitters != nil {
		errs = append(errs, a.emitters.Close(sessions))
	}
	if a.tidy != nil {
		a.tidy.close()
	}
	if a.counter != nil {
		a.counter.close()
	}
	a.gate.stop()
	a.closeForwarder(sessions)
	if a.pulse != nil {
		a.pulse.close()
	}
	if a.api != nil {
		a.api.Close()
	}
	ended := make(chan error, 2)
	go func() { ended <- a.closeFallbacks(sessions) }()
	go func() { ended <- a.closeSockets(sessions) }()
	errs = append(errs, <-ended, <-ended)

	requests, cancelRequests := context.WithTimeout(ctx, requestTimeout)
	defer cancelRequests()
	for _, e := range []*endpoint{a.public, a.push} {
		go func() { ended <- a.endRequests(requests, e) }()
	}
	a.passage.release(requests)
	errs = append(errs, <-ended, <-ended)

	rest, cancelRest := context.WithTimeout(ctx, restTimeout)
	defer cancelRest()
	errs = append(errs, a.poller.Close(rest), a.links.Close(rest))
	if a.budget != nil {
		a.budget.Close()
		a.collector.close()
	}
	return errors.Join(errs...)
}

// closeForwarder waits a little for the answers to clients' events; then who sent them is told that there is none.
func (a *App) closeForwarder(ctx context.Context) {
	if a.forwarder == nil {
		return
	}
	answers, cancel := context.WithTimeout(ctx, forwardTimeout)
	defer cancel()
	a.forwarder.Close(answers)
}

// closeFallbacks closes the clients without Socket.IO.
func (a *App) closeFallbacks(ctx context.Context) error {
	if a.fallbacks == nil {
		return nil
	}
	return a.fallbacks.Close(ctx)
}

// closeSockets closes those with it.
func (a *App) closeSockets(ctx context.Context) error {
	if a.sockets == nil {
		return nil
	}
	return a.sockets.Close(ctx)
}

// endRequests shuts a port down. Requests that take too long are cut off, which their callers see, and is no failure of ours.
func (a *App) endRequests(ctx context.Context, e *endpoint) error {
	err := e.shutdown(ctx)
	if late := ctx.Err(); err != nil && late != nil && errors.Is(err, late) {
		a.log.Warn("requests have been cut off that did not end in time", "port", e.name, "error", err)
		return nil
	}
	return err
}
