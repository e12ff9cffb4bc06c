package fallback_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"crier/fallback"
)

// confirm asks the client that came next for a confirmation, and returns where it will be: "arrived" or "lost".
func confirm(c *fallback.Client) <-chan string {
	told := make(chan string, 2)
	c.Confirm(nil, func(ok bool) {
		if ok {
			told <- "arrived"
		} else {
			told <- "lost"
		}
	})
	return told
}

func bubbled(t *testing.T, test func(t *testing.T, d *desk)) {
	synctest.Test(t, func(t *testing.T) { test(t, newDesk(t, false, fallback.Options{})) })
}

// A WebSocket's answer to a ping says that what was before that has arrived.
func TestArrivalsOfWebSocket(t *testing.T) {
	for _, path := range []string{"/ws", "/sockjs/0/s/websocket"} {
		t.Run(path, func(t *testing.T) {
			bubbled(t, func(t *testing.T, d *desk) {
				s := d.frames(path+"?uid=7", true)
				c := next(t, d.came)
				d.push("m", "7", "e")
				one, two := confirm(c), confirm(c)
				synctest.Wait()
				wantOpen(t, one)
				pong := func(n byte) { s.write(ws.NewPongFrame([]byte{0, 0, 0, 0, 0, 0, 0, n})) }
				s.write(ws.NewPongFrame(nil))
				s.write(ws.NewPongFrame([]byte("?")))
				wantOpen(t, one)
				pong(1)
				want(t, one, "arrived")
				wantOpen(t, two)
				pong(2)
				want(t, two, "arrived")
				three := confirm(c)
				pong(2)
				wantOpen(t, three)
				s.drop()
				want(t, three, "lost")
				want(t, confirm(c), "lost")
			})
		})
	}
}

// Of several pings a client may answer the last alone, be it one of the heartbeat.
func TestArrivalsByHeartbeat(t *testing.T) {
	bubbled(t, func(t *testing.T, d *desk) {
		s := d.frames("/ws?uid=7", true)
		told := confirm(next(t, d.came))
		time.Sleep(26 * time.Second)
		s.write(ws.NewPongFrame([]byte{0, 0, 0, 0, 0, 0, 0, 1})) // what the last has too
		want(t, told, "arrived")
	})
}

// The cursor of a poll says what the client has.
func TestArrivalsOfComet(t *testing.T) {
	bubbled(t, func(t *testing.T, d *desk) {
		p := d.poll("uid=7&wait=0")
		c := next(t, d.came)
		want(t, confirm(c), "arrived")
		d.push("m1", "7", "e")
		one := confirm(c)
		d.push("m2", "7", "e")
		two := confirm(c)
		late := d.poll("after=" + p.Next)
		wantOpen(t, one)
		d.push("m3", "7", "e")
		three := confirm(c)
		d.wantPoll(d.poll("after="+p.Next), "m1 m2 m3") // once more
		wantOpen(t, one)
		d.wantPoll(d.poll("after="+late.Next), "m3")
		want(t, one, "arrived")
		want(t, two, "arrived")
		wantOpen(t, three)
		want(t, three, "lost") // when no poll has come for too long
		want(t, confirm(c), "lost")
	})
}

// Of a stream one can know that the system has taken it.
func TestArrivalsOfStreams(t *testing.T) {
	for _, path := range []string{"/sse", "/sockjs/0/s/eventsource"} {
		t.Run(path, func(t *testing.T) {
			bubbled(t, func(t *testing.T, d *desk) {
				f := d.open(http.MethodGet, path+"?uid=7")
				c := next(t, d.came)
				f.block("\n")
				d.push("m1", "7", "e")
				told := confirm(c)
				f.block("m1")
				f.block("\n")
				want(t, told, "arrived")
				d.push("m2", "7", "e", `"`+strings.Repeat("x", 1<<20)+`"`)
				told = confirm(c)
				wantOpen(t, told)
				f.leave()
				want(t, told, "lost")
				want(t, confirm(c), "lost")
			})
		})
	}
}

// A request that follows says that the answer has arrived.
func TestArrivalsOfSockPolling(t *testing.T) {
	bubbled(t, func(t *testing.T, d *desk) {
		const path = "/sockjs/0/s/xhr"
		d.do(http.MethodPost, path+"?uid=7", "")
		c := next(t, d.came)
		want(t, confirm(c), "arrived")
		d.push("m1", "7", "e")
		one := confirm(c)
		wantOpen(t, one)
		d.do(http.MethodPost, path, "")
		late := confirm(c)
		wantOpen(t, one)
		d.push("m2", "7", "e")
		two := confirm(c)
		d.do(http.MethodPost, path, "")
		want(t, one, "arrived")
		want(t, late, "arrived")
		wantOpen(t, two)
		want(t, two, "lost") // when no request has come
	})
}
