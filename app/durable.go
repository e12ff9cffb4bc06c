package app

import (
	"fmt"
	"time"

	"crier/api"
	"crier/api/schedule"
	"crier/api/webhook"
	"crier/io/hub"
	"crier/io/store"
)

// presenceTick is the least time between two records of who came and who went: one write each, however many they are.
const presenceTick = 50 * time.Millisecond

// scheduleGrace is how long after the start timed pushes are made that were missed: clients need a while to come back.
const scheduleGrace = 10 * time.Second

// buildStore opens what survives a crash.
func (a *App) buildStore() error {
	path := a.cfg.Store.Path
	if a.cluster != nil {
		return nil
	}
	if path == "" {
		a.log.Info("nothing is kept beyond the end of this program: store.path is empty, so callbacks that are owed, memberships of rooms and timed pushes are in memory only, and no messages are stored")
		return nil
	}
	var err error
	if a.store, err = store.Open(store.Options{Path: path, Logger: a.log}); err != nil {
		return fmt.Errorf("%w (setting `store.path`; `memory` keeps everything in memory)", err)
	}
	a.log.Info("store opened", "path", a.store.Path(), "bytes", a.store.Stats().FileBytes)
	return nil
}

// buildInbox takes up the messages that are stored for users.
func (a *App) buildInbox() error {
	if a.cluster != nil {
		return a.buildSharedInbox()
	}
	if a.store == nil {
		a.receipts = new(store.MemoryReceipts)
		return nil
	}
	var err error
	a.inbox, err = a.store.Inbox(store.InboxOptions{MaxPerUser: a.cfg.Inbox.MaxPerUser, MaxBytes: a.cfg.Inbox.MaxBytes})
	if err != nil {
		return err
	}
	a.receipts = a.inbox
	st, err := a.inbox.Stats()
	if err != nil {
		return err
	}
	if st.Messages > 0 {
		a.log.Info("stored messages wait for users", "messages", st.Messages, "deliveries", st.Waiting, "bytes", st.Bytes)
	}
	return nil
}

// whyNotKept says why messages cannot be stored, for those who try; "" if they can.
func (a *App) whyNotKept() string {
	switch {
	case a.inbox == nil && a.cluster == nil:
		return "Messages cannot be stored, since this server keeps nothing beyond its end: set store.path, or leave store and ttl out."
	case a.cfg.Auth.Mode == "open" && !a.cfg.Inbox.Open:
		return "Messages are not stored in auth.mode open, where anybody can log in as a user and get what is stored for him: " +
			"set inbox.open if that may be, or auth.mode to jwt or callback, or leave store and ttl out."
	}
	return ""
}

// keeping completes the options of the push port with what has to do with stored messages.
func (a *App) keeping(o *api.Options) {
	o.Receipts, o.TTL, o.ShowIDs = a.receipts, a.cfg.Inbox.TTL, a.cfg.Inbox.MessageID
	if o.WhyNotKept = a.whyNotKept(); o.WhyNotKept == "" {
		o.Keeper, o.Inbox = a.hub, a.inboxFigures
		if o.Mail = a.inbox; a.cluster != nil {
			o.Mail = a.cluster.inbox
		}
	}
}

// inboxFigures are what the push port shows of stored messages.
func (a *App) inboxFigures() (api.InboxFigures, error) {
	if a.cluster != nil {
		st, err := a.cluster.inbox.Stats()
		return api.InboxFigures(st), err
	}
	st, err := a.inbox.Stats()
	return api.InboxFigures(st), err
}

// buildSchedules takes up the timed pushes.
func (a *App) buildSchedules() error {
	if a.cluster != nil { // the server that leads has them
		return nil
	}
	o := schedule.Options{Grace: scheduleGrace, Logger: a.log}
	if a.store != nil {
		kept, err := a.store.Schedules()
		if err != nil {
			return err
		}
		o.Keeper = kept
	}
	var err error
	if a.schedules, err = schedule.New(o); err != nil {
		return err
	}
	if n := a.schedules.Len(); n > 0 {
		a.log.Info("timed pushes taken up", "schedules", n)
	}
	return nil
}

