package cluster

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"

	"crier/io/hub"
)

const (
	// maxAddressees is how many users one message can be kept for: Redis does nothing else meanwhile.
	maxAddressees = 100_000
	// inboxPatience is how long a message waits for Redis before its caller is told that it is away.
	inboxPatience = 2 * time.Second
	// sweepEvery is how often it is looked what has expired, and sweepSize how many are removed by one script.
	sweepEvery = 2 * time.Second
	sweepSize  = 500
)

// Arriver has the connections of this node. *hub.Hub is one.
type Arriver interface {
	Arrive(a hub.Arrival) (hub.Result, error)
	Occupants(to *hub.Audience) (hub.Occupants, error)
}

// InboxOptions are the settings of an [Inbox].
type InboxOptions struct {
	// Node leads to Redis, and to the streams. Required, not started.
	Node *Node
	// Sweeps tells whether this node is the one that removes what has expired. Nil: it is.
	Sweeps func() bool
	// MaxPerUser is how many messages can wait for one user; the oldest makes room for a newer one. 0 means 1000.
	MaxPerUser int
	// MaxBytes is what all messages may take, with what belongs to them; the oldest make room. 0 means 1 GiB.
	MaxBytes int64
	// KeepReceipts is how long a receipt is kept once nobody waits for its message; 0 means 24 h.
	KeepReceipts time.Duration
	// MaxReceipts is how many such receipts are, each counted once and for each user of its message; the oldest are
	// forgotten. 0 means 1,000,000.
	MaxReceipts int
	// Logger gets what nobody can be told otherwise. Nil: nothing is logged.
	Logger *slog.Logger
}

func (o *InboxOptions) complete() error {
	if o.Node == nil {
		return errors.New("Node is missing in InboxOptions")
	}
	if o.MaxPerUser < 0 || o.MaxBytes < 0 || o.KeepReceipts < 0 || o.MaxReceipts < 0 {
		return errors.New("a bound is negative")
	}
	if o.MaxPerUser == 0 {
		o.MaxPerUser = 1000
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 1 << 30
	}
	if o.KeepReceipts == 0 {
		o.KeepReceipts = 24 * time.Hour
	}
	if o.MaxReceipts == 0 {
		o.MaxReceipts = 1_000_000
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Inbox keeps messages for users in Redis, with the receipts of these and other messages, for all nodes: it is a hub.Inbox
// whose messages reach connections by way of the streams only. What becomes of a message is decided by scripts, each of which
// is done as a whole or not at all. Two goroutines work: one keeps messages, in the order of the calls, and one says what has
// been confirmed and noted, and removes what has expired.
//
// A message is known by its mid: the ID behind a colon and, if it has a scope, a digest of that. These are the keys, behind the prefix:
//
//	pos         the last position; the place of a message is its position
//	m:<mid>     hash, the record of a message, and its receipt later: no, who put it; pl, place; at, when, and ex, until when, in
//	            ms since 1970; us, users, and cn, connections, that matched; st, for how many users it was kept, of whom wa wait,
//	            co have confirmed it, xp are those for whom it expired, and ev for whom it was evicted; sz, what it counts in bytes;
//	            d:<node>, how many connections took it there; au and ac, the users and connections that acknowledged it;
//	            re, when it is forgotten; :<uid>, the fate of the message for a user: the number of a hub.Fate
//	ms:<id>     the mid that a caller with a scope has last given that ID
//	b:<mid>     the letter, until it expires or nobody waits for it
//	i:<uid>     zset, mids by place: what waits for a user
//	l           zset, mids by place, and
//	x           zset, mids by when they expire: what anybody waits for
//	ret         list, the records that are to be forgotten, by when: ms since 1970, what it counts, mid, with colons between
//	tot         hash, figures: le, letters; wa, by how many they are waited for, added up; by, bytes; re, the number of receipts
//	            in ret; co, xp, ev as above, ever
type Inbox struct {
	// static
	InboxOptions
	hub   Arriver         // set by Serve
	relay *Relay          // likewise
	run   context.Context // ends with Close
	stop  context.CancelFunc
	puts  chan *put
	kick  chan struct{}     // holds a token when something has gathered
	asks  chan chan<- error // who wants Redis to be told of it, now
	work  sync.WaitGroup

	putting sync.RWMutex // held for reading while a put is handed over
	ended   bool         // guarded by putting

	mu      sync.Mutex
	waiting gathering // guarded by mu: what Redis is to be told
	flying  gathering // guarded by mu: what it is being told
}

var _ hub.SharedInbox = (*Inbox)(nil)

//go:embed inbox*.lua
var inboxLua embed.FS

// inboxScript returns one of the scripts.
func inboxScript(name string) *Script {
	common, err := inboxLua.ReadFile("inbox.lua")
	if err == nil {
		var own []byte
		if own, err = inboxLua.ReadFile("inbox_" + name + ".lua"); err == nil {
			return nodeScript("inbox_"+name, string(common)+string(own))
		}
	}
	panic(fmt.Sprintf("cluster: a script is not part of the program: %v", err))
}

var (
	putScript     = inboxScript("put")
	nextScript    = inboxScript("next")
	confirmScript = inboxScript("confirm")
	noteScript    = inboxScript("note")
	lookScript    = inboxScript("look")
	sweepScript   = inboxScript("sweep")
)

// NewInbox returns an Inbox. The caller must call Serve before the Node is started, and Close in the end, before the Node is closed.
func NewInbox(o InboxOptions) (*Inbox, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("cluster: opening the inbox: %w", err)
	}
	q := &Inbox{InboxOptions: o, puts: make(chan *put, maxPuts), kick: make(chan struct{}, 1), asks: make(chan chan<- error)}
	q.run, q.stop = context.WithCancel(context.Background())
	q.work.Go(q.putForever)
	q.work.Go(q.tellForever)
	return q, nil
}

// Serve says whom the messages are given to on this node, and who asks the other nodes.
func (q *Inbox) Serve(h Arriver, r *Relay) {
	q.hub, q.relay = h, r
	q.Node.OnEntry(KindStored, q.carry)
	r.answerTo(topicOccupants, q.answerOccupants)
}

// Close tells Redis what has gathered, if it can be reached, and ends what the Inbox does by itself. It may be called again.
func (q *Inbox) Close() error {
	q.putting.Lock()
	first := !q.ended
	q.ended = true
	q.putting.Unlock()
	if first {
		close(q.puts)
	}
	q.stop()
	q.work.Wait()
	return nil
}

// do runs one of the scripts.
func (q *Inbox) do(ctx context.Context, s *Script, args ...any) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, inboxPatience)
	defer cancel()
	return q.Node.Run(ctx, s, append([]any{q.KeepReceipts.Milliseconds()}, args...)...)
}

