package configs

import (
	"math"
	"slices"
	"strings"
	"time"
)

// setting describes one key. This table drives the file, the environment, the flags, the help and config
// print.
type setting struct {
	key    string
	doc    string // one phrase, for the help
	secret bool   // never shown; may come from a file, one secret a line, through key + "_file"; has no flag of its own
	at     func(*Config) value
}

const (
	day      = 24 * time.Hour
	oneGiB   = 1 << 30
	fileKey  = "_file" // behind the key of a secret, names a file that holds it
	fileEnv  = "_FILE"
	envStart = "CRIER_"
)

// settings returns the table, in the order of config print.
func settings() []setting {
	return slices.Concat(portSettings(), socketIOSettings(), authSettings(), callbackSettings(), productSettings(), keepingSettings(), clusterSettings(), logSettings())
}

func portSettings() []setting {
	return []setting{
		{
			key: "listen", doc: "public port: Socket.IO and the demo page; the same as api.listen puts everything on one port, and api.keys are then required",
			at: func(c *Config) value { return textValue{&c.Listen, "ADDRESS", parseAddress} },
		},
		{
			key: "tls.cert", doc: "certificate for native TLS on the public port, a PEM file",
			at: func(c *Config) value { return textValue{&c.TLS.Cert, "FILE", parseFilePath} },
		},
		{
			key: "tls.key", doc: "private key for native TLS, a PEM file",
			at: func(c *Config) value { return textValue{&c.TLS.Key, "FILE", parseFilePath} },
		},
		{
			key: "api.listen", doc: "push port, for business servers",
			at: func(c *Config) value { return textValue{&c.API.Listen, "ADDRESS", parseAddress} },
		},
		{
			key: keysKey, doc: "bearer keys that may call the push port, several for rotation; in the YAML file also with limits", secret: true,
			at: func(c *Config) value { return keysValue{&c.API} },
		},
		{
			key: "api.allow", doc: "networks that may call the push port without a key",
			at: func(c *Config) value { return prefixValue{&c.API.Allow} },
		},
		{
			key: "api.hosts", doc: "extra Host names accepted on the push port",
			at: func(c *Config) value { return listValue{&c.API.Hosts, "LIST", 0, parseHost} },
		},
		{
			key: "api.max_body", doc: "bytes of one request to the push port",
			at: func(c *Config) value { return sizeValue{&c.API.MaxBody, 1, oneGiB} },
		},
		{
			key: "trusted_proxies", doc: "networks whose X-Forwarded-For is believed, on both ports",
			at: func(c *Config) value { return prefixValue{&c.TrustedProxies} },
		},
	}
}

