package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"

	"crier/io/hub"
)

// staysCount is how many changes one script tells of, or takes from a node that has gone.
const staysCount = 128

// RoomPresenceOptions are the settings of a [RoomPresence].
type RoomPresenceOptions struct {
	// Node is who speaks, not started. Required.
	Node *Node
	// Push makes what a room is told of a change. Required.
	Push func(hub.RoomChange) (hub.Push, error)
	// Interval is how often it is looked for users of nodes that have gone; zero: a second.
	Interval time.Duration
	// Logger gets what nobody can be told otherwise. Nil: nothing is logged.
	Logger *slog.Logger
}

// RoomPresence tells rooms who comes and who goes, of all nodes: a user comes into a room with the first connection anywhere, and
// leaves it with the last one. Which one that is Redis decides, in the same step in which it adds what the room is told to the common
// stream. While Redis is away nobody is told; when it is back, what has changed on the whole.
//
// P:in:<room> 0x00 <uid> has the nodes that have the user there, each as "<epoch>:<node>", P:ins:<epoch>:<node> the "<room> 0x00 <uid>" of a
// node, and P:out the nodes that have gone, with when what they had there is over.
type RoomPresence struct {
	// static
	options RoomPresenceOptions
	node    *Node
	log     *slog.Logger
	ctx     context.Context
	cancel  context.CancelFunc
	wake    chan struct{} // holds one token when something has changed
	tasks   sync.WaitGroup

	complained time.Time // when the log last said that Redis has refused something; of run

	mu      sync.Mutex
	epoch   uint64                       // the registration under which Redis is told
	stays   map[hub.RoomChange]*roomStay // by room and uid
	changed []*roomStay                  // what Redis is to be told of
}

// roomStay is a user in a room, by connections of this node. It is kept while he is there, or Redis may take him to be. Guarded by the mu
// of its RoomPresence.
type roomStay struct {
	name   hub.RoomChange // Joined is false
	here   bool
	known  bool // Redis has been told that he is here, or may have been
	queued bool // in changed
}

