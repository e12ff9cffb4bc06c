package cluster

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"
)

const (
	// lookInterval is how often Redis is asked at most who is there.
	lookInterval = 250 * time.Millisecond
	// memory is for how long a server is remembered that is not there any more, as Redis says: it may be that it was cut off
	// from Redis only.
	memory = 10 * time.Minute
)

// Owners know where the other nodes are reached, and the secret that all have in common. It keeps what it knows while Redis is
// away. Its methods may be called by many goroutines at once.
type Owners struct {
	// static
	node *Node

	looking sync.Mutex // held by who asks Redis

	mu      sync.Mutex
	nodes   map[string]nodeAddress // by their tags
	looked  time.Time
	secrets [][]byte
	stale   bool // Redis may have another secret, or there is none yet
}

// nodeAddress is where a node is reached.
type nodeAddress struct {
	url  string
	seen time.Time
}

// NewOwners returns the Owners of a node, before that is started.
func NewOwners(n *Node) *Owners {
	o := &Owners{node: n, nodes: make(map[string]nodeAddress)}
	n.OnJoin(func(uint64) {
		o.mu.Lock()
		o.stale = true
		o.mu.Unlock()
		o.Secrets(context.Background())
	})
	return o
}

// Owner returns where the node with that tag is reached, or "". For one that is not known it asks Redis, not more often than
// four times a second, whoever waits; while Redis is away, or when ctx ends, it is not found.
func (o *Owners) Owner(ctx context.Context, tag string) string {
	if at, found := o.known(tag); found {
		return at.url
	}
	o.look(ctx)
	at, _ := o.known(tag)
	return at.url
}

// Tag returns the tag of the node with that name, or "". Redis is asked each time: a node that was started again has another one.
func (o *Owners) Tag(ctx context.Context, name string) string {
	tag, err := redis.String(o.node.client.Command(ctx, "HGET", o.node.Key("n", name), "tag"))
	if err != nil {
		return ""
	}
	return tag
}

// Gone says that another node is now where the one with that tag was.
func (o *Owners) Gone(tag string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.nodes, tag)
}

// Secrets are what proves one node to another, the present one first: one, or two when Redis has lost its data. Redis is asked
// when the node has been registered, or later if that has failed.
func (o *Owners) Secrets(ctx context.Context) [][]byte {
	if known, stale := o.secret(); !stale {
		return known
	}
	o.looking.Lock()
	defer o.looking.Unlock()
	if _, stale := o.secret(); stale {
		o.learn(ctx)
	}
	known, _ := o.secret()
	return known
}

func (o *Owners) secret() (known [][]byte, stale bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.secrets, o.stale
}

func (o *Owners) known(tag string) (nodeAddress, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	at, found := o.nodes[tag]
	return at, found
}

// look asks Redis who is there, unless somebody has done so since the call began.
func (o *Owners) look(ctx context.Context) {
	called := time.Now()
	o.looking.Lock()
	defer o.looking.Unlock()
	o.mu.Lock()
	looked := o.looked
	o.mu.Unlock()
	if looked.After(called) {
		return
	}
	if wait := time.Until(looked.Add(lookInterval)); wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
	now := time.Now()
	reply, err := redis.Strings(o.node.client.Do(ctx, ownersScript, o.node.keys))
	if err != nil && ctx.Err() == nil {
		o.node.log.Debug("looking for another server", "error", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.looked = now
	for i := 0; i+1 < len(reply); i += 2 {
		o.nodes[reply[i]] = nodeAddress{url: reply[i+1], seen: now}
	}
	if err == nil {
		for tag, at := range o.nodes {
			if now.Sub(at.seen) > memory {
				delete(o.nodes, tag)
			}
		}
	}
}

// learn takes the secret, or gives the nodes one.
func (o *Owners) learn(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	secret, err := redis.Bytes(o.node.client.Do(ctx, secretScript, o.node.keys, rand.Text()+rand.Text()))
	if err != nil {
		o.node.log.Debug("the secret of the servers was not read; it is tried again when it is needed", "error", err)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stale = false
	if len(o.secrets) > 0 && string(o.secrets[0]) == string(secret) {
		return
	}
	o.secrets = append([][]byte{secret}, o.secrets[:min(1, len(o.secrets))]...)
}

// ownersScript answers of each node under a lease its tag and its address, one behind the other; not of nodes that cannot be reached.
var ownersScript = NewScript("nodes", `
	local found = {}
	for _, name in ipairs(redis.call('ZRANGE', KEYS[1] .. ':nodes', 0, -1)) do
		local known = redis.call('HMGET', KEYS[1] .. ':n:' .. name, 'tag', 'advertise')
		if known[1] and known[2] and known[2] ~= '' then
			table.insert(found, known[1])
			table.insert(found, known[2])
		end
	end
	return found
`)

// secretScript answers the secret, which is its argument if there was none.
var secretScript = NewScript("secret", `
	redis.call('SET', KEYS[1] .. ':secret', ARGV[1], 'NX')
	return redis.call('GET', KEYS[1] .. ':secret')
`)
