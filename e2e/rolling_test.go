package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// pushBeat is how often the test of a rolling restart pushes.
const pushBeat = 5 * time.Millisecond

// A caller is a business server that pushes to one of several Criers after the other, and to the next one if that does not take it.
type caller struct {
	ports []string // of the push side
	next  int

	mu     sync.Mutex
	pushed []string
	again  int // those that the second one took
}

// push makes one push to all, under an id, at two servers at most.
func (c *caller) push(ctx context.Context, message string) error {
	var failed error
	for tries := range 2 {
		port := c.ports[c.next%len(c.ports)]
		c.next++
		r, err := try(ctx, http.MethodPost, "http://"+port+"/v1/push", fmt.Sprintf(`{"id":%q,"to":{"all":true},"data":%q}`, message, message), nil)
		if err == nil && r.status == http.StatusOK {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.pushed, c.again = append(c.pushed, message), c.again+tries
			return nil
		}
		failed = errors.Join(failed, err, fmt.Errorf("%s: %s answered %d %s", message, port, r.status, r.body))
	}
	return failed
}

// run pushes until stop is closed.
func (c *caller) run(t *testing.T, stop <-chan struct{}) {
	beat := time.NewTicker(pushBeat)
	defer beat.Stop()
	for n := 0; ; n++ {
		if err := c.push(t.Context(), fmt.Sprintf("message %d", n)); err != nil {
			t.Error(err)
			return
		}
		select {
		case <-beat.C:
		case <-stop:
			return
		}
	}
}

func (c *caller) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.pushed)
}

// passed returns how many messages the second server took that was asked.
func (c *caller) passed() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.again
}

// heard waits for the message last, and returns all messages of a socket that can be recovered: each has an offset behind its text.
func (s *socket) heard(t *testing.T, last string) (all []string) {
	t.Helper()
	for s.await(t, happening{On: "event", Event: "new_msg"}).text(t, 0) != last {
	}
	for _, h := range s.history {
		if h.On == "event" && h.Event == "new_msg" {
			all = append(all, h.text(t, 0))
		}
	}
	return all
}

// story is what happened to a socket, without the messages that came in their turn.
func (s *socket) story(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	n := 0
	for _, h := range s.history {
		if h.On != "event" || h.Event != "new_msg" {
			fmt.Fprintf(&b, " %s(%s, recovered %v, %s)", h.On, h.Reason, h.Recovered, h.Engine)
			continue
		}
		if text := h.text(t, 0); text != fmt.Sprintf("message %d", n) {
			fmt.Fprintf(&b, " %s instead of %d", text, n)
			if _, err := fmt.Sscanf(text, "message %d", &n); err != nil {
				t.Error(err)
			}
		}
		n++
	}
	return b.String()
}

// TestRollingRestart restarts all servers, one after the other, while somebody pushes: no push fails at two of them, and clients behind
// the balancer are recovered by another server each time, and get everything once and in order.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	all := make(fleet, 3)
	pusher := &caller{}
	for n := range all {
		all[n] = startFleet(t, redis, 1, settings{
			"listen": freePort(t), "api.listen": freePort(t), "cluster.node": fmt.Sprintf("node-%d", n+1), "drain.spread": "500ms",
		})[0]
		pusher.ports = append(pusher.ports, all[n].push)
	}
	base := all.balanced(t)
	d := startDriver(t)
	recovery := map[string]any{"auth": map[string]any{"recovery": true}, "reconnectionDelay": 50, "reconnectionDelayMax": 500}
	var guests []*socket
	for n := range 3 {
		for _, r := range latest.routes() {
			g := d.open(t, fmt.Sprintf("%s-%d", r.name, n), opening{client: latest, route: r, url: base, options: recovery})
			g.connected(t)
			guests = append(guests, g)
		}
	}
	stop := make(chan struct{})
	var pushing sync.WaitGroup
	pushing.Go(func() { pusher.run(t, stop) })
	t.Cleanup(pushing.Wait)
	end := sync.OnceFunc(func() { close(stop) })
	t.Cleanup(end)
	for n, s := range all {
		passed := pusher.passed()
		s.stop(t)
		for pusher.passed() == passed && !t.Failed() { // it is missed before it is there again
			time.Sleep(pushBeat)
		}
		all[n] = startCrier(t, s.settings)
		more := len(pusher.all()) + 2*len(all) // it is there, and takes its turn
		for len(pusher.all()) < more && !t.Failed() {
			time.Sleep(pushBeat)
		}
	}
	end()
	pushing.Wait()
	want := pusher.all()
	for _, g := range guests {
		if got := g.heard(t, want[len(want)-1]); !slices.Equal(got, want) {
			t.Errorf("%s got %d messages, want %d in order: %s", g.id, len(got), len(want), g.story(t))
		}
	}
	t.Logf("%d pushes, of which %d were taken by the second server that was asked", len(want), pusher.passed())
}
