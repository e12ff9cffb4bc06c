package client

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
)

// Push is one message and whom it is for. A server that is not set up for a field refuses it ("unsupported").
type Push struct {
	// ID makes a retry harmless: for five minutes the same id gives the first result again and pushes nothing.
	ID string `json:"id,omitempty"`
	// To is whom it is for. Required.
	To Audience `json:"to"`
	// Event is the event's name. Empty: new_msg.
	Event string `json:"event,omitempty"`
	// Data is the event's argument, anything that [json.Marshal] takes; [Bytes] in it arrive as binary. Nil: none; for null
	// give json.RawMessage("null").
	Data any `json:"data,omitempty"`
	// Args are several arguments, instead of Data.
	Args []any `json:"args,omitempty"`
	// Volatile drops the message for connections that cannot take it at once.
	Volatile bool `json:"volatile,omitempty"`
	// DryRun only counts whom the push would match.
	DryRun bool `json:"dry_run,omitempty"`
	// Ack waits so long for the clients' acknowledgements. Zero: for none.
	Ack time.Duration `json:"-"`
	// TTL is how long the message is stored for users until it has arrived. Zero: it is not, unless Store says so.
	TTL time.Duration `json:"-"`
	// Store stores it for as long as the server does without a TTL. Nil: if there is a TTL.
	Store *bool `json:"store,omitempty"`
	// Receipt makes the server remember what became of the message, as TTL, Store and Ack do; see [Client.Receipt].
	Receipt bool `json:"receipt,omitempty"`
}

// MarshalJSON writes what the server reads.
func (p Push) MarshalJSON() ([]byte, error) {
	type plain Push
	full := struct {
		plain
		Ack string `json:"ack,omitempty"`
		TTL string `json:"ttl,omitempty"`
	}{plain: plain(p)}
	if p.Ack != 0 {
		full.Ack = p.Ack.String()
	}
	if p.TTL != 0 {
		full.TTL = p.TTL.String()
	}
	return encode(full)
}

// Audience is the union of what it names, minus Except. Each connection gets a message once.
type Audience struct {
	// Users, Rooms and Connections are names. An empty list that is not nil names nobody, where nil says nothing.
	Users       []string `json:"users,omitzero"`
	Rooms       []string `json:"rooms,omitzero"`
	Connections []string `json:"connections,omitzero"`
	// All is every connection, logged in or not.
	All bool `json:"all,omitempty"`
	// Except is who does not get it.
	Except *Audience `json:"except,omitempty"`
}

// Bytes arrive as an ArrayBuffer in a browser, and as a Buffer in Node.
type Bytes []byte

// MarshalJSON writes what the server makes an attachment of.
func (b Bytes) MarshalJSON() ([]byte, error) {
	return []byte(`{"$binary":"` + base64.StdEncoding.EncodeToString(b) + `"}`), nil
}

// Result is what became of a push.
type Result struct {
	// ID is the message's: the caller's, or a new one. A dry run without an id has none.
	ID string `json:"id,omitempty"`
	// Matched counts users and connections of the audience. Nobody is no error.
	Matched Matched `json:"matched"`
	// Stored says that the message is on the disk, for at least one user.
	Stored bool `json:"stored"`
	// Acked is what clients have acknowledged the message with in time; nil without Push.Ack.
	Acked *Acked `json:"acked,omitempty"`
	// Duplicate says that this is the result of an earlier push of the same id, and nothing was pushed now.
	Duplicate bool `json:"duplicate"`
	// Partial says that not all of several servers were reached or have answered: Matched and Acked are those of the others.
	Partial bool `json:"partial,omitempty"`
}

// Acked counts, of those matched, the connections that have acknowledged a push, and their users.
type Acked struct {
	Users       int         `json:"users"`
	Connections int         `json:"connections"`
	Answers     []AckAnswer `json:"answers"`
	// Truncated says that there were more or longer Answers than the server keeps.
	Truncated bool `json:"truncated,omitempty"`
}

// AckAnswer is what one connection acknowledged with.
type AckAnswer struct {
	Connection string            `json:"connection"`
	UID        string            `json:"uid,omitempty"`
	Args       []json.RawMessage `json:"args"` // bytes are {"$binary":"<base64>"}
}

// Matched counts what an audience matched.
type Matched struct {
	Users       int `json:"users"`
	Connections int `json:"connections"`
}

// Push pushes one message. An error that is a [*Problem] means that nobody got it; with any other it may have been
// delivered or not.
func (c *Client) Push(ctx context.Context, p Push) (Result, error) {
	var r Result
	err := c.do(ctx, call{method: "POST", path: []string{"v1", "push"}, body: p, repeat: p.ID != ""}, &r)
	return r, err
}

// Answer is what became of one push of several: a result, or a problem.
type Answer struct {
	Result  Result
	Problem *Problem // nil: the push was made
}

// UnmarshalJSON implements [json.Unmarshaler].
func (a *Answer) UnmarshalJSON(data []byte) error {
	var p Problem
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	if p.Code != "" {
		*a = Answer{Problem: &p}
		return nil
	}
	*a = Answer{}
	return json.Unmarshal(data, &a.Result)
}

// Batch makes up to 10,000 pushes in one call and returns an answer for each, in order. One that is refused does not keep
// the others. The call is repeated only if every push has an id.
func (c *Client) Batch(ctx context.Context, pushes []Push) ([]Answer, error) {
	repeat := true
	for _, p := range pushes {
		repeat = repeat && p.ID != ""
	}
	if pushes == nil {
		pushes = []Push{}
	}
	var answers []Answer
	if err := c.do(ctx, call{method: "POST", path: []string{"v1", "push", "batch"}, body: pushes, repeat: repeat}, &answers); err != nil {
		return nil, err
	}
	if len(answers) != len(pushes) {
		return nil, fmt.Errorf("the answer has %d entries for %d pushes", len(answers), len(pushes))
	}
	return answers, nil
}
