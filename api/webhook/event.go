package webhook

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"

	"crier/io/hub"
)

// The events there are.
const (
	UserOnline  = "user.online"  // the first connection of a user came
	UserOffline = "user.offline" // the last one has been gone for a while
)

const timeFormat = "2006-01-02T15:04:05.000Z07:00" // RFC 3339 with milliseconds

// event is what a callback says, in the form of its JSON body. It is also what the job queue keeps.
type event struct {
	ID   string   `json:"id"`   // goes into webhook-id too; random, without a full stop
	Type string   `json:"type"` // UserOnline or UserOffline
	Time string   `json:"time"` // of the change, timeFormat, UTC
	Node string   `json:"node"`
	Data presence `json:"data"`
}

type presence struct {
	UID         string `json:"uid"`
	Version     uint64 `json:"version"`
	Connections int    `json:"connections"`
	Cause       string `json:"cause"`
}

func eventType(c hub.PresenceChange) string {
	if c.Online {
		return UserOnline
	}
	return UserOffline
}

func newEvent(c hub.PresenceChange, node string) event {
	return event{
		ID:   "msg_" + rand.Text(),
		Type: eventType(c),
		Time: c.Time.UTC().Format(timeFormat),
		Node: node,
		Data: presence{UID: c.UID, Version: c.Version, Connections: c.Connections, Cause: c.Cause},
	}
}

// encode returns the event as JSON.
func (e event) encode() ([]byte, error) { return encodeJSON(e) }

// encodeJSON returns v as JSON without escapes for HTML.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encoding a callback: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Composer writes callbacks where their versions are not known yet.
type Composer struct {
	events []string
	node   string
}

// NewComposer returns a Composer of the events, as Options.Events has them, that this server tells of, as Options.Node has it.
func NewComposer(events []string, node string) (*Composer, error) {
	events, err := wanted(events)
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	return &Composer{events, node}, nil
}

// versionMark is where the version goes. A quotation mark is escaped in the rest of the callback.
const versionMark = `,"version":`

// Compose returns what comes before the version of a change and what comes behind it, in the callback as a queue has it; nothing
// if its event is not wanted.
func (c *Composer) Compose(change hub.PresenceChange) (head, tail []byte, err error) {
	if !slices.Contains(c.events, eventType(change)) {
		return nil, nil, nil
	}
	change.Version = 0
	text, err := newEvent(change, c.node).encode()
	if err != nil {
		return nil, nil, err
	}
	at := bytes.LastIndex(text, []byte(versionMark)) + len(versionMark)
	return text[:at:at], text[at+1:], nil
}

func decodeEvent(data []byte) (event, error) {
	var e event
	if err := json.Unmarshal(data, &e); err != nil {
		return event{}, fmt.Errorf("decoding a stored callback: %w", err)
	}
	return e, nil
}

// form returns the event as an urlencoded form: event=online|offline&uid=&version=&time=&id=
func (e event) form() []byte {
	name := "offline"
	if e.Type == UserOnline {
		name = "online"
	}
	return []byte("event=" + name +
		"&uid=" + url.QueryEscape(e.Data.UID) +
		"&version=" + strconv.FormatUint(e.Data.Version, 10) +
		"&time=" + url.QueryEscape(e.Time) +
		"&id=" + url.QueryEscape(e.ID))
}
