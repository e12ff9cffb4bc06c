package app

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"crier/api/auth"
	"crier/api/webhook"
	"crier/configs"
	"crier/io/wsconn"
)

const (
	// leastSecret is the least length of an HS256 key in bytes (RFC 7518 section 3.2).
	leastSecret = 32
	// clockLeeway is how far the clock of a token's issuer may be ahead.
	clockLeeway = 10 * time.Second
)

// buildGate makes the gate, if there is to be one.
func (a *App) buildGate() error {
	c := a.cfg.Auth
	if c.Mode == "open" {
		return nil
	}
	checker, err := a.newAuthenticator(c)
	if err != nil {
		return err
	}
	g := &gate{
		callback: c.Mode == "callback",
		timeout:  c.LoginTimeout, roomsFrom: a.cfg.Rooms.ClientJoin,
		wheel: wsconn.NewWheel(gateResolution, 0),
		log:   a.log,
	}
	g.proof.Store(&proof{checker, a.cfg.TrustedProxies, c.JWT})
	g.ctx, g.cancel = context.WithCancel(context.Background())
	a.gate = g
	return nil
}

func (a *App) newAuthenticator(c configs.Auth) (authenticator, error) {
	if c.Mode == "callback" {
		if slices.Contains(a.cfg.Origins, "*") {
			a.log.Warn("origins is *: any web page can connect with the cookies of whoever opens it, and read what is pushed to that user; " +
				"list the origins of your pages, as auth.mode is callback")
		}
		signer, err := webhook.NewSigner(a.cfg.Webhook.Secrets...)
		if err != nil {
			return nil, err
		}
		return auth.NewCallback(auth.CallbackOptions{URL: c.Callback.URL, Timeout: c.Callback.Timeout, Sign: signer.Header, Logger: a.log})
	}
	return a.newJWT(c.JWT)
}

func (a *App) newJWT(c configs.JWT) (*auth.JWT, error) {
	options := auth.JWTOptions{
		Secret: c.Secret, JWKS: c.JWKS, Algorithms: c.Algorithms,
		Issuer: c.Issuer, Audience: c.Audience, Leeway: clockLeeway, Logger: a.log,
	}
	if options.Secret != "" && len(options.Secret) < leastSecret {
		a.log.Warn("auth.jwt.secret is short enough to be guessed from a token: give it 32 random bytes or more", "bytes", len(options.Secret))
	}
	if c.PublicKey != "" {
		text := []byte(c.PublicKey)
		if !strings.HasPrefix(c.PublicKey, "-----BEGIN ") {
			var err error
			if text, err = os.ReadFile(c.PublicKey); err != nil {
				return nil, fmt.Errorf("reading the public key (setting `auth.jwt.public_key`): %w", err)
			}
		}
		options.PublicKey = text
	}
	return auth.NewJWT(options)
}

// door is who decides who a client is.
func (a *App) door() door {
	if a.gate == nil {
		return openDoor{mayJoin: a.cfg.Rooms.ClientJoin == "allow"}
	}
	a.gate.follow(a.sockets.Main())
	return a.gate
}

// connectTimeout is how long a client may take to join a namespace; where it
// must log in, not longer than for that.
func (a *App) connectTimeout() time.Duration {
	if a.gate == nil {
		return a.cfg.SocketIO.ConnectTimeout
	}
	return min(a.cfg.SocketIO.ConnectTimeout, a.cfg.Auth.LoginTimeout)
}
