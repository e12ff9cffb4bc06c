// Conformance is the server that the official protocol test suites expect:
// docs/engine.io-protocol/v3-test-suite and v4-test-suite and
// docs/socket.io-protocol/v5-test-suite of the socket.io repository, all
// against one configuration.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"crier/fallback"
	"crier/io/engineio"
	"crier/io/socketio"
)

const maxPayload = 1_000_000

func main() {
	addr := flag.String("addr", "127.0.0.1:3000", "`host:port` to listen on")
	flag.Parse()
	if err := run(*addr); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(addr string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	engine, err := engineio.New(options(), echo{})
	if err != nil {
		return err
	}
	sockets, err := socketServer()
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/engine.io/", engine)
	mux.Handle("/socket.io/", sockets)
	server := &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return errors.Join(err, engine.Close(limit), sockets.Close(limit), server.Close())
}

func options() engineio.Options {
	return engineio.Options{
		PingInterval: 300 * time.Millisecond,
		PingTimeout:  200 * time.Millisecond,
		MaxPayload:   maxPayload,
		Polling:      fallback.Polling(maxPayload, 4*maxPayload, 1000, nil),
	}
}

// echo sends every message back.
type echo struct{}

func (echo) Accept(s *engineio.Session, _ *http.Request) engineio.Receiver { return echoReceiver{s} }

type echoReceiver struct{ session *engineio.Session }

func (echoReceiver) Opened() {}

func (echoReceiver) Closed(engineio.Reason) {}

func (e echoReceiver) Message(data []byte, binary bool) error {
	data = append([]byte(nil), data...)
	if binary {
		return e.session.Send(engineio.PrepareBinary(data))
	}
	return e.session.Send(engineio.Prepare(data, len(data)))
}

func socketServer() (*socketio.Server, error) {
	server, err := socketio.New(socketio.Options{Engine: options()})
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"/", "/custom"} {
		n, err := server.Of(name)
		if err != nil {
			return nil, err
		}
		serve(n)
	}
	return server, nil
}

func serve(n *socketio.Namespace) {
	n.OnConnect(func(s *socketio.Socket) {
		auth := s.Auth()
		if auth == nil {
			auth = []byte("{}")
		}
		report(s.Emit("auth", socketio.Raw(auth)))
	})
	n.On("message", func(e *socketio.Event) {
		report(e.Socket.Emit("message-back", arguments(e)...))
	})
	n.On("message-with-ack", func(e *socketio.Event) {
		report(e.Ack(arguments(e)...))
	})
}

func arguments(e *socketio.Event) []socketio.Arg {
	args := make([]socketio.Arg, e.Len())
	for i := range args {
		args[i] = e.Forward(i)
	}
	return args
}

func report(err error) {
	if err != nil && !errors.Is(err, engineio.ErrClosed) {
		fmt.Fprintln(os.Stderr, "conformance:", err)
	}
}
