package cluster

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
)

// Each node finds the others by tag and by name, and has the secret that they have.
func TestOwners(t *testing.T) {
	server := startRedis(t)
	first, second, hidden := newWitness(t, server, "first"), newWitness(t, server, "second"), newWitness(t, server, "hidden")
	known, others := NewOwners(first.Node), NewOwners(second.Node)
	second.Advertise("http://10.0.0.2:2120")
	first.begin(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if got := known.Owner(ctx, second.Tag()); got != "" {
		t.Errorf("before it is there: %q", got)
	}
	second.begin(t)
	hidden.begin(t)
	for range 2 { // asked, and remembered
		if got := known.Owner(ctx, second.Tag()); got != "http://10.0.0.2:2120" {
			t.Errorf("the address of the second: %q", got)
		}
	}
	if got := known.Tag(ctx, "second"); got != second.Tag() {
		t.Errorf("the tag of the second: %q, want %q", got, second.Tag())
	}
	for _, tag := range []string{hidden.Tag(), "aaaaaa"} {
		if got := known.Owner(ctx, tag); got != "" {
			t.Errorf("the address of %q: %q", tag, got)
		}
	}
	if got := known.Tag(ctx, "nobody"); got != "" {
		t.Errorf("the tag of nobody: %q", got)
	}
	// One that is started again has another tag, and where the old one led to nobody is found any more.
	old := second
	second = newWitness(t, server, "second")
	second.Advertise("http://10.0.0.2:2120")
	second.begin(t)
	if got := known.Tag(ctx, "second"); got != second.Tag() || got == old.Tag() {
		t.Errorf("the tag of the second that was started again: %q, want %q", got, second.Tag())
	}
	if got := known.Owner(ctx, second.Tag()); got != "http://10.0.0.2:2120" {
		t.Errorf("its address: %q", got)
	}
	known.Gone(old.Tag())
	if got := known.Owner(ctx, old.Tag()); got != "" {
		t.Errorf("the address of who is not there any more: %q", got)
	}
	await(t, "the secret", func() bool { return len(known.Secrets(ctx)) == 1 && len(others.Secrets(ctx)) == 1 })
	if a, b := known.Secrets(ctx)[0], others.Secrets(ctx)[0]; !bytes.Equal(a, b) || len(a) < 32 {
		t.Errorf("secrets %q and %q", a, b)
	}

	// Redis is away: what is known is known, and nobody waits for long.
	server.Kill(t)
	await(t, "the loss", func() bool { return !first.Client().Up() })
	if got := known.Owner(ctx, second.Tag()); got != "http://10.0.0.2:2120" {
		t.Errorf("without Redis: %q", got)
	}
	if got := known.Owner(ctx, "aaaaaa"); got != "" {
		t.Errorf("nobody, without Redis: %q", got)
	}
}

// When Redis has lost its data the nodes agree on another secret; badges of the one before count until all have it.
func TestOwnersAfterLoss(t *testing.T) {
	server := startRedis(t)
	node := newWitness(t, server, "first")
	o := NewOwners(node.Node)
	node.begin(t)
	await(t, "a secret", func() bool { return len(o.Secrets(t.Context())) == 1 })
	before := o.Secrets(t.Context())[0]
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := node.Client().Command(ctx, "FLUSHALL"); err != nil {
		t.Fatal(err)
	}
	node.signal() // the next renewal finds out
	await(t, "another secret", func() bool { return len(o.Secrets(t.Context())) == 2 })
	now, err := redis.Bytes(node.Client().Command(ctx, "GET", node.Key("secret")))
	if err != nil || !bytes.Equal(now, o.Secrets(t.Context())[0]) || !bytes.Equal(before, o.Secrets(t.Context())[1]) {
		t.Errorf("%q, want %q and %q (%v)", o.Secrets(t.Context()), now, before, err)
	}
}

// However many ask, Redis is asked four times a second.
func TestOwnersAskSeldom(t *testing.T) {
	server := startRedis(t)
	node := newWitness(t, server, "first")
	o := NewOwners(node.Node)
	node.begin(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	done := make(chan struct{}, 100)
	begun := time.Now()
	for range cap(done) {
		go func() {
			o.Owner(ctx, "aaaaaa")
			done <- struct{}{}
		}()
	}
	for range cap(done) {
		<-done
	}
	calls, err := redis.String(node.Client().Command(ctx, "INFO", "commandstats"))
	if err != nil {
		t.Fatal(err)
	}
	if n := countOf(t, calls, "zrange"); n > 2+int(time.Since(begun)/lookInterval) {
		t.Errorf("Redis was asked %d times in %v", n, time.Since(begun))
	}
}

// countOf is how often a command was called, as INFO commandstats says.
func countOf(t *testing.T, stats, command string) int {
	t.Helper()
	_, rest, found := bytes.Cut([]byte(stats), []byte("cmdstat_"+command+":calls="))
	if !found {
		return 0
	}
	digits, _, _ := bytes.Cut(rest, []byte(","))
	n := 0
	for _, d := range digits {
		n = 10*n + int(d-'0')
	}
	return n
}
