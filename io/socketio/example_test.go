package socketio_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"time"

	"crier/fallback"
	"crier/io/engineio"
	"crier/io/hub"
	"crier/io/socketio"
)

// A minimal server: who says hello is greeted, and everybody hears of it.
func Example() {
	server, err := socketio.New(socketio.Options{
		Engine: engineio.Options{Polling: fallback.Polling(1_000_000, 1<<20, 1000)},
	})
	if err != nil {
		log.Fatal(err)
	}
	main := server.Main()
	main.Use(func(s *socketio.Socket) error {
		if s.Handshake().Query.Get("token") == "" {
			return &socketio.ConnectError{Message: "a token is needed"}
		}
		return nil
	})
	main.OnDisconnect(func(s *socketio.Socket, why socketio.Reason) {
		fmt.Println(s.ID(), "left:", why)
	})
	socketio.Handle(main, "hello", func(e *socketio.Event, name string) {
		if err := e.Ack(socketio.JSON("hello " + name)); err != nil {
			fmt.Println(err) // the client wants no answer, or has gone
		}
		m, err := socketio.NewMessage("joined", socketio.JSON(name))
		if err != nil {
			fmt.Println(err)
			return
		}
		// The handler has no request of its own, so it needs no deadline: Push never waits.
		if _, err := main.Hub().Push(context.Background(), hub.Push{To: hub.Audience{All: true}, Message: m}); err != nil {
			fmt.Println(err)
		}
	}, nil)

	mux := http.NewServeMux()
	mux.Handle("/socket.io/", server)
	web := &http.Server{Addr: "127.0.0.1:3000", Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	if err := web.ListenAndServe(); err != nil {
		log.Fatal(err)
	}
}
