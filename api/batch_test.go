package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"crier/io/netpoll"
	"crier/io/wsconn"
)

// patience bounds what a test waits for.
const patience = 20 * time.Second

func TestBatch(t *testing.T) {
	h := realHub(t)
	s := newServer(t, Options{Pusher: h, MaxContent: 1000})
	e := listen(t, h, "c", "u")
	w := do(s, "POST", "/v1/push/batch", "application/json",
		` [ {"to":{"users":["u"]},"data":1}, {"to":{"users":["u"]},"dta":1},7,{"id":"x","to":{"users":["u"]},"data":2},{"id":"x","to":{"users":["u"]},"data":2}] `)
	var answers []json.RawMessage
	if err := json.Unmarshal(w.Body.Bytes(), &answers); err != nil || w.Code != 200 || len(answers) != 5 {
		t.Fatalf("%v: %d %s", err, w.Code, w.Body)
	}
	checkLine(t, answers[0], "")
	checkLine(t, answers[1], codeUnknownField)
	checkLine(t, answers[2], codeInvalidField)
	checkLine(t, answers[3], "")
	if !strings.Contains(string(answers[4]), `"duplicate":true`) {
		t.Errorf("the last is %s", answers[4])
	}
	if got := e.take(); len(got) != 2 || string(got[0].Args[0]) != "1" || string(got[1].Args[0]) != "2" {
		t.Errorf("got %d messages", len(got))
	}
	if w := do(s, "POST", "/v1/push/batch", "", "[]"); w.Body.String() != "[]" {
		t.Errorf("nothing is answered with %s", w.Body)
	}
}

func TestBatchErrors(t *testing.T) {
	for _, c := range []struct {
		name, body string
		code       code
	}{
		{"empty", "", codeBadJSON},
		{"cut", "[{}", codeBadJSON},
		{"lines", "{}\n{}", codeBadJSON},
		{"object", "{}", codeInvalidField},
		{"many", "[" + strings.Repeat("{},", maxBatch) + "{}]", codeTooMany},
		{"large", "[" + strings.Repeat(" ", 200_000) + "]", codeBodyTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t, Options{MaxBody: 100_000})
			checkProblem(t, do(s, "POST", "/v1/push/batch", "application/json", c.body), c.code)
		})
	}
}

// checkLine checks one answer of several: a result, or the problem of a code.
func checkLine(t *testing.T, line []byte, want code) {
	t.Helper()
	if want != "" {
		status, title := want.about()
		checkFault(t, line, want, status, title)
		return
	}
	var a answerOf
	if err := json.Unmarshal(line, &a); err != nil || a.ID == "" || strings.Contains(string(line), "code") {
		t.Errorf("%v in %q", err, line)
	}
}

// serve serves s on a port of its own.
func serve(t testing.TB, s http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(checked(s))
	t.Cleanup(server.Close)
	return server
}

// open begins an NDJSON request and returns both of its ends.
func open(t testing.TB, server *httptest.Server) (io.WriteCloser, *bufio.Reader) {
	t.Helper()
	body, in := io.Pipe()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/v1/push/batch", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-ndjson; charset=utf-8")
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	})
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := answer.Body.Close(); err != nil {
			t.Error(err)
		}
	})
	if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("status %d, %v", answer.StatusCode, answer.Header)
	}
	return in, bufio.NewReader(answer.Body)
}

func writeLine(t testing.TB, to io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(to, text); err != nil {
		t.Fatal(err)
	}
}

func readLine(t testing.TB, from *bufio.Reader) []byte {
	t.Helper()
	line, err := from.ReadBytes('\n')
	if err != nil {
		t.Fatalf("%v after %q", err, line)
	}
	return line
}

