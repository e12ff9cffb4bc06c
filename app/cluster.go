package app

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"crier/api"
	"crier/api/schedule"
	"crier/api/webhook"
	"crier/io/cluster"
	"crier/io/hub"
)

const (
	// attendTick is the least time between two reports of who came and who went to the directory of a cluster.
	attendTick = time.Millisecond
	// readyTimeout is how long a start waits for Redis; without it the server starts alone.
	readyTimeout = 2 * time.Second
	// handover is how long it takes at most until another server leads, and makes timed pushes that were due meanwhile.
	handover = 30 * time.Second
)

// clustered is what makes this server one of several.
type clustered struct {
	redis       *cluster.Redis
	node        *cluster.Node
	attendance  *cluster.Attendance
	memberships *cluster.Memberships
	leader      *cluster.Leader
	inbox       *cluster.Inbox
	ids         *cluster.IDs
	relay       *cluster.Relay
	sessions    *cluster.Sessions     // nil if nobody can recover
	rooms       *cluster.RoomPresence // nil without presence.room_events
	emitted     *cluster.Emitted

	leading atomic.Pointer[reign] // nil while another server leads
}

// buildCluster makes what the hub needs of a cluster, if there is a Redis.
func (a *App) buildCluster() error {
	c := a.cfg.Cluster
	if c.Redis == "" {
		return nil
	}
	redis, err := newRedis(c)
	if err != nil {
		return err
	}
	if c.Node != "" {
		a.node = c.Node
	} else {
		a.node += "-" + strings.ToLower(rand.Text()[:6])
	}
	r := a.cfg.Recovery
	node, err := cluster.NewNode(cluster.NodeOptions{
		Redis: redis, Prefix: c.Prefix, Name: a.node, Grace: a.cfg.Presence.RestartGrace,
		Keep:        r.Window + a.cfg.SocketIO.PingInterval + a.cfg.SocketIO.PingTimeout + cluster.RefreshInterval,
		MaxMessages: r.MaxMessages, Logger: a.log,
	})
	if err != nil {
		return err
	}
	o := cluster.AttendanceOptions{
		Node: node, Window: r.Window, Grace: a.cfg.Presence.RestartGrace, Retention: a.cfg.Webhook.Retention, Logger: a.log,
	}
	if a.callsBack() {
		composer, err := webhook.NewComposer(a.cfg.Webhook.Events, a.node)
		if err != nil {
			return err
		}
		o.Callback = composer.Compose
	}
	attendance, err := cluster.NewAttendance(o)
	if err != nil {
		return err
	}
	made := &clustered{redis: redis, node: node, attendance: attendance}
	if own := a.hubRecovery(); own != nil {
		if made.sessions, err = cluster.NewSessions(cluster.SessionOptions{Node: node, Recovery: *own, Logger: a.log}); err != nil {
			return err
		}
	}
	if a.cfg.Presence.RoomEvents {
		if made.rooms, err = cluster.NewRoomPresence(cluster.RoomPresenceOptions{Node: node, Push: roomPush, Logger: a.log}); err != nil {
			return err
		}
	}
	a.cluster = made
	a.log.Info("this server is one of those that share a Redis, which keeps what must not be lost: store.path is not opened", "node", a.node)
	return nil
}

// joinCluster makes what needs the hub.
func (a *App) joinCluster() error {
	c := a.cluster
	if c == nil {
		return nil
	}
	if c.sessions != nil {
		c.sessions.Start(a.hub)
	}
	if c.rooms != nil {
		c.rooms.Start(a.hub)
	}
	c.node.OnReached(a.hub.Reached)
	first := true
	c.node.OnJoin(func(uint64) {
		if first {
			first = false
			c.node.Advise(context.Background())
			return
		}
		a.hub.Relist()
	})
	c.memberships = cluster.NewMemberships(c.node, a.hub, a.log)
	var err error
	c.relay, err = cluster.NewRelay(cluster.RelayOptions{
		Node: c.node, Hub: a.hub, Logger: a.log,
		Disconnect: func(ctx context.Context, whom hub.Audience) (int, error) { return a.directory().Disconnect(ctx, whom) },
	})
	if err != nil {
		return err
	}
	c.ids = cluster.NewIDs(c.node, a.log)
	if a.whyNotKept() == "" {
		c.inbox.Serve(a.hub, c.relay)
		c.node.OnGap(func(cluster.Gap) { a.hub.Relist() })
	}
	c.leader, err = cluster.NewLeader(cluster.LeaderOptions{Node: c.node, Begin: a.lead, Logger: a.log})
	return err
}

// buildSharedInbox makes what keeps messages for users, and receipts, in Redis.
func (a *App) buildSharedInbox() error {
	var err error
	a.cluster.inbox, err = cluster.NewInbox(cluster.InboxOptions{
		Node: a.cluster.node, MaxPerUser: a.cfg.Inbox.MaxPerUser, MaxBytes: int64(a.cfg.Inbox.MaxBytes), Logger: a.log,
		Sweeps: func() bool { return a.cluster.leading.Load() != nil },
	})
	a.receipts = a.cluster.inbox
	return err
}

// startCluster joins the others, before anybody can connect. It does not wait for long.
func (a *App) startCluster() {
	c := a.cluster
	if c == nil {
		return
	}
	c.relay.Start()
	c.node.Start()
	c.attendance.Start()
	c.memberships.Start()
	c.leader.Start()
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	if err := c.node.Ready(ctx); err != nil {
		a.log.Warn("this server starts alone, since Redis is away; it joins the others as soon as it can", "error", err)
	}
}

