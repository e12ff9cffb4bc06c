package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"crier/api"
	"crier/api/fastpath"
	"crier/configs"
	"crier/fallback"
	"crier/io/httpconn"
	"crier/io/netpoll"
	"crier/web"
)

// endpoint is one listening port.
type endpoint struct {
	name        string // "public" or "push", for the log
	listener    net.Listener
	inherited   bool // whoever opened it keeps it: who connects while nobody accepts waits
	deaf        atomic.Bool
	server      *http.Server
	certificate *certificate // nil: no TLS
	newcomers   *newcomers
	door        *doorkeeper        // nil: nobody is turned away
	fast        *fastpath.Listener // nil: net/http has all connections
	keeper      *httpconn.Server   // of those on which clients poll; nil: net/http has these too
	serving     sync.WaitGroup
}

// Start binds the ports and begins to serve. Its errors are sentences for the
// person at the terminal. After an error call Stop.
func (a *App) Start() error {
	if err := a.bind(); err != nil {
		return err
	}
	if a.cfg.TLS.Cert != "" {
		var err error
		if a.public.certificate, err = newCertificate(a.cfg.TLS.Cert, a.cfg.TLS.Key, a.log); err != nil {
			return err
		}
	}
	if a.push != nil {
		a.push.server.Handler = unsent(a.api, a.log)
	}
	site, err := a.newSite(a.cfg)
	if err != nil {
		return err
	}
	a.site.Store(site)
	a.public.server.Handler = unsent(a.passage.around(a.publicHandler(site.ClientPaths(), site.Client())), a.log)
	if err := a.keepPolls(); err != nil {
		return err
	}
	a.advertise()
	if a.schedules != nil {
		a.schedules.Start(a.api.PushScheduled)
	}
	a.startCluster()
	var poller *netpoll.Poller
	if a.epolls {
		poller = a.poller
	}
	if err := a.public.shorten(fastpath.Options{Upgrades: a.handshake, Poller: poller}); err != nil {
		return err
	}
	if err := a.push.shorten(fastpath.Options{Takes: api.Frequent, Poller: poller}); err != nil {
		return err
	}
	for _, e := range []*endpoint{a.public, a.push} {
		if e != nil {
			a.serve(e)
		}
	}
	a.hub.Open()
	if a.emitters != nil {
		a.emitters.Start()
	}
	if a.gate == nil {
		a.log.Warn("auth.mode is open: whoever reaches the public port may log in as any user and read what is pushed to that user; " +
			"set auth.mode to jwt or callback unless everybody there is to be trusted")
	}
	if notice := site.ClientNotice(); notice != "" {
		a.log.Info(notice)
	}
	return nil
}

// bind makes the ports ready, those first that were left to this program.
func (a *App) bind() (err error) {
	ports := []string{"public", "push"}
	if a.cfg.OnePort() {
		ports = ports[:1]
	}
	left, err := inherit(ports...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, left.close()) }()
	if a.public, err = a.listen("public", "listen", a.cfg.Listen, left); err != nil {
		return err
	}
	if err := boundSendBuffer(a.public.listener, a.cfg.Limits.SendBuffer); err != nil {
		return err
	}
	if a.files > 0 {
		d := &doorkeeper{Listener: a.public.listener, open: a.openConnections, plain: a.cfg.TLS.Cert == "", log: a.log}
		d.most.Store(int64(a.files - reserve(a.files)/2))
		a.public.door = d
	}
	if a.cfg.OnePort() {
		return nil
	}
	a.push, err = a.listen("push", "api.listen", a.cfg.API.Listen, left)
	return err
}

// listen makes one port ready.
func (a *App) listen(name, setting, addr string, left inherited) (*endpoint, error) {
	l := left.take(name)
	inherited := l != nil
	if !inherited {
		var err error
		if l, err = listenTCP(addr); err != nil {
			return nil, ListenError(setting, addr, err)
		}
	} else if _, port, err := net.SplitHostPort(addr); err != nil || port != strconv.Itoa(l.Addr().(*net.TCPAddr).Port) {
		a.log.Warn("systemd opened another port than the setting says, which does not count", "port", name, "setting", setting, "value", addr)
	}
	var err error
	if l, err = a.quicken(name, l, inherited); err != nil {
		return nil, err
	}
	fresh := &newcomers{}
	return &endpoint{name: name, listener: l, inherited: inherited, newcomers: fresh, server: &http.Server{
		ConnState:         fresh.note,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}}, nil
}

