package configs

import (
	"net/url"
	"slices"
	"strings"
)

// rule is something that must hold between settings which are each right by themselves.
type rule struct {
	keys   []string             // what it is about; the first is named in the mistake
	broken func(*Config) string // what is wrong, or ""
}

// rules returns what must hold between settings.
func rules() []rule {
	return slices.Concat(portRules(), authRules(), webhookRules(), forwardRules(), inboxRules(), clusterRules())
}

func portRules() []rule {
	return []rule{
		{[]string{"tls.cert", "tls.key"}, func(c *Config) string {
			if c.TLS.Cert == "" || c.TLS.Key != "" {
				return ""
			}
			return "needs tls.key as well: native TLS takes both files, or neither"
		}},
		{[]string{"tls.key", "tls.cert"}, func(c *Config) string {
			if c.TLS.Key == "" || c.TLS.Cert != "" {
				return ""
			}
			return "needs tls.cert as well: native TLS takes both files, or neither"
		}},
		{[]string{"listen", "api.listen", "api.keys"}, func(c *Config) string {
			if !c.OnePort() || c.API.HasKeys() {
				return ""
			}
			return "is also api.listen: with everything on one port, api.keys must be set"
		}},
		{[]string{"listen", "api.listen"}, func(c *Config) string {
			if c.OnePort() || !overlap(c.Listen, c.API.Listen) {
				return ""
			}
			return "takes the port of api.listen too: use another port, or the very same address for both"
		}},
		{[]string{"origins"}, func(c *Config) string {
			if len(c.Origins) < 2 || !slices.Contains(c.Origins, "*") {
				return ""
			}
			return "has * (all origins) among others: give * alone, or leave it out"
		}},
	}
}

// overlap reports whether two different addresses cannot both be listened on, since one of them is every
// address of the machine.
func overlap(a, b string) bool {
	host, port := splitAddress(a)
	otherHost, otherPort := splitAddress(b)
	return port == otherPort && port != "0" && (host == "" || otherHost == "")
}

// webhookRules: what is said about callbacks that go nowhere was meant for somebody.
func webhookRules() []rule {
	usual := Default().Webhook
	needsURL := func(key string, changed func(Webhook) bool) rule {
		return rule{[]string{key, "webhook.url"}, func(c *Config) string {
			if c.Webhook.URL != "" || !changed(c.Webhook) {
				return ""
			}
			return "has no effect without webhook.url: set that too, or leave this out"
		}}
	}
	return []rule{
		{[]string{"webhook.secrets", "webhook.url", "forward.url", "auth.mode"}, func(c *Config) string {
			if c.Webhook.URL != "" || c.Forward.URL != "" || c.Auth.Mode == "callback" || len(c.Webhook.Secrets) == 0 {
				return ""
			}
			return "has no effect without webhook.url: set that too, or leave this out"
		}},
		needsURL("webhook.format", func(w Webhook) bool { return w.Format != usual.Format }),
		needsURL("webhook.events", func(w Webhook) bool { return !slices.Equal(w.Events, usual.Events) }),
		needsURL("webhook.timeout", func(w Webhook) bool { return w.Timeout != usual.Timeout }),
		needsURL("webhook.batch", func(w Webhook) bool { return w.Batch != usual.Batch }),
		needsURL("webhook.retention", func(w Webhook) bool { return w.Retention != usual.Retention }),
		{[]string{"webhook.batch", "webhook.format"}, func(c *Config) string {
			if c.Webhook.Batch == 1 || c.Webhook.Format != "form" {
				return ""
			}
			return "must be 1 with webhook.format form, which has room for one callback: choose json, or leave this out"
		}},
		{[]string{"presence.restart_grace", "webhook.url", "store.path"}, func(c *Config) string {
			if c.Presence.RestartGrace == Default().Presence.RestartGrace || c.Webhook.URL != "" && c.Store.Path != "" {
				return ""
			}
			return "has no effect without webhook.url and store.path: set those too, or leave this out"
		}},
	}
}

// inboxRules: what is said about stored messages needs a place to store them.
func inboxRules() []rule {
	usual := Default().Inbox
	needsStore := func(key string, changed func(Inbox) bool) rule {
		return rule{[]string{key, "store.path"}, func(c *Config) string {
			if c.Store.Path != "" || !changed(c.Inbox) {
				return ""
			}
			return "has no effect without store.path: set that too, or leave this out"
		}}
	}
	return []rule{
		needsStore("inbox.max_per_user", func(i Inbox) bool { return i.MaxPerUser != usual.MaxPerUser }),
		needsStore("inbox.max_bytes", func(i Inbox) bool { return i.MaxBytes != usual.MaxBytes }),
		needsStore("inbox.ttl", func(i Inbox) bool { return i.TTL != usual.TTL }),
		needsStore("inbox.open", func(i Inbox) bool { return i.Open }),
	}
}

