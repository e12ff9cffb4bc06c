package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"crier/api/client"
	"crier/api/webhook"
)

// The rooms of the three pages, and the one of the devices.
const (
	roomChat    = "chat"
	roomQuotes  = "quotes"
	roomBoard   = "board"
	roomDevices = "devices"
)

const (
	devicePrefix = "device-" // of the uids that are devices
	maxHistory   = 50        // messages of the chat that are remembered
	maxDevices   = 200       // that are remembered
	maxSaid      = 500       // characters of a message
	maxBody      = 64 << 10  // bytes of what Crier posts
	pushTimeout  = 4 * time.Second
	ackTime      = 2 * time.Second // that devices have to acknowledge a command
)

// events are those of the pages that the site wants.
func events() []string {
	return []string{roomChat + ".enter", "chat.say", roomQuotes + ".enter", roomBoard + ".enter", "board.command"}
}

// errUnfit means that a page sent what no page of ours sends.
var errUnfit = errors.New("the arguments are not those of this event")

// message is one of the chat.
type message struct {
	From string    `json:"from"`
	Said string    `json:"said"`
	At   time.Time `json:"at"`
}

// state is what is known of a device.
type state struct {
	UID     string    `json:"uid"`
	Online  bool      `json:"online"`
	Since   time.Time `json:"since"`
	Version uint64    `json:"version"` // grows with every change
}

// business is what the site does with what it hears from Crier. It is the handler of callbacks and events.
type business struct {
	port   *client.Client
	secret string
	log    *slog.Logger

	closing atomic.Bool // there is nobody left to be told

	mu      sync.Mutex
	talk    []message
	devices map[string]state
	market  *market
}

func newBusiness(port *client.Client, secret string, log *slog.Logger) *business {
	return &business{port: port, secret: secret, log: log, devices: map[string]state{}, market: newMarket()}
}

// call is a callback or an event, as Crier posts it.
type call struct {
	Type string
	Time time.Time
	Data struct {
		UID     string
		Version uint64
		Event   string
		Args    []json.RawMessage
	}
}

// ServeHTTP takes one call: only what Crier has signed.
func (b *business) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		err = webhook.Verify(b.secret, r.Header, body, 0)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	var c call
	if err := json.Unmarshal(body, &c); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), pushTimeout)
	defer cancel()
	answer, err := b.hear(ctx, c)
	switch {
	case errors.Is(err, errUnfit):
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
	case err != nil:
		b.log.Warn("the demonstration could not push", "type", c.Type, "error", err)
		http.Error(w, err.Error(), http.StatusBadGateway)
	case answer != nil:
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			b.log.Debug("answer not taken", "error", err)
		}
	}
}

// hear does what a call asks for. The answer goes back to the page; nil for none.
func (b *business) hear(ctx context.Context, c call) (any, error) {
	switch c.Type {
	case webhook.UserOnline, webhook.UserOffline:
		return nil, b.seen(ctx, state{c.Data.UID, c.Type == webhook.UserOnline, c.Time, c.Data.Version})
	case webhook.ClientEventType:
	default:
		return nil, fmt.Errorf("%w: %q", errUnfit, c.Type)
	}
	switch c.Data.Event {
	case roomChat + ".enter":
		return b.enterChat(ctx)
	case "chat.say":
		return nil, b.say(ctx, c)
	case roomQuotes + ".enter":
		return b.history(), nil
	case roomBoard + ".enter":
		return b.board(), nil
	case "board.command":
		return b.command(ctx, c.Data.Args)
	}
	return nil, fmt.Errorf("%w: %q", errUnfit, c.Data.Event)
}

// enterChat tells who is there and what has been said.
func (b *business) enterChat(ctx context.Context) (any, error) {
	room, err := b.port.Room(ctx, roomChat, client.Page{})
	if err != nil {
		return nil, err
	}
	members := []string{}
	for _, one := range room.Members {
		if one.UID != "" && !slices.Contains(members, one.UID) {
			members = append(members, one.UID)
		}
	}
	slices.Sort(members)
	b.mu.Lock()
	defer b.mu.Unlock()
	return map[string]any{"history": append([]message{}, b.talk...), "members": members}, nil
}

// say pushes a message to everybody in the room.
func (b *business) say(ctx context.Context, c call) error {
	m := message{From: c.Data.UID, At: c.Time}
	if len(c.Data.Args) != 1 || json.Unmarshal(c.Data.Args[0], &m.Said) != nil || strings.TrimSpace(m.Said) == "" || utf8.RuneCountInString(m.Said) > maxSaid || m.From == "" {
		return errUnfit
	}
	b.mu.Lock()
	b.talk = append(b.talk, m)
	b.talk = b.talk[max(0, len(b.talk)-maxHistory):]
	b.mu.Unlock()
	return b.push(ctx, client.Push{To: client.Audience{Rooms: []string{roomChat}}, Event: "chat.said", Data: m})
}

// seen notes that a user has come or gone, and shows it on the board if it is a device, which also enters their room.
func (b *business) seen(ctx context.Context, s state) error {
	if !strings.HasPrefix(s.UID, devicePrefix) || b.closing.Load() {
		return nil
	}
	b.mu.Lock()
	old, known := b.devices[s.UID]
	fresh := s.Version > old.Version && (known || len(b.devices) < maxDevices)
	if fresh {
		b.devices[s.UID] = s
	}
	b.mu.Unlock()
	if !fresh {
		return nil
	}
	if s.Online {
		if _, err := b.port.AddMember(ctx, roomDevices, s.UID); err != nil {
			return err
		}
	}
	return b.push(ctx, client.Push{To: client.Audience{Rooms: []string{roomBoard}}, Event: "device", Data: s})
}

// board is what the board shows.
func (b *business) board() []state {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := []state{}
	for _, one := range b.devices {
		all = append(all, one)
	}
	return all
}

// command pushes a command to one device or to all, and tells who has acknowledged it with what.
func (b *business) command(ctx context.Context, args []json.RawMessage) (any, error) {
	var asked struct{ To, Command string }
	if len(args) != 1 || json.Unmarshal(args[0], &asked) != nil || asked.Command == "" || asked.To != "" && !strings.HasPrefix(asked.To, devicePrefix) {
		return nil, errUnfit
	}
	to := client.Audience{Rooms: []string{roomDevices}}
	if asked.To != "" {
		to = client.Audience{Users: []string{asked.To}}
	}
	result, err := b.port.Push(ctx, client.Push{To: to, Event: "command", Data: asked.Command, Ack: ackTime})
	if err != nil {
		return nil, err
	}
	type said struct {
		UID  string `json:"uid"`
		Said string `json:"said"`
	}
	answers := []said{}
	for _, one := range result.Acked.Answers {
		a := said{UID: one.UID}
		if len(one.Args) > 0 && json.Unmarshal(one.Args[0], &a.Said) != nil {
			a.Said = string(one.Args[0])
		}
		answers = append(answers, a)
	}
	return map[string]any{"matched": result.Matched.Connections, "answers": answers}, nil
}

// push pushes one message.
func (b *business) push(ctx context.Context, p client.Push) error {
	_, err := b.port.Push(ctx, p)
	return err
}
