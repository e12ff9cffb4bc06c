// Echoserver is a Socket.IO server for the interop tests, built on crier/io/socketio as any program
// would: it serves the namespaces "/" and "/custom" at the address given as its first argument, until
// SIGTERM. With "deflate" behind that it compresses messages.
//
//   - echo, args…: acknowledged with the same arguments
//   - emit-back, args…: answered by the event back with the same arguments
//   - ask, args…: the client is asked by the event question with the same arguments, and what it
//     acknowledges comes back to it as the event answer
//   - who: acknowledged with {"query","auth"}, what came with the handshake and to join the namespace
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"crier/fallback"
	"crier/io/engineio"
	"crier/io/socketio"
)

// The limits are the defaults of Crier's settings.
const (
	maxPayload    = 1_000_000
	queueBytes    = 1 << 20
	queueMessages = 1000
	answerTimeout = 30 * time.Second
	closeTimeout  = 10 * time.Second
)

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := run(log); err != nil {
		log.Error("stopped", "err", err)
		os.Exit(1)
	}
}

func run(log *slog.Logger) error {
	deflate := len(os.Args) == 3 && os.Args[2] == "deflate"
	if len(os.Args) != 2 && !deflate {
		return fmt.Errorf("want host:port, and maybe deflate behind it; got %q", os.Args[1:])
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	sockets, err := newServer(log, deflate)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", sockets)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: closeTimeout}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	log.Info("listening", "port", "public", "addr", listener.Addr().String())

	select {
	case err := <-ended:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err = errors.Join(sockets.Close(closing), server.Close())
	if end := <-ended; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}

// newServer returns the Socket.IO server with its events.
func newServer(log *slog.Logger, deflate bool) (*socketio.Server, error) {
	server, err := socketio.New(socketio.Options{
		Engine: engineio.Options{
			MaxPayload: maxPayload, QueueBytes: queueBytes, QueueMessages: queueMessages, PerMessageDeflate: deflate,
			Polling: fallback.Polling(maxPayload, queueBytes, queueMessages, nil),
			Logger:  log,
		},
		Logger: log,
	})
	if err != nil {
		return nil, fmt.Errorf("making the server: %w", err)
	}
	custom, err := server.Of("/custom")
	if err != nil {
		return nil, fmt.Errorf("making a namespace: %w", err)
	}
	h := handlers{log: log}
	for _, n := range []*socketio.Namespace{server.Main(), custom} {
		n.On("echo", h.echo)
		n.On("emit-back", h.emitBack)
		n.On("ask", h.ask)
		n.On("who", h.who)
	}
	return server, nil
}

// handlers answer the events.
type handlers struct{ log *slog.Logger }

func (h handlers) echo(e *socketio.Event) {
	h.report("echo", e.Ack(forward(e.Args)...))
}

func (h handlers) emitBack(e *socketio.Event) {
	h.report("emit-back", e.Socket.Emit("back", forward(e.Args)...))
}

func (h handlers) ask(e *socketio.Event) {
	socket := e.Socket
	answered := func(answer socketio.Args, err error) {
		if err != nil {
			h.report("ask", err)
			return
		}
		h.report("ask", socket.Emit("answer", forward(answer)...))
	}
	h.report("ask", socket.EmitWithAck(answerTimeout, answered, "question", forward(e.Args)...))
}

func (h handlers) who(e *socketio.Event) {
	if shake := e.Socket.Handshake(); shake != nil {
		h.report("who", e.Ack(socketio.JSON(map[string]any{"query": shake.Query, "auth": e.Socket.Auth()})))
	}
}

func (h handlers) report(event string, err error) {
	if err != nil {
		h.log.Error("handling an event", "event", event, "err", err)
	}
}

// forward returns arguments that arrived as ones to send.
func forward(args socketio.Args) []socketio.Arg {
	out := make([]socketio.Arg, args.Len())
	for i := range out {
		out[i] = args.Forward(i)
	}
	return out
}
