package fallback

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unsafe"

	"crier/io/engineio"
	"crier/io/httpconn"
)

// waitingGet is a transport on which a GET waits, and has the GET answered.
func waitingGet(t *testing.T) (tr *polling, answered func() *httptest.ResponseRecorder) {
	t.Helper()
	tr = &polling{session: new(engineio.Session), max: &limits{bytes: 100, messages: 10}}
	w := httptest.NewRecorder()
	if _, _, ok := tr.begin(0); !ok || !tr.idle() {
		t.Fatal("a GET does not wait")
	}
	p := httpconn.Park(w, httptest.NewRequest(http.MethodGet, "/", nil), tr)
	tr.wait(p, xhr{}, 0)
	return tr, func() *httptest.ResponseRecorder {
		p.Wait()
		return w
	}
}

// A GET has what it was waiting for before the next message comes.
func TestOneMessageAnswersTheGet(t *testing.T) {
	tr, answered := waitingGet(t)
	if !tr.Writable() {
		t.Fatal("a GET does not wait")
	}
	for _, text := range []string{"x", "y"} {
		if err := tr.Send(engineio.Prepare([]byte(text), 1)); err != nil {
			t.Fatal(err)
		}
	}
	if tr.Writable() {
		t.Error("nobody waits any more")
	}
	if body := answered().Body.String(); !strings.HasSuffix(body, "x") {
		t.Errorf("the GET is answered with %q", body)
	}
	if _, _, ok := tr.begin(1); !ok || tr.idle() {
		t.Error("the next GET does not get the second")
	}
}

// Of a transport that is handed over a GET that waits has nothing; what is queued is returned once.
func TestHandoverTakesTheQueue(t *testing.T) {
	tr, answered := waitingGet(t)
	if unsent, _, ok := tr.Handover(); !ok || len(unsent) != 0 {
		t.Fatalf("Handover = %v, %v", unsent, ok)
	}
	if w := answered(); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "moved") {
		t.Errorf("the GET is answered with %d %q", w.Code, w.Body)
	}

	tr = &polling{session: new(engineio.Session), max: &limits{bytes: 100, messages: 10}}
	p := engineio.Prepare([]byte("x"), 1)
	if err := tr.Send(p); err != nil {
		t.Fatal(err)
	}
	unsent, _, ok := tr.Handover()
	if !ok || len(unsent) != 1 || unsent[0] != p {
		t.Fatalf("Handover = %v, %v", unsent, ok)
	}
	if _, _, ok := tr.begin(0); ok || tr.beginPost() {
		t.Error("a request is let in afterwards")
	}
	if _, _, ok := tr.Handover(); ok {
		t.Error("handed over twice")
	}
	if err := tr.Send(p); err == nil {
		t.Error("Send after Handover")
	}
}

func TestHandoverWaitsForPosts(t *testing.T) {
	tr := &polling{max: &limits{bytes: 100, messages: 10}}
	if !tr.beginPost() || tr.beginPost() {
		t.Fatal("one POST at a time")
	}
	if _, _, ok := tr.Handover(); ok {
		t.Error("handed over while a POST is being read")
	}
	tr.endPost()
	if _, _, ok := tr.Handover(); !ok {
		t.Error("not handed over")
	}
}

func TestPollingSize(t *testing.T) {
	if n := unsafe.Sizeof(polling{}); n > 128 { // the size that is allocated for anything above 112
		t.Errorf("a polling transport has %d bytes", n)
	}
}