func socketIOSettings() []setting {
	// JavaScript clients take the heartbeat in whole milliseconds, and their timers overflow at 24.8 days.
	const least = time.Millisecond
	return []setting{
		{
			key: "socketio.path", doc: "path of the Socket.IO endpoint",
			at: func(c *Config) value { return textValue{&c.SocketIO.Path, "PATH", parsePath} },
		},
		{
			key: "socketio.ping_interval", doc: "time between two heartbeats",
			at: func(c *Config) value { return durationValue{&c.SocketIO.PingInterval, least, day} },
		},
		{
			key: "socketio.ping_timeout", doc: "how long a heartbeat may stay unanswered",
			at: func(c *Config) value { return durationValue{&c.SocketIO.PingTimeout, least, day} },
		},
		{
			key: "socketio.upgrade_timeout", doc: "how long an upgrade from polling to WebSocket may take",
			at: func(c *Config) value { return durationValue{&c.SocketIO.UpgradeTimeout, least, day} },
		},
		{
			key: "socketio.connect_timeout", doc: "how long a client may take to join a namespace",
			at: func(c *Config) value { return durationValue{&c.SocketIO.ConnectTimeout, least, day} },
		},
		{
			key: "socketio.max_payload", doc: "bytes of one WebSocket message, inflated, or one POST body",
			at: func(c *Config) value { return sizeValue{&c.SocketIO.MaxPayload, 1, oneGiB} },
		},
		{
			key: "socketio.transports", doc: "transports that are offered",
			at: func(c *Config) value { return choices(&c.SocketIO.Transports, "polling", "websocket") },
		},
		{
			key: "socketio.allow_eio3", doc: "let in Socket.IO 1.x and 2.x clients",
			at: func(c *Config) value { return boolValue{&c.SocketIO.AllowEIO3} },
		},
		{
			key: "socketio.per_message_deflate", doc: "compress WebSocket messages of clients that offer it: less traffic for more processor time",
			at: func(c *Config) value { return boolValue{&c.SocketIO.PerMessageDeflate} },
		},
		{
			key: "socketio.namespaces", doc: "namespaces besides / that may be joined",
			at: func(c *Config) value { return listValue{&c.SocketIO.Namespaces, "LIST", 0, parseNamespace} },
		},
		{
			key: "socketio.poller", doc: "how idle WebSockets are waited for; auto: with epoll on Linux, else with a goroutine each, as it is with TLS",
			at: func(c *Config) value { return choice(&c.SocketIO.Poller, "auto", "epoll", "goroutine") },
		},
		{
			key: "origins", doc: "extra origins of pages that may connect, besides the page's own host; * for all",
			at: func(c *Config) value { return listValue{&c.Origins, "LIST", 0, parseOrigin} },
		},
	}
}

func authSettings() []setting {
	const least = time.Millisecond
	return []setting{
		{
			key: "auth.mode", doc: "how clients prove who they are; open: not at all",
			at: func(c *Config) value { return choice(&c.Auth.Mode, "open", "jwt", "callback") },
		},
		{
			key: "auth.jwt.secret", doc: "key of HS256, which signs the tokens of clients", secret: true,
			at: func(c *Config) value { return textValue{&c.Auth.JWT.Secret, "TEXT", parseJWTSecret} },
		},
		{
			key: "auth.jwt.public_key", doc: "public key that checks tokens: a PEM file, or PEM text",
			at: func(c *Config) value { return textValue{&c.Auth.JWT.PublicKey, "FILE", parsePublicKey} },
		},
		{
			key: "auth.jwt.jwks", doc: "address of a JSON Web Key Set with the keys that check tokens",
			at: func(c *Config) value { return textValue{&c.Auth.JWT.JWKS, "URL", parseURL} },
		},
		{
			key: "auth.jwt.algorithms", doc: "algorithms that tokens may use, if not all that the keys make possible",
			at: func(c *Config) value { return listValue{&c.Auth.JWT.Algorithms, "LIST", 0, parseAlgorithm} },
		},
		{
			key: "auth.jwt.issuer", doc: "what a token's iss must be",
			at: func(c *Config) value { return textValue{&c.Auth.JWT.Issuer, "TEXT", parseClaim} },
		},
		{
			key: "auth.jwt.audience", doc: "what a token's aud must have one of",
			at: func(c *Config) value { return listValue{&c.Auth.JWT.Audience, "LIST", 0, parseClaim} },
		},
		{
			key: "auth.callback.url", doc: "business API that says who a client is",
			at: func(c *Config) value { return textValue{&c.Auth.Callback.URL, "URL", parseURL} },
		},
		{
			key: "auth.callback.timeout", doc: "how long it may take",
			at: func(c *Config) value { return durationValue{&c.Auth.Callback.Timeout, least, time.Minute} },
		},
		{
			key: "auth.login_timeout", doc: "in the modes jwt and callback, who has not logged in by then is closed",
			at: func(c *Config) value { return durationValue{&c.Auth.LoginTimeout, least, day} },
		},
		{
			key: "rooms.client_join", doc: "whether clients may subscribe to rooms themselves; token: to those that their token names",
			at: func(c *Config) value { return choice(&c.Rooms.ClientJoin, "deny", "token", "allow") },
		},
	}
}

