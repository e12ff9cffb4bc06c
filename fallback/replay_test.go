package fallback_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"crier/fallback"
	"crier/io/hub"
)

// newKeeper is newDesk with a log of so many messages.
func newKeeper(t testing.TB, tcp bool, messages int) *desk {
	t.Helper()
	return newDeskOf(t, tcp, fallback.Options{}, hub.Options{
		Recovery: &hub.Recovery{Window: time.Minute, MaxMessages: messages, MaxBytes: 1 << 20},
	})
}

// bare is the id of the message in an id.
func bare(id string) string {
	_, message, _ := strings.Cut(id, ":")
	return message
}

// returning is a client that can come back. next returns what it calls the message that comes next: its id, or its event
// if that has none; after is what it goes on after.
type returning struct {
	t     testing.TB
	next  func() string
	after string
	leave func()
}

// want checks what comes next.
func (r *returning) want(list ...string) {
	r.t.Helper()
	for _, w := range list {
		if got := r.next(); got != w {
			r.t.Fatalf("got %q, want %q", got, w)
		}
	}
}

// come connects a client: sse, ws, comet or sockjs.
func (d *desk) come(kind, query, after string) *returning {
	d.t.Helper()
	r := &returning{t: d.t, after: after}
	named := func(id, event string) string {
		if id != "" {
			r.after = id
		}
		return cmp.Or(bare(id), event)
	}
	text := func(s string) string {
		var m struct{ ID, Event string }
		if err := json.Unmarshal([]byte(s), &m); err != nil {
			return s
		}
		return named(m.ID, m.Event)
	}
	switch kind {
	case "sse":
		f := d.open(http.MethodGet, "/sse?"+query, "Last-Event-ID", after)
		f.wantRetry()
		r.leave = f.leave
		r.next = func() string {
			fields := map[string]string{}
			for line := range strings.SplitSeq(f.block("\n\n"), "\n") {
				name, value, _ := strings.Cut(line, ": ")
				fields[name] = value
			}
			return named(fields["id"], fields["event"])
		}
	case "comet":
		var list []string
		r.leave = func() {}
		r.next = func() string {
			for len(list) == 0 {
				p := d.poll(query + "&after=" + url.QueryEscape(r.after))
				if r.after = p.Next; p.ids() != "" {
					list = strings.Split(p.ids(), " ")
				}
			}
			first := list[0]
			list = list[1:]
			return first
		}
	default:
		path := "/ws?"
		if kind == "sockjs" {
			path = "/sockjs/0/1/websocket?"
		}
		s := d.frames(path+query+"&after="+url.QueryEscape(after), false)
		r.leave = s.drop
		r.next = func() string {
			got := next(d.t, s.got)
			for got == "PING" || got == "o" {
				got = next(d.t, s.got)
			}
			if list := []string{}; strings.HasPrefix(got, "a") && json.Unmarshal([]byte(got[1:]), &list) == nil {
				got = list[0]
			}
			return text(got)
		}
	}
	return r
}

// away waits until the user's connections have gone.
func (d *desk) away(r *returning, uid string) {
	d.t.Helper()
	r.leave()
	d.awaitUser(uid, 0)
}

// hello is what a client of that kind hears first.
func hello(kind string) []string {
	if kind == "comet" {
		return nil
	}
	return []string{"ready"}
}