func TestLines(t *testing.T) {
	h := realHub(t)
	s := newServer(t, Options{Pusher: h, MaxBody: 2 << 20, MaxContent: 1000})
	e := listen(t, h, "c", "u")
	in, out := open(t, serve(t, s))
	const good = `{"to":{"users":["u"]},"data":1}`
	for range 3 { // each answered while the body is open
		writeLine(t, in, good+"\n")
		checkLine(t, readLine(t, out), "")
	}
	writeLine(t, in, "\r\n\n  \n"+good+"\r\n{\"to\":\n"+good[:10]) // several, and half of one
	checkLine(t, readLine(t, out), "")
	checkLine(t, readLine(t, out), codeBadJSON)
	writeLine(t, in, good[10:]+"\n")
	checkLine(t, readLine(t, out), "")
	writeLine(t, in, "\u00a0\n") // is no white space of JSON
	checkLine(t, readLine(t, out), codeBadJSON)
	writeLine(t, in, `{"to":{"users":["u"]},"data":"`+strings.Repeat("x", 1001)+"\"}\n")
	checkLine(t, readLine(t, out), codeMessageTooLarge)
	writeLine(t, in, strings.Repeat("x", 3<<20)+good+"\n")
	checkLine(t, readLine(t, out), codeLineTooLong)
	writeLine(t, in, good) // the last one needs no end
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	checkLine(t, readLine(t, out), "")
	if rest, err := io.ReadAll(out); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
	if n := len(e.take()); n != 6 {
		t.Errorf("%d messages", n)
	}
}

func TestLinesMany(t *testing.T) {
	h := realHub(t)
	server := serve(t, newServer(t, Options{Pusher: h}))
	e := listen(t, h, "c", "u")
	in, out := open(t, server)
	const n = 20_000
	go func() {
		w := bufio.NewWriter(in)
		for i := range n {
			fmt.Fprintf(w, `{"id":"%d","to":{"users":["u"]},"data":%d}`+"\n", i, i)
		}
		if err := w.Flush(); err != nil {
			t.Error(err)
		}
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	}()
	for i := range n {
		if line := readLine(t, out); !strings.HasPrefix(string(line), fmt.Sprintf(`{"id":"%d",`, i)) {
			t.Fatalf("answer %d is %s", i, line)
		}
	}
	for i, m := range e.take() {
		if string(m.Args[0]) != fmt.Sprint(i) {
			t.Fatalf("message %d is %s", i, m.Args[0])
		}
	}
}

// stuck is a ResponseWriter whose caller reads nothing.
type stuck struct {
	header http.Header
	gate   chan error // what Write answers
}

func (s *stuck) Header() http.Header       { return s.header }
func (s *stuck) WriteHeader(int)           {}
func (s *stuck) Write([]byte) (int, error) { return 0, <-s.gate }

// endless is a body of lines without an end, which counts what is read of it.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = "{}\n"[(e.read+i)%3]
	}
	e.read += len(p)
	return len(p), nil
}

// Who reads no answers is not read from any more.
func TestLinesBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, body, w := newServer(t, Options{}), &endless{}, &stuck{header: http.Header{}, gate: make(chan error)}
		r := httptest.NewRequest("POST", "/v1/push/batch", io.NopCloser(body))
		r.Host, r.RemoteAddr = "127.0.0.1", "127.0.0.1:1"
		r.Header.Set("Content-Type", "application/x-ndjson")
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.ServeHTTP(w, r)
		}()
		synctest.Wait() // until it waits for the writer, or for ever
		if body.read == 0 || body.read > flushAt+3*pieceSize {
			t.Errorf("%d bytes were read", body.read)
		}
		w.gate <- io.ErrClosedPipe
		<-ended // a link whose answers cannot be sent ends
	})
}

