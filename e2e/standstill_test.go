//go:build unix

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"testing"
)

// A listener is a user who is there by an event stream.
type listener struct {
	leave func()
	got   *logbook      // what came
	ended chan struct{} // closed when nothing comes any more
}

// listen has a user come to a server until he leaves, at the latest at the end of the test.
func (s *server) listen(t *testing.T, uid string) *listener {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.publicURL("/sse?uid="+uid), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{cancel, newLogbook(), make(chan struct{})}
	go func() {
		defer close(l.ended)
		_, err := io.Copy(l.got, resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil && ctx.Err() == nil {
			t.Errorf("the stream of %s: %v", uid, err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-l.ended
	})
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("the stream of %s was answered %d", uid, resp.StatusCode)
	}
	return l
}

// pause has a server stand still until wake is called, at the latest at the end of the test.
func (s *server) pause(t *testing.T) (wake func()) {
	t.Helper()
	signal := func(which syscall.Signal) {
		t.Helper()
		if err := s.cmd.Process.Signal(which); err != nil {
			t.Error(err)
		}
	}
	signal(syscall.SIGSTOP)
	awake := false
	wake = func() {
		if !awake {
			awake = true
			signal(syscall.SIGCONT)
		}
	}
	t.Cleanup(wake)
	return wake
}

// TestLeaderStandsStill stops the server that leads for longer than its lease, with a callback on the wire. Another one takes over and
// tells that again, and what comes behind it; when the first one wakes, what it has been answered changes nothing any more, and it says
// anew who is with it. Online and offline of each user alternate, with growing versions. Who is with it has kept his connection, and gets
// what was pushed meanwhile.
func TestLeaderStandsStill(t *testing.T) {
	t.Parallel()
	receiver := startReceiver(t)
	store := startRedis(t)
	all := startFleet(t, store, 1, settings{"webhook.url": receiver.url, "webhook.timeout": "1m", "presence.offline_delay": "0s", "presence.restart_grace": "1s"})
	first := all[0]
	first.log.await(t, first.exited, "this server leads")
	first.log.await(t, first.exited, "level=WARN", "appendonly no") // which is how the tests' Redis is set
	second := startCrier(t, first.settings.with(settings{"cluster.node": "node-2"}))
	second.together(t)
	is := func(uid string, online bool, changes int) func(map[string]told) bool {
		return func(users map[string]told) bool { return users[uid].online == online && users[uid].changes == changes }
	}
	stays := first.listen(t, "stays")
	awaitTold(t, receiver, "stays has come", is("stays", true, 1))

	release := receiver.hold()
	t.Cleanup(release)
	moves := second.listen(t, "moves")
	awaitTold(t, receiver, "moves has come", is("moves", true, 1)) // and the first one waits for the answer
	before := len(receiver.callbacks())
	wake := first.pause(t)
	moves.leave()
	store.await(t, "moves is offline", int64(0), "HEXISTS", "crier:u:moves", "on")
	moves = second.listen(t, "moves")
	second.publish(t, "stays", "while nobody knows")
	second.log.await(t, second.exited, "this server leads")
	awaitTold(t, receiver, "moves is told of by the other server", is("moves", true, 3))
	awaitTold(t, receiver, "stays has gone with his server", func(users map[string]told) bool {
		return is("stays", false, 2)(users) && users["stays"].cause == "node"
	})
	second.publish(t, "stays", "when everybody knows")
	if again := receiver.callbacks()[before].event(t); again.Data.UID != "moves" || again.Type != "user.online" {
		t.Errorf("the other server begins with %+v instead of what had not been answered", again)
	}

	release()
	wake()
	first.log.await(t, first.exited, "this server does not lead any more")
	awaitTold(t, receiver, "stays is there still", is("stays", true, 3))
	stays.got.await(t, stays.ended, "while nobody knows")
	stays.got.await(t, stays.ended, "when everybody knows")
	moves.leave()
	awaitTold(t, receiver, "moves has left", is("moves", false, 4))
	for n := range 5 { // whatever the first server would tell by mistake comes before or with these
		uid := fmt.Sprintf("last-%d", n)
		first.listen(t, uid)
		awaitTold(t, receiver, uid+" has come", is(uid, true, 1))
	}
	times := map[string]int{}
	for _, c := range receiver.callbacks() {
		times[c.event(t).ID]++
	}
	repeated := 0
	for id, n := range times {
		if n > 2 {
			t.Errorf("%s was told %d times", id, n)
		}
		if n > 1 {
			repeated++
		}
	}
	if users := replayed(t, receiver.callbacks()); repeated != 1 || len(users) != 7 || users["stays"].changes != 3 || users["moves"].changes != 4 {
		t.Errorf("%d were repeated, want the one that had not been answered; told: %+v", repeated, users)
	}
}
