package wsconn

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// startStream answers on server, and starts unless late.
func startStream(t *testing.T, u *Upgrader, server net.Conn, late bool) (*Stream, <-chan error) {
	t.Helper()
	ended := make(chan error, 2)
	s := new(Stream)
	if err := u.stream(s, server, http.Header{"X-Test": {"a"}}, deaf(func(err error) { ended <- err })); err != nil {
		t.Fatal(err)
	}
	if !late {
		s.Start(nil)
	}
	return s, ended
}

// readHead takes the head of the answer, which is followed by its body.
func readHead(t *testing.T, client net.Conn) *http.Response {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(client), &http.Request{Method: http.MethodGet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func wantEnded(t *testing.T, ended <-chan error, want error) {
	t.Helper()
	select {
	case err := <-ended:
		if !errors.Is(err, want) {
			t.Errorf("ended with %v, want %v", err, want)
		}
	case <-time.After(patience):
		t.Fatal("nobody is told of the end")
	}
}

func TestStream(t *testing.T) {
	u := newUpgrader(t, Options{})
	server, client := tcpPair(t)
	s, ended := startStream(t, u, server, false)
	if err := errors.Join(s.Send([]byte("one"), 1), s.Send([]byte(" two"), 1)); err != nil {
		t.Fatal(err)
	}
	write(t, client, []byte("what nobody asked for"))
	resp := readHead(t, client)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("X-Test") != "a" || !resp.Close || resp.ContentLength != -1 {
		t.Errorf("%+v", resp)
	}
	if at, err := http.ParseTime(resp.Header.Get("Date")); err != nil || time.Since(at) > time.Hour {
		t.Errorf("Date: %v, %v", at, err)
	}
	s.Close(nil)
	s.Close(nil)
	if err := s.Send([]byte("late"), 1); !errors.Is(err, ErrClosed) {
		t.Errorf("Send after Close: %v", err)
	}
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "one two" {
		t.Errorf("%q, %v", body, err)
	}
	client.Close()
	wantEnded(t, ended, net.ErrClosed)
}

// What is closed before it is started arrives too.
func TestStreamClosedEarly(t *testing.T) {
	u := newUpgrader(t, Options{})
	server, client := tcpPair(t)
	s, ended := startStream(t, u, server, true)
	big := strings.Repeat("0123456789abcdef", 1<<16)
	if err := s.Send([]byte(big), 1); err != nil {
		t.Fatal(err)
	}
	s.Close(nil)
	s.Start(nil)
	body, err := io.ReadAll(readHead(t, client).Body)
	if err != nil || string(body) != big {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	wantEnded(t, ended, net.ErrClosed)
}

func TestStreamClientLeaves(t *testing.T) {
	u := newUpgrader(t, Options{})
	server, client := tcpPair(t)
	s, ended := startStream(t, u, server, false)
	readHead(t, client)
	client.Close()
	wantEnded(t, ended, io.EOF)
	if err := s.Send([]byte("x"), 1); !errors.Is(err, ErrClosed) || s.Writable() {
		t.Errorf("Send: %v", err)
	}
}

func TestStreamAbortedBeforeStart(t *testing.T) {
	u := newUpgrader(t, Options{})
	server, _ := tcpPair(t)
	s, ended := startStream(t, u, server, true)
	s.Abort()
	s.Start(nil)
	wantEnded(t, ended, net.ErrClosed)
}

func TestStreamSlow(t *testing.T) {
	u := newUpgrader(t, Options{QueueBytes: 1 << 20})
	server, client := tcpPair(t)
	s, ended := startStream(t, u, server, false)
	if err := s.Send(make([]byte, 4<<20), 1); err != nil { // more than the kernel takes, and as much as one likes
		t.Fatal(err)
	}
	if err := s.Send([]byte("x"), 1); !errors.Is(err, ErrQueueFull) || s.Writable() {
		t.Errorf("Send: %v", err)
	}
	s.Abort()
	wantEnded(t, ended, net.ErrClosed)
	client.Close()
}

// What is given to SendCopy may change after it, whether the kernel takes it or not.
func TestStreamCopies(t *testing.T) {
	u := newUpgrader(t, Options{QueueBytes: 8 << 20})
	server, client := tcpPair(t)
	s, _ := startStream(t, u, server, false)
	want := bytes.Repeat([]byte("ab"), 2<<20) // more than the kernel takes
	for range 2 {
		piece := bytes.Clone(want)
		if err := s.SendCopy(piece, 1); err != nil {
			t.Fatal(err)
		}
		clear(piece)
	}
	s.Close(nil)
	body, err := io.ReadAll(readHead(t, client).Body)
	if err != nil || !bytes.Equal(body, append(want, want...)) {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}

// Where net/http keeps the connection, nothing happens.
func TestStreamRefused(t *testing.T) {
	u := newUpgrader(t, Options{})
	w := httptest.NewRecorder()
	_, err := u.Stream(w, func(error) { t.Error("ended") }, nil)
	if !errors.Is(err, http.ErrNotSupported) || w.Body.Len() > 0 {
		t.Errorf("%v, %q", err, w.Body)
	}
}
