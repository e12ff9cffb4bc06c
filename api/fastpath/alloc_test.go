package fastpath

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// tape is a connection on which one request comes again and again.
type tape struct {
	net.Conn
	request string
	written int
}

func (c *tape) Read(p []byte) (int, error)      { return copy(p, c.request), nil }
func (c *tape) SetReadDeadline(time.Time) error { return nil }
func (c *tape) LocalAddr() net.Addr             { return nil }

func (c *tape) Write(p []byte) (int, error) {
	c.written += len(p)
	return len(p), nil
}

// play returns what has a request of a tape answered.
func play(tb testing.TB, request string) (*tape, func()) {
	plain, body := []string{"text/plain"}, []byte("ok")
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = plain
		if _, err := w.Write(body); err != nil {
			tb.Error(err)
		}
	})}
	t := &tape{request: request}
	c := newConn(&Listener{server: server, takes: takes})
	c.nc, c.remote, c.now = t, "127.0.0.1:1", time.Now()
	return t, func() {
		if !c.receive(time.Minute) || !c.answer() {
			tb.Fatal("a request was not answered")
		}
	}
}

var pushes = strings.NewReplacer("\n", "\r\n").Replace(`POST /v1/push HTTP/1.1
Host: 127.0.0.1:2121
User-Agent: GuzzleHttp/7
X-Api-Key: 0123456789abcdef0123456789abcdef
Content-Type: application/json
Content-Length: 128

`) + strings.Repeat("x", 128)

// TestAllocations holds a kept-alive caller's requests to no allocation at all.
func TestAllocations(t *testing.T) {
	tape, once := play(t, pushes)
	once()
	if n := testing.AllocsPerRun(1000, once); n > 0 {
		t.Errorf("%v allocations for a request", n)
	}
	if tape.written == 0 {
		t.Error("nothing was written")
	}
}

func BenchmarkRequest(b *testing.B) {
	_, once := play(b, pushes)
	b.ReportAllocs()
	for b.Loop() {
		once()
	}
}