func TestLinesEnd(t *testing.T) {
	h := realHub(t)
	s := newServer(t, Options{Pusher: h, Access: Access{Keys: []string{"k"}}})
	if err := s.SetAccess(Access{}); err != nil {
		t.Fatal(err)
	}
	server := serve(t, s)
	const good = `{"to":{"all":true},"data":1}` + "\n"

	in, out := open(t, server)
	writeLine(t, in, good)
	checkLine(t, readLine(t, out), "")
	if err := s.SetAccess(Access{Keys: []string{"k"}}); err != nil { // who is let in no more ends with the next line
		t.Fatal(err)
	}
	writeLine(t, in, good)
	checkLine(t, readLine(t, out), codeForbidden)
	if rest, err := io.ReadAll(out); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
	if err := s.SetAccess(Access{}); err != nil {
		t.Fatal(err)
	}

	in, out = open(t, server)
	writeLine(t, in, good)
	checkLine(t, readLine(t, out), "")
	s.Close()
	if rest, err := io.ReadAll(out); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
	checkProblem(t, do(s, "POST", "/v1/push/batch", "application/x-ndjson", good), codeStopping)
	pushed(t, s, good)
}

func TestLinesRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeHub{}
		s := newServer(t, Options{Pusher: h, Access: Access{Limited: []Key{{Key: "k", Rate: 2}}}})
		start := time.Now()
		w := do(s, "POST", "/v1/push/batch", "application/x-ndjson", strings.Repeat(`{"to":{"users":["u"]},"data":1}`+"\n", 6), header("X-Api-Key", "k"))
		if n := len(h.taken()); n != 6 || strings.Count(w.Body.String(), "\n") != 6 {
			t.Errorf("%d pushes: %s", n, w.Body)
		}
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// A key that is taken away while a line waits for its turn pushes that line no more.
func TestLinesRateRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeHub{}
		s := newServer(t, Options{Pusher: h, Access: Access{Limited: []Key{{Key: "k", Rate: 2}}}})
		time.AfterFunc(700*time.Millisecond, func() {
			if err := s.SetAccess(Access{Keys: []string{"other"}}); err != nil {
				t.Error(err)
			}
		})
		w := do(s, "POST", "/v1/push/batch", "application/x-ndjson", strings.Repeat(`{"to":{"users":["u"]},"data":1}`+"\n", 6), header("X-Api-Key", "k"))
		answers := lines(w.Body.String())
		if n := len(h.taken()); n != 3 || len(answers) != 4 { // two at once, the third after half a second
			t.Fatalf("%d pushes: %s", n, w.Body)
		}
		checkLine(t, []byte(answers[3]), codeWrongKey)
	})
}

// simplex is a ResponseWriter whose connection cannot be used both ways at once.
type simplex struct{ *httptest.ResponseRecorder }

func (simplex) EnableFullDuplex() error { return io.ErrClosedPipe }

func TestLinesSimplex(t *testing.T) {
	r := httptest.NewRequest("POST", "/v1/push/batch", strings.NewReader("{}"))
	r.Host, r.RemoteAddr = "127.0.0.1", "127.0.0.1:1"
	r.Header.Set("Content-Type", "application/x-ndjson")
	w := httptest.NewRecorder()
	checked(newServer(t, Options{})).ServeHTTP(simplex{w}, r)
	checkProblem(t, w, codeInternal)
}

func TestLineReader(t *testing.T) {
	long := strings.Repeat("y", 5000)
	for _, c := range []struct {
		in   string
		max  int
		want string
	}{
		{"", 10, ""},
		{"a", 10, "a|"},
		{"a\n", 10, "a|"},
		{"\n\r\na\r\nb", 10, "||a|b|"},
		{"12345\n123456\nx\n", 5, "12345|long|x|"},
		{"123456", 5, "long|"},
		{long + "\nx", 5000, long + "|x|"},
		{long + "z\nx\n", 5000, "long|x|"},
		{long + long + long + "\nx", 5000, "long|x|"},
		{long + long + long, 5000, "long|"},
	} {
		for name, src := range map[string]io.Reader{
			"whole": strings.NewReader(c.in), "bytes": iotest.OneByteReader(strings.NewReader(c.in)),
			"halves": iotest.HalfReader(strings.NewReader(c.in)), "data with EOF": iotest.DataErrReader(strings.NewReader(c.in)),
		} {
			if got := readLines(src, c.max); got != c.want {
				t.Errorf("%s of %.20q: %.60q, want %.60q", name, c.in, got, c.want)
			}
		}
	}
	if got := readLines(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("ab\n"))), 9); got != "timeout|" {
		t.Errorf("half a line before an error: %q", got)
	}
}