// quicken has the connections of a port accepted in such a way that the poller can have them as they are, if it uses epoll. With TLS
// there is nothing to gain. What is inherited, somebody else has, too.
func (a *App) quicken(name string, l net.Listener, inherited bool) (net.Listener, error) {
	port, tcp := l.(*net.TCPListener)
	if !tcp || !a.epolls || name == "public" && a.cfg.TLS.Cert != "" {
		return l, nil
	}
	if err := probe(port); err != nil { // systemd has not
		return nil, errors.Join(err, l.Close())
	}
	return netpoll.NewListener(port, inherited)
}

// ListenError says what to do about the address of a setting that err keeps from being listened on.
func ListenError(setting, addr string, err error) error {
	advice := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		advice = "another program uses this port; stop it, or choose another address"
	case errors.Is(err, syscall.EACCES):
		advice = "permission denied; choose a port above 1023, or run with the right to bind low ports"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		advice = "this machine has no such address; leave the host out to listen on all that it has"
	default:
		return fmt.Errorf("cannot listen on %s (setting `%s`): %w", addr, setting, err)
	}
	return fmt.Errorf("cannot listen on %s (setting `%s`): %s", addr, setting, advice)
}

// shorten gives the port's most frequent requests, which o names, a shorter way to its handler. With TLS there is none.
func (e *endpoint) shorten(o fastpath.Options) error {
	switch {
	case e == nil:
		return nil
	case e.certificate != nil:
		if e.door != nil {
			e.listener = e.door
		}
		return nil
	}
	o.Listener, o.Server = e.listener, e.server
	if e.door != nil {
		o.Admit = e.door.admit
	}
	fast, err := fastpath.New(o)
	if err != nil {
		return err
	}
	e.fast, e.listener = fast, fast
	return nil
}

// handshake says which requests for a WebSocket are those of Socket.IO clients.
func (a *App) handshake(path, query string) bool {
	return path == a.cfg.SocketIO.Path && strings.Contains(query, "transport=websocket")
}

// serve serves e until it is shut down; an earlier end is reported through Err.
func (a *App) serve(e *endpoint) {
	l := e.listener
	if e.certificate != nil {
		e.server.TLSConfig = &tls.Config{
			MinVersion:     tls.VersionTLS12,
			GetCertificate: e.certificate.get,
			NextProtos:     []string{"h2", "http/1.1"},
		}
		// A table of headers for the answers of each HTTP/2 connection is changed by two goroutines of net/http at once, and a client
		// who makes use of that ends the process (CVE-2026-97032, up to Go 1.26.8 and 1.27.1): so it has no room for any.
		e.server.HTTP2 = &http.HTTP2Config{MaxEncoderHeaderTableSize: 1}
		l = tls.NewListener(l, e.server.TLSConfig)
	}
	a.log.Info("listening", "port", e.name, "addr", e.addr(), "tls", e.certificate != nil)
	e.serving.Go(func() {
		if err := e.server.Serve(l); !errors.Is(err, http.ErrServerClosed) && !e.deaf.Load() {
			a.failed <- fmt.Errorf("the %s port stopped listening: %w", e.name, err)
		}
	})
	if e.keeper == nil {
		return
	}
	e.serving.Go(func() {
		if err := e.server.Serve(e.keeper); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			a.log.Error("connections of clients that poll are not taken back", "error", err)
		}
	})
}

// addr is the bound address.
func (e *endpoint) addr() string {
	if e == nil {
		return ""
	}
	return e.listener.Addr().String()
}

// leaveToNext stops accepting on a port that somebody keeps open for the next server, which then has who connects meanwhile. What
// has been accepted is served on.
func (e *endpoint) leaveToNext() error {
	if e == nil || !e.inherited {
		return nil
	}
	return e.deafen()
}