// buildWebhook makes the sender of callbacks, if there is somebody to call.
func (a *App) buildWebhook() error {
	if !a.callsBack() {
		return nil
	}
	if len(a.cfg.Webhook.Secrets) == 0 {
		a.log.Warn("callbacks are not signed: whoever reaches your server can say that a user came or went; set webhook.secrets")
	}
	if a.cluster != nil { // the server that leads has it
		return nil
	}
	o := a.webhookOptions()
	var err error
	if a.store != nil {
		if o.Outbox, err = a.store.Jobs("webhook"); err != nil {
			return err
		}
	}
	a.sender, err = webhook.New(o)
	return err
}

// callsBack tells whether there is somebody to call.
func (a *App) callsBack() bool { return a.cfg.Webhook.URL != "" }

// webhookOptions are those of a sender of callbacks, without what keeps them.
func (a *App) webhookOptions() webhook.Options {
	c := a.cfg.Webhook
	return webhook.Options{
		URL:       c.URL,
		Secrets:   c.Secrets,
		Format:    c.Format,
		Events:    c.Events,
		Timeout:   c.Timeout,
		Retention: c.Retention,
		Batch:     c.Batch,
		Node:      a.node,
		Logger:    a.log,
	}
}

// hubOptions says, among others, whom the hub tells who came and who went, and who was online when the program ended.
func (a *App) hubOptions() (hub.Options, error) {
	o := hub.Options{
		LoginFirst:   a.cfg.Auth.Mode != "open",
		OfflineDelay: a.cfg.Presence.OfflineDelay,
		Recovery:     a.hubRecovery(),
		Logger:       a.log,
	}
	if a.cfg.Presence.RoomEvents {
		if o.RoomPresence = a.tellRoom; a.cluster != nil {
			o.RoomPresence = a.cluster.rooms.Tell
		}
	}
	if a.store != nil {
		o.Memberships = a.store
	}
	if a.whyNotKept() == "" {
		if o.Inbox = a.inbox; a.cluster != nil {
			o.Inbox = a.cluster.inbox
		}
		o.QueueMessages, o.QueueBytes = a.cfg.Limits.QueueMessages, int(a.cfg.Limits.QueueBytes)
	}
	if a.cluster != nil {
		a.attending(&o)
	}
	if a.sender == nil {
		return o, nil
	}
	o.Presence, o.PresenceTick = a.sender.Presence, presenceTick
	if a.store == nil {
		return o, nil
	}
	version, err := a.store.LastVersion()
	if err != nil {
		return o, err
	}
	o.Restart = &hub.Restart{Grace: a.cfg.Presence.RestartGrace, Version: version}
	err = a.store.EachOnline(func(u store.Online) error {
		o.Restart.Online = append(o.Restart.Online, u.UID)
		return nil
	})
	if err != nil {
		return o, fmt.Errorf("reading who was online: %w", err)
	}
	if n := len(o.Restart.Online); n > 0 {
		a.log.Info("users were online when the program ended; who is not back in time is reported offline", "users", n, "grace", o.Restart.Grace)
	}
	return o, nil
}

// callbacks are what the push port shows of the sender; nil without one.
func (a *App) callbacks() api.Callbacks {
	if a.sender == nil {
		return nil
	}
	return a.sender
}

// storeFigures are what the push port shows of the store.
func (a *App) storeFigures() api.StoreFigures {
	s := a.store.Stats()
	return api.StoreFigures{
		Bytes: s.FileBytes, Free: s.FreeBytes, Commits: s.Commits, Writes: s.Ops, Failures: s.Failures,
		Compactions: s.Compactions, Error: s.LastError,
	}
}
