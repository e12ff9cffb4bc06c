package demo

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"crier/io/socketio"
	socket "crier/io/socketio/client"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start starts a demonstration, which the test's end closes.
func start(t *testing.T) *Demo {
	t.Helper()
	log := &strings.Builder{}
	d, err := Start(Options{Pace: 10 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelError}))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := d.Close(ctx); err != nil {
			t.Errorf("closing: %v", err)
		}
		http.DefaultTransport.(*http.Transport).CloseIdleConnections() // of the push port's client
		select {
		case err := <-d.Err():
			t.Error(err)
		default:
		}
		if log.Len() > 0 {
			t.Errorf("logged: %s", log)
		}
	})
	return d
}

// heard is an event that has come, or the answer to one, whose name then starts with "answer to".
type heard struct {
	name string
	args string
}

// visitor is a page as far as the demonstration goes.
type visitor struct {
	t     *testing.T
	heard chan heard
	conns chan *socket.Conn
	conn  *socket.Conn
	leave func() // may be called twice
}

// visit connects as a user until the test ends.
func visit(t *testing.T, d *Demo, uid string) *visitor {
	t.Helper()
	v := &visitor{t: t, heard: make(chan heard, 10000), conns: make(chan *socket.Conn, 10)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- socket.Run(ctx, socket.Options{URL: d.CrierURL(), Auth: map[string]string{"uid": uid}}, v)
	}()
	v.leave = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", uid, err)
		}
	})
	t.Cleanup(v.leave)
	select {
	case v.conn = <-v.conns:
	case <-time.After(patience):
		t.Fatalf("%s does not connect", uid)
	}
	return v
}

func (v *visitor) Connected(c *socket.Conn) error  { v.conns <- c; return nil }
func (v *visitor) Lost(error, time.Duration) error { return nil }
func (v *visitor) Event(e *socket.Event) error {
	text := ""
	if e.Len() > 0 {
		text = string(e.JSON(0))
	}
	v.heard <- heard{e.Name, text}
	if e.WantsAck() {
		return e.Ack(socketio.JSON("✓"))
	}
	return nil
}

// say emits an event with an argument, and files its answer.
func (v *visitor) say(event string, arg any) {
	v.t.Helper()
	err := v.conn.Emit(event, func(args socketio.Args) error {
		v.heard <- heard{"answer to " + event, string(args.JSON(0))}
		return nil
	}, socketio.JSON(arg))
	if err != nil {
		v.t.Fatal(err)
	}
}

// hears waits for an event whose argument has all the words, and returns that.
func (v *visitor) hears(name string, words ...string) string {
	v.t.Helper()
	late := time.After(patience)
	var all []heard
next:
	for {
		select {
		case h := <-v.heard:
			all = append(all, h)
			if h.name != name {
				continue
			}
			for _, word := range words {
				if !strings.Contains(h.args, word) {
					continue next
				}
			}
			return h.args
		case <-late:
			v.t.Fatalf("no %s with %q; heard %v", name, words, all[max(0, len(all)-20):])
		}
	}
}

func TestChat(t *testing.T) {
	d := start(t)
	ada, bo := visit(t, d, "Ada"), visit(t, d, "Bo")
	for _, v := range []*visitor{ada, bo} {
		v.say("subscribe", "chat")
		v.hears("answer to subscribe", `"ok":true`)
	}
	ada.hears("presence", `"Bo"`, `"join"`)
	ada.say("chat.say", "<b>你好</b>")
	ada.hears("answer to chat.say", `"ok":true`)
	bo.hears("chat.said", `"from":"Ada"`, `<b>`)
	bo.say("chat.enter", nil)
	bo.hears("answer to chat.enter", `"members":["Ada","Bo"]`, `"from":"Ada"`)
	for _, bad := range []any{"", 7, strings.Repeat("x", maxSaid+1), nil} {
		bo.say("chat.say", bad)
		bo.hears("answer to chat.say", `"ok":false`, `"code":"refused"`)
	}
}

func TestQuotes(t *testing.T) {
	v := visit(t, start(t), "visitor")
	v.say("subscribe", "quotes")
	for range 3 {
		v.hears("quotes", `"symbol":"CRIER"`)
	}
	v.say("quotes.enter", nil)
	var history [][]quote
	if err := json.Unmarshal([]byte(v.hears("answer to quotes.enter")), &history); err != nil || len(history) < 3 || len(history) > maxCourse || history[0][0].Price <= 0 {
		t.Errorf("the history is %v: %v", history, err)
	}
}

// TestBell waits for no ring, but for the server's plan of it.
func TestBell(t *testing.T) {
	d := start(t)
	s, err := d.business.port.Schedule(t.Context(), "bell")
	if err != nil || s.Every != bellPause.String() || len(s.NextRuns) == 0 || !strings.Contains(string(s.Push), roomQuotes) {
		t.Errorf("the schedule is %+v: %v", s, err)
	}
}

func TestDevices(t *testing.T) {
	d := start(t)
	board := visit(t, d, "visitor")
	board.say("subscribe", "board")
	board.hears("answer to subscribe", `"ok":true`)
	own := visit(t, d, "device-own")
	board.hears("device", `"uid":"device-own"`, `"online":true`)

	board.say("board.command", map[string]string{"to": "device-own", "command": "measure"})
	own.hears("command", `"measure"`)
	board.hears("answer to board.command", `"matched":1`, `{"uid":"device-own","said":"✓"}`)
	board.say("board.command", map[string]string{"command": "blink"})
	own.hears("command", `"blink"`)
	board.hears("answer to board.command", `{"uid":"device-own","said":"✓"}`)
	board.say("board.command", map[string]string{"to": "Ada", "command": "blink"})
	board.hears("answer to board.command", `"code":"refused"`)

	own.leave()
	board.hears("device", `"uid":"device-own"`, `"online":false`)
	board.say("board.enter", nil)
	board.hears("answer to board.enter", `{"uid":"device-own","online":false`)
}

// TestForeignCalls: who is not Crier cannot speak for a user.
func TestForeignCalls(t *testing.T) {
	d := start(t)
	body := `{"type":"client.event","data":{"uid":"Ada","event":"chat.say","args":["I was not here"]}}`
	r, err := http.Post(strings.TrimSuffix(d.URL(), "/")+hookPath, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r.Body)
	if err := r.Body.Close(); err != nil {
		t.Error(err)
	}
	if r.StatusCode != http.StatusUnauthorized || len(d.business.talk) > 0 {
		t.Errorf("answered %d %q: %v", r.StatusCode, text, err)
	}
}

func TestListenErrors(t *testing.T) {
	d := start(t)
	_, err := Start(Options{Listen: strings.Trim(strings.TrimPrefix(d.URL(), "http://"), "/")})
	if err == nil || !strings.Contains(err.Error(), "another program uses this port") {
		t.Errorf("got %v", err)
	}
}