// A client that has gone is given what it has missed, in order, before what is newer, and is who it was; also if its end has
// not been noticed.
func TestReplay(t *testing.T) {
	for _, kind := range []string{"sse", "ws", "sockjs"} {
		for _, noticed := range []bool{true, false} {
			t.Run(fmt.Sprint(kind, noticed), func(t *testing.T) {
				d := newKeeper(t, true, 100)
				r := d.come(kind, "uid=7&rooms=a", "")
				r.want(hello(kind)...)
				d.awaitUser("7", 1)
				before := d.connection("7")
				d.push("1", "7", "e")
				r.want("1")
				for range 2 {
					if noticed {
						d.away(r, "7")
						want(t, d.events, "7 has gone")
					}
					for _, id := range []string{"2", "3", "4"} {
						d.push(id, "7", "e", `"x"`)
					}
					d.push("other", "8", "e")
					again := d.come(kind, "uid=7&rooms=a", r.after)
					again.want("2", "3", "4")
					if !noticed {
						want(t, d.events, "7 has gone")
						r.leave()
					}
					d.push("5", "7", "e")
					again.want("5")
					if got := d.connection("7"); got != before {
						t.Errorf("connection %s after %s", got, before)
					}
					r = again
				}
			})
		}
	}
}

// A client that breaks off as soon as it is there, and comes again before that has got the place of the one before, misses nothing.
func TestReplayAtOnce(t *testing.T) {
	for kind, path := range map[string]string{"sse": "/sse", "ws": "/ws", "sockjs": "/sockjs/0/1/websocket"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newKeeper(t, false, 100)
				r := d.come(kind, "uid=7", "")
				r.want(hello(kind)...)
				d.awaitUser("7", 1)
				d.push("1", "7", "e")
				r.want("1")
				r.leave()
				want(t, d.events, "7 has gone")
				d.push("2", "7", "e")
				hasty := d.knock(path + "?uid=7&hold=1&after=" + url.QueryEscape(r.after))
				synctest.Wait() // it has claimed what there is
				if err := hasty.Close(); err != nil {
					t.Error(err)
				}
				go func() {
					synctest.Wait() // the next one waits for that
					close(d.door)
				}()
				d.come(kind, "uid=7", r.after).want("2")
			})
		})
	}
}

// Who has been told where it begins can be reached: a push made right then is delivered, whatever there is to do before it.
func TestReadyIsReachable(t *testing.T) {
	for _, tt := range []struct{ kind, after, first string }{
		{"sse", "", "ready"},
		{"ws", "", "ready"},
		{"sockjs", "", "ready"},
		{"sse", "m1", "missed"},
		{"ws", "m1", "missed"},
		{"sockjs", "m1", "missed"},
		{"comet", "m1", "missed"},
	} {
		t.Run(tt.kind+" "+tt.first, func(t *testing.T) {
			reach := func(t *testing.T, d *desk) {
				r := d.come(tt.kind, "uid=7", tt.after)
				r.want(tt.first)
				if got := d.push("1", "7", "e"); got.Delivered != 1 {
					t.Fatalf("a push after %q: %+v", tt.first, got)
				}
				r.want("1")
				r.leave()
			}
			t.Run("slow login", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := newKeeper(t, false, 100)
					d.entering = synctest.Wait // until the client has read what it has been sent, and has pushed if it thinks it may
					reach(t, d)
				})
			})
			t.Run("sockets", func(t *testing.T) {
				reach(t, newKeeper(t, true, 100))
			})
		})
	}
}

// The same goes for the open frame of SockJS, however its client connects.
func TestSockOpenIsReachable(t *testing.T) {
	for _, path := range []string{"/websocket", "/xhr", "/xhr_streaming", "/eventsource"} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t, false, fallback.Options{})
				d.entering = synctest.Wait
				path := "/sockjs/0/1" + path + "?uid=7"
				switch {
				case strings.Contains(path, "websocket"):
					want(t, d.frames(path, false).got, "o")
				case strings.Contains(path, "eventsource"):
					d.open(http.MethodGet, path).want("\r\ndata: o\r\n\r\n")
				case strings.Contains(path, "streaming"):
					d.open(http.MethodPost, path).want(strings.Repeat("h", 2048) + "\no\n")
				default:
					if got := d.do(http.MethodPost, path, ""); got.err != nil || got.body != "o\n" {
						t.Fatalf("%+v", got)
					}
				}
				if got := d.push("1", "7", "e"); got.Delivered != 1 {
					t.Errorf("a push after the open frame: %+v", got)
				}
			})
		})
	}
}

