// Package configs holds Crier's settings: one struct, its defaults, and their loading from a YAML file,
// the environment and the command line, with every mistake reported at once.
package configs

import (
	"log/slog"
	"net"
	"net/netip"
	"time"
)

// Config is every setting of the program. A field's path is its key: Config.SocketIO.PingInterval is
// socketio.ping_interval. A Config that Load returned is valid, complete and not to be modified.
type Config struct {
	Listen         string // host:port of the public port
	TLS            TLS
	API            API
	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed, on both ports
	SocketIO       SocketIO
	Origins        []string // as browsers send them, in lower case, without a default port; or "*" alone; or "null"
	Auth           Auth
	Rooms          Rooms
	Webhook        Webhook
	Forward        Forward
	Presence       Presence
	Limits         Limits
	Drain          Drain
	Store          Store
	Inbox          Inbox
	Recovery       Recovery
	Cluster        Cluster
	Log            Log
}

// TLS is native TLS on the public port: both paths or neither.
type TLS struct {
	Cert string // path of a PEM file, the server's certificate first
	Key  string // path of a PEM file
}

// API is the push port of the business servers.
type API struct {
	Listen  string         // host:port
	Keys    []string       // bearer keys that may do everything
	Limited []APIKey       // bearer keys besides, which may not; the entries of api.keys that are mappings
	Allow   []netip.Prefix // who may call without a key
	Hosts   []string       // extra Host names, in lower case, without a port
	MaxBody int64          // bytes of one request
}

// HasKeys reports whether there is any bearer key, with limits or without.
func (a API) HasKeys() bool { return len(a.Keys) > 0 || len(a.Limited) > 0 }

// APIKey is a bearer key with limits.
type APIKey struct {
	Key      string
	Rights   []string // of "push", "read" and "admin"; empty: all
	Audience string   // what every user and room that the key names begins with; empty: no limit
	Rate     float64  // messages a second; 0 = no limit
}

// SocketIO is what the Socket.IO server offers its clients.
type SocketIO struct {
	Path              string // begins and ends with a slash
	PingInterval      time.Duration
	PingTimeout       time.Duration
	UpgradeTimeout    time.Duration
	ConnectTimeout    time.Duration
	MaxPayload        int64    // bytes of one WebSocket message, inflated, or one POST body
	Transports        []string // of "polling" and "websocket", at least one
	AllowEIO3         bool     // Socket.IO 1.x and 2.x clients
	PerMessageDeflate bool     // WebSocket messages may be compressed
	Namespaces        []string // besides "/"; each begins with a slash
	Poller            string   // how idle connections are waited for: "auto", "epoll" or "goroutine"
}

// Auth is how clients prove who they are.
type Auth struct {
	Mode         string // "open", "jwt" or "callback"
	JWT          JWT
	Callback     Callback
	LoginTimeout time.Duration // in the modes jwt and callback, who has not logged in by then is closed
}

// JWT is what checks tokens, in the mode jwt: exactly one of Secret, PublicKey and JWKS.
type JWT struct {
	Secret     string   // of HS256; its bytes are the key
	PublicKey  string   // PEM text, which begins with -----BEGIN, or the path of a PEM file
	JWKS       string   // http or https
	Algorithms []string // of "HS256", "RS256", "ES256" and "EdDSA"; empty: those that the keys make possible
	Issuer     string   // what iss must be; empty: not checked
	Audience   []string // what aud must have one of; empty: not checked
}

// Callback is the business API that says who a client is, in the mode callback.
type Callback struct {
	URL     string // http or https
	Timeout time.Duration
}

// Rooms says how clients get into rooms.
type Rooms struct {
	ClientJoin string // "deny", "token" (rooms that the token names) or "allow"
}

// Webhook is where online and offline callbacks go. Without a URL there are none.
type Webhook struct {
	URL       string        // http or https; empty: no callbacks
	Secrets   []string      // each whsec_ and base64 (Standard Webhooks), or any other text, whose bytes are the key
	Format    string        // "json" or "form"
	Events    []string      // of "user.online" and "user.offline", at least one
	Timeout   time.Duration // of one try
	Batch     int           // how many callbacks may go into one request
	Retention time.Duration // how long after its event a callback is given up
}

// Forward is which events of clients are handed to the business API, and where. Without events there is none of it.
type Forward struct {
	Events  []string      // names
	URL     string        // http or https; empty: that of the webhook
	Timeout time.Duration // from the event to the end of its answer
}

// Presence is how coming and going is told.
type Presence struct {
	OfflineDelay  time.Duration // how long a user may be away without having gone offline; 0 = none
	RestartGrace  time.Duration // how long users have to come back after a start
	CountEvent    string        // form of update_online_count: "legacy", "json" or "off"
	CountInterval time.Duration // the least time between two update_online_count events
	RoomEvents    bool          // tell the members of a room who joins and leaves
}

