package app

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"crier/api/auth"
	"crier/configs"
)

// reloadable are the settings that [App.Reload] takes over, and the log level, which is not the server's.
func reloadable() []string {
	return []string{
		"api.keys", "api.allow", "api.hosts", "trusted_proxies",
		"auth.jwt.secret", "auth.jwt.public_key", "auth.jwt.jwks", "auth.jwt.algorithms", "auth.jwt.issuer", "auth.jwt.audience",
		"log.level",
	}
}

// NeedRestart returns the settings of cfg that are not those in force and that
// Reload does not take over.
func (a *App) NeedRestart(cfg *configs.Config) []string {
	return slices.DeleteFunc(configs.Changed(a.cfg, cfg), func(key string) bool { return slices.Contains(reloadable(), key) })
}

// Reload takes over what can change while the server runs: the API keys and
// allow lists of cfg, in auth.mode jwt what checks tokens, and the TLS files, as
// well as the file of auth.jwt.public_key and the JWKS, which it reads again.
// Who has logged in stays so. After an error all stays as it was. ctx bounds the
// wait for a JWKS of another address. It must not be called by two goroutines at
// once, nor beside Stop.
func (a *App) Reload(ctx context.Context, cfg *configs.Config) error {
	if a.public == nil {
		return nil // not started
	}
	access, err := newAccess(cfg)
	if err != nil {
		return err
	}
	site, err := a.newSite(cfg)
	if err != nil {
		return err
	}
	var pair *keyPair
	if a.public.certificate != nil {
		if pair, err = a.public.certificate.read(); err != nil {
			return err
		}
	}
	next, err := a.nextProof(ctx, cfg)
	if err != nil {
		return err
	}
	if err := a.api.SetAccess(access); err != nil {
		next.drop(a.gate)
		return err
	}
	// From here on nothing fails.
	next.use(a.gate)
	a.crowd.proxies.Store(&cfg.TrustedProxies)
	a.site.Store(site)
	if pair != nil {
		a.public.certificate.use(pair)
	}
	return nil
}

// nextProof is the gate's proof under the settings of cfg; nil without a gate.
// auth.mode stays what it is.
func (a *App) nextProof(ctx context.Context, cfg *configs.Config) (*proof, error) {
	if a.gate == nil {
		return nil, nil
	}
	next := *a.gate.proof.Load()
	next.proxies = cfg.TrustedProxies
	if a.cfg.Auth.Mode != "jwt" || cfg.Auth.Mode != "jwt" {
		return &next, nil
	}
	if cfg.Auth.JWT.JWKS != "" && reflect.DeepEqual(cfg.Auth.JWT, next.jwt) {
		return &next, nil // fetched again, and what was fetched stays until then
	}
	checker, err := a.newJWT(cfg.Auth.JWT)
	if err != nil {
		return nil, err
	}
	if err := checker.Ready(ctx); err != nil {
		checker.Close()
		return nil, fmt.Errorf("asking for the keys that check tokens (setting `auth.jwt.jwks`): %w", err)
	}
	next.authenticator, next.jwt = checker, cfg.Auth.JWT
	return &next, nil
}

// use makes p the gate's; nil does nothing.
func (p *proof) use(g *gate) {
	if p == nil {
		return
	}
	if old := g.proof.Swap(p); old.authenticator != p.authenticator {
		old.Close()
	} else if checker, ok := p.authenticator.(*auth.JWT); ok {
		checker.Refresh()
	}
}

// drop lets go of p, which the gate does not use.
func (p *proof) drop(g *gate) {
	if p != nil && g.proof.Load().authenticator != p.authenticator {
		p.Close()
	}
}