// Last implements hub.Inbox: the hub hears of places only when it reads the streams.
func (q *Inbox) Last() uint64 { return 0 }

// Next implements hub.Inbox. What has been confirmed on this node is not there any more, though Redis may not know it yet.
func (q *Inbox) Next(uid string, after uint64, messages, bytes int) ([]hub.Letter, error) {
	letters, err := q.next(uid, after, messages, bytes)
	if err != nil {
		return nil, fmt.Errorf("reading stored messages: %w", err)
	}
	return letters, nil
}

func (q *Inbox) next(uid string, after uint64, messages, bytes int) ([]hub.Letter, error) {
	for {
		arrived := q.arrived(uid) // before Redis is asked, which may be told meanwhile
		list, err := redis.ByteSlices(q.do(q.run, nextScript, uid, after, messages, bytes))
		if err != nil || len(list) == 0 {
			return nil, err
		}
		letters := make([]hub.Letter, 0, len(list)/2)
		for i := 0; i+1 < len(list); i += 2 {
			if after, err = redis.Uint64(list[i], nil); err != nil {
				return nil, err
			}
			if arrived[after] {
				continue
			}
			m, err := decodeLetter(list[i+1])
			if err != nil {
				return nil, err
			}
			letters = append(letters, hub.Letter{Place: after, Message: m})
		}
		if len(letters) > 0 {
			return letters, nil
		}
	}
}

// InboxStats is what an Inbox holds, and what has become of messages since the beginning.
type InboxStats struct {
	Messages uint64 // that somebody waits for
	Waiting  uint64 // the same, counted for each user
	Bytes    uint64 // that they take, about
	// Confirmed, Expired and Evicted are fates, counted for each user.
	Confirmed, Expired, Evicted uint64
}

// Stats returns the figures of all nodes together.
func (q *Inbox) Stats() (st InboxStats, err error) {
	ctx, cancel := context.WithTimeout(q.run, inboxPatience)
	defer cancel()
	reply, err := q.Node.Client().Command(ctx, "HMGET", q.Node.Key("tot"), "le", "wa", "by", "co", "xp", "ev")
	list, err := redis.Int64s(reply, err)
	if err != nil {
		return st, fmt.Errorf("reading the figures of the inbox: %w", err)
	}
	for i, field := range []*uint64{&st.Messages, &st.Waiting, &st.Bytes, &st.Confirmed, &st.Expired, &st.Evicted} {
		*field = uint64(max(list[i], 0))
	}
	return st, nil
}
