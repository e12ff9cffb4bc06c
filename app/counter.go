package app

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"crier/io/hub"
)

// counter tells browsers how many users are online, with update_online_count:
// each one when it logs in, and all of them when the figures have changed, but
// not more often than once an interval, and for no more than a thirtieth of the time:
// to tell 10,000 clients each second, while others come and go beside them, was 6 %
// of what a processor did, and would keep a busy one from letting 18,000 in.
type counter struct {
	// static
	hub    *hub.Hub
	online func() (users, connections int)
	form   string // "legacy", "json" or "off"
	log    *slog.Logger

	drafts sync.Pool // *countDraft

	stop chan struct{}
	done sync.WaitGroup
}

// countShare is which part of the time goes into telling everybody, at most.
const countShare = 30

// countEvent is the name of the event.
const countEvent = "update_online_count"

// countDraft is memory for what one client is told.
type countDraft struct {
	text []byte
	args [1]json.RawMessage
}

// onlineCount is what the event says.
type onlineCount struct{ Users, Connections int }

func newCounter(h *hub.Hub, online func() (users, connections int), form string, interval time.Duration, log *slog.Logger) *counter {
	c := &counter{hub: h, online: online, form: form, log: log, stop: make(chan struct{})}
	c.drafts.New = func() any { return &countDraft{text: make([]byte, 0, 96)} }
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
		_, err := c.hub.Push(context.Background(), hub.Push{To: hub.Audience{All: true}, Message: c.message(now)})
		if err != nil && !errors.Is(err, hub.ErrClosed) {
			c.log.Warn("the online count was not sent", "error", err)
			continue
		}
		told = now
		next = began.Add(countShare * time.Since(began)) // Push has waited until everybody was told
	}
}

// show sends the current figures to one client.
func (c *counter) show(v visitor) {
	if c.form == "off" {
		return
	}
	d := c.drafts.Get().(*countDraft)
	defer c.drafts.Put(d)
	d.text = c.appendTo(d.text[:0], c.now())
	d.args[0] = d.text
	if err := v.Tell(countEvent, d.args[:]); err != nil {
		c.log.Debug("the online count was not sent to a client", "error", err)
	}
}

func (c *counter) now() onlineCount {
	users, connections := c.online()
	return onlineCount{Users: users, Connections: connections}
}

// message is the event for everybody.
func (c *counter) message(n onlineCount) *hub.Message {
	return &hub.Message{Event: countEvent, Args: []json.RawMessage{c.appendTo(nil, n)}, Transient: true}
}

// appendTo appends the event's argument, by hand, since every login gets one. The legacy form is web-msg-sender's, markup
// included, which pages put into their footer as it is.
func (c *counter) appendTo(arg []byte, n onlineCount) []byte {
	if c.form == "json" {
		arg = strconv.AppendInt(append(arg, `{"users":`...), int64(n.Users), 10)
		arg = strconv.AppendInt(append(arg, `,"connections":`...), int64(n.Connections), 10)
		return append(arg, '}')
	}
	arg = strconv.AppendInt(append(arg, `"当前<b>`...), int64(n.Users), 10)
	arg = strconv.AppendInt(append(arg, `</b>人在线，共打开<b>`...), int64(n.Connections), 10)
	return append(arg, `</b>个页面"`...)
}
