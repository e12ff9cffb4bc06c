package bench

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"crier/bench/load"
)

// Mode is what is measured.
type Mode string

// What can be measured.
const (
	Idle      Mode = "idle"      // clients that only stay connected
	Broadcast Mode = "broadcast" // messages to everybody
	Push      Mode = "push"      // messages to users at random
	Polling   Mode = "polling"   // messages to everybody, to clients that poll
	SSE       Mode = "sse"       // the same, to Server-Sent Events
	Events    Mode = "events"    // events of clients, acknowledged
	Churn     Mode = "churn"     // clients that come, log in and go
	Storm     Mode = "storm"     // all clients come back at once
)

// Via is how pushes to users are made.
type Via string

// How they can be made.
const (
	KeepAlive Via = "keep-alive" // a request each, on connections that are kept
	Fresh     Via = "new"        // a connection each
	Batch     Via = "batch"      // an array of them in a request
	Lines     Via = "lines"      // one link of lines of JSON
	Stream    Via = "stream"     // one WebSocket
)

// Options say what is measured, and how.
type Options struct {
	Mode Mode
	// URL is where clients connect, and PushURL where is pushed; both http://host:port, to which a path may be added
	// that is not as Server has it.
	URL, PushURL string
	Server       Server

	Clients     int // that are connected, or users of a server that is silent
	Concurrency int // connections made at a time, clients with an event under way, connections that push
	// WarmUp is for how long the same is done before, without counting: for servers whose code is compiled as it runs.
	WarmUp   time.Duration
	Duration time.Duration
	// Leave is how long after the rest, and after all clients have gone then, the server's memory is read once more. 0: nobody goes.
	Leave time.Duration
	// Patience is how long nothing may happen before what is awaited is given up.
	Patience time.Duration
	Size     int     // of a message, in bytes; 0: 100
	Rate     float64 // messages a second; 0: as many as the server takes
	Burst    int     // broadcasts that are sent at once; 0: one
	Sleepers int     // more clients that never read, beside those of a broadcast
	AtOnce   int     // events that a client sends at once; 0: one
	Via      Via     // "": KeepAlive
	Batch    int     // pushes in a request, with Via Batch; 0: 100
	Key      string  // for pushes; "": none
	// From are addresses of this machine to connect from; none: as many of 127.0.0.x as it takes, if the server is there.
	From []netip.Addr
	// PID is the server's process, whose processor time and memory are read; 0: they are not.
	PID int
}

// place is a URL taken apart.
type place struct {
	addr netip.AddrPort
	host string // as HTTP has it
	path string // "": none was given
}

// find resolves a URL.
func find(what, text string) (place, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return place{}, mistake("the %s: %v", what, err)
	case u.Scheme == "https" || u.Scheme == "wss":
		return place{}, mistake("the %s %s: TLS is not measured; give the port without it, behind the proxy", what, text)
	case u.Scheme != "http" && u.Scheme != "ws" || u.Hostname() == "":
		return place{}, mistake("the %s %q is not of the form http://host:port", what, text)
	}
	port := 80
	if u.Port() != "" {
		if port, err = strconv.Atoi(u.Port()); err != nil || port < 1 || port > 65535 {
			return place{}, mistake("the %s %q has a port that cannot be", what, text)
		}
	}
	addrs, err := net.LookupIP(u.Hostname())
	if err != nil {
		return place{}, fmt.Errorf("looking up the %s: %w", what, err)
	}
	addr, ok := netip.AddrFromSlice(addrs[0])
	if !ok {
		return place{}, fmt.Errorf("looking up the %s: %v is no address", what, addrs[0])
	}
	p := place{addr: netip.AddrPortFrom(addr.Unmap(), uint16(port)), host: u.Host}
	if u.Path != "" && u.Path != "/" {
		p.path = u.RequestURI()
	}
	return p, nil
}

// Mistake is an option that cannot be.
type Mistake struct{ Text string }

// Error implements error.
func (m *Mistake) Error() string { return m.Text }

func mistake(format string, args ...any) error { return &Mistake{fmt.Sprintf(format, args...)} }

// complete puts in what is left out.
func (o *Options) complete() {
	o.Size = cmp.Or(o.Size, 100)
	o.Burst = cmp.Or(o.Burst, 1)
	o.AtOnce = cmp.Or(o.AtOnce, 1)
	o.Batch = cmp.Or(o.Batch, 100)
	o.Via = cmp.Or(o.Via, KeepAlive)
}

