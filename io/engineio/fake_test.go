package engineio_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"crier/io/engineio"
)

// fakeTransport is a transport of requests that only writes down what the session does.
type fakeTransport struct {
	session *engineio.Session

	mu      sync.Mutex
	sent    []string // packets, as in a payload of revision 4
	unsent  []*engineio.Prepared
	calls   []string // "close", "abort", "nudge", "handover"
	lingers bool     // Close is not done at once
	busy    bool     // Handover refuses
	fail    error    // of Send
	late    int      // calls of Confirm that wait for what is unsent
}

func (f *fakeTransport) Name() string { return "polling" }

func (f *fakeTransport) Send(p *engineio.Prepared) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return f.fail
	}
	f.sent = append(f.sent, string(p.Payload(engineio.FramingV4)))
	f.unsent = append(f.unsent, p)
	return nil
}

func (f *fakeTransport) Writable() bool { return false }

func (f *fakeTransport) Queued() int { return 1234 }

func (f *fakeTransport) Close() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, "close")
	return !f.lingers
}

func (f *fakeTransport) Abort() { f.note("abort") }
func (f *fakeTransport) Nudge() { f.note("nudge") }

func (f *fakeTransport) Handover() ([]*engineio.Prepared, int, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, "handover")
	return f.unsent, f.late, !f.busy
}

func (f *fakeTransport) Confirm() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, "confirm")
	return false
}

func (f *fakeTransport) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusNoContent)
}

func (f *fakeTransport) note(call string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, call)
}

// take returns what was sent since the last call.
func (f *fakeTransport) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	sent := f.sent
	f.sent, f.unsent = nil, nil
	return sent
}

func (f *fakeTransport) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fakeTransport) count(call string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		if c == call {
			n++
		}
	}
	return n
}

func (f *fakeTransport) wantSent(t *testing.T, list ...string) {
	t.Helper()
	if got := f.take(); !slices.Equal(got, list) {
		t.Fatalf("sent %q, want %q", got, list)
	}
}

// withFakes makes the server's polling transports fakes, and hands them out.
func withFakes(o engineio.Options) (engineio.Options, chan *fakeTransport) {
	fakes := make(chan *fakeTransport, 1000)
	o.Polling = func(s *engineio.Session) engineio.RequestTransport {
		f := &fakeTransport{session: s}
		fakes <- f
		return f
	}
	return o, fakes
}

// fakeRig is a server whose polling sessions are on fake transports.
type fakeRig struct {
	*rig
	fakes chan *fakeTransport
}

func newFakeRig(t *testing.T, o engineio.Options) *fakeRig {
	o, fakes := withFakes(o)
	return &fakeRig{rig: newRig(t, false, o), fakes: fakes}
}

// open opens a session and takes what opening does.
func (r *fakeRig) open(query string) (*receiver, *fakeTransport) {
	r.t.Helper()
	if code := request(r.srv, http.MethodGet, query).Code; code != http.StatusNoContent {
		r.t.Fatalf("status %d", code)
	}
	rc, f := next(r.t, r.handler.accepted), next(r.t, r.fakes)
	want(r.t, rc.events, "opened")
	if sent := f.take(); len(sent) != 1 || sent[0][0] != '0' {
		r.t.Fatalf("opening sent %q", sent)
	}
	return rc, f
}

// request asks the server without a network.
func request(h http.Handler, method, query string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://crier.test:2120/socket.io/?"+query, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
