package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
)

// newClient returns a client of the server, started; the test's end closes it.
func newClient(t *testing.T, server *redisServer) *Client {
	t.Helper()
	r, err := NewRedis(RedisOptions{URL: "redis://" + server.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	log := &logBook{}
	c, err := NewClient(ClientOptions{Redis: r, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return c
}

var echoScript = NewScript("echo", "return ARGV[1]")

func TestClient(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	c := newClient(t, server)
	await(t, "Redis is there", c.Up)
	ctx := context.Background()
	if got, err := redis.String(c.Command(ctx, "SET", "a", "b")); got != "OK" || err != nil {
		t.Errorf("SET: %q, %v", got, err)
	}
	script := NewScript("both", "return {redis.call('GET', KEYS[1]), ARGV[1]}")
	for range 2 { // told, and known
		if got, err := redis.Strings(c.Do(ctx, script, []string{"a"}, "c")); fmt.Sprint(got) != "[b c]" || err != nil {
			t.Errorf("script: %q, %v", got, err)
		}
	}
	server.do(t, []any{"SCRIPT", "FLUSH"})
	if got, err := redis.Strings(c.Do(ctx, script, []string{"a"}, "c")); fmt.Sprint(got) != "[b c]" || err != nil {
		t.Errorf("script that Redis has forgotten: %q, %v", got, err)
	}
	var said redis.Error
	if _, err := c.Do(ctx, NewScript("broken", "this is no Lua"), nil); !errors.As(err, &said) || errors.Is(err, ErrAway) {
		t.Errorf("broken script: %v", err)
	}
	if _, err := c.Command(ctx, "INCR", "a"); !errors.As(err, &said) || !strings.Contains(err.Error(), "INCR") {
		t.Errorf("a wrong command: %v", err)
	}
	if got, err := c.Command(ctx, "GET", "nothing"); got != nil || err != nil {
		t.Errorf("nothing: %v, %v", got, err)
	}
}

// TestClientOrder has answers come in the order of the calls, while others call too.
func TestClientOrder(t *testing.T) {
	t.Parallel()
	c := newClient(t, startRedis(t))
	await(t, "Redis is there", c.Up)
	const calls = 3000
	var others sync.WaitGroup
	for g := range 4 {
		others.Go(func() {
			for i := range 200 {
				want := fmt.Sprint(g, i)
				if got, err := redis.String(c.Do(context.Background(), echoScript, nil, want)); got != want || err != nil {
					t.Errorf("got %q, %v; want %q", got, err, want)
				}
			}
		})
	}
	var got []string
	done := make(chan struct{})
	for i := range calls {
		c.Go(func(reply any, err error) {
			text, err := redis.String(reply, err)
			if err != nil {
				t.Error(err)
			}
			if got = append(got, text); len(got) == calls {
				close(done)
			}
		}, echoScript, nil, fmt.Sprint("x", i))
	}
	<-done
	for i, text := range got {
		if text != fmt.Sprint("x", i) {
			t.Fatalf("answer %d is %q", i, text)
		}
	}
	others.Wait()
}

// TestClientComesAndGoes begins without Redis, loses it, and has it silent.
func TestClientComesAndGoes(t *testing.T) {
	t.Parallel()
	server := newRedis(t)
	c := newClient(t, server)
	ctx := context.Background()
	if _, err := c.Command(ctx, "PING"); !errors.Is(err, ErrAway) || errors.Is(err, ErrInDoubt) {
		t.Errorf("without Redis: %v", err)
	}
	for range 2 {
		server.Start(t)
		await(t, "Redis is there", c.Up)
		if got, err := redis.String(c.Do(ctx, echoScript, nil, "a")); got != "a" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		// Redis is silent: what is under way is in doubt, what waits behind it has not been made.
		server.Suspend(t)
		if _, err := c.Command(ctx, "PING"); !errors.Is(err, ErrAway) || !errors.Is(err, ErrInDoubt) {
			t.Errorf("from a silent Redis: %v", err)
		}
		server.Kill(t)
		await(t, "Redis is away", func() bool { return !c.Up() })
		if _, err := c.Command(ctx, "PING"); !errors.Is(err, ErrAway) || errors.Is(err, ErrInDoubt) {
			t.Errorf("without Redis: %v", err)
		}
	}
	if got := c.Status(); got.Up || got.Lost != 2 {
		t.Errorf("%+v", got)
	}
}

func TestClientGivesUp(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	c := newClient(t, server)
	await(t, "Redis is there", c.Up)
	server.Suspend(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if _, err := c.Command(ctx, "PING"); !errors.Is(err, ErrInDoubt) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a caller who does not wait: %v", err)
	}
	// A queue that is full takes no more.
	large := make([]byte, maxWaitingBytes/4)
	failed := make(chan error, 16)
	for range cap(failed) {
		c.Go(func(_ any, err error) { failed <- err }, echoScript, nil, large)
	}
	busy := 0
	for range cap(failed) {
		if err := <-failed; errors.Is(err, ErrBusy) {
			busy++
		} else if !errors.Is(err, ErrAway) {
			t.Error(err)
		}
	}
	if busy == 0 {
		t.Error("everything was taken")
	}
}

// TestClientReplica has calls refused as by a Redis that is not the master any more.
func TestClientReplica(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	c := newClient(t, server)
	await(t, "Redis is there", c.Up)
	server.do(t, []any{"REPLICAOF", "127.0.0.1", "1"})
	if _, err := c.Command(context.Background(), "SET", "a", "b"); !errors.Is(err, ErrAway) || errors.Is(err, ErrInDoubt) {
		t.Errorf("a replica: %v", err)
	}
	await(t, "another connection", func() bool { return c.Status().Lost > 0 })
}
