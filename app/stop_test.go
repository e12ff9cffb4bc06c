package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"crier/api/webhook"
	"crier/configs"
)

// poll opens a polling session that has joined and returns what it is told next.
func (p *program) poll() <-chan string {
	p.t.Helper()
	address := "http://" + p.Addr() + "/socket.io/?EIO=4&transport=polling"
	handshake := p.do("GET", address, "").body
	_, rest, _ := strings.Cut(handshake, `"sid":"`)
	sid, _, _ := strings.Cut(rest, `"`)
	address += "&sid=" + sid
	same(p.t, "joining", p.do("POST", address, "40", "Content-Type", "text/plain").body, "ok")
	if got := p.do("GET", address, "").body; !strings.HasPrefix(got, "40{") {
		p.t.Fatalf("joining: %q", got)
	}
	told := make(chan string, 1)
	go func() { told <- p.get(address) }()
	await(p.t, "a GET that waits", func() bool { return p.public.keeper.Stats().Waiting > 0 })
	return told
}

// running reports whether a goroutine is in a function.
func running(name string) bool {
	stacks := make([]byte, 1<<20)
	return strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), name)
}

// get returns the body of an answer, or the error; any goroutine may call it.
func (p *program) get(address string) string {
	resp, err := p.http.Get(address)
	if err != nil {
		return err.Error()
	}
	body, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return err.Error()
	}
	return string(body)
}

// answering goes through the closing handshake as browsers do.
func (p *page) answering() <-chan string {
	all := make(chan string, 1)
	go func() {
		var got []string
		for {
			text, err := p.next()
			if err != nil {
				p.leave()
				all <- strings.Join(append(got, err.Error()), " ")
				return
			}
			got = append(got, text)
		}
	}()
	return all
}

func TestStop(t *testing.T) {
	var delivered atomic.Int32
	rec := listen(t, func(*http.Request) int {
		delivered.Add(1)
		return http.StatusOK
	})
	before := goleak.IgnoreCurrent()
	p := start(t, rec.tell(time.Hour))
	var told []<-chan string
	for _, uid := range []string{"7", "8"} {
		told = append(told, p.openAs(uid).answering())
		rec.want(t, "user.online", uid, "")
	}
	p.openAs("9").leave() // is owed an hour later
	rec.want(t, "user.online", "9", "")
	await(t, "leaving", func() bool { return !p.hub.Online("9") })
	silent := p.open("") // takes no part in the closing handshake
	polled := p.poll()

	if err := p.stop(); err != nil {
		t.Fatalf("Stop: %v", err)
	}
	same(t, "callbacks that were delivered when Stop returned", delivered.Load(), 6)
	offline := map[string]string{}
	for range 3 {
		c := take(t, "callback", rec.got)
		offline[c.Data.UID] = c.Type + " " + c.Data.Cause
	}
	for _, uid := range []string{"7", "8", "9"} {
		same(t, "callback of "+uid, offline[uid], "user.offline shutdown")
	}
	same(t, "polling client", take(t, "an answer", polled), "1")
	for _, c := range told {
		same(t, "websocket client", take(t, "the end", c), errEnded.Error())
	}
	silent.wantEnd()
	for _, addr := range []string{p.Addr(), p.PushAddr()} {
		if _, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("connecting after Stop: %v", err)
		}
	}
	p.http.CloseIdleConnections()
	if err := goleak.Find(before); err != nil {
		t.Errorf("left behind: %v", err)
	}
	if err := p.stop(); err != nil {
		t.Errorf("second Stop: %v", err)
	}
}

// What has been pushed is delivered, also to those who are slow to take it: for a second, so what is queued is little more
// than the sockets hold.
func TestStopDeliversWhatIsQueued(t *testing.T) {
	p := start(t, func(c *configs.Config) { c.Limits.QueueBytes = 64 << 20 })
	pg := p.openAs("7")
	content := strings.Repeat("x", 100_000)
	form := url.Values{"type": {"publish"}, "to": {"7"}, "content": {content}}.Encode()
	count := 0
	for queued := 0; queued < 3; count++ {
		same(t, "push", p.do("POST", "http://"+p.PushAddr()+"/", form, "Content-Type", formType).body, "ok")
		if running("wsconn.(*output).flush") { // the kernel takes no more, and the page takes nothing
			queued++
		}
	}
	stopped := make(chan error, 1)
	go func() { stopped <- p.stop() }()
	want := `42["new_msg","` + content + `"]`
	for n := range count {
		if got, err := pg.next(); got != want {
			t.Fatalf("message %d of %d: %d bytes, %v", n+1, count, len(got), err)
		}
	}
	pg.wantEnd()
	pg.leave()
	if err := take(t, "Stop", stopped); err != nil {
		t.Error(err)
	}
}

