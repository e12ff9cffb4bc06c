package app

import (
	"net/http"
	"strings"

	"crier/io/httpconn"
)

// keepPolls has the connections on which clients poll kept outside of net/http, where one that waits takes 33 KB. With TLS they
// cannot be.
func (a *App) keepPolls() (err error) {
	e := a.public
	if e.certificate != nil {
		return nil
	}
	e.keeper, err = httpconn.New(httpconn.Options{Upgrader: a.streams, Server: e.server, Takes: a.isPoll, Logger: a.log})
	if err == nil {
		e.server.Handler = e.keeper.Around(e.server.Handler)
	}
	return err
}

// isPoll reports whether a request is one of a client that polls: with Socket.IO, of one that is here already. The first poll of comet
// may wait as the others do.
func (a *App) isPoll(method, path, query string) bool {
	switch {
	case path == "/comet":
		return method == http.MethodGet
	case path != a.cfg.SocketIO.Path && path+"/" != a.cfg.SocketIO.Path:
		return false
	case method != http.MethodGet && method != http.MethodPost, !strings.Contains(query, "transport=polling"):
		return false
	}
	id := sessionIn(query)
	return id != "" && (a.passage == nil || strings.HasPrefix(id, a.passage.tag))
}
