package app

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	"crier/api/fastpath"
)

// heavyDoor is a port whose closing takes until the test lets it go on.
type heavyDoor struct {
	net.Listener
	closing, goOn chan struct{}
}

func (d *heavyDoor) Close() error {
	select {
	case <-d.closing:
	default:
		close(d.closing)
	}
	<-d.goOn
	return d.Listener.Close()
}

// TestShutdownClosesPortFirst: while others may still be accepted, a port that shuts down lets go of nobody. Whose request met that
// would make it once more, on a new connection, and could meet it again. 50 restarts under load have found one of those.
func TestShutdownClosesPortFirst(t *testing.T) {
	for _, fast := range []bool{true, false} {
		name := "net/http"
		if fast {
			name = "fastpath"
		}
		t.Run(name, func(t *testing.T) {
			inner, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			d := &heavyDoor{inner, make(chan struct{}), make(chan struct{})}
			fresh := &newcomers{}
			e := &endpoint{name: "push", listener: d, newcomers: fresh, server: &http.Server{
				ConnState: fresh.note,
				Handler:   http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "text/plain") }),
			}}
			if fast {
				err := e.shorten(fastpath.Options{Takes: func(string, string) bool { return true }})
				if err != nil {
					t.Fatal(err)
				}
			}
			e.serving.Go(func() {
				if err := e.server.Serve(e.listener); !errors.Is(err, http.ErrServerClosed) && !e.deaf.Load() {
					t.Error(err)
				}
			})
			conn, err := net.Dial("tcp", inner.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			in := bufio.NewReader(conn)
			call := func() (kept bool) {
				t.Helper()
				if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				resp, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatal(err)
				}
				if err := resp.Body.Close(); err != nil {
					t.Fatal(err)
				}
				return !resp.Close
			}
			call()
			down := make(chan error, 1)
			go func() { down <- e.shutdown(context.Background()) }()
			<-d.closing
			if !call() {
				t.Error("a connection is ended while the port still accepts")
			}
			close(d.goOn)
			if err := <-down; err != nil {
				t.Error(err)
			}
			if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
				t.Errorf("a connection outlives its port: %v", err)
			}
		})
	}
}
