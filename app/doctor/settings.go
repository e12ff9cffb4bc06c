package doctor

import (
	"fmt"
	"net/netip"
	"slices"

	"crier/configs"
)

// shortest is how many bytes a key should have at least: so many that nobody guesses it.
const shortest = 16

// exposed tells what the settings let in that is better kept out.
func exposed(cfg *configs.Config) []Finding {
	var all []Finding
	warn := func(about, text string) { all = append(all, Finding{Warning, about, text}) }
	outside := public(cfg.Listen)
	if cfg.Auth.Mode == "open" && outside {
		warn("auth.mode", "open, and other machines reach "+cfg.Listen+": whoever does may log in as any user and read what is pushed to that user; set jwt or callback")
	}
	if outside && cfg.TLS.Cert == "" && len(cfg.TrustedProxies) == 0 {
		warn("tls.cert", "none, and other machines reach "+cfg.Listen+": everybody on the way can read along; set it, or put a proxy with TLS in front, its address into trusted_proxies and 127.0.0.1:2120 into listen")
	}
	if outside && cfg.Limits.QueueTotal == 0 {
		warn("limits.queue_total", "0, and other machines reach "+cfg.Listen+": who opens many connections and reads none can take all the memory; set auto")
	}
	if cfg.Auth.Mode == "callback" && slices.Contains(cfg.Origins, "*") {
		warn("origins", "* with auth.mode callback: any web site that a user visits can connect with that user's cookies; name the origins")
	}
	for _, list := range []struct {
		about    string
		prefixes []netip.Prefix
		what     string
	}{
		{"api.allow", cfg.API.Allow, "everybody may push: name your servers' networks"},
		{"trusted_proxies", cfg.TrustedProxies, "everybody may say which address he has: name your proxies"},
	} {
		for _, p := range list.prefixes {
			if p.Bits() == 0 {
				all = append(all, Finding{Wrong, list.about, p.String() + ": " + list.what})
			}
		}
	}
	return all
}

// keys tells of keys and secrets that are missing or can be guessed.
func keys(cfg *configs.Config) []Finding {
	var all []Finding
	warn := func(about, text string) { all = append(all, Finding{Warning, about, text}) }
	given := slices.Clone(cfg.API.Keys)
	for _, k := range cfg.API.Limited {
		given = append(given, k.Key)
	}
	if len(given) == 0 && len(cfg.API.Allow) == 0 {
		warn("api.keys", "none: only this machine may push, and everybody on it; a proxy here that adds no X-Forwarded-For makes all its visitors this machine")
	}
	short := 0
	for _, k := range given {
		if len(k) < shortest {
			short++
		}
	}
	if short > 0 {
		warn("api.keys", fmt.Sprintf("%d of %d have less than %d characters and can be guessed: take the output of openssl rand -hex 24", short, len(given), shortest))
	}
	calls := cfg.Webhook.URL != "" || len(cfg.Forward.Events) > 0 || cfg.Auth.Mode == "callback"
	if calls && len(cfg.Webhook.Secrets) == 0 {
		warn("webhook.secrets", "none: your servers cannot tell Crier's calls from anybody's; set one, and check the signature")
	}
	if cfg.Webhook.URL != "" && cfg.Store.Path == "" {
		warn("store.path", "none: callbacks that are owed are lost with the program")
	}
	return all
}
