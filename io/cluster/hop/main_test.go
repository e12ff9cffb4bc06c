package hop

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"crier/io/netpoll"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// town is where the servers of a test are.
type town struct {
	mu      sync.Mutex
	owners  map[string]string
	secrets [][]byte
}

func (o *town) Owner(_ context.Context, tag string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.owners[tag]
}

func (o *town) Gone(tag string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.owners, tag)
}

func (o *town) Secrets(context.Context) [][]byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.secrets
}

// node is a server: what it has not passed on it answers by its handler.
type node struct {
	*Passer
	url    string
	server *httptest.Server
	poller *netpoll.Poller
	log    *logBook
}

// passTo is the header by which the tests say whose a request is.
const passTo = "Test-Owner"

// newNode starts a server with that tag; the test's end stops it.
func newNode(t *testing.T, o *town, tag string, adapt func(*Options), handler func(w http.ResponseWriter, r *http.Request, p *Passed)) *node {
	t.Helper()
	n := &node{poller: netpoll.New(netpoll.Options{}), log: &logBook{}}
	options := Options{Tag: tag, Owners: o, Poller: n.poller, AnswerTimeout: patience, Logger: slog.New(slog.NewTextHandler(n.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	if adapt != nil {
		adapt(&options)
	}
	var err error
	if n.Passer, err = New(options); err != nil {
		t.Fatal(err)
	}
	n.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, passed, ok := n.Admit(w, r)
		if !ok {
			return
		}
		if to := r.Header.Get(passTo); passed == nil && to != "" && to != tag && n.Pass(w, r, to) {
			return
		}
		handler(w, r, passed)
	}))
	n.url = n.server.URL
	o.mu.Lock()
	defer o.mu.Unlock()
	o.owners[tag] = n.url
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := n.poller.Close(ctx); err != nil {
			t.Error(err)
		}
		n.Close()
		n.server.Close()
		if t.Failed() {
			t.Logf("the log of %s:\n%s", tag, n.log)
		}
	})
	return n
}

// newTown has nobody yet.
func newTown() *town {
	return &town{owners: make(map[string]string), secrets: [][]byte{[]byte("what the nodes share")}}
}

// unknown is the handler of a server that has no session.
func unknown(w http.ResponseWriter, _ *http.Request, _ *Passed) {
	http.Error(w, "Session ID unknown", http.StatusBadRequest)
}

// answer is what came back.
type answer struct {
	status int
	body   string
	header http.Header
}

// client keeps no connection.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}, Timeout: patience}

// send makes a request, which more completes.
func send(t *testing.T, method, address, body string, more func(*http.Request)) answer {
	t.Helper()
	r, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if more != nil {
		more(r)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	return answer{resp.StatusCode, string(text), resp.Header}
}

// to says whose a request is.
func to(tag string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(passTo, tag) }
}

// upgrade asks for a WebSocket, and returns the connection with the head of the answer.
func upgrade(t *testing.T, address, tag string) (net.Conn, *bufio.Reader, *http.Response) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	// What is sent behind the request must not be lost.
	if _, err := io.WriteString(c, "GET /socket.io/?sid=x HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+passTo+": "+tag+"\r\n\r\nearly"); err != nil {
		t.Fatal(err)
	}
	from := bufio.NewReader(c)
	resp, err := http.ReadResponse(from, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c, from, resp
}

// logBook is a log that can be read while it is written.
type logBook struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// await waits until a condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	end := time.After(patience)
	for !holds() {
		select {
		case <-ticker.C:
		case <-end:
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}