// leaveLead has another server lead.
func (a *App) leaveLead(ctx context.Context) error {
	if a.cluster == nil || a.cluster.leader == nil {
		return nil
	}
	return a.cluster.leader.Close(ctx)
}

// figures are what the push port shows.
func (c *clustered) figures(ctx context.Context) api.ClusterFigures {
	f := api.ClusterFigures{Node: c.node.Name(), Partial: c.relay.Partial(), Gaps: c.node.Gaps()}
	if c.sessions != nil {
		f.Lost = c.sessions.Lost()
	}
	var err error
	if f.Nodes, err = c.node.Others(ctx); err != nil {
		f.Nodes = nil
	}
	f.Nodes = append(f.Nodes, f.Node)
	slices.Sort(f.Nodes)
	return f
}

// stopRelay ends the pushes to other servers, now that nobody can make any.
func (a *App) stopRelay(ctx context.Context) error {
	if a.cluster == nil || a.cluster.relay == nil {
		return nil
	}
	return a.cluster.relay.Close(ctx)
}

// hasten has the hub end without what it would tell the directory, if Redis is away.
func (c *clustered) hasten() {
	if c != nil && !c.node.Client().Up() {
		c.attendance.Close()
	}
}

// leaveCluster gives back what this server has there, now that the hub is closed.
func (a *App) leaveCluster(ctx context.Context) error {
	c := a.cluster
	if c == nil {
		return nil
	}
	if c.emitted != nil {
		c.emitted.Close()
	}
	c.attendance.Close()
	if c.memberships != nil {
		c.memberships.Close()
	}
	if c.rooms != nil {
		c.rooms.Close()
	}
	if c.ids != nil {
		c.ids.Close()
	}
	var errs []error
	if c.inbox != nil {
		errs = append(errs, c.inbox.Close())
	}
	if c.sessions != nil {
		errs = append(errs, c.sessions.Close(ctx))
	}
	return errors.Join(append(errs, c.node.Close(ctx))...)
}

// reign is what the server has that leads, for the time that it does.
type reign struct {
	sender *webhook.Sender // nil without webhook.url
	book   *schedule.Book
	follow sync.WaitGroup
	cancel context.CancelFunc
}

// lead takes up the callbacks and the timed pushes of all servers.
func (a *App) lead(t *cluster.Term) (end func(context.Context), err error) {
	r := &reign{}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	defer func() {
		if err != nil {
			stop, cancelStop := context.WithTimeout(context.Background(), sessionTimeout)
			defer cancelStop()
			err = errors.Join(err, r.close(stop))
		}
	}()
	queue := cluster.NewQueue(t)
	if a.callsBack() {
		o := a.webhookOptions()
		o.Queue = queue
		if r.sender, err = webhook.New(o); err != nil {
			return nil, err
		}
		r.follow.Go(func() {
			queue.Follow(ctx, r.sender.TakeUp, func(err error) {
				a.log.Error("new callbacks cannot be read; it is tried again", "error", err)
			})
		})
	}
	r.book, err = schedule.New(schedule.Options{
		Keeper: cluster.NewSchedules(t), Grace: scheduleGrace, Handover: handover, Logger: a.log,
	})
	if err != nil {
		return nil, err
	}
	r.book.Start(a.pushInTerm(t))
	a.cluster.leading.Store(r)
	return func(ctx context.Context) {
		a.cluster.leading.Store(nil)
		if err := r.close(ctx); err != nil {
			a.log.Warn("what this server has done for all has not ended in time", "error", err)
		}
	}, nil
}

// pushInTerm makes the pushes of schedules as long as this server leads for certain: one that has stood still may be behind the
// times.
func (a *App) pushInTerm(t *cluster.Term) schedule.Push {
	return func(ctx context.Context, id string, push json.RawMessage) func() (bool, error) {
		if !t.Lasts() {
			return func() (bool, error) { return true, cluster.ErrDeposed }
		}
		return a.api.PushScheduled(ctx, id, push)
	}
}

// close ends everything of a reign.
func (r *reign) close(ctx context.Context) error {
	var errs []error
	if r.book != nil {
		errs = append(errs, r.book.Close(ctx))
	}
	r.cancel()
	r.follow.Wait()
	if r.sender != nil {
		errs = append(errs, r.sender.Close(ctx))
	}
	return errors.Join(errs...)
}

// completeAPI completes the options of the push port with what a cluster has.
func (a *App) completeAPI(o *api.Options) {
	c := a.cluster
	if c == nil {
		return
	}
	o.Online, o.Roster = c.attendance.Online, c.memberships
	relay := measuredRelay{c.relay, a.metrics.pushes}
	o.Pusher, o.Sender, o.Asker, o.Directory, o.Cluster = relay, relay, c.relay, c.relay, c.figures
	o.IDs = c.ids
	o.Lead = func() (api.Lead, bool) {
		r := c.leading.Load()
		if r == nil {
			return api.Lead{}, false
		}
		lead := api.Lead{Schedules: r.book}
		if r.sender != nil {
			lead.Callbacks = r.sender
		}
		return lead, true
	}
}

// online returns how many users have connections, and how many those are, on all servers.
func (a *App) online() (users, connections int) {
	if a.cluster != nil {
		return a.cluster.attendance.Online()
	}
	s := a.hub.Stats()
	return s.Users, s.Connections
}

// attending completes the options of the hub.
func (a *App) attending(o *hub.Options) {
	o.Attendance, o.PresenceTick = a.cluster.attendance, attendTick
}
