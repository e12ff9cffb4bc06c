//go:build linux

package bench_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"crier/bench"
)

// What a server does wrong is found, and named.
func TestFaultsAreFound(t *testing.T) {
	swap := func() func(int, string) ([]string, bool) { // messages 2 and 3
		var held string
		return func(n int, packet string) ([]string, bool) {
			switch n {
			case 2:
				held = packet
				return nil, false
			case 3:
				return []string{packet, held}, false
			}
			return []string{packet}, false
		}
	}
	drop := func(which func(n int) bool) func(int, string) ([]string, bool) {
		return func(n int, packet string) ([]string, bool) {
			if which(n) {
				return nil, false
			}
			return []string{packet}, false
		}
	}
	double := func(n int, packet string) ([]string, bool) {
		if n == 2 {
			return []string{packet, packet}, false
		}
		return []string{packet}, false
	}
	for _, mode := range []bench.Mode{bench.Broadcast, bench.Push, bench.Events} {
		for _, c := range []struct {
			name               string
			deliver            func(int, string) ([]string, bool)
			lost, twice, order int
		}{
			{"nothing", nil, 0, 0, 0},
			{"one lost", drop(func(n int) bool { return n == 2 }), 1, 0, 0},
			{"the last ones lost", drop(func(n int) bool { return n > 3 }), -1, 0, 0},
			{"one twice", double, 0, 1, 0},
			{"two swapped", swap(), 0, 0, 1},
		} {
			t.Run(string(mode)+", "+c.name, func(t *testing.T) {
				t.Parallel()
				r, err := &bench.Result{}, error(nil)
				for d := 500 * time.Millisecond; r.Sent < 6; d *= 2 { // a busy machine may not come to that many at once
					o := startFake(t, mode, &fake{deliver: c.deliver})
					o.Clients, o.Concurrency, o.Rate = 1, 1, 100
					o.Duration, o.Patience = d, 2*time.Second
					if mode == bench.Events {
						o.AtOnce, o.Rate = 6, 0
					}
					if r, err = bench.Run(context.Background(), o, nil); r == nil || !r.Complete || d > patience {
						t.Fatalf("%+v: %v", r, err)
					}
				}
				lost := c.lost
				if lost < 0 {
					lost = r.Sent - 3
				}
				if r.Lost != lost || r.Duplicates != c.twice || r.OutOfOrder != c.order {
					t.Errorf("of %d: %d lost, %d twice, %d out of order; want %d, %d, %d", r.Sent, r.Lost, r.Duplicates, r.OutOfOrder, lost, c.twice, c.order)
				}
				if bad := lost+c.twice+c.order > 0; bad != errors.Is(err, bench.ErrLost) {
					t.Errorf("error %v", err)
				}
				var text strings.Builder
				want := fmt.Sprintf("%d lost, %d twice, %d out of order", lost, c.twice, c.order)
				if err := r.Print(&text); err != nil || !strings.Contains(text.String(), want) {
					t.Errorf("%v: %s", err, text.String())
				}
			})
		}
	}
}

// A server need not keep the connections of pushers.
func TestPushersWhoseConnectionsAreClosed(t *testing.T) {
	for _, mode := range []bench.Mode{bench.Push, bench.Broadcast} {
		o := startFake(t, mode, &fake{closes: true})
		if r, err := bench.Run(context.Background(), o, nil); err != nil || r.Sent < 2 {
			t.Errorf("%s: %+v: %v", mode, r, err)
		}
	}
}

// Heartbeats do not make a run wait for ever for what is lost.
func TestALossIsFoundBesideHeartbeats(t *testing.T) {
	o := startFake(t, bench.Broadcast, &fake{eio: 3, pingInterval: 20, deliver: func(n int, packet string) ([]string, bool) {
		return []string{packet}[:min(n%2, 1)], false
	}})
	o.Server.EIO, o.Rate, o.Patience = 3, 50, time.Second
	r, err := bench.Run(context.Background(), o, nil)
	if !errors.Is(err, bench.ErrLost) || r.Lost != r.Sent/2*o.Clients || r.Heartbeats == 0 {
		t.Errorf("%+v: %v", r, err)
	}
}

