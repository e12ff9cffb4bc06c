// Command gosocketio is a server with googollee/go-socket.io, as one would write it.
package main

import (
	"log"

	socketio "github.com/googollee/go-socket.io"

	"crier/bench/peers/golang"
)

// everybody is a room, since a broadcast to the namespace reaches a client once for each room that it is in.
const everybody = "everybody"

func main() {
	server := socketio.NewServer(nil)
	server.OnConnect("/", func(socketio.Conn) error { return nil })
	server.OnEvent("/", "login", func(c socketio.Conn, uid string) map[string]bool {
		c.Join(uid)
		c.Join(everybody)
		return map[string]bool{"ok": true}
	})
	server.OnError("/", func(socketio.Conn, error) {}) // it panics without one
	server.OnDisconnect("/", func(socketio.Conn, string) {})
	go func() {
		if err := server.Serve(); err != nil {
			log.Fatal(err)
		}
	}()
	golang.Main("github.com/googollee/go-socket.io", server, func(to, content string) bool {
		if to == "" {
			to = everybody
		}
		return server.BroadcastToRoom("/", to, "new_msg", content)
	})
}