// counted counts what is read of a source.
type counted struct {
	io.Reader
	reads int
}

func (c *counted) Read(p []byte) (int, error) {
	c.reads++
	return c.Reader.Read(p)
}

// readLines returns the lines of src, each with a | behind it.
func readLines(src io.Reader, limit int) string {
	c := &counted{Reader: src}
	l := lineReader{src: c, max: limit}
	var b strings.Builder
	for {
		atHand, reads := l.atHand(), c.reads
		line, err := l.next()
		if atHand && c.reads > reads {
			return "a line that was said to be at hand had to be read"
		}
		switch {
		case err == nil:
			b.Write(line)
		case errors.Is(err, errLineTooLong):
			b.WriteString("long")
		case errors.Is(err, io.EOF):
			return b.String()
		default:
			return b.String() + err.Error() + "|"
		}
		b.WriteByte('|')
	}
}

func FuzzLineReader(f *testing.F) {
	f.Add("a\nb\r\n\nccc", 3, uint8(1))
	f.Add(strings.Repeat("x", 9000)+"\ny", 100, uint8(0))
	f.Fuzz(func(t *testing.T, in string, limit int, step uint8) {
		if limit < 1 || limit > 1<<20 {
			return
		}
		var want strings.Builder
		for line := range strings.Lines(in) {
			line = strings.TrimSuffix(line, "\n")
			if len(line) > limit {
				want.WriteString("long|")
			} else {
				want.WriteString(strings.TrimSuffix(line, "\r") + "|")
			}
		}
		src := io.Reader(strings.NewReader(in))
		if step > 0 {
			src = &stepReader{src, int(step)}
		}
		if got := readLines(src, limit); got != want.String() {
			t.Errorf("got %q, want %q", got, want.String())
		}
	})
}

// stepReader reads no more than n bytes at once.
type stepReader struct {
	src io.Reader
	n   int
}

func (r *stepReader) Read(p []byte) (int, error) { return r.src.Read(p[:min(r.n, len(p))]) }

// streaming returns a server with WebSockets.
func streaming(t *testing.T, o Options) (*Server, *httptest.Server) {
	t.Helper()
	poller := netpoll.New(netpoll.Options{})
	u, err := wsconn.NewUpgrader(wsconn.Options{Poller: poller})
	if err != nil {
		t.Fatal(err)
	}
	o.Upgrader = u
	s := newServer(t, o)
	server := httptest.NewServer(checked(s))
	t.Cleanup(func() {
		s.Close()
		server.Close()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := poller.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return s, server
}

// dial opens /v1/stream.
func dial(t *testing.T, server *httptest.Server, headers http.Header) (net.Conn, error) {
	t.Helper()
	d := ws.Dialer{Header: ws.HandshakeHeaderHTTP(headers), Timeout: patience}
	conn, _, _, err := d.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+"/v1/stream")
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn, conn.SetDeadline(time.Now().Add(patience))
}

func TestStream(t *testing.T) {
	h := realHub(t)
	e := listen(t, h, "c", "u")
	s, server := streaming(t, Options{Pusher: h})
	conn, err := dial(t, server, nil)
	if err != nil {
		t.Fatal(err)
	}
	const good = `{"to":{"users":["u"]},"data":1}`
	for _, c := range []struct {
		message string
		want    []code
	}{
		{good, []code{""}},
		{"{", []code{codeBadJSON}},
		{good + "\n{}\r\n\n" + good + "\n", []code{"", codeMissingField, ""}},
	} {
		if err := wsutil.WriteClientText(conn, []byte(c.message)); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			line, err := wsutil.ReadServerText(conn)
			if err != nil {
				t.Fatal(err)
			}
			checkLine(t, line, want)
		}
	}
	if n := len(e.take()); n != 3 {
		t.Errorf("%d messages", n)
	}
	if err := s.SetAccess(Access{Keys: []string{"k"}}); err != nil {
		t.Fatal(err)
	}
	if err := wsutil.WriteClientText(conn, []byte(good)); err != nil {
		t.Fatal(err)
	}
	line, err := wsutil.ReadServerText(conn)
	if err != nil {
		t.Fatal(err)
	}
	checkLine(t, line, codeForbidden)
	checkClosed(t, conn, ws.StatusPolicyViolation)
}