// A server that takes a message and never answers ends a run, and so does an interrupt.
func TestAServerThatNeverAnswers(t *testing.T) {
	for _, interrupted := range []bool{true, false} {
		t.Run(fmt.Sprint("interrupted ", interrupted), func(t *testing.T) {
			t.Parallel()
			silent := make(chan struct{})
			o := startFake(t, bench.Broadcast, &fake{answer: func(int) string { <-silent; return "" }})
			t.Cleanup(func() { close(silent) })
			want := "the server has not answered for 1s"
			var tell func(string)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if o.Patience = time.Second; interrupted {
				want, o.Patience, tell = "interrupted", time.Hour, func(string) { cancel() }
			}
			r, err := bench.Run(ctx, o, tell)
			if err == nil || r.Complete || !strings.Contains(r.Cut, want) || r.Lost > 0 {
				t.Errorf("%+v: %v", r, err)
			}
		})
	}
}

func TestADroppedConnectionIsFound(t *testing.T) {
	dropped := false
	o := startFake(t, bench.Broadcast, &fake{deliver: func(n int, packet string) ([]string, bool) {
		cut := n == 3 && !dropped
		dropped = dropped || cut
		return []string{packet}, cut
	}})
	o.Clients, o.Rate = 5, 100
	r, err := bench.Run(context.Background(), o, nil)
	// What was sent before the load saw the end of the connection is lost, which may be nothing.
	if !errors.Is(err, bench.ErrLost) || r.Dropped != 1 || len(r.Errors) == 0 || !r.Complete {
		t.Errorf("%+v: %v", r, err)
	}
}

func TestARunEndsWithItsLastClient(t *testing.T) {
	o := startFake(t, bench.Broadcast, &fake{deliver: func(n int, packet string) ([]string, bool) { return []string{packet}, n == 3 }})
	o.Duration = time.Hour
	r, err := bench.Run(context.Background(), o, nil)
	if err == nil || r.Complete || r.Dropped != o.Clients || !strings.Contains(r.Cut, "no client is left") {
		t.Errorf("%+v: %v", r, err)
	}
}

func TestARefusedPushIsFound(t *testing.T) {
	o := startFake(t, bench.Push, &fake{
		deliver: func(n int, packet string) ([]string, bool) { return []string{packet}[:min(n%3, 1)], false },
		answer:  func(n int) string { return []string{"offline", "ok", "ok"}[n%3] },
	})
	o.Clients, o.Concurrency, o.Rate = 1, 1, 100
	r, err := bench.Run(context.Background(), o, nil)
	if !errors.Is(err, bench.ErrLost) || r.Refused != r.Sent/3 || r.Refused == 0 || r.Lost != 0 || !strings.Contains(fmt.Sprint(r.Errors), "offline") {
		t.Errorf("%+v: %v", r, err)
	}
}