// deafen stops accepting, and returns when nobody is accepted any more. What has been accepted is served on.
func (e *endpoint) deafen() error {
	if e.deaf.Swap(true) {
		return nil
	}
	var err error
	if e.fast != nil {
		err = e.fast.Deafen()
	} else {
		err = e.listener.Close()
	}
	if errors.Is(err, net.ErrClosed) { // the port has ended by itself
		return nil
	}
	return err
}

// shutdown stops accepting and waits for requests under way, then cuts them off. Only once nobody is accepted any more it lets go of
// connections: whose request meets that and makes it once more must not come here again, but to the server that is next.
func (e *endpoint) shutdown(ctx context.Context) error {
	if e == nil {
		return nil
	}
	deafErr := e.deafen()
	err := e.quiesce(ctx)
	if errors.Is(err, net.ErrClosed) { // deafen has closed the port
		err = nil
	}
	if err != nil {
		err = errors.Join(fmt.Errorf("ending the requests of the %s port: %w", e.name, err), e.server.Close())
	}
	err = errors.Join(deafErr, err)
	if lerr := e.listener.Close(); lerr != nil && !errors.Is(lerr, net.ErrClosed) {
		err = errors.Join(err, lerr)
	}
	if e.fast != nil {
		err = errors.Join(err, e.fast.Wait(ctx))
	}
	if e.keeper != nil {
		e.keeper.Wait(ctx)
	}
	e.serving.Wait()
	return err
}

// quiesce is [http.Server.Shutdown] that does not wait for connections without a request.
func (e *endpoint) quiesce(ctx context.Context) error {
	quiet := make(chan error, 1)
	go func() { quiet <- e.server.Shutdown(ctx) }()
	again := time.NewTicker(dismissInterval)
	defer again.Stop()
	for {
		e.newcomers.dismiss()
		select {
		case err := <-quiet:
			return err
		case <-again.C:
		}
	}
}

// newSite is the demo page, which shows how to push under the settings of cfg,
// and the client script.
func (a *App) newSite(cfg *configs.Config) (*web.Site, error) {
	push := web.Push{Addr: a.push.addr(), Access: web.AccessLoopback}
	switch {
	case cfg.API.HasKeys():
		push.Access = web.AccessKeys
	case len(cfg.API.Allow) > 0:
		push.Access = web.AccessListed
	}
	return web.New(web.Options{SocketIOPath: a.cfg.SocketIO.Path, Push: push, MessageIDs: a.cfg.Inbox.MessageID, Logger: a.log})
}

// publicHandler routes the public port, and the only one when there is one.
// scripts are the paths of the client script.
func (a *App) publicHandler(scripts []string, script http.Handler) http.Handler {
	path := a.cfg.SocketIO.Path
	sockets := a.metrics.openings(a.sockets)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch p := r.URL.Path; {
		case slices.Contains(scripts, p):
			script.ServeHTTP(w, r)
		case p == path, p+"/" == path:
			sockets.ServeHTTP(w, r)
		case fallback.Serves(p):
			a.fallbacks.ServeHTTP(w, r)
		case strings.HasPrefix(p, path+"1/"):
			http.Error(w, "Socket.IO 0.9 clients are not supported: load socket.io-client 1.0 or newer, "+
				"such as "+path+"socket.io.js of this server", http.StatusBadRequest)
		case p == "/healthz", p == "/readyz", a.push == nil && !sitePage(r):
			a.api.ServeHTTP(w, r)
		default:
			a.site.Load().ServeHTTP(w, r)
		}
	})
}

// sitePage reports whether a request on the one port is for the demo page
// rather than a push: pushes come to "/" as well.
func sitePage(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	switch p := r.URL.Path; p {
	case "/":
		return r.ContentLength == 0 && !r.URL.Query().Has("type")
	case "/crier.js":
		return true
	default:
		return strings.HasPrefix(p, "/demo/") || strings.HasPrefix(p, "/favicon.")
	}
}