// Nobody waits for those who have connected and not asked for anything, as browsers do to have a connection at hand.
func TestStopDismissesNewcomers(t *testing.T) {
	p := start(t, nil)
	for _, e := range []*endpoint{p.App.public, p.App.push} {
		for _, sent := range []string{"", "GET / HTTP/1.1\r\nHo"} {
			conn, err := net.Dial("tcp", e.addr())
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := conn.Close(); err != nil {
					t.Error(err)
				}
			}()
			if _, err := io.WriteString(conn, sent); err != nil {
				t.Fatal(err)
			}
		}
		seen := 2
		if e.fast != nil {
			seen = 1 // who has sent nothing waits there
		}
		await(t, "newcomers", func() bool {
			e.newcomers.mu.Lock()
			defer e.newcomers.mu.Unlock()
			return len(e.newcomers.all) == seen
		})
	}
	if err := p.stop(); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

// A callback that fails is tried again before the server ends.
func TestStopRetriesCallbacks(t *testing.T) {
	var tries atomic.Int32
	rec := listen(t, func(*http.Request) int {
		if tries.Add(1) == 2 { // the offline one, for the first time
			return http.StatusInternalServerError
		}
		return http.StatusOK
	})
	p := start(t, rec.tell(time.Hour))
	page := p.openAs("7")
	rec.want(t, "user.online", "7", "")
	ended := page.answering()
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	take(t, "the end", ended)
	same(t, "tries", tries.Load(), 3)
	rec.want(t, "user.offline", "7", "shutdown")
}

// The context bounds a stop: a receiver that hangs does not hold it up.
func TestStopGivesUp(t *testing.T) {
	hangs := make(chan struct{}, 10)
	rec := listen(t, func(r *http.Request) int {
		hangs <- struct{}{}
		<-r.Context().Done()
		return http.StatusServiceUnavailable
	})
	p := build(t, rec.tell(time.Hour))
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	pg := p.openAs("7")
	take(t, "a callback under way", hangs)
	pg.leave()
	await(t, "leaving", func() bool { return p.hub.Stats().Sockets == 0 })
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if err := p.Stop(ctx); !errors.Is(err, webhook.ErrUndelivered) {
		t.Errorf("Stop: %v, want %v", err, webhook.ErrUndelivered)
	}
	if took := time.Since(begun); took > callbackTimeout/2 {
		t.Errorf("Stop took %v, which is not up to its context", took)
	}
	p.stopErr = nil // the test's end asks again
}

func TestStopWithoutStart(t *testing.T) {
	p := build(t, listen(t, nil).tell(time.Hour))
	same(t, "addresses", p.Addr()+p.PushAddr(), "")
	if err := p.Reload(t.Context(), p.cfg); err != nil {
		t.Errorf("Reload before Start: %v", err)
	}
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if err := p.stop(); err != nil {
				t.Errorf("Stop: %v", err)
			}
		})
	}
	all.Wait()
}

// After an error of New nothing is left running; TestMain looks.
func TestNewRefuses(t *testing.T) {
	for name, adapt := range map[string]func(*configs.Config){
		"origins":        func(c *configs.Config) { c.Origins = []string{"shop.example"} },
		"webhook.url":    func(c *configs.Config) { c.Webhook.URL = "ftp://shop.example" },
		"webhook.format": func(c *configs.Config) { c.Webhook.URL, c.Webhook.Format = "http://127.0.0.1:1/", "xml" },
		"offline delay":  func(c *configs.Config) { c.Webhook.URL, c.Presence.OfflineDelay = "http://127.0.0.1:1/", -1 },
		"namespace":      func(c *configs.Config) { c.SocketIO.Namespaces = []string{"/ok", "chat"} },
		"api.keys":       func(c *configs.Config) { c.API.Keys = []string{""} },
		"rights":         func(c *configs.Config) { c.API.Limited = []configs.APIKey{{Key: "k", Rights: []string{"all"}}} },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := settings()
			adapt(cfg)
			if app, err := New(cfg, slog.New(slog.DiscardHandler)); err == nil || app != nil {
				t.Errorf("New: %v, %v; want an error", app, err)
			}
		})
	}
}

// /readyz says so while the server stops, on connections that it still serves.
func TestReady(t *testing.T) {
	p := start(t, nil)
	address := "http://" + p.PushAddr() + "/readyz"
	same(t, "ready", p.do("GET", address, "").status, 200)
	p.stopping.Store(true)
	got := p.do("GET", address, "")
	same(t, "stopping", got.status, 503)
	same(t, "health", p.do("GET", "http://"+p.PushAddr()+"/healthz", "").status, 200)
	p.stopping.Store(false)
}
