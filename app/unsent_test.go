package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"crier/io/engineio/pipenet"
	"crier/io/http1"
)

// A body that is announced and never comes keeps no connection, whatever its request is answered; one that has come bounds nothing,
// nor does one whose connection has been taken over.
func TestUnsentBodies(t *testing.T) {
	waits := func(r *http.Request) string {
		_, err := io.ReadAll(r.Body)
		select {
		case <-r.Context().Done():
			return "was given up"
		case <-time.After(2 * bodyTime):
			return "waited, " + http.StatusText(map[bool]int{true: 200, false: 400}[err == nil])
		}
	}
	for name, c := range map[string]struct {
		sent    string
		handler http.HandlerFunc
		want    string
		ends    bool
	}{
		"not read":            {"", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, "403 Forbidden", true},
		"not read, by a page": {"", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("x", 10_000)) }, "200 OK", true},
		// Who is still sending has the time to read the answer before the connection is reset, as net/http sees to.
		"not read, and too long": {"", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusRequestEntityTooLarge) }, "413 Request Entity Too Large", true},
		"read": {"abc", func(w http.ResponseWriter, r *http.Request) {
			_, err := io.ReadAll(r.Body)
			http.Error(w, "", map[bool]int{true: 200, false: 400}[err == nil])
		}, "400 Bad Request", true},
		"whole": {"0123456789", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Body", waits(r)) }, "200 OK", false},
		"taken over": {"", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			go func() {
				defer conn.Close()
				io.WriteString(conn, "HTTP/1.1 204 Taken Over\r\n\r\n")
				if n, err := conn.Read(make([]byte, 1)); n == 0 {
					t.Errorf("the connection ended: %v", err)
				}
			}()
		}, "204 Taken Over", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := pipenet.New()
				server := &http.Server{Handler: unsent(c.handler, slog.New(slog.DiscardHandler))}
				go server.Serve(network)
				defer server.Close()
				conn, err := network.Dial()
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				length := 10
				if name == "not read, and too long" {
					length = 1 << 20
				}
				if _, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", length, c.sent); err != nil {
					t.Fatal(err)
				}
				in := bufio.NewReader(conn)
				resp, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatal(err)
				}
				same(t, "status", resp.Status, c.want)
				if body := resp.Header.Get("X-Body"); body != "" {
					same(t, "the handler", body, "waited, OK")
				}
				if !c.ends {
					time.Sleep(2 * bodyTime) // of the bubble
					if _, err := conn.Write([]byte("G")); err != nil {
						t.Errorf("the connection ended: %v", err)
					}
					synctest.Wait()
					return
				}
				answered := time.Now()
				if _, err := io.Copy(io.Discard, in); err != nil && !errors.Is(err, io.EOF) {
					t.Errorf("the connection was not ended: %v", err)
				}
				if length > 10 && time.Since(answered) < 100*time.Millisecond { // of the bubble
					t.Error("the connection was ended at once")
				}
			})
		})
	}
}

// The body of a GET, which nobody reads, is no request: the next request on its connection is the one behind it.
func TestBodyOfAGet(t *testing.T) {
	p := start(t, nil)
	for _, path := range []string{"/comet?uid=7&wait=0", "/comet?uid=8&wait=1", "/socket.io/?EIO=4&transport=polling", "/"} {
		t.Run(path, func(t *testing.T) {
			conn, err := net.Dial("tcp", p.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := conn.Close(); err != nil {
					t.Error(err)
				}
			}()
			if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			const inside = "GET /inside HTTP/1.1\r\nHost: a\r\n\r\n"
			request := "GET " + path + " HTTP/1.1\r\nHost: a\r\nContent-Length: " + strconv.Itoa(len(inside)) + "\r\n\r\n" + inside + "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
			if _, err := io.WriteString(conn, request); err != nil {
				t.Fatal(err)
			}
			in := bufio.NewReader(conn)
			for range 2 {
				resp, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatal(err)
				}
				same(t, "status", resp.StatusCode, 200)
				if _, err := io.Copy(io.Discard, resp.Body); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// A request that has come whole is handled as it is: most pushes are such.
func TestNothingUnsent(t *testing.T) {
	var got *http.Request
	h := unsent(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r }), slog.New(slog.DiscardHandler))
	r := httptest.NewRequest(http.MethodPost, "/v1/push", strings.NewReader("{}"))
	var w http.ResponseWriter = new(http1.Response)
	if n := testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }); n > 0 || got != r {
		t.Errorf("%v allocations, another request: %v", n, got != r)
	}
}

// A stream of HTTP/2 that has been reset is not kept in memory for as long as its handler would have waited for it.
func TestResetStreams(t *testing.T) {
	for name, limit := range map[string]func(*http.ResponseController, time.Time) error{
		"to read": (*http.ResponseController).SetReadDeadline, "to write": (*http.ResponseController).SetWriteDeadline,
	} {
		t.Run(name, func(t *testing.T) {
			began, forgotten := make(chan struct{}), make(chan struct{})
			server := httptest.NewUnstartedServer(unsent(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				same(t, "protocol", r.Proto, "HTTP/2.0")
				runtime.SetFinalizer(r.Context(), func(any) { close(forgotten) }) // which the stream has
				close(began)
				<-r.Context().Done()
				if err := limit(http.NewResponseController(w), time.Now().Add(time.Hour)); err != nil {
					t.Error(err)
				}
			}), slog.New(slog.DiscardHandler)))
			server.EnableHTTP2 = true
			server.StartTLS()
			defer server.Close()
			ctx, cancel := context.WithCancel(t.Context())
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() {
				resp, err := server.Client().Do(r)
				if err == nil {
					resp.Body.Close()
				}
				ended <- err
			}()
			<-began
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			await(t, "the stream is forgotten", func() bool {
				runtime.GC()
				select {
				case <-forgotten:
					return true
				default:
					return false
				}
			})
		})
	}
}