// forwardRules: events need somewhere to go, and that needs events.
func forwardRules() []rule {
	usual := Default().Forward
	needsEvents := func(key string, changed func(Forward) bool) rule {
		return rule{[]string{key, "forward.events"}, func(c *Config) string {
			if len(c.Forward.Events) > 0 || !changed(c.Forward) {
				return ""
			}
			return "has no effect without forward.events: name the events, or leave this out"
		}}
	}
	return []rule{
		{[]string{"forward.events", "forward.url", "webhook.url"}, func(c *Config) string {
			if len(c.Forward.Events) == 0 || c.Forward.URL != "" || c.Webhook.URL != "" {
				return ""
			}
			return "needs forward.url, or webhook.url, where the events go"
		}},
		needsEvents("forward.url", func(f Forward) bool { return f.URL != "" }),
		needsEvents("forward.timeout", func(f Forward) bool { return f.Timeout != usual.Timeout }),
	}
}

// clusterRules: what is said about Redis needs one.
func clusterRules() []rule {
	needsRedis := func(key string, given func(Cluster) bool) rule {
		return rule{[]string{key, "cluster.redis"}, func(c *Config) string {
			if c.Cluster.Redis != "" || !given(c.Cluster) {
				return ""
			}
			return "has no effect without cluster.redis: set that too, or leave this out"
		}}
	}
	needsTLS := func(key string, given func(ClusterTLS) bool) rule {
		return rule{[]string{key, "cluster.redis"}, func(c *Config) string {
			if c.Cluster.Redis == "" || strings.HasPrefix(c.Cluster.Redis, "rediss:") || !given(c.Cluster.TLS) {
				return ""
			}
			return "has no effect without TLS: write rediss:// in cluster.redis, or leave this out"
		}}
	}
	return []rule{
		needsRedis("cluster.sentinels", func(c Cluster) bool { return len(c.Sentinels) > 0 }),
		needsRedis("cluster.prefix", func(c Cluster) bool { return c.Prefix != Default().Cluster.Prefix }),
		needsRedis("cluster.node", func(c Cluster) bool { return c.Node != "" }),
		needsRedis("cluster.advertise", func(c Cluster) bool { return c.Advertise != "" }),
		needsRedis("cluster.emitter_prefix", func(c Cluster) bool { return c.EmitterPrefix != Default().Cluster.EmitterPrefix }),
		needsRedis("cluster.tls.ca", func(c Cluster) bool { return c.TLS.CA != "" }),
		needsRedis("cluster.tls.cert", func(c Cluster) bool { return c.TLS.Cert != "" }),
		needsRedis("cluster.tls.key", func(c Cluster) bool { return c.TLS.Key != "" }),
		needsTLS("cluster.tls.ca", func(t ClusterTLS) bool { return t.CA != "" }),
		needsTLS("cluster.tls.cert", func(t ClusterTLS) bool { return t.Cert != "" }),
		needsTLS("cluster.tls.key", func(t ClusterTLS) bool { return t.Key != "" }),
		{[]string{"cluster.tls.cert", "cluster.tls.key"}, func(c *Config) string {
			if c.Cluster.TLS.Cert == "" || c.Cluster.TLS.Key != "" {
				return ""
			}
			return "needs cluster.tls.key as well: set both, or neither"
		}},
		{[]string{"cluster.tls.key", "cluster.tls.cert"}, func(c *Config) string {
			if c.Cluster.TLS.Key == "" || c.Cluster.TLS.Cert != "" {
				return ""
			}
			return "needs cluster.tls.cert as well: set both, or neither"
		}},
		{[]string{"cluster.sentinel_password", "cluster.sentinels"}, func(c *Config) string {
			if c.Cluster.SentinelPassword == "" || len(c.Cluster.Sentinels) > 0 {
				return ""
			}
			return "has no effect without cluster.sentinels: set those too, or leave this out"
		}},
		{[]string{"cluster.redis", "cluster.sentinels"}, func(c *Config) string {
			u, err := url.Parse(c.Cluster.Redis)
			if len(c.Cluster.Sentinels) == 0 || err != nil || u.Port() == "" {
				return ""
			}
			return "must have the name of the master in the place of a host, without a port, since cluster.sentinels tell where it is"
		}},
	}
}

