package socketio_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"regexp"
	"time"

	"crier/fallback"
	"crier/io/engineio"
	"crier/io/socketio"
)

// A minimal server: what one client says, all others hear.
func Example() {
	server, err := socketio.New(socketio.Options{
		// Clients begin with polling unless told otherwise.
		Engine: engineio.Options{Polling: fallback.Polling(0, 0, 0, nil)},
	})
	if err != nil {
		log.Fatal(err)
	}
	main := server.Main()
	main.OnConnect(func(s *socketio.Socket) { fmt.Println(s.ID(), "came") })
	main.OnDisconnect(func(s *socketio.Socket, why socketio.Reason) { fmt.Println(s.ID(), "left:", why) })
	main.On("say", func(e *socketio.Event) {
		if _, err := e.Socket.Broadcast().Emit("said", e.ForwardAll()...); err != nil {
			fmt.Println(err)
		}
	})

	mux := http.NewServeMux()
	mux.Handle("/socket.io/", server)
	web := &http.Server{Addr: "127.0.0.1:3000", Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	if err := web.ListenAndServe(); err != nil {
		log.Fatal(err)
	}
}

// Clients enter rooms when the program says so, and hear what is sent there.
func Example_rooms() {
	server := newServer()
	main := server.Main()
	main.On("enter", func(e *socketio.Event) {
		var room string
		if err := e.Decode(0, &room); err != nil {
			return // a client that sends something else
		}
		if err := e.Socket.Join("chat:" + room); err != nil {
			fmt.Println(err)
			return
		}
		// To everybody in the room but the client itself.
		if _, err := e.Socket.To("chat:"+room).Emit("entered", socketio.JSON(e.Socket.ID())); err != nil {
			fmt.Println(err)
		}
	})

	// From anywhere else in the program:
	sent, err := main.To("chat:go", "chat:js").Except("muted").Emit("news", socketio.JSON("release day"))
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(sent.Delivered, "of", sent.Connections, "took it")
}

// An event from a client is answered with what the function returns.
func ExampleHandleAck() {
	type order struct{ Item string }
	type answer struct {
		Number int    `json:"number,omitempty"`
		Error  string `json:"error,omitempty"`
	}
	socketio.HandleAck(newServer().Main(), "order",
		func(_ *socketio.Event, o order) answer { return answer{Number: len(o.Item)} },
		func(_ *socketio.Event, err error) answer { return answer{Error: err.Error()} })
}

// Asking one client. A program that wants to wait does so in a goroutine of its own, never in a Handler.
func ExampleSocket_EmitWithAck() {
	newServer().Main().OnConnect(func(s *socketio.Socket) {
		err := s.EmitWithAck(5*time.Second, func(answer socketio.Args, err error) {
			if err != nil {
				fmt.Println("no answer:", err) // ErrAckTimeout or ErrDisconnected
				return
			}
			fmt.Printf("version %s\n", answer.JSON(0))
		}, "version?")
		if err != nil {
			fmt.Println(err)
		}
	})
}

// Asking everybody in a room.
func ExampleBroadcast_EmitWithAck() {
	voters := newServer().Main().To("voters")
	err := voters.EmitWithAck(10*time.Second, func(replies []socketio.Reply, err error) {
		for _, r := range replies {
			fmt.Printf("%s says %s\n", r.Socket.ID(), r.JSON(0))
		}
		var missing *socketio.MissingError
		if errors.As(err, &missing) {
			fmt.Println(missing.Missing, "of", missing.Asked, "did not vote")
		}
	}, "vote", socketio.JSON("tea or coffee?"))
	if err != nil {
		fmt.Println(err)
	}
}

// A namespace for each shop, made when its first client comes and gone with its last.
func ExampleServer_OfPattern() {
	shops := newServer().OfPattern(regexp.MustCompile(`^/shop-\d+$`))
	shops.OnConnect(func(s *socketio.Socket) {
		if _, err := s.Broadcast().Emit("customer"); err != nil { // to this shop's alone
			fmt.Println(err)
		}
	})
	for _, shop := range shops.Children() {
		fmt.Println(shop.Name(), shop.Hub().Stats().Sockets)
	}
}

// A namespace for each tenant whose clients know the password.
func ExampleServer_OfFunc() {
	newServer().OfFunc(func(name string, auth json.RawMessage) bool {
		var sent struct{ Password string }
		if err := json.Unmarshal(auth, &sent); err != nil {
			return false
		}
		return name == "/tenant" && sent.Password == "secret"
	})
}

type account struct{ Name string }

// Who has no token stays out; who has one is known by it from then on.
func Example_middleware() {
	main := newServer().Main()
	main.Use(func(s *socketio.Socket) error {
		var sent struct{ Token string }
		if err := json.Unmarshal(s.Auth(), &sent); err != nil || sent.Token == "" {
			return &socketio.ConnectError{Message: "sign in first", Data: json.RawMessage(`{"code":"no_token"}`)}
		}
		s.SetData(&account{Name: sent.Token})
		return s.Member().Login(sent.Token) // so that main.ToUser finds all pages of the user
	})
	main.UseEvent(func(next socketio.Handler) socketio.Handler {
		return func(e *socketio.Event) {
			began := time.Now()
			next(e)
			fmt.Println(e.Name, "took", time.Since(began))
		}
	})
	main.On("whoami", func(e *socketio.Event) {
		if a, ok := e.Socket.Data().(*account); ok && e.WantsAck() {
			if err := e.Ack(socketio.JSON(a.Name)); err != nil {
				fmt.Println(err)
			}
		}
	})
}

func newServer() *socketio.Server {
	server, err := socketio.New(socketio.Options{Engine: engineio.Options{Polling: fallback.Polling(0, 0, 0, nil)}})
	if err != nil {
		log.Fatal(err)
	}
	return server
}
