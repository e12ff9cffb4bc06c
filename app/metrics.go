package app

import (
	"context"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"crier/io/cluster"
	"crier/io/hub"
)

// metrics are what /metrics shows: what is measured as it happens, and figures that are there anyway.
type metrics struct {
	registry   *prometheus.Registry
	pushes     prometheus.Histogram
	handshakes *prometheus.HistogramVec
}

// newMetrics makes them; a is asked for its figures whenever somebody wants to see them.
func newMetrics(a *App) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		pushes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "crier_push_seconds", Help: "From the take-over of a push until it is written to, or queued for, the last of its connections; of one to all, until it is on its way to them.",
			Buckets: prometheus.ExponentialBuckets(5e-6, 2, 19), // 5 µs to 1.3 s
		}),
		handshakes: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "crier_handshake_seconds", Help: "How long it took to open a Socket.IO session, by its first transport.",
			Buckets: prometheus.ExponentialBuckets(1e-4, 4, 9), // 0.1 ms to 6.6 s
		}, []string{"transport"}),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.pushes, m.handshakes, figures{a},
	)
	return m
}

// handler shows them.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// openings measures how long sessions take to open.
func (m *metrics) openings(next http.Handler) http.Handler {
	polling, websocket := m.handshakes.WithLabelValues("polling"), m.handshakes.WithLabelValues("websocket")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.RawQuery, "sid=") || r.Method != http.MethodGet {
			next.ServeHTTP(w, r)
			return
		}
		seconds := polling
		if strings.Contains(r.URL.RawQuery, "transport=websocket") {
			seconds = websocket
		}
		begin := time.Now()
		next.ServeHTTP(w, r)
		seconds.Observe(time.Since(begin).Seconds())
	})
}

// measured is a hub whose pushes are measured.
type measured struct {
	*hub.Hub
	seconds prometheus.Observer
	start   time.Time // of the program: to read what has passed since then takes half as long as time.Now, for which two clocks are read
}

// Push implements [api.Pusher].
func (m measured) Push(ctx context.Context, p hub.Push) (hub.Result, error) {
	begin := time.Since(m.start)
	r, err := m.Hub.Push(ctx, p)
	m.seconds.Observe((time.Since(m.start) - begin).Seconds())
	return r, err
}

// measuredRelay is a relay whose pushes are measured.
type measuredRelay struct {
	*cluster.Relay
	seconds prometheus.Observer
}

// Push implements [api.Pusher].
func (m measuredRelay) Push(ctx context.Context, p hub.Push) (hub.Result, error) {
	begin := time.Now()
	r, err := m.Relay.Push(ctx, p)
	m.seconds.Observe(time.Since(begin).Seconds())
	return r, err
}

// Send implements [api.Sender].
func (m measuredRelay) Send(ctx context.Context, p hub.Push, done func(hub.Result)) error {
	begin := time.Now()
	return m.Relay.Send(ctx, p, func(r hub.Result) {
		m.seconds.Observe(time.Since(begin).Seconds())
		done(r)
	})
}

// profiles are those of the Go runtime.
func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}