// A poll that comes late goes on all the same.
func TestReplayComet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newKeeper(t, false, 100)
		r := d.come("comet", "uid=7", "")
		p := d.poll("uid=7&wait=0")
		r.after = p.Next
		d.push("1", "7", "e")
		r.want("1")
		d.push("2", "7", "e") // while it is here
		for range 2 {
			time.Sleep(50 * time.Second)
			want(t, d.events, "7 has gone")
			d.push("3", "7", "e")
			r.want("2", "3")
			d.push("2", "7", "e")
		}
		r.want("2")
	})
}

// Whose id never was, is another user's, is too old or is forged is told that something may be missing, and gets what
// comes; whose it was loses nothing.
func TestReplayImpossible(t *testing.T) {
	for _, kind := range []string{"sse", "ws", "sockjs", "comet"} {
		t.Run(kind, func(t *testing.T) {
			d := newKeeper(t, true, 3)
			owner := d.come("ws", "uid=7&rooms=a", "")
			owner.want("ready")
			d.awaitUser("7", 1)
			d.push("1", "7", "e")
			owner.want("1")
			id := owner.after
			pid, _, _ := strings.Cut(id, ".")
			tests := []struct{ name, query, after string }{
				{"never was", "uid=8", "m1"},
				{"forged", "uid=8", "AAAAAAAAAAAAAAAAAAAAAAAAAA.1.BBBBBBBBBB-1:x"},
				{"another user's, who is here", "uid=8", id},
				{"nobody", "uid=8", "." + strings.Repeat("9", 30)},
				{"too large", "uid=8", strings.Repeat("x", 5000)},
				{"not for that room", "uid=7&barred=a", id},
				{"another user's, who is away", "uid=8", id},
			}
			for i, tt := range tests {
				if i == len(tests)-2 {
					d.away(owner, "7")
					d.push("2", "7", "e")
				}
				r := d.come(kind, tt.query, tt.after)
				r.want("missed")
				if strings.Contains(r.after, pid) {
					t.Errorf("%s: got the secret of somebody else", tt.name)
				}
				uid := tt.query[4:5]
				d.awaitUser(uid, 1)
				d.push("m", uid, "e")
				r.want("m")
				d.kick(uid)
				d.awaitUser(uid, 0)
			}
		})
	}
}

// The owner of an id that somebody else has tried goes on where it was; who was kicked, or has missed more than is kept,
// does not.
func TestReplayOwner(t *testing.T) {
	d := newKeeper(t, true, 3)
	r := d.come("sse", "uid=7", "")
	r.want("ready")
	d.awaitUser("7", 1)
	d.away(r, "7")
	d.push("1", "7", "e")
	d.come("ws", "uid=8", r.after).want("missed")
	again := d.come("sse", "uid=7", r.after)
	again.want("1")
	d.away(again, "7")
	for range 4 {
		d.push("m", "7", "e")
	}
	r = d.come("sse", "uid=7", again.after)
	r.want("missed")
	d.kick("7")
	d.awaitUser("7", 0)
	d.come("sse", "uid=7", r.after).want("missed")
}

// A WebSocket that does not say after has the ids of the messages, and costs no memory once it has gone.
func TestReplayUnasked(t *testing.T) {
	d := newKeeper(t, true, 3)
	s := d.frames("/ws?uid=7", false)
	d.awaitUser("7", 1)
	d.push("1", "7", "e")
	want(t, s.got, `{"id":"1","event":"e","args":[]}`)
	s.drop()
	d.awaitUser("7", 0)
	if d.hub.HasAway() {
		t.Error("it is remembered")
	}
}

// connection is the id of the user's only one.
func (d *desk) connection(uid string) string {
	d.t.Helper()
	list, err := d.hub.User(uid)
	if err != nil || len(list) != 1 {
		d.t.Fatalf("%+v, %v", list, err)
	}
	return list[0].Connection
}