func callbackSettings() []setting {
	return []setting{
		{
			key: "webhook.url", doc: "where online and offline callbacks are posted",
			at: func(c *Config) value { return textValue{&c.Webhook.URL, "URL", parseURL} },
		},
		{
			key: "webhook.secrets", doc: "sign callbacks (Standard Webhooks): whsec_ and base64, or plain text; several for rotation", secret: true,
			at: func(c *Config) value { return listValue{&c.Webhook.Secrets, "LIST", 0, parseWebhookSecret} },
		},
		{
			key: "webhook.format", doc: "body of a callback",
			at: func(c *Config) value { return choice(&c.Webhook.Format, "json", "form") },
		},
		{
			key: "webhook.events", doc: "what is called back",
			at: func(c *Config) value { return choices(&c.Webhook.Events, "user.online", "user.offline") },
		},
		{
			key: "webhook.timeout", doc: "how long one try of a callback may take",
			at: func(c *Config) value { return durationValue{&c.Webhook.Timeout, time.Millisecond, time.Hour} },
		},
		{
			key: "webhook.batch", doc: `callbacks in one request; above 1 its body is {"events":[…]}`,
			at: func(c *Config) value { return countValue{&c.Webhook.Batch, 1, 1000} },
		},
		{
			key: "webhook.retention", doc: "how long after its event a callback that fails is given up",
			at: func(c *Config) value { return durationValue{&c.Webhook.Retention, time.Second, 365 * day} },
		},
		{
			key: "forward.events", doc: "events of clients that are handed to the business API, whose JSON answer acknowledges them",
			at: func(c *Config) value { return listValue{&c.Forward.Events, "LIST", 0, parseForwarded} },
		},
		{
			key: "forward.url", doc: "where they are posted, if not to webhook.url",
			at: func(c *Config) value { return textValue{&c.Forward.URL, "URL", parseURL} },
		},
		{
			key: "forward.timeout", doc: "how long an event may take until it is answered",
			at: func(c *Config) value { return durationValue{&c.Forward.Timeout, time.Millisecond, 10 * time.Minute} },
		},
	}
}

