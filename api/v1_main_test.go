package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"crier/io/hub"
)

// ear is a connection that keeps what it is given.
type ear struct {
	id string

	mu     sync.Mutex
	got    []*hub.Message
	kicked bool
}

func (e *ear) ID() string { return e.id }

func (e *ear) Deliver(m *hub.Message) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.got = append(e.got, m)
	return nil
}

func (e *ear) Kick() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.kicked = true
}

// take returns what has arrived since the last call.
func (e *ear) take() []*hub.Message {
	e.mu.Lock()
	defer e.mu.Unlock()
	got := e.got
	e.got = nil
	return got
}

// realHub returns a hub without connections.
func realHub(t testing.TB) *hub.Hub {
	t.Helper()
	h, err := hub.New(hub.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return h
}

// listen adds a connection, logged in unless uid is empty, to h.
func listen(t testing.TB, h *hub.Hub, id, uid string, rooms ...string) *ear {
	t.Helper()
	e := &ear{id: id}
	m, err := h.Connect(e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Gone)
	if uid != "" {
		if err := m.Login(uid); err != nil {
			t.Fatal(err)
		}
	}
	for _, room := range rooms {
		if err := m.Join(room); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// checkProblem checks that w is the problem of that code, whole and with all its members, and returns its detail.
func checkProblem(t *testing.T, w *httptest.ResponseRecorder, want code) string {
	t.Helper()
	status, title := want.about()
	if w.Code != status {
		t.Errorf("status %d, want %d: %s", w.Code, status, w.Body)
	}
	if ct := w.Header().Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("Content-Type %q", ct)
	}
	return checkFault(t, w.Body.Bytes(), want, status, title)
}

// checkFault checks a problem object.
func checkFault(t *testing.T, body []byte, want code, status int, title string) string {
	t.Helper()
	var p struct {
		Type, Title, Detail, Code string
		Status                    int
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	if p.Code != string(want) || p.Status != status || p.Title != title || p.Type != "urn:crier:problem:"+p.Code || p.Detail == "" {
		t.Errorf("got %s, want the code %s", body, want)
	}
	return p.Detail
}

func TestCodes(t *testing.T) {
	seen := map[code]bool{}
	for _, c := range codes() {
		status, title := c.about()
		if seen[c] || status < 400 || title == "" || status == 500 && c != codeInternal {
			t.Errorf("%s: status %d, title %q, seen before: %v", c, status, title, seen[c])
		}
		seen[c] = true
	}
	if !slices.Contains(codes(), codeInternal) {
		t.Error("codes() is not whole")
	}
}
