package fallback

import (
	"testing"
	"unsafe"

	"crier/io/engineio"
)

// A GET that has been woken, but has not taken its answer yet, still is the
// one GET that there may be.
func TestOneGetAtATime(t *testing.T) {
	tr := &polling{max: &limits{bytes: 100, messages: 10}}
	_, _, ok := tr.begin(0)
	woken := tr.wait()
	if woken == nil || !ok || !tr.Writable() {
		t.Fatal("a GET does not wait")
	}
	if err := tr.Send(engineio.Prepare([]byte("x"), 1)); err != nil {
		t.Fatal(err)
	}
	<-woken
	if tr.Writable() {
		t.Error("nobody waits any more")
	}
	if _, _, ok := tr.begin(0); ok {
		t.Error("a second GET is let in")
	}
}

// What a handed-over transport was given and has not sent is returned once;
// the GET that was to send it does not.
func TestHandoverTakesTheQueue(t *testing.T) {
	tr := &polling{max: &limits{bytes: 100, messages: 10}}
	tr.begin(0)
	woken := tr.wait()
	p := engineio.Prepare([]byte("x"), 1)
	if err := tr.Send(p); err != nil {
		t.Fatal(err)
	}
	<-woken
	unsent, _, ok := tr.Handover()
	if !ok || len(unsent) != 1 || unsent[0] != p {
		t.Fatalf("Handover = %v, %v", unsent, ok)
	}
	if body, last := tr.payload(xhr{}, 0); body != nil || last {
		t.Errorf("the GET answers %q", body.payload)
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
	if n := unsafe.Sizeof(polling{}); n > 96 {
		t.Errorf("a polling transport has %d bytes", n)
	}
}
