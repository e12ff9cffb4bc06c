package app

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"crier/api"
	"crier/api/schedule"
	"crier/api/webhook"
)

// figures shows as metrics what the parts of a server count.
type figures struct{ app *App }

// figure is one of them.
type figure struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func gauge(name, help string, labels ...string) figure {
	return figure{prometheus.NewDesc("crier_"+name, help, labels, nil), prometheus.GaugeValue}
}

func count(name, help string, labels ...string) figure {
	return figure{prometheus.NewDesc("crier_"+name+"_total", help, labels, nil), prometheus.CounterValue}
}

// show sends a value.
func (f figure) show(out chan<- prometheus.Metric, value float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(f.desc, f.kind, value, labels...)
}

// Describe implements [prometheus.Collector]. Which figures there are depends on the settings, so it names none.
func (figures) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector].
func (f figures) Collect(out chan<- prometheus.Metric) {
	f.clients(out)
	f.deliveries(out)
	f.limits(out)
	f.schedules(out)
	f.callbacks(out)
	f.store(out)
	f.inbox(out)
	f.redis(out)
	f.others(out)
}

func (f figures) clients(out chan<- prometheus.Metric) {
	s := f.app.hub.Stats()
	gauge("users", "Users who are online.").show(out, float64(s.Users))
	gauge("connections", "Connections that are logged in.").show(out, float64(s.Connections))
	sockets := gauge("sockets", "Connections, logged in or not, by transport and by the revision of Engine.IO.", "transport", "revision")
	for _, c := range f.app.census() {
		revision := ""
		if c.Revision > 0 {
			revision = fmt.Sprint(c.Revision)
		}
		sockets.show(out, float64(c.Count), c.Transport, revision)
	}
	gauge("queue_bytes", "Bytes that wait for clients to read.").show(out, float64(f.app.budget.Stats().Bytes))
	count("upgrades", "Sessions that moved from polling to a WebSocket.").show(out, float64(f.app.sockets.Engine().Stats().Upgrades))
}

// census counts the connections by kind. It looks at each of them.
func (a *App) census() []api.SocketCount {
	all := []api.SocketCount{}
	for kind, n := range a.sockets.Engine().Census() {
		all = append(all, api.SocketCount{Transport: kind.Transport, Revision: int(kind.Revision), Count: n})
	}
	for transport, n := range a.fallbacks.Census() {
		all = append(all, api.SocketCount{Transport: transport, Count: n})
	}
	slices.SortFunc(all, func(a, b api.SocketCount) int {
		return cmp.Or(strings.Compare(a.Transport, b.Transport), a.Revision-b.Revision)
	})
	return all
}

func (f figures) deliveries(out chan<- prometheus.Metric) {
	s := f.app.hub.Stats()
	count("pushes", "Pushes, those that matched nobody included.").show(out, float64(s.Pushes))
	all := count("deliveries", "Deliveries of a message to a connection, by what became of them.", "result")
	all.show(out, float64(s.Delivered), "delivered")
	all.show(out, float64(s.Slow), "slow")
	all.show(out, float64(s.Gone), "gone")
	all.show(out, float64(s.Failed), "failed")
}

func (f figures) limits(out chan<- prometheus.Metric) {
	l := f.app.limitFigures()
	gauge("connections_limit", "Clients that there may be; 0: no limit.").show(out, float64(l.Connections))
	refused := count("refused", "Clients that were refused, by the limit.", "limit")
	refused.show(out, float64(l.Full), "connections")
	refused.show(out, float64(l.TooMany), "connections_per_ip")
	refused.show(out, float64(l.TooFast), "handshakes_per_ip")
	refused.show(out, float64(l.TurnedAway), "descriptors")
	slow := count("slow_consumers", "Clients disconnected since they read too slowly, by the reason.", "reason")
	lags := f.app.lags()
	slow.show(out, float64(lags.Full), "queue_full")
	slow.show(out, float64(lags.Stalled), "stalled")
	slow.show(out, float64(lags.Evicted), "evicted")
	gauge("queue_limit_bytes", "Bytes that may wait for all clients together; 0: no limit.").show(out, float64(l.QueueTotal))
	count("evicted", "Connections ended since too much waited for all together, and most for them.").show(out, float64(l.Evicted))
	count("put_off", "Times that a client was read later, since it said too much.").show(out, float64(l.PutOff))
}

