package app

import (
	"context"

	"crier/api"
	"crier/api/auth"
	"crier/io/cluster"
	"crier/io/hub"
)

// directory is what is asked about users and rooms, and told to disconnect them: by the push port, and by emitters.
type directory interface {
	api.Directory
	cluster.Sockets
}

// kicker is the hub where clients are known by a callback. Who is disconnected is asked about again: a remembered answer
// would let in whom the business has just thrown out.
type kicker struct {
	*hub.Hub
	known *auth.Callback
}

// Disconnect implements [api.Directory].
func (k kicker) Disconnect(ctx context.Context, a hub.Audience) (int, error) {
	members, err := k.Members(a)
	if err != nil {
		return 0, err
	}
	for _, m := range members {
		if uid := m.UID(); uid != "" {
			k.known.Forget(uid)
		}
	}
	for _, uid := range a.Users { // online or not
		k.known.Forget(uid)
	}
	return k.Hub.Disconnect(ctx, a)
}

// directory is that of the main namespace. A reload does not change what knows clients by a callback.
func (a *App) directory() directory {
	if a.gate != nil {
		if known, ok := a.gate.proof.Load().authenticator.(*auth.Callback); ok {
			return kicker{a.hub, known}
		}
	}
	return a.hub
}