func productSettings() []setting {
	return []setting{
		{
			key: "presence.offline_delay", doc: "a user who is back within it never went offline",
			at: func(c *Config) value { return durationValue{&c.Presence.OfflineDelay, 0, day} },
		},
		{
			key: "presence.restart_grace", doc: "how long after a start users who were online before have to come back",
			at: func(c *Config) value { return durationValue{&c.Presence.RestartGrace, 0, day} },
		},
		{
			key: "presence.count_event", doc: "form of the update_online_count event",
			at: func(c *Config) value { return choice(&c.Presence.CountEvent, "legacy", "json", "off") },
		},
		{
			key: "presence.count_interval", doc: "least time between two update_online_count events",
			at: func(c *Config) value { return durationValue{&c.Presence.CountInterval, time.Millisecond, day} },
		},
		{
			key: "presence.room_events", doc: "tell the members of a room who joins and leaves, with the presence event",
			at: func(c *Config) value { return boolValue{&c.Presence.RoomEvents} },
		},
		{
			key: "limits.connections", doc: "clients that may be connected; 0: no limit; auto: as the limit of open files allows",
			at: func(c *Config) value { return autoValue{&c.Limits.Connections, math.MaxInt32} },
		},
		{
			key: "limits.connections_per_ip", doc: "clients of one address (of one /64 with IPv6); 0: no limit",
			at: func(c *Config) value { return countValue{&c.Limits.ConnectionsPerIP, 0, math.MaxInt32} },
		},
		{
			key: "limits.handshakes_per_ip", doc: "clients that may come from one address in a second; 0: no limit",
			at: func(c *Config) value { return countValue{&c.Limits.HandshakesPerIP, 0, 1_000_000} },
		},
		{
			key: "limits.queue_bytes", doc: "unsent bytes of one connection; a connection over it is closed, so that its client comes back",
			at: func(c *Config) value { return sizeValue{&c.Limits.QueueBytes, 1, oneGiB} },
		},
		{
			key: "limits.queue_messages", doc: "unsent messages of one connection",
			at: func(c *Config) value { return countValue{&c.Limits.QueueMessages, 1, math.MaxInt32} },
		},
		{
			key: "limits.queue_total", doc: "bytes that wait for all connections, and of events whose attachments have not all come; over it those that have most are closed; 0: no limit; auto: a quarter of the memory",
			at: func(c *Config) value { return autoSizeValue{&c.Limits.QueueTotal, 1 << 40} },
		},
		{
			key: "limits.send_buffer", doc: "what the system keeps for one connection of the public port until it is on its way (SO_SNDBUF); 0: as it likes",
			at: func(c *Config) value { return sizeValue{&c.Limits.SendBuffer, 0, oneGiB} },
		},
		{
			key: "limits.events_per_second", doc: "what one connection may say; what is more is read later; 0: no limit",
			at: func(c *Config) value { return countValue{&c.Limits.EventsPerSecond, 0, 1_000_000} },
		},
		{
			key: "drain.spread", doc: "over how long a stopping server closes its clients, a millisecond for each at most; 0: all at once",
			at: func(c *Config) value { return durationValue{&c.Drain.Spread, 0, 10 * time.Minute} },
		},
		{
			key: "store.path", doc: "file that keeps what survives a crash; empty, or the word memory: nothing does",
			at: func(c *Config) value { return textValue{&c.Store.Path, "FILE", parseStorePath} },
		},
	}
}

func keepingSettings() []setting {
	return []setting{
		{
			key: "inbox.max_per_user", doc: "messages stored for one user; the oldest makes room",
			at: func(c *Config) value { return countValue{&c.Inbox.MaxPerUser, 1, 100_000} },
		},
		{
			key: "inbox.max_bytes", doc: "bytes of all stored messages, about; the oldest make room",
			at: func(c *Config) value { return sizeValue{&c.Inbox.MaxBytes, 1 << 20, 1 << 40} },
		},
		{
			key: "inbox.ttl", doc: "how long a message is stored whose push does not say so",
			at: func(c *Config) value { return durationValue{&c.Inbox.TTL, time.Second, 365 * day} },
		},
		{
			key: "inbox.open", doc: "store messages also in auth.mode open, where anybody can log in as a user and get what is stored for him",
			at: func(c *Config) value { return boolValue{&c.Inbox.Open} },
		},
		{
			key: "inbox.message_id", doc: "show pages the id of every message, as a last argument of its event, so that they can tell a repetition",
			at: func(c *Config) value { return boolValue{&c.Inbox.MessageID} },
		},
		{
			key: "recovery.clients", doc: "which clients can come back to the connection that they have lost; ask: those that say recovery",
			at: func(c *Config) value { return choice(&c.Recovery.Clients, "ask", "all", "off") },
		},
		{
			key: "recovery.window", doc: "how long they can be away",
			at: func(c *Config) value { return durationValue{&c.Recovery.Window, time.Millisecond, day} },
		},
		{
			key: "recovery.max_messages", doc: "messages that are kept for them",
			at: func(c *Config) value { return countValue{&c.Recovery.MaxMessages, 1, math.MaxInt32} },
		},
		{
			key: "recovery.max_bytes", doc: "bytes of these, and as many of what is remembered of the clients",
			at: func(c *Config) value { return sizeValue{&c.Recovery.MaxBytes, 1, oneGiB} },
		},
	}
}