// validate says what cannot be.
func (o *Options) validate() error {
	switch {
	case o.Clients < 1 && o.Mode != Churn:
		return mistake("there must be a client at least")
	case o.Clients < 0, o.Sleepers < 0, o.Rate < 0:
		return mistake("nothing can be negative")
	case o.Concurrency < 1, o.Burst < 1, o.AtOnce < 1, o.Batch < 1:
		return mistake("what is done at a time must be 1 at least")
	case o.Duration <= 0, o.Patience <= 0, o.WarmUp < 0:
		return mistake("durations must be positive")
	case o.Leave < 0:
		return mistake("clients cannot have left before")
	case o.Leave > 0 && (o.PID == 0 || o.Clients == 0):
		return mistake("what clients leave behind is the memory of the server's process, which has to be named (--pid), with clients that stay until then")
	case o.Size < load.StampSize || o.Size > 1<<20:
		return mistake("a message has %d bytes to 1 MiB", load.StampSize)
	}
	if o.Mode == Events && o.Server.Login == "" {
		return mistake("without a login event there is nothing to acknowledge")
	}
	if o.Mode == Events && o.speech() != load.SocketIO {
		return mistake("events are acknowledged over Socket.IO only")
	}
	if o.Mode == Polling && o.Server.Speech != load.SocketIO {
		return mistake("only Socket.IO is polled")
	}
	if o.Server.Silent && o.Mode != Push {
		return mistake("this server has no clients: it can only be pushed to")
	}
	if o.pushes() {
		return o.validatePushes()
	}
	return nil
}

func (o *Options) validatePushes() error {
	if err := o.Server.Form.Validate(); err != nil {
		return mistake("%v", err)
	}
	switch o.Via {
	case KeepAlive, Fresh:
	case Batch:
		if o.Server.Form.BatchPath == "" {
			return mistake("this server takes no batches")
		}
	case Lines, Stream:
		if !o.Server.Links {
			return mistake("this server takes no lasting links")
		}
		if o.Rate > 0 {
			return mistake("a link pushes as fast as it can: there is no rate for it")
		}
	default:
		return mistake("pushes are made by %s, %s, %s, %s or %s, not by %q", KeepAlive, Fresh, Batch, Lines, Stream, o.Via)
	}
	return nil
}

// pushes reports whether the mode needs the push port.
func (o *Options) pushes() bool {
	return o.Mode == Broadcast || o.Mode == Push || o.Mode == Polling || o.Mode == SSE
}

// speech is what the clients speak.
func (o *Options) speech() load.Speech {
	switch o.Mode {
	case Polling:
		return load.Polling
	case SSE:
		return load.SSE
	default:
		return o.Server.Speech
	}
}

// target is where the clients go.
func (o *Options) target() (load.Target, error) {
	s, url := o.Server, o.URL
	if s.Silent {
		url = o.PushURL // nobody connects
	}
	at, err := find("URL of the server", url)
	if err != nil {
		return load.Target{}, err
	}
	path := s.Path
	if o.Mode == SSE {
		if path = s.SSEPath; path == "" && at.path == "" {
			return load.Target{}, mistake("it is not known where this server has Server-Sent Events: add the path to --url")
		}
	}
	if at.path != "" {
		path = at.path
	}
	t := load.Target{
		Addr: at.addr, Host: at.host, Path: path, Speech: o.speech(), EIO: s.EIO, Login: s.Login, LoggedIn: s.LoggedIn,
	}
	if err := t.Validate(); err != nil {
		return t, mistake("%v", err)
	}
	return t, nil
}

// perAddress is how many connections one address of this machine can have to one of the server's; the kernel has 28,000
// ports (net.ipv4.ip_local_port_range).
const perAddress = 25_000

// sources are the addresses to connect from.
func (o *Options) sources(to netip.Addr) []netip.Addr {
	all := o.Clients + o.Sleepers + o.Concurrency
	if len(o.From) > 0 || all <= perAddress || !to.Is4() || !to.IsLoopback() {
		return o.From
	}
	var list []netip.Addr
	for i := range (all + perAddress - 1) / perAddress {
		list = append(list, netip.AddrFrom4([4]byte{127, 0, byte(i / 250), byte(1 + i%250)}))
	}
	return list
}

// ErrLost is the end of a run in which messages were lost, came twice or out of order.
var ErrLost = errors.New("not every message came once and in order")
