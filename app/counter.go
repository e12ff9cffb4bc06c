package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"crier/io/hub"
	"crier/io/socketio"
)

// counter tells browsers how many users are online, with update_online_count:
// each one when it logs in, and all of them when the figures have changed, but
// not more often than once an interval, and for no more than a tenth of the time:
// while 18,000 clients come, to tell all of them each second would keep a busy
// processor from letting them in.
type counter struct {
	// static
	hub    *hub.Hub
	online func() (users, connections int)
	form   string // "legacy", "json" or "off"
	log    *slog.Logger

	stop chan struct{}
	done sync.WaitGroup
}

// onlineCount is the JSON form of the event.
type onlineCount struct {
	Users       int `json:"users"`
	Connections int `json:"connections"`
}

func newCounter(h *hub.Hub, online func() (users, connections int), form string, interval time.Duration, log *slog.Logger) *counter {
	c := &counter{hub: h, online: online, form: form, log: log, stop: make(chan struct{})}
	if form != "off" {
		c.done.Go(func() { c.run(interval) })
	}
	return c
}

func (c *counter) close() {
	close(c.stop)
	c.done.Wait()
}

func (c *counter) run(interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var told onlineCount
	var next time.Time
	for {
		select {
		case <-c.stop:
			return
		case <-ticker.C:
		}
		now := c.now()
		began := time.Now()
		if now == told || began.Before(next) {
			continue
		}
		m, err := socketio.NewMessage("update_online_count", c.arg(now))
		if err == nil {
			m.Transient = true
			_, err = c.hub.Push(context.Background(), hub.Push{To: hub.Audience{All: true}, Message: m})
		}
		if err != nil && !errors.Is(err, hub.ErrClosed) {
			c.log.Warn("the online count was not sent", "error", err)
			continue
		}
		told = now
		next = began.Add(10 * time.Since(began)) // Push has waited until everybody was told
	}
}

// show sends the current figures to one client.
func (c *counter) show(v visitor) {
	if c.form == "off" {
		return
	}
	m, err := socketio.NewMessage("update_online_count", c.arg(c.now()))
	if err == nil {
		err = v.Tell(m)
	}
	if err != nil {
		c.log.Debug("the online count was not sent to a client", "error", err)
	}
}

func (c *counter) now() onlineCount {
	users, connections := c.online()
	return onlineCount{Users: users, Connections: connections}
}

// arg is the event's argument. The legacy form is web-msg-sender's, markup
// included, which pages put into their footer as it is.
func (c *counter) arg(n onlineCount) socketio.Arg {
	if c.form == "json" {
		return socketio.JSON(n)
	}
	return socketio.JSON(fmt.Sprintf("当前<b>%d</b>人在线，共打开<b>%d</b>个页面", n.Users, n.Connections))
}