func (f figures) schedules(out chan<- prometheus.Metric) {
	if book, _ := f.seesTo(); book != nil {
		gauge("schedules", "Timed pushes to come.").show(out, float64(book.Len()))
	}
}

// seesTo returns what this server sees to of the timed pushes and the callbacks: in a cluster it does if it leads.
func (f figures) seesTo() (book *schedule.Book, sender *webhook.Sender) {
	if f.app.cluster == nil {
		return f.app.schedules, f.app.sender
	}
	if r := f.app.cluster.leading.Load(); r != nil {
		return r.book, r.sender
	}
	return nil, nil
}

func (f figures) callbacks(out chan<- prometheus.Metric) {
	_, sender := f.seesTo()
	if sender == nil {
		return
	}
	s := sender.Stats()
	kept := gauge("callbacks", "Callbacks that are kept: to be delivered, or given up.", "state")
	kept.show(out, float64(s.Waiting), "waiting")
	kept.show(out, float64(s.Dead), "dead")
	count("callbacks_delivered", "Callbacks that were delivered.").show(out, float64(s.Done))
	count("callback_failures", "Tries to deliver a callback that failed.").show(out, float64(s.Failed))
}

func (f figures) store(out chan<- prometheus.Metric) {
	if f.app.store == nil {
		return
	}
	s := f.app.store.Stats()
	bytes := gauge("store_bytes", "Size of the file, by what it holds.", "part")
	bytes.show(out, float64(s.FileBytes-s.FreeBytes), "used")
	bytes.show(out, float64(s.FreeBytes), "free")
	count("store_commits", "Transactions, each with one fsync.").show(out, float64(s.Commits))
	count("store_writes", "Changes in them.").show(out, float64(s.Ops))
	count("store_failures", "Transactions that failed.").show(out, float64(s.Failures))
}

func (f figures) inbox(out chan<- prometheus.Metric) {
	if f.app.inbox == nil {
		return
	}
	s, err := f.app.inbox.Stats()
	if err != nil {
		out <- prometheus.NewInvalidMetric(gauge("inbox_messages", "Stored messages that somebody waits for.").desc, err)
		return
	}
	gauge("inbox_messages", "Stored messages that somebody waits for.").show(out, float64(s.Messages))
	gauge("inbox_waiting", "The same, counted for each user.").show(out, float64(s.Waiting))
	gauge("inbox_bytes", "What they take, about.").show(out, float64(s.Bytes))
	ends := count("inbox_outcomes", "What became of stored messages, counted for each user.", "outcome")
	ends.show(out, float64(s.Confirmed), "confirmed")
	ends.show(out, float64(s.Expired), "expired")
	ends.show(out, float64(s.Evicted), "evicted")
}

func (f figures) others(out chan<- prometheus.Metric) {
	c := f.app.cluster
	if c == nil {
		return
	}
	leads := 0.0
	if c.leading.Load() != nil {
		leads = 1
	}
	gauge("leader", "1 while this server sees to timed pushes and callbacks for all.").show(out, leads)
	count("cluster_partial", "Pushes of this server that not all servers were given.").show(out, float64(c.relay.Partial()))
	count("cluster_gaps", "Times that something was missing here that others had pushed.").show(out, float64(c.node.Gaps()))
	if c.sessions != nil {
		count("cluster_lost", "Clients that could be recovered, and had to begin anew because of that.").show(out, float64(c.sessions.Lost()))
	}
}

func (f figures) redis(out chan<- prometheus.Metric) {
	if f.app.emitters == nil {
		return
	}
	r := f.app.redisFigures()
	up := 0.0
	if r.Up {
		up = 1
	}
	gauge("redis_up", "1 while Redis is there.").show(out, up)
	count("redis_lost", "Connections to Redis that ended.").show(out, float64(r.Lost))
	emitted := count("emitter_messages", "What emitters have published, by what became of it.", "result")
	emitted.show(out, float64(r.Pushes), "pushed")
	emitted.show(out, float64(r.Requests), "requested")
	emitted.show(out, float64(r.Repeated), "repeated")
	emitted.show(out, float64(r.Passed), "passed")
	emitted.show(out, float64(r.Dropped), "dropped")
}
