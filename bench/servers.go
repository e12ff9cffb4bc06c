package bench

import (
	"maps"
	"slices"

	"crier/bench/load"
)

// Server is how a kind of server is spoken to.
type Server struct {
	Speech load.Speech
	EIO    int
	Path   string // of the clients
	// SSEPath is that of Server-Sent Events; "": there are none.
	SSEPath         string
	Login, LoggedIn string // as in [load.Target]
	Form            load.Form
	Links           bool // it takes Crier's lasting links
	// Silent is a server that delivers nothing: nobody connects, and a push counts when it is answered.
	Silent bool
}

// Servers are the kinds of servers that are known, by name.
func Servers() map[string]Server {
	// The form of web-msg-sender's push port, which the peers in bench/peers take as well.
	legacy := load.Form{
		Path: "/", Type: "application/x-www-form-urlencoded",
		One: "type=publish&to={uid}&content={content}", All: "type=publish&to=&content={content}", OK: "ok",
	}
	crier := Server{
		Speech: load.SocketIO, EIO: 4, Path: "/socket.io/", SSEPath: "/sse", Login: "login", LoggedIn: "ack", Links: true,
		Form: load.Form{
			Path: "/v1/push", BatchPath: "/v1/push/batch", Type: "application/json",
			One: `{"to":{"users":["{uid}"]},"event":"new_msg","data":"{content}"}`,
			All: `{"to":{"all":true},"event":"new_msg","data":"{content}"}`,
			OK:  `"matched":{"users":1,"connections":1}`,
		},
	}
	handler := crier
	handler.Links, handler.Silent = false, true
	return map[string]Server{
		"crier":          crier,
		"node":           {Speech: load.SocketIO, EIO: 4, Path: "/socket.io/", Login: "login", LoggedIn: "ack", Form: legacy},
		"go-socket.io":   {Speech: load.SocketIO, EIO: 3, Path: "/socket.io/", Login: "login", LoggedIn: "ack", Form: legacy},
		"web-msg-sender": {Speech: load.SocketIO, EIO: 3, Path: "/socket.io/", Login: "login", LoggedIn: "update_online_count", Form: legacy},
		"handler":        handler,
		"centrifuge":     {Speech: load.Centrifuge, EIO: 4, Path: "/connection/websocket", LoggedIn: "ack", Form: legacy},
	}
}

// ServerNames are those of [Servers], in order.
func ServerNames() []string { return slices.Sorted(maps.Keys(Servers())) }