// authRules: a half-written way to prove who one is must not end as no way at all.
func authRules() []rule {
	usual := Default().Auth
	needsMode := func(key, mode string, given func(Auth) bool) rule {
		return rule{[]string{key, "auth.mode"}, func(c *Config) string {
			if c.Auth.Mode == mode || !given(c.Auth) {
				return ""
			}
			return "has no effect without auth.mode " + mode + ": set that too, or leave this out"
		}}
	}
	return slices.Concat(jwtRules(), []rule{
		needsMode("auth.jwt.secret", "jwt", func(a Auth) bool { return a.JWT.Secret != "" }),
		needsMode("auth.jwt.public_key", "jwt", func(a Auth) bool { return a.JWT.PublicKey != "" }),
		needsMode("auth.jwt.jwks", "jwt", func(a Auth) bool { return a.JWT.JWKS != "" }),
		needsMode("auth.jwt.algorithms", "jwt", func(a Auth) bool { return len(a.JWT.Algorithms) > 0 }),
		needsMode("auth.jwt.issuer", "jwt", func(a Auth) bool { return a.JWT.Issuer != "" }),
		needsMode("auth.jwt.audience", "jwt", func(a Auth) bool { return len(a.JWT.Audience) > 0 }),
		needsMode("auth.callback.url", "callback", func(a Auth) bool { return a.Callback.URL != "" }),
		needsMode("auth.callback.timeout", "callback", func(a Auth) bool { return a.Callback.Timeout != usual.Callback.Timeout }),
		{[]string{"auth.mode", "auth.callback.url"}, func(c *Config) string {
			if c.Auth.Mode != "callback" || c.Auth.Callback.URL != "" {
				return ""
			}
			return "needs auth.callback.url, which says who a client is"
		}},
		{[]string{"auth.callback.timeout", "auth.mode", "socketio.ping_timeout"}, func(c *Config) string {
			if c.Auth.Mode != "callback" || c.Auth.Callback.Timeout < c.SocketIO.PingTimeout {
				return ""
			}
			return "must be less than socketio.ping_timeout: a connection answers no heartbeat while it is asked who it is"
		}},
		{[]string{"auth.login_timeout", "auth.mode"}, func(c *Config) string {
			if c.Auth.Mode != "open" || c.Auth.LoginTimeout == usual.LoginTimeout {
				return ""
			}
			return "has no effect in auth.mode open, where nobody needs to log in: set auth.mode to jwt or callback, or leave this out"
		}},
		{[]string{"rooms.client_join", "auth.mode"}, func(c *Config) string {
			if c.Rooms.ClientJoin != "token" || c.Auth.Mode != "open" {
				return ""
			}
			return "needs auth.mode jwt or callback: in the mode open there are no tokens that could name rooms"
		}},
	})
}

// jwtRules: one kind of key, and the algorithms that are for it.
func jwtRules() []rule {
	given := func(j JWT) (keys []string) {
		for key, text := range map[string]string{"auth.jwt.secret": j.Secret, "auth.jwt.public_key": j.PublicKey, "auth.jwt.jwks": j.JWKS} {
			if text != "" {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		return keys
	}
	keys := []string{"auth.mode", "auth.jwt.secret", "auth.jwt.public_key", "auth.jwt.jwks"}
	return []rule{
		{keys, func(c *Config) string {
			if c.Auth.Mode != "jwt" || len(given(c.Auth.JWT)) > 0 {
				return ""
			}
			return "needs a key that checks tokens: auth.jwt.secret, auth.jwt.public_key or auth.jwt.jwks"
		}},
		{keys, func(c *Config) string {
			found := given(c.Auth.JWT)
			if c.Auth.Mode != "jwt" || len(found) < 2 {
				return ""
			}
			return "needs one kind of key, but " + strings.Join(found, " and ") + " are given: leave out all but one"
		}},
		{append([]string{"auth.jwt.algorithms"}, keys...), func(c *Config) string {
			j := c.Auth.JWT
			others := slices.ContainsFunc(j.Algorithms, func(name string) bool { return name != "HS256" })
			switch {
			case c.Auth.Mode != "jwt" || len(given(j)) != 1:
				return ""
			case j.Secret != "" && others:
				return "must be HS256 alone with auth.jwt.secret: the others need a public key"
			case j.Secret == "" && slices.Contains(j.Algorithms, "HS256"):
				return "must not have HS256 with a public key, which anybody could sign with: that one needs auth.jwt.secret"
			}
			return ""
		}},
	}
}
