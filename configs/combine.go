package configs

import "slices"

// rule is something that must hold between settings which are each right by themselves.
type rule struct {
	keys   []string             // what it is about; the first is named in the mistake
	broken func(*Config) string // what is wrong, or ""
}

// rules returns what must hold between settings.
func rules() []rule {
	return slices.Concat(portRules(), webhookRules())
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
			if !c.OnePort() || len(c.API.Keys) > 0 {
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
		needsURL("webhook.secrets", func(w Webhook) bool { return len(w.Secrets) > 0 }),
		needsURL("webhook.format", func(w Webhook) bool { return w.Format != usual.Format }),
		needsURL("webhook.events", func(w Webhook) bool { return !slices.Equal(w.Events, usual.Events) }),
		needsURL("webhook.timeout", func(w Webhook) bool { return w.Timeout != usual.Timeout }),
	}
}