func checkClosed(t *testing.T, conn net.Conn, want ws.StatusCode) {
	t.Helper()
	_, err := wsutil.ReadServerText(conn)
	if closed := (wsutil.ClosedError{}); !errors.As(err, &closed) || closed.Code != want {
		t.Errorf("closed with %v, want %d", err, want)
	}
}

func TestStreamRefused(t *testing.T) {
	s, server := streaming(t, Options{})
	if _, err := dial(t, server, http.Header{"Origin": {"https://evil.example"}}); err == nil {
		t.Error("a page of another origin opened a stream")
	}
	if w := do(s, "GET", "/v1/stream", "", ""); w.Code != http.StatusUpgradeRequired {
		t.Errorf("a plain GET got %d", w.Code)
	}
	upgrade := header("Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13")
	if w := do(s, "GET", "/v1/stream", "", "", upgrade); w.Code != http.StatusBadRequest {
		t.Errorf("a handshake without a key got %d", w.Code)
	}
	checkProblem(t, do(newServer(t, Options{}), "GET", "/v1/stream", "", ""), codeUnsupported)
}

func TestStreamClose(t *testing.T) {
	s, server := streaming(t, Options{})
	conn, err := dial(t, server, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := wsutil.WriteClientText(conn, []byte(`{"to":{"all":true},"data":1}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := wsutil.ReadServerText(conn); err != nil {
		t.Fatal(err)
	}
	s.Close()
	checkClosed(t, conn, ws.StatusGoingAway)
	if _, err := dial(t, server, nil); err == nil {
		t.Error("a stream was opened after Close")
	}
}

// A server that stops sends the answers that there are already.
func TestStreamCloseAnswers(t *testing.T) {
	s, server := streaming(t, Options{})
	conn, err := dial(t, server, nil)
	if err != nil {
		t.Fatal(err)
	}
	var f *feed
	s.links.mu.Lock()
	for l := range s.links.open {
		f, _ = l.out.(*feed)
	}
	s.links.mu.Unlock()
	f.put([]byte("answer")) // as if it were taking what it has read
	s.Close()
	f.Pause()
	if line, err := wsutil.ReadServerText(conn); err != nil || string(line) != "answer" {
		t.Errorf("%q, %v", line, err)
	}
	checkClosed(t, conn, ws.StatusGoingAway)
}

// Who may not open a link is told so at once, though the body has no end yet.
func TestLinesRefused(t *testing.T) {
	server := serve(t, newServer(t, Options{Access: Access{Keys: []string{"k"}}}))
	body, in := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/v1/push/batch", body)
	if err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(patience, func() { body.CloseWithError(errors.New("there was no answer")) }).Stop()
	r.Header.Set("Content-Type", "application/x-ndjson")
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close(), in.Close()); err != nil {
		t.Error(err)
	}
	if answer.StatusCode != 403 || !strings.Contains(string(text), `"forbidden"`) {
		t.Errorf("%d %s", answer.StatusCode, text)
	}
}
