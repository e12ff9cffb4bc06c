// Package demo is what crier demo runs: a server, and beside it a small web site with a business of its own, which uses the server as any
// site does – by its push port, its callbacks and the events that it hands on.
package demo

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"crier/api/client"
	"crier/app"
	"crier/configs"
	"crier/web"
)

const (
	// hookPath is where the site gets callbacks and events.
	hookPath = "/crier"
	// bellPause is the time between two rings of the bell.
	bellPause = 15 * time.Second
	// offlineDelay is how long a device may be away: so short that the board shows it at once.
	offlineDelay = time.Second
	// leaveTime bounds how long requests of the site have to end.
	leaveTime = 2 * time.Second
)

// Options are what can be chosen. The zero value is usable.
type Options struct {
	// Listen is the host:port of the web site; Crier's public port is a free one of the same host, and its push port one of this
	// machine. Empty: 127.0.0.1:0, a free port.
	Listen string
	// Pace is the time between two pushes of prices. Zero: a second.
	Pace time.Duration
	// Logger is Crier's. Nil: discarded.
	Logger *slog.Logger
}

// Demo is a running demonstration.
type Demo struct {
	crier    *app.App
	business *business
	site     *http.Server
	listener net.Listener
	failed   chan error

	cancel  context.CancelFunc
	running sync.WaitGroup // what ends with cancel, and the site
}

// Start starts the server, the site and its devices. After an error nothing is left running.
func Start(o Options) (_ *Demo, err error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Pace == 0 {
		o.Pace = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Demo{failed: make(chan error, 1)}
	if d.listener, err = net.Listen("tcp", o.Listen); err != nil {
		return nil, app.ListenError("--listen", o.Listen, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	defer func() {
		if err != nil {
			ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
			defer cancel()
			err = errors.Join(err, d.Close(ctx))
		}
	}()
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte(rand.Text()))
	if d.crier, err = app.New(d.settings(o.Listen, secret), o.Logger); err != nil {
		return nil, err
	}
	if err := d.crier.Start(); err != nil {
		return nil, err
	}
	port, err := client.New(client.Options{URL: d.PushURL()})
	if err != nil {
		return nil, err
	}
	d.business = newBusiness(port, secret, o.Logger)
	if err := d.open(o.Logger); err != nil {
		return nil, err
	}
	if err := ring(ctx, port); err != nil {
		return nil, err
	}
	d.running.Go(func() { d.business.trade(ctx, o.Pace) })
	for _, name := range devices() {
		d.running.Go(func() { (&device{name: name}).run(ctx, d.CrierURL(), o.Logger) })
	}
	return d, nil
}

// settings are those of a server that keeps nothing, calls the site, and hands it what its pages say.
func (d *Demo) settings(listen, secret string) *configs.Config {
	cfg := configs.Default()
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		host = "127.0.0.1" // never: it has been listened on
	}
	cfg.Listen, cfg.API.Listen = net.JoinHostPort(host, "0"), "127.0.0.1:0"
	cfg.Store.Path = ""
	cfg.Rooms.ClientJoin = "allow"
	cfg.Presence.OfflineDelay, cfg.Presence.RoomEvents, cfg.Presence.CountEvent = offlineDelay, true, "off"
	cfg.Webhook.URL = local(d.listener) + hookPath
	cfg.Webhook.Secrets = []string{secret}
	cfg.Forward.Events, cfg.Forward.URL = events(), cfg.Webhook.URL
	return cfg
}

// open begins to serve the site.
func (d *Demo) open(log *slog.Logger) error {
	_, port, err := net.SplitHostPort(d.crier.Addr())
	if err != nil {
		return fmt.Errorf("finding the public port: %w", err)
	}
	number, err := net.LookupPort("tcp", port)
	if err != nil {
		return fmt.Errorf("finding the public port: %w", err)
	}
	tour, err := web.NewTour(web.TourOptions{Port: number, Logger: log})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("POST "+hookPath, d.business)
	mux.Handle("/", tour)
	d.site = &http.Server{Handler: mux, ReadTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	d.running.Go(func() {
		if err := d.site.Serve(d.listener); !errors.Is(err, http.ErrServerClosed) {
			d.failed <- fmt.Errorf("the web site stopped listening: %w", err)
		}
	})
	return nil
}

// ring has Crier ring the bell.
func ring(ctx context.Context, port *client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, pushTimeout)
	defer cancel()
	_, err := port.PutSchedule(ctx, "bell", client.Schedule{
		Every: bellPause,
		Push:  client.Push{To: client.Audience{Rooms: []string{roomQuotes}}, Event: "bell", Data: bellPause.String()},
	})
	if err != nil {
		return fmt.Errorf("making the schedule of the bell: %w", err)
	}
	return nil
}

// local is the address of a listener for calls from this machine.
func local(l net.Listener) string {
	addr, _ := l.Addr().(*net.TCPAddr)
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, fmt.Sprint(addr.Port))
}

// URL is where the site is, for a browser on this machine.
func (d *Demo) URL() string { return local(d.listener) + "/" }

// CrierURL is the server's public port, and PushURL its push port, for programs on this machine.
func (d *Demo) CrierURL() string {
	_, port, err := net.SplitHostPort(d.crier.Addr())
	if err != nil {
		return "" // never: it listens
	}
	host, _, err := net.SplitHostPort(d.listener.Addr().String())
	if ip := net.ParseIP(host); err != nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// PushURL is the server's push port; see [Demo.CrierURL].
func (d *Demo) PushURL() string { return "http://" + d.crier.PushAddr() }

// Err tells of a part that died.
func (d *Demo) Err() <-chan error { return d.failed }

// Close ends all of it, within ctx.
func (d *Demo) Close(ctx context.Context) error {
	if d.business != nil {
		d.business.closing.Store(true)
	}
	d.cancel()
	var errs []error
	if d.crier != nil {
		errs = append(errs, d.crier.Stop(ctx))
	}
	if d.site != nil {
		site, cancel := context.WithTimeout(ctx, leaveTime)
		defer cancel()
		if err := d.site.Shutdown(site); err != nil {
			errs = append(errs, fmt.Errorf("ending the web site: %w", err), d.site.Close())
		}
	} else {
		errs = append(errs, d.listener.Close())
	}
	d.running.Wait()
	return errors.Join(errs...)
}
