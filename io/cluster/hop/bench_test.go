package hop

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"crier/io/netpoll"
)

// pair are a server that has all sessions, and one that passes everything on to it; by Test-Owner a client asks for that.
func pair(b *testing.B, handler http.HandlerFunc) (address string) {
	b.Helper()
	o := newTown()
	for _, tag := range []string{"second", "first2"} {
		poller := netpoll.New(netpoll.Options{})
		p, err := New(Options{Tag: tag, Owners: o, Poller: poller, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r, passed, ok := p.Admit(w, r)
			if ok && passed == nil && r.Header.Get(passTo) != "" && p.Pass(w, r, "second") {
				return
			}
			handler(w, r)
		}))
		o.owners[tag] = server.URL
		address = server.Listener.Addr().String()
		b.Cleanup(func() {
			if err := poller.Close(context.Background()); err != nil {
				b.Error(err)
			}
			p.Close()
			server.CloseClientConnections()
			server.Close()
		})
	}
	return address
}

// ways are to the server that a request is sent to, and through that to the other one.
var ways = map[string]string{"direct": "", "passed": passTo + ": second\r\n"}

// BenchmarkPoll is a poll that is answered at once.
func BenchmarkPoll(b *testing.B) {
	for way, header := range ways {
		b.Run(way, func(b *testing.B) {
			c, err := net.Dial("tcp", pair(b, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "2") }))
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			from, request := bufio.NewReader(c), []byte("GET /socket.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: shop.example\r\n"+header+"\r\n")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Write(request); err != nil {
					b.Fatal(err)
				}
				resp, err := http.ReadResponse(from, nil)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkWaiting is the memory of what waits: polls and WebSockets, of all that takes part in one.
func BenchmarkWaiting(b *testing.B) {
	for kind, upgrade := range map[string]string{"poll": "", "websocket": "Connection: Upgrade\r\nUpgrade: websocket\r\n"} {
		for way, header := range ways {
			b.Run(kind+"/"+way, func(b *testing.B) {
				began := make(chan struct{}, 1)
				parked := netpoll.New(netpoll.Options{})
				address := pair(b, func(w http.ResponseWriter, r *http.Request) {
					if upgrade == "" {
						began <- struct{}{}
						<-r.Context().Done()
						return
					}
					conn, _, err := http.NewResponseController(w).Hijack()
					if err != nil {
						b.Error(err)
						return
					}
					if _, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n"); err != nil {
						b.Error(err)
					}
					var s struct {
						netpoll.Conn
						mute
					}
					if err := parked.Add(&s.Conn, conn, &s.mute); err != nil {
						b.Error(err)
					}
					s.Start(nil)
					began <- struct{}{}
				})
				before := memory()
				conns := make([]net.Conn, 0, b.N)
				for range b.N {
					c, err := net.Dial("tcp", address)
					if err != nil {
						b.Fatal(err)
					}
					conns = append(conns, c)
					if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: shop.example\r\n"+upgrade+header+"\r\n"); err != nil {
						b.Fatal(err)
					}
					<-began
				}
				b.ReportMetric(float64(memory()-before)/float64(b.N), "B/conn")
				for _, c := range conns {
					c.Close()
				}
				if err := parked.Close(context.Background()); err != nil {
					b.Error(err)
				}
			})
		}
	}
}

// mute hears nothing.
type mute struct{}

func (*mute) Data([]byte) error { return nil }
func (*mute) Closed(error)      {}

// memory is what the heap and the stacks take.
func memory() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