// NewRoomPresence returns a RoomPresence whose Start is to be called, and its Close in the end.
func NewRoomPresence(o RoomPresenceOptions) (*RoomPresence, error) {
	if o.Node == nil || o.Push == nil || o.Interval < 0 {
		return nil, errors.New("cluster: Node or Push is missing in RoomPresenceOptions, or the interval is negative")
	}
	if o.Interval == 0 {
		o.Interval = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	p := &RoomPresence{
		options: o, node: o.Node, log: o.Logger, wake: make(chan struct{}, 1),
		stays: make(map[hub.RoomChange]*roomStay),
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p, nil
}

// Start begins, with the hub whose rooms they are, before the node is started.
func (p *RoomPresence) Start(h *hub.Hub) {
	p.node.OnJoin(p.join)
	p.node.OnEntry(KindNews, func(e Entry) {
		one, err := parsePush(e.Body)
		if err == nil {
			_, err = h.Receive(e.At, one.Push, hub.Everyone)
		}
		if err != nil && !errors.Is(err, hub.ErrClosed) {
			p.log.Warn("a room was not told who came or left", "node", e.Origin, "error", err)
		}
	})
	p.tasks.Go(p.run)
}

// Close ends that. What Redis has not been told of by then ends with the registration of the node.
func (p *RoomPresence) Close() {
	p.cancel()
	p.tasks.Wait()
}

// Tell notes a change of this node. It does not wait.
func (p *RoomPresence) Tell(c hub.RoomChange) {
	name := hub.RoomChange{Room: c.Room, UID: c.UID}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stays[name]
	if s == nil {
		s = &roomStay{name: name}
		p.stays[name] = s
	}
	s.here = c.Joined
	p.touch(s)
}

// touch has Redis told of a stay. Called with mu held.
func (p *RoomPresence) touch(s *roomStay) {
	if s.queued {
		return
	}
	s.queued = true
	p.changed = append(p.changed, s)
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// join is told that the node has been registered: what Redis knew under an earlier epoch is over, or will be.
func (p *RoomPresence) join(epoch uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.epoch = epoch
	for _, s := range p.stays {
		s.known = false
		p.touch(s)
	}
}

// run tells Redis what changes, and takes from rooms whom nodes had there that have gone.
func (p *RoomPresence) run() {
	ticker := time.NewTicker(p.options.Interval)
	defer ticker.Stop()
	for {
		err := p.flush()
		select {
		case <-p.ctx.Done():
			return
		case <-ticker.C:
			err = errors.Join(err, p.clear())
		case <-p.wake:
			if err != nil && !pause(p.ctx, firstWait) {
				return
			}
		}
		p.complain(err)
	}
}

// complain logs what Redis says is wrong, once a minute. That it is away the client has said.
func (p *RoomPresence) complain(err error) {
	if err == nil || errors.Is(err, ErrAway) || errors.Is(err, ErrFenced) || p.ctx.Err() != nil || time.Since(p.complained) < awayInterval {
		return
	}
	p.complained = time.Now()
	p.log.Error("rooms are not told who comes and who goes; it is tried again", "error", err)
}

// flush tells Redis of all that has changed.
func (p *RoomPresence) flush() error {
	for {
		epoch, batch := p.take()
		if len(batch) == 0 {
			return nil
		}
		err := p.tell("", batch)
		p.told(epoch, batch, err)
		if err != nil {
			return err
		}
	}
}

// take returns changes that Redis is to be told of, and under which epoch. It forgets the stays that Redis need not hear of.
func (p *RoomPresence) take() (epoch uint64, batch []hub.RoomChange) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.epoch == 0 {
		return 0, nil
	}
	n := 0
	for ; n < len(p.changed) && len(batch) < staysCount; n++ {
		s := p.changed[n]
		s.queued = false
		if !s.here && !s.known {
			delete(p.stays, s.name)
			continue
		}
		s.known = true
		batch = append(batch, hub.RoomChange{Room: s.name.Room, UID: s.name.UID, Joined: s.here})
	}
	if p.changed = p.changed[n:]; len(p.changed) == 0 {
		p.changed = nil
	}
	return p.epoch, batch
}

// told notes what has become of a batch. To tell the same once more changes nothing.
func (p *RoomPresence) told(epoch uint64, batch []hub.RoomChange, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.epoch != epoch { // everything is told anew
		return
	}
	for _, c := range batch {
		switch s := p.stays[hub.RoomChange{Room: c.Room, UID: c.UID}]; {
		case err != nil:
			p.touch(s)
		case !c.Joined:
			s.known = false
			p.touch(s)
		}
	}
}

// tell tells Redis that users are with a node in rooms, or not any more: with this one, as it is registered now, if it is not said
// with which.
func (p *RoomPresence) tell(who string, batch []hub.RoomChange) error {
	args := make([]any, 0, 1+3*len(batch))
	args = append(args, who)
	for _, c := range batch {
		push, err := p.options.Push(c)
		if err != nil {
			return fmt.Errorf("telling a room who came or left: %w", err)
		}
		push.Message.ID = rand.Text() // the same on all nodes
		frame := appendEntry(nil, KindNews, p.node.Name(), 0, appendPush(nil, &pushed{Push: push}))
		args = append(args, c.Room+"\x00"+c.UID, c.Joined, frame)
	}
	_, err := p.node.Run(p.ctx, stayScript, args...)
	return err
}

// clear takes from rooms whom nodes had there that have gone.
func (p *RoomPresence) clear() error {
	for {
		list, err := redis.Strings(p.node.Run(p.ctx, goneScript, staysCount))
		if err != nil || len(list) == 0 {
			return err
		}
		batch := make([]hub.RoomChange, len(list)-1)
		for i, name := range list[1:] {
			batch[i].Room, batch[i].UID, _ = strings.Cut(name, "\x00")
		}
		if err := p.tell(list[0], batch); err != nil {
			return err
		}
	}
}

// stayScript tells of changes on one node: "<epoch>:<node>", or nothing for the one that calls; then for each "<room> 0x00 <uid>", 1 if he is there, and the entry if the
// room is to be told of it. What is known already changes nothing.
var stayScript = nodeScript("stay", `
	local who = ARGV[4] ~= '' and ARGV[4] or EPOCH .. ':' .. NODE
	local own = P .. ':ins:' .. who
	for i = 5, #ARGV, 3 do
		local name, key = ARGV[i], P .. ':in:' .. ARGV[i]
		local change, count = 'SREM', 0
		if ARGV[i + 1] == '1' then change, count = 'SADD', 1 end
		redis.call(change, own, name)
		if redis.call(change, key, who) == 1 and redis.call('SCARD', key) == count then append('all', ARGV[i + 2]) end
	end
	return 1
`)

// goneScript answers "<epoch>:<node>" of a node that has gone, and some of what it had in rooms; nothing if there is no such node.
var goneScript = nodeScript("gone", `
	if now() < tonumber(redis.call('GET', P .. ':grace') or '0') then return {} end
	while true do
		local who = redis.call('ZRANGEBYSCORE', P .. ':out', '-inf', text(now()), 'LIMIT', 0, 1)[1]
		if not who then return {} end
		local names = redis.call('SRANDMEMBER', P .. ':ins:' .. who, ARGV[4])
		if #names > 0 then
			table.insert(names, 1, who)
			return names
		end
		redis.call('ZREM', P .. ':out', who)
	end
`)