// A run that is cut short says so, and takes nothing that may still come for lost.
func TestCutShort(t *testing.T) {
	for _, mode := range []bench.Mode{bench.Idle, bench.Broadcast, bench.Push, bench.Events, bench.Churn, bench.Storm} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			o := startFake(t, mode, &fake{})
			o.Duration = time.Hour
			if mode == bench.Broadcast || mode == bench.Push {
				o.Rate = 100
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			r, err := bench.Run(ctx, o, func(string) { cancel() })
			if r == nil || r.Complete || r.Cut != "interrupted" || err == nil || errors.Is(err, bench.ErrLost) || r.Lost > 0 || r.Work == nil {
				t.Fatalf("%+v: %v", r, err)
			}
			var text strings.Builder
			if err := r.Print(&text); err != nil || !strings.Contains(text.String(), "CUT SHORT") {
				t.Errorf("%v: %s", err, text.String())
			}
		})
	}
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func TestWhatCannotBeIsExplained(t *testing.T) {
	for _, c := range []struct {
		name  string
		mode  bench.Mode
		adapt func(*bench.Options)
		want  string
		wrong bool // it is a mistake of the user's
	}{
		{name: "no server", mode: bench.Idle, adapt: func(o *bench.Options) { o.URL = closedPort(t) }, want: "is the server running at http://127.0.0.1:"},
		{name: "too few descriptors", mode: bench.Idle, adapt: func(o *bench.Options) { o.Clients = 100_000_000 }, want: "raise that (ulimit -n 100000"},
		{name: "an address that is not ours", mode: bench.Idle, adapt: func(o *bench.Options) { o.From = []netip.Addr{netip.MustParseAddr("192.0.2.1")} }, want: "the addresses of --from are none of this machine"},
		{name: "not a server of this kind", mode: bench.Idle, adapt: func(o *bench.Options) { o.URL += "/elsewhere" }, want: "the server answered 404"},
		{name: "TLS", mode: bench.Idle, adapt: func(o *bench.Options) { o.URL = "https://localhost" }, want: "TLS is not measured", wrong: true},
		{name: "no URL", mode: bench.Idle, adapt: func(o *bench.Options) { o.URL = "localhost:2120" }, want: "is not of the form http://host:port", wrong: true},
		{name: "no port", mode: bench.Idle, adapt: func(o *bench.Options) { o.URL = "http://127.0.0.1:99999" }, want: "port", wrong: true},
		{name: "no client", mode: bench.Idle, adapt: func(o *bench.Options) { o.Clients = 0 }, want: "a client at least", wrong: true},
		{name: "the memory of nobody", mode: bench.Idle, adapt: func(o *bench.Options) { o.Leave = time.Second }, want: "has to be named (--pid)", wrong: true},
		{name: "clients that have left before", mode: bench.Idle, adapt: func(o *bench.Options) { o.Leave = -1 }, want: "left before", wrong: true},
		{name: "a small message", mode: bench.Broadcast, adapt: func(o *bench.Options) { o.Size = 1 }, want: "a message has 32 bytes", wrong: true},
		{name: "a way that there is not", mode: bench.Push, adapt: func(o *bench.Options) { o.Via = "pigeon" }, want: `not by "pigeon"`, wrong: true},
		{name: "a rate of a link", mode: bench.Push, adapt: func(o *bench.Options) { o.Via, o.Rate = bench.Lines, 1 }, want: "there is no rate", wrong: true},
		{name: "a link of Node", mode: bench.Push, adapt: func(o *bench.Options) { o.Server, o.Via = bench.Servers()["node"], bench.Lines }, want: "no lasting links", wrong: true},
		{name: "a body without content", mode: bench.Push, adapt: func(o *bench.Options) { o.Server.Form.One = "{uid}" }, want: "needs {uid} and {content}", wrong: true},
		{name: "clients of a handler", mode: bench.Idle, adapt: func(o *bench.Options) { o.Server = bench.Servers()["handler"] }, want: "it can only be pushed to", wrong: true},
		{name: "events without a login", mode: bench.Events, adapt: func(o *bench.Options) { o.Server.Login = "" }, want: "nothing to acknowledge", wrong: true},
		{name: "SSE of Node", mode: bench.SSE, adapt: func(o *bench.Options) { o.Server = bench.Servers()["node"] }, want: "add the path to --url", wrong: true},
		{name: "a revision that there is not", mode: bench.Idle, adapt: func(o *bench.Options) { o.Server.EIO = 5 }, want: "no Engine.IO revision 5", wrong: true},
		{name: "a process that there is not", mode: bench.Idle, adapt: func(o *bench.Options) { o.PID = 1 << 30 }, want: "process 1073741824"},
		{name: "no handler", mode: bench.Push, adapt: func(o *bench.Options) { o.Server, o.PushURL = bench.Servers()["handler"], closedPort(t) }, want: "is the server running at http://127.0.0.1:"},
		{name: "no push port", mode: bench.Broadcast, adapt: func(o *bench.Options) { o.PushURL = closedPort(t) }, want: "its push port at http://127.0.0.1:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := startCrier(t, c.mode)
			c.adapt(&o)
			_, err := bench.Run(context.Background(), o, nil)
			var wrong *bench.Mistake
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.As(err, &wrong) != c.wrong {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