func clusterSettings() []setting {
	return []setting{
		{
			key: "cluster.redis", doc: "Redis that makes all servers one which have it in common, and in which programs with a Socket.IO emitter publish: redis://[[user]:password@]host[:port][/database], rediss:// for TLS", secret: true,
			at: func(c *Config) value { return textValue{&c.Cluster.Redis, "URL", parseRedisURL} },
		},
		{
			key: "cluster.sentinels", doc: "Redis Sentinels, host:port; the host in cluster.redis is then the name by which they know the master",
			at: func(c *Config) value { return listValue{&c.Cluster.Sentinels, "LIST", 0, parseSentinel} },
		},
		{
			key: "cluster.sentinel_password", doc: "what the Sentinels want to know", secret: true,
			at: func(c *Config) value { return textValue{&c.Cluster.SentinelPassword, "TEXT", parseRedisPassword} },
		},
		{
			key: "cluster.prefix", doc: "what the names of all keys in Redis begin with: servers with the same one belong together",
			at: func(c *Config) value { return textValue{&c.Cluster.Prefix, "TEXT", parseKeyPrefix} },
		},
		{
			key: "cluster.node", doc: "name of this server among those, if not that of the machine with something random behind it",
			at: func(c *Config) value { return textValue{&c.Cluster.Node, "NAME", parseNode} },
		},
		{
			key: "cluster.advertise", doc: "where the other servers reach the public port of this one: http://host:port, or https://; empty: found out",
			at: func(c *Config) value { return textValue{&c.Cluster.Advertise, "URL", parseAdvertise} },
		},
		{
			key: "cluster.emitter_prefix", doc: "what the channels of the emitters begin with: their option key",
			at: func(c *Config) value { return textValue{&c.Cluster.EmitterPrefix, "TEXT", parseEmitterPrefix} },
		},
		{
			key: "cluster.tls.ca", doc: "authorities that sign the certificate of Redis, a PEM file, if not those that the system trusts",
			at: func(c *Config) value { return textValue{&c.Cluster.TLS.CA, "FILE", parseFilePath} },
		},
		{
			key: "cluster.tls.cert", doc: "certificate that Redis asks for, a PEM file",
			at: func(c *Config) value { return textValue{&c.Cluster.TLS.Cert, "FILE", parseFilePath} },
		},
		{
			key: "cluster.tls.key", doc: "its private key, a PEM file",
			at: func(c *Config) value { return textValue{&c.Cluster.TLS.Key, "FILE", parseFilePath} },
		},
	}
}

func logSettings() []setting {
	return []setting{
		{
			key: "log.level", doc: "how much is logged",
			at: func(c *Config) value { return levelValue{&c.Log.Level} },
		},
		{
			key: "log.format", doc: "form of the log",
			at: func(c *Config) value { return choice(&c.Log.Format, "text", "json") },
		},
	}
}

// env is the environment variable of the setting: CRIER_A_B_C for a.b_c.
func (s setting) env() string {
	return envStart + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

// Flag is one setting as a command-line flag.
type Flag struct {
	Name    string // as in --socketio.ping_interval; for secrets, as in --api.keys_file
	Kind    string // what it takes, such as DURATION or deny|allow
	Usage   string
	Default string // as text; empty when nothing is set
	List    bool   // takes several items, comma-separated or one flag each
}

// Flags returns the flags of all settings. Secrets have none, since a command line can be read by every
// user of the machine; the file that holds them does.
func Flags() []Flag {
	defaults := Default()
	var flags []Flag
	for _, s := range settings() {
		field := s.at(defaults)
		if s.secret {
			usage := "file with the " + s.key + ": " + s.doc
			if field.list() {
				usage = "file with the " + s.key + ", one a line: " + s.doc
			}
			flags = append(flags, Flag{Name: s.key + fileKey, Kind: "FILE", Usage: usage})
			continue
		}
		flags = append(flags, Flag{
			Name: s.key, Kind: field.kind(), Usage: s.doc, List: field.list(),
			Default: strings.Join(field.items(), ","),
		})
	}
	return flags
}