// Limits bounds how many clients there are, and what each may do.
type Limits struct {
	Connections      int   // of clients; 0: no limit; -1: as many as the descriptors of the process allow
	ConnectionsPerIP int   // 0: no limit
	HandshakesPerIP  int   // a second; 0: no limit
	QueueBytes       int64 // unsent bytes of one connection
	QueueMessages    int   // unsent messages of one connection
	QueueTotal       int64 // bytes that wait for all connections, and of incomplete events; 0: no limit; -1: a quarter of the memory
	SendBuffer       int64 // bytes of each connection of the public port that the system keeps; 0: as it likes
	EventsPerSecond  int   // of one connection; 0: no limit
}

// Drain is how a server that stops takes leave of its clients.
type Drain struct {
	Spread time.Duration // the time over which it closes them, if they are many; 0 = all at once
}

// Store is what survives the end of the program.
type Store struct {
	Path string // of the file; empty: nothing does
}

// Inbox bounds the messages that are stored for users, and says whether there are any.
type Inbox struct {
	MaxPerUser int           // messages of one user
	MaxBytes   int64         // of all of them
	TTL        time.Duration // of a message whose push has none
	Open       bool          // also in auth.mode open
	MessageID  bool          // clients see the id of every message
}

// Recovery is what clients can get replayed that have lost their connection.
type Recovery struct {
	Clients     string        // which: "ask" (those that say so), "all" or "off"
	Window      time.Duration // how long they can be away
	MaxMessages int           // that are kept for them
	MaxBytes    int64         // of these; and of what is remembered of those who are away
}

// Cluster is Redis, which makes several servers one, and through which programs with a Socket.IO emitter push. Without its
// address there is none of it.
type Cluster struct {
	Redis            string   // redis:// or rediss://, [[user]:password@]host[:port][/database]; with Sentinels, host is the master's name
	Sentinels        []string // host:port
	SentinelPassword string
	Prefix           string // of all keys
	Node             string // the name of this server; empty: that of the machine and something random
	Advertise        string // where the others reach its public port, http or https, without a path; empty: found out
	EmitterPrefix    string // the emitters' key
	TLS              ClusterTLS
}

// ClusterTLS is TLS towards Redis, with rediss://: paths of PEM files.
type ClusterTLS struct {
	CA   string // the authorities that sign its certificate; empty: those that the system trusts
	Cert string // our certificate, if Redis asks for one
	Key  string // its private key
}

// Log is what is written to standard error.
type Log struct {
	Level  slog.Level
	Format string // "text" or "json"
}

// Default returns the settings of a program nobody configured.
func Default() *Config {
	return &Config{
		Listen: ":2120",
		API: API{
			Listen:  "0.0.0.0:2121",
			MaxBody: 16 << 20,
		},
		SocketIO: SocketIO{
			Path:           "/socket.io/",
			PingInterval:   25 * time.Second,
			PingTimeout:    20 * time.Second,
			UpgradeTimeout: 10 * time.Second,
			ConnectTimeout: 45 * time.Second,
			MaxPayload:     1000000,
			Transports:     []string{"polling", "websocket"},
			AllowEIO3:      true,
			Poller:         "auto",
		},
		Auth: Auth{
			Mode:         "open",
			Callback:     Callback{Timeout: 3 * time.Second},
			LoginTimeout: 30 * time.Second,
		},
		Rooms: Rooms{ClientJoin: "deny"},
		Webhook: Webhook{
			Format:    "json",
			Events:    []string{"user.online", "user.offline"},
			Timeout:   10 * time.Second,
			Batch:     1,
			Retention: 72 * time.Hour,
		},
		Forward: Forward{Timeout: 5 * time.Second},
		Presence: Presence{
			OfflineDelay:  3 * time.Second,
			RestartGrace:  time.Minute,
			CountEvent:    "legacy",
			CountInterval: time.Second,
		},
		Limits: Limits{Connections: -1, QueueBytes: 1 << 20, QueueMessages: 1000, QueueTotal: -1, SendBuffer: 128 << 10},
		Drain:  Drain{Spread: 10 * time.Second},
		Store:  Store{Path: "data/crier.db"},
		Inbox:  Inbox{MaxPerUser: 1000, MaxBytes: 1 << 30, TTL: 24 * time.Hour},
		Recovery: Recovery{
			Clients:     "ask",
			Window:      2 * time.Minute,
			MaxMessages: 100000,
			MaxBytes:    64 << 20,
		},
		Cluster: Cluster{Prefix: "crier", EmitterPrefix: "socket.io"},
		Log:     Log{Level: slog.LevelInfo, Format: "text"},
	}
}

// OnePort reports whether the public port and the push port are the same address, so that one listener
// serves both. The wildcard addresses ("", 0.0.0.0, ::) are one; port 0 is never the same twice.
func (c *Config) OnePort() bool {
	host, port := splitAddress(c.Listen)
	apiHost, apiPort := splitAddress(c.API.Listen)
	return host == apiHost && port == apiPort && port != "0"
}

// splitAddress takes a valid address apart; every wildcard host becomes "".
func splitAddress(address string) (host, port string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address, ""
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.IsUnspecified() {
			return "", port
		}
		host = ip.Unmap().String()
	}
	return host, port
}
