package client_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"crier/api"
	"crier/api/client"
)

func TestLink(t *testing.T) {
	p := start(t, api.Access{})
	c := p.client(t, client.Options{})
	e := p.listen(t, "c", "u")
	l, err := c.Link(within(t))
	if err != nil {
		t.Fatal(err)
	}
	defer closeLink(t, l)
	to := client.Audience{Users: []string{"u"}}
	for _, one := range []struct {
		push client.Push
		code string
	}{{client.Push{To: to, Data: 1}, ""}, {client.Push{Data: 2}, "missing_field"}, {client.Push{To: to, Data: 3}, ""}} {
		if err := l.Send(one.push); err != nil { // each is answered while the link is open
			t.Fatal(err)
		}
		a, err := l.Receive()
		if err != nil || (a.Problem != nil) != (one.code != "") || a.Problem != nil && a.Problem.Code != one.code {
			t.Fatalf("%+v, %v", a, err)
		}
	}
	if err := l.Send(client.Push{To: to, Data: make(chan int)}); err == nil {
		t.Error("a channel was sent")
	}
	if err := l.Send(client.Push{To: to, Data: 4}); err != nil { // the link goes on
		t.Fatal(err)
	}
	if err := l.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if a, err := l.Receive(); err != nil || a.Result.Matched.Connections != 1 {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := l.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	if got := e.take(); len(got) != 3 {
		t.Errorf("got %d messages", len(got))
	}
}

// Neither side has to hold more than a little: the answers are received while the pushes are sent.
func TestLinkMany(t *testing.T) {
	p := start(t, api.Access{})
	e := p.listen(t, "c", "u")
	l, err := p.client(t, client.Options{}).Link(within(t))
	if err != nil {
		t.Fatal(err)
	}
	defer closeLink(t, l)
	const n = 5_000
	sent := make(chan error, 1)
	go func() {
		for i := range n {
			if err := l.Send(client.Push{ID: fmt.Sprint(i), To: client.Audience{Users: []string{"u"}}, Data: i}); err != nil {
				sent <- err
				return
			}
		}
		sent <- l.CloseSend()
	}()
	for i := range n {
		a, err := l.Receive()
		if err != nil || a.Result.ID != fmt.Sprint(i) {
			t.Fatalf("answer %d: %+v, %v", i, a, err)
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if _, err := l.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	for i, m := range e.take() {
		if string(m.Args[0]) != fmt.Sprint(i) {
			t.Fatalf("message %d is %s", i, m.Args[0])
		}
	}
}

func TestLinkEnds(t *testing.T) {
	push := client.Push{To: client.Audience{All: true}, Data: 1}
	t.Run("by the server", func(t *testing.T) {
		p := start(t, api.Access{})
		l, err := p.client(t, client.Options{}).Link(within(t))
		if err != nil {
			t.Fatal(err)
		}
		defer closeLink(t, l)
		if err := p.SetAccess(api.Access{Keys: []string{"k"}}); err != nil {
			t.Fatal(err)
		}
		if err := l.Send(push); err != nil {
			t.Fatal(err)
		}
		if a, err := l.Receive(); err != nil || a.Problem == nil || a.Problem.Code != "forbidden" {
			t.Errorf("%+v, %v", a, err)
		}
		if _, err := l.Receive(); !errors.Is(err, io.EOF) {
			t.Errorf("at the end: %v", err)
		}
	})
	t.Run("by the caller", func(t *testing.T) {
		p := start(t, api.Access{})
		l, err := p.client(t, client.Options{}).Link(within(t))
		if err != nil {
			t.Fatal(err)
		}
		received := make(chan error, 1)
		go func() {
			_, err := l.Receive()
			received <- err
		}()
		closeLink(t, l)
		if err := <-received; err == nil {
			t.Error("Receive returned an answer that nobody sent")
		}
		if err := l.Send(push); err == nil {
			t.Error("Send after Close")
		}
		closeLink(t, l)
	})
}

func closeLink(t *testing.T, l *client.Link) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Errorf("closing the link: %v", err)
	}
}

// A server that is gone before it has answered the request of a link is an error at once, not when the context ends.
func TestLinkLost(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	hungUp := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			hungUp <- err
			return
		}
		_, err = http.ReadRequest(bufio.NewReader(conn))
		hungUp <- errors.Join(err, conn.Close())
	}()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := newClient(t, client.Options{URL: "http://" + l.Addr().String()})
	if link, err := c.Link(ctx); !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("%v, %v", link, err)
	}
	if err := <-hungUp; err != nil {
		t.Error(err)
	}
}
