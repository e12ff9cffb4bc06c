package app

import (
	"encoding/json"
	"errors"
	"log/slog"

	"crier/api/webhook"
	"crier/io/hub"
)

var errTooLarge = errors.New("the event is too large to be handed on: name an attachment once")

// forwarding hands events of clients to the business API.
type forwarding struct {
	forwarder  *webhook.Forwarder
	loginFirst bool
	maxArgs    int64 // bytes of one event's arguments, as JSON
	log        *slog.Logger
}

func (a *App) buildForwarder() error {
	c := a.cfg.Forward
	if len(c.Events) == 0 {
		return nil
	}
	url := c.URL
	if url == "" {
		url = a.cfg.Webhook.URL
	}
	var err error
	a.forwarder, err = webhook.NewForwarder(webhook.ForwardOptions{
		URL:       url,
		Secrets:   a.cfg.Webhook.Secrets,
		Timeout:   c.Timeout,
		MaxAnswer: a.cfg.SocketIO.MaxPayload,
		Node:      a.node,
		Logger:    a.log,
	})
	return err
}

// events are those of that name, all handed on.
func (f forwarding) events(names []string) map[string]listener {
	events := make(map[string]listener, len(names))
	for _, name := range names {
		events[name] = f.hand
	}
	return events
}

// hand handles one event.
func (f forwarding) hand(e said) {
	if err := f.forward(e); err != nil {
		acknowledge(e, failure(err), f.log)
	}
}

func (f forwarding) forward(e said) error {
	uid := e.from().Member().UID()
	if uid == "" && f.loginFirst {
		return hub.ErrLoginFirst
	}
	event := webhook.ClientEvent{UID: uid, Connection: e.from().ID(), Event: e.name(), Args: make([]json.RawMessage, e.Len())}
	var size int64
	for i := range event.Args {
		var err error
		if event.Args[i], err = e.Plain(i); err != nil {
			return errTooLarge
		}
		if size += int64(len(event.Args[i])); size > f.maxArgs {
			return errTooLarge
		}
	}
	return f.forwarder.Forward(event, func(answer json.RawMessage, err error) {
		switch {
		case err != nil:
			answer = failure(err)
		case answer == nil:
			answer = reply{OK: true}.json()
		}
		acknowledge(e, answer, f.log)
	})
}

// failure is what a client is told: which kind of failure it is, and nothing else about the business API.
func failure(err error) json.RawMessage {
	for _, kind := range []struct {
		err  error
		code string
	}{
		{hub.ErrLoginFirst, "login_required"},
		{errTooLarge, "too_large"},
		{webhook.ErrBusy, "busy"},
		{webhook.ErrStopping, "stopping"},
		{webhook.ErrNoAnswer, "timeout"},
		{webhook.ErrRefused, "refused"},
		{webhook.ErrBadAnswer, "bad_answer"},
	} {
		if errors.Is(err, kind.err) {
			return reply{Error: kind.err.Error(), Code: kind.code}.json()
		}
	}
	return reply{Error: webhook.ErrUnavailable.Error(), Code: "unavailable"}.json()
}
