package app

import (
	"context"

	"crier/api"
	"crier/api/auth"
	"crier/io/hub"
)

// kicker is the hub for the push port where clients are known by a callback. Who is disconnected is asked about again: a
// remembered answer would let in whom the business has just thrown out.
type kicker struct {
	*hub.Hub
	known *auth.Callback
}

// Disconnect implements [api.Directory].
func (k kicker) Disconnect(ctx context.Context, a hub.Audience) (int, error) {
	for _, uid := range a.Users {
		k.known.Forget(uid)
	}
	return k.Hub.Disconnect(ctx, a)
}

// directory is what the push port asks about users and rooms. A reload does not change what knows clients by a callback.
func (a *App) directory() api.Directory {
	if a.gate != nil {
		if known, ok := a.gate.proof.Load().authenticator.(*auth.Callback); ok {
			return kicker{a.hub, known}
		}
	}
	return a.hub
}
