package fallback_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"crier/fallback"
)

// wantRetry takes what a stream begins with.
func (f *flow) wantRetry() {
	f.t.Helper()
	text, ok := strings.CutPrefix(strings.TrimSuffix(f.block("\n\n"), "\n\n"), "retry: ")
	if ms, err := strconv.Atoi(text); !ok || err != nil || ms < 1000 || ms >= 2000 {
		f.t.Fatalf("retry: %q", text)
	}
}

func TestEvents(t *testing.T) {
	d := newDesk(t, true, fallback.Options{})
	f := d.open(http.MethodGet, "/sse?uid=7&rooms=a", "Origin", "http://crier.test")
	for name, want := range map[string]string{
		"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache, no-transform",
		"X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff",
		"Access-Control-Allow-Origin": "http://crier.test", "Access-Control-Allow-Credentials": "true",
	} {
		if got := f.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	f.wantRetry()
	d.awaitUser("7", 1)
	tests := []struct {
		event string
		args  []string
		block string // without the id
	}{
		{"new_msg", []string{`"hi"`}, "event: new_msg\ndata: hi\n\n"},
		{"new_msg", []string{`""`}, "event: new_msg\ndata: \n\n"},
		{"new_msg", []string{`" é😀 "`}, "event: new_msg\ndata:  é😀 \n\n"},
		{"new_msg", []string{`"a\nb\r\nc\rd\n"`}, "event: new_msg\ndata: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"},
		{"new_msg", []string{`"\n\n"`}, "event: new_msg\ndata: \ndata: \ndata: \n\n"},
		{"new_msg", []string{`null`}, "event: new_msg\ndata: [null]\n\n"},
		{"new_msg", []string{`{"a":"b"}`}, "event: new_msg\ndata: [{\"a\":\"b\"}]\n\n"},
		{"new_msg", []string{`"a"`, `"b"`}, "event: new_msg\ndata: [\"a\",\"b\"]\n\n"},
		{"other", nil, "event: other\ndata: []\n\n"},
		{"other", []string{`"hi"`}, "event: other\ndata: [\"hi\"]\n\n"},
		{"a\r\nid: 9", []string{"{\r\n}"}, "event: a  id: 9\ndata: [{\ndata: }]\n\n"},
	}
	for i, tt := range tests {
		id := strconv.Itoa(i)
		d.push(id, "7", tt.event, tt.args...)
		f.want("id: " + id + "\n" + tt.block)
	}
	d.kick("7")
	f.want("retry: 86400000\nevent: disconnect\ndata: [{\"error\":\"" + fallback.Kicked.Text + "\",\"code\":\"kicked\"}]\n\n")
	f.wantEnd()
	want(t, d.events, "7 has gone")
}

func TestEventsLeave(t *testing.T) {
	d := newDesk(t, true, fallback.Options{})
	f := d.open(http.MethodGet, "/sse?uid=7")
	f.wantRetry()
	d.awaitUser("7", 1)
	f.leave()
	want(t, d.events, "7 has gone")
}

// Whoever cannot send is not asked for an answer.
func TestEventsAsked(t *testing.T) {
	d := newDesk(t, true, fallback.Options{})
	f := d.open(http.MethodGet, "/sse?uid=7")
	f.wantRetry()
	d.awaitUser("7", 1)
	if got := next(t, d.ask("m", "7", "sure?")); got.Asked != 0 || got.Pushed.Delivered != 1 {
		t.Errorf("%+v", got)
	}
	f.want("id: m\nevent: sure?\ndata: []\n\n")
}

func TestEventsMissed(t *testing.T) {
	d := newDesk(t, true, fallback.Options{})
	for _, tt := range []struct{ name, path, header string }{
		{"header", "/sse?uid=7", "m1"},
		{"query", "/sse?uid=7&lastEventId=m1", ""},
		{"after", "/sse?uid=7&after=m1", ""},
		{"header first", "/sse?uid=7&lastEventId=m0", "m1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := d.open(http.MethodGet, tt.path, "Last-Event-ID", tt.header)
			f.wantRetry()
			f.want("event: missed\ndata: [{\"after\":\"m1\"}]\n\n")
		})
	}
}

func TestEventsRefused(t *testing.T) {
	d := newDesk(t, true, fallback.Options{})
	wantAnswer(t, d.get("/sse?uid=7&refuse=early"), http.StatusUnauthorized, `{"error":"not you","code":"refused"}`+"\n")
	wantAnswer(t, d.get("/sse?uid=%zz"), http.StatusBadRequest, `{"error":"the query string cannot be parsed","code":"bad_request"}`+"\n")
	a := d.do(http.MethodPost, "/sse?uid=7", "")
	wantAnswer(t, a, http.StatusMethodNotAllowed, `{"error":"/sse takes GET","code":"bad_method"}`+"\n")
	if got := a.header.Get("Allow"); got != "GET, OPTIONS" {
		t.Errorf("Allow: %q", got)
	}
	f := d.open(http.MethodGet, "/sse?uid=7&refuse=late")
	f.wantRetry()
	f.want("event: disconnect\ndata: [{\"error\":\"not you\",\"code\":\"refused\"}]\n\n")
	f.wantEnd()
	a = d.do(http.MethodOptions, "/sse", "", "Origin", "http://crier.test", "Access-Control-Request-Headers", "last-event-id")
	if a.status != http.StatusNoContent || a.header.Get("Access-Control-Allow-Headers") != "last-event-id" {
		t.Errorf("preflight: %+v", a)
	}
}

func TestEventsComments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, false, fallback.Options{})
		f := d.open(http.MethodGet, "/sse?uid=7")
		f.wantRetry()
		begin := time.Now()
		f.want(":\n\n")
		if took := time.Since(begin).Round(time.Second); took != 15*time.Second {
			t.Errorf("after %s", took)
		}
		f.want(":\n\n", ":\n\n")
	})
}

// Over HTTP/2 a connection cannot be taken over: the request's goroutine writes.
func TestEventsHTTP2(t *testing.T) {
	d := newDesk(t, true, fallback.Options{QueueMessages: 3})
	web := httptest.NewUnstartedServer(d.srv)
	web.EnableHTTP2 = true
	web.StartTLS()
	t.Cleanup(web.Close)
	t.Cleanup(func() {
		if err := d.srv.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	client := web.Client()
	open := func(uid string) *flow {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, web.URL+"/sse?uid="+uid, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if resp.ProtoMajor != 2 || resp.StatusCode != http.StatusOK {
			t.Fatalf("%+v", resp)
		}
		return newFlow(t, resp)
	}
	f := open("7")
	f.wantRetry()
	d.awaitUser("7", 1)
	for _, id := range []string{"1", "2", "3"} {
		d.push(id, "7", "new_msg", `"hi"`)
		f.want("id: " + id + "\nevent: new_msg\ndata: hi\n\n")
	}
	d.kick("7")
	f.block("retry: 86400000\nevent: disconnect\ndata: ")
	f.block("\n\n")
	f.wantEnd()
	want(t, d.events, "7 has gone")

	left := open("8")
	left.wantRetry()
	left.leave()
	want(t, d.events, "8 has gone")

	slow := open("9") // its client takes some, but at last no more
	slow.wantRetry()
	content := `"` + strings.Repeat("x", 1<<20) + `"`
	for dropped := 0; dropped == 0; {
		dropped = d.push("m", "9", "e", content).Slow
	}
	if n := d.srv.Stats().SlowConsumers.Total(); n != 1 {
		t.Errorf("%d slow consumers", n)
	}
	want(t, d.events, "9 has gone")
}
