package fallback_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"crier/fallback"
)

// The frames of SockJS that bring no message, on a stream.
const prelude = 2048

func (d *desk) sock(session, transport string) answer {
	return d.do(http.MethodPost, "/sockjs/000/"+session+"/"+transport, "")
}

func (d *desk) goSock(path string) <-chan answer {
	ch := make(chan answer, 1)
	go func() { ch <- d.do(http.MethodPost, path, "") }()
	return ch
}

// streamed opens a stream of a session, by either transport, and takes its prelude.
func (d *desk) streamed(transport, path string) *flow {
	d.t.Helper()
	if transport == "eventsource" {
		f := d.open(http.MethodGet, path)
		f.want("\r\n")
		return f
	}
	f := d.open(http.MethodPost, path)
	f.want(strings.Repeat("h", prelude) + "\n")
	return f
}

// frame is a frame as a transport writes it.
func frame(transport, text string) string {
	if transport == "eventsource" {
		return "data: " + text + "\r\n\r\n"
	}
	return text + "\n"
}

func TestSockInfo(t *testing.T) {
	d := newDesk(t, true, fallback.Options{})
	for _, path := range []string{"/sockjs", "/sockjs/"} {
		wantAnswer(t, d.get(path), http.StatusOK, "Welcome to SockJS!\n")
	}
	a := d.get("/sockjs/info", "Origin", "http://crier.test")
	var info map[string]any
	if err := json.Unmarshal([]byte(a.body), &info); err != nil || a.status != http.StatusOK || info["websocket"] != true || info["cookie_needed"] != false || info["entropy"] == nil {
		t.Errorf("%+v: %v", a, err)
	}
	if got := a.header.Get("Access-Control-Allow-Origin"); got != "http://crier.test" {
		t.Errorf("CORS: %q", got)
	}
	for _, path := range []string{"/sockjs/info/x", "/sockjs/000/s", "/sockjs//s/xhr", "/sockjs/000//xhr", "/sockjs/0.0/s/xhr", "/sockjs/000/s.s/xhr", "/sockjs/000/s/other", "/sockjs/000/s/xhr/x"} {
		if a := d.do(http.MethodPost, path, ""); a.status != http.StatusNotFound {
			t.Errorf("%s: %+v", path, a)
		}
	}
	for _, path := range []string{"/sockjs/000/s/xhr", "/sockjs/000/s/xhr_streaming", "/sockjs/000/s/xhr_send"} {
		if a := d.get(path); a.status != http.StatusMethodNotAllowed {
			t.Errorf("GET %s: %+v", path, a)
		}
	}
}

func TestSockPolling(t *testing.T) {
	d := newDesk(t, true, fallback.Options{})
	const path = "/sockjs/000/s/xhr"
	a := d.do(http.MethodPost, path+"?uid=7&rooms=a&t=123", "ignored")
	wantAnswer(t, a, http.StatusOK, "o\n")
	if got := a.header.Get("Content-Type"); got != "application/javascript; charset=utf-8" {
		t.Errorf("Content-Type: %q", got)
	}
	waiting := d.goSock(path)
	d.push("m1", "7", "e", `"é\u2028😀"`, `"\""`)
	const first = `"{\"id\":\"m1\",\"event\":\"e\",\"args\":[\"\u00e9\\u2028\ud83d\ude00\",\"\\\"\"]}"`
	wantAnswer(t, next(t, waiting), http.StatusOK, "a["+first+"]\n")
	d.push("m2", "7", "e")
	d.push("m3", "7", "e")
	wantAnswer(t, d.sock("s", "xhr"), http.StatusOK,
		`a["{\"id\":\"m2\",\"event\":\"e\",\"args\":[]}","{\"id\":\"m3\",\"event\":\"e\",\"args\":[]}"]`+"\n")

	wantAnswer(t, d.do(http.MethodPost, "/sockjs/111/s/xhr_send", `["{\"event\":\"x\",\"ack\":1}","ping"]`), http.StatusNoContent, "")
	want(t, d.events, "7 says x []")
	wantAnswer(t, d.sock("s", "xhr"), http.StatusOK, `a["{\"ack\":1,\"args\":[]}","pong"]`+"\n")
	answers := d.ask("m4", "7", "sure?")
	wantAnswer(t, d.sock("s", "xhr"), http.StatusOK, `a["{\"id\":\"m4\",\"event\":\"sure?\",\"args\":[],\"ack\":1}"]`+"\n")
	d.do(http.MethodPost, "/sockjs/111/s/xhr_send", `["{\"ack\":1,\"args\":[true]}"]`)
	if got := next(t, answers); got.Connections != 1 || string(got.List[0].Args[0]) != "true" {
		t.Errorf("%+v", got)
	}
	d.kick("7")
	want(t, d.events, "7 has gone")
	closed := `c[4403,"` + fallback.Kicked.Text + `"]` + "\n"
	wantAnswer(t, d.sock("s", "xhr"), http.StatusOK, closed)
	wantAnswer(t, d.sock("s", "xhr"), http.StatusOK, closed)
	if a := d.sock("s", "xhr_send"); a.status != http.StatusNotFound {
		t.Errorf("sending to who has gone: %+v", a)
	}
}

func TestSockStreams(t *testing.T) {
	for _, transport := range []string{"xhr_streaming", "eventsource"} {
		t.Run(transport, func(t *testing.T) {
			d := newDesk(t, true, fallback.Options{})
			path := "/sockjs/000/s/" + transport
			f := d.streamed(transport, path+"?uid=7")
			f.want(frame(transport, "o"))
			d.push("m1", "7", "e")
			f.want(frame(transport, `a["{\"id\":\"m1\",\"event\":\"e\",\"args\":[]}"]`))
			if got, want := f.header.Get("Cache-Control"), "no-cache, no-transform"; got != want {
				t.Errorf("Cache-Control: %q, want %q", got, want)
			}

			busy := d.streamed(transport, path)
			busy.want(frame(transport, `c[2010,"Another connection still open"]`))
			busy.wantEnd()
			wantAnswer(t, d.sock("s", "xhr"), http.StatusOK, `c[2010,"Another connection still open"]`+"\n")

			big := `"` + strings.Repeat("x", 70<<10) + `"` // two are more than one stream brings
			end := strings.TrimPrefix(frame(transport, `"]}"]`), "data: ")
			for _, id := range []string{"m2", "m3", "m4"} {
				d.push(id, "7", "e", big)
			}
			f.block("m2")
			f.block("m3")
			f.block(end)
			f.wantEnd()
			f = d.streamed(transport, path)
			f.block("m4")
			f.block(end)

			f.leave() // without a word
			f = d.streamOnceFree(transport, path)
			d.kick("7")
			f.want(frame(transport, `c[4403,"`+fallback.Kicked.Text+`"]`))
			f.wantEnd()
			want(t, d.events, "7 has gone")
		})
	}
}

// streamOnceFree opens a stream once the session knows that the last one has ended: until then, a stream is refused.
func (d *desk) streamOnceFree(transport, path string) *flow {
	d.t.Helper()
	ends := strings.TrimPrefix(frame(transport, ""), "data: ")
	for n, end := 0, time.Now().Add(patience); time.Now().Before(end); n++ {
		f, id := d.streamed(transport, path), fmt.Sprintf("probe-%d", n)
		d.push(id, "7", "e")
		for refused := false; !refused; {
			got := f.block(ends)
			if strings.Contains(got, id+`\"`) {
				return f
			}
			refused = strings.Contains(got, "c[2010")
		}
		f.wantEnd()
	}
	d.t.Fatal("the session is still taken")
	return nil
}

func TestSockWebSocket(t *testing.T) {
	d := newDesk(t, true, fallback.Options{})
	s := d.frames("/sockjs/000/s/websocket?uid=7", false)
	want(t, s.got, "o")
	d.awaitUser("7", 1)
	d.push("m1", "7", "e", `"é"`)
	want(t, s.got, `a["{\"id\":\"m1\",\"event\":\"e\",\"args\":[\"\u00e9\"]}"]`)
	s.send("")
	s.send(`"ping"`)
	s.send(`["{\"event\":\"x\",\"ack\":1}","ping"]`)
	want(t, s.got, `a["pong"]`, `a["{\"ack\":1,\"args\":[]}"]`, `a["pong"]`)
	want(t, d.events, "7 says x []")
	d.kick("7")
	want(t, s.got, `c[4403,"`+fallback.Kicked.Text+`"]`, "close 4403 "+fallback.Kicked.Text)

	s = d.frames("/sockjs/000/s/websocket?uid=7&refuse=early", false)
	want(t, s.got, `c[4401,"not you"]`, "close 4401 not you")
	s = d.frames("/sockjs/websocket?uid=7", false) // a plain one
	s.send("ping")
	want(t, s.got, "pong")
}

func TestSockRefusals(t *testing.T) {
	d := newDesk(t, true, fallback.Options{MaxPayload: 100})
	wantAnswer(t, d.do(http.MethodPost, "/sockjs/000/s/xhr?uid=7&refuse=early", ""), http.StatusOK, `c[4401,"not you"]`+"\n")
	wantAnswer(t, d.do(http.MethodPost, "/sockjs/000/s/xhr?uid=7&refuse=late", ""), http.StatusOK, `c[4401,"not you"]`+"\n")
	want(t, d.events, "<nil> has gone")
	wantAnswer(t, d.do(http.MethodPost, "/sockjs/000/s/xhr_streaming?uid=7&refuse=early", ""), http.StatusOK, strings.Repeat("h", prelude)+"\n"+`c[4401,"not you"]`+"\n")
	wantAnswer(t, d.get("/sockjs/000/s/eventsource?uid=%zz"), http.StatusOK, "\r\ndata: "+`c[4400,"the query string cannot be parsed"]`+"\r\n\r\n")
	if a := d.sock("s", "xhr_send"); a.status != http.StatusNotFound {
		t.Errorf("sending to nobody: %+v", a)
	}
	if a := d.do(http.MethodPost, "/sockjs/000/s/xhr?uid=7", strings.Repeat("x", 5000)); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a body that is not wanted: %+v", a)
	}

	for _, tt := range []struct{ name, body, closed string }{
		{"no JSON", "hello", `c[4400,"what a client of SockJS sends is a JSON array of strings"]`},
		{"nothing", "", `c[4400,"what a client of SockJS sends is a JSON array of strings"]`},
		{"no strings", "[1]", `c[4400,"what a client of SockJS sends is a JSON array of strings"]`},
		{"no message", `["{}"]`, `c[4400,"the message has neither an event nor an ack"]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			session := strings.ReplaceAll(tt.name, " ", "-")
			wantAnswer(t, d.do(http.MethodPost, "/sockjs/000/"+session+"/xhr?uid=7", ""), http.StatusOK, "o\n")
			wantAnswer(t, d.do(http.MethodPost, "/sockjs/000/"+session+"/xhr_send", tt.body), http.StatusNoContent, "")
			wantAnswer(t, d.sock(session, "xhr"), http.StatusOK, tt.closed+"\n")
			want(t, d.events, "7 has gone")
		})
	}
	wantAnswer(t, d.do(http.MethodPost, "/sockjs/000/big/xhr?uid=7", ""), http.StatusOK, "o\n")
	if a := d.do(http.MethodPost, "/sockjs/000/big/xhr_send", strings.Repeat("x", 101)); a.status != http.StatusRequestEntityTooLarge || !strings.Contains(a.body, "socketio.max_payload") {
		t.Errorf("a large body: %+v", a)
	}
}

func TestSockTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, false, fallback.Options{})
		begin := time.Now()
		took := func(want time.Duration) {
			t.Helper()
			if got := time.Since(begin).Round(time.Second); got != want {
				t.Errorf("took %s, want %s", got, want)
			}
			begin = time.Now()
		}
		wantAnswer(t, d.do(http.MethodPost, "/sockjs/000/s/xhr?uid=7", ""), http.StatusOK, "o\n")
		wantAnswer(t, d.sock("s", "xhr"), http.StatusOK, "h\n")
		took(25 * time.Second)
		time.Sleep(4 * time.Second)
		f := d.streamed("xhr_streaming", "/sockjs/000/s/xhr_streaming")
		begin = time.Now()
		f.want("h\n", "h\n")
		took(50 * time.Second)
		f.leave()
		want(t, d.events, "7 has gone")
		took(5 * time.Second)
		wantAnswer(t, d.do(http.MethodPost, "/sockjs/000/s/xhr?uid=7", ""), http.StatusOK, "o\n") // a new one of that name

		s := d.frames("/sockjs/000/x/websocket?uid=8", false)
		begin = time.Now()
		want(t, s.got, "o", "h", "PING")
		took(25 * time.Second)
	})
}

func TestSockFull(t *testing.T) {
	d := newDesk(t, true, fallback.Options{QueueMessages: 3})
	wantAnswer(t, d.do(http.MethodPost, "/sockjs/000/s/xhr?uid=7", ""), http.StatusOK, "o\n")
	if slow := d.overflow("7"); slow != 1 || d.srv.Stats().SlowConsumers.Total() != 1 {
		t.Errorf("%d dropped, %+v", slow, d.srv.Stats())
	}
	wantAnswer(t, d.sock("s", "xhr"), http.StatusOK, `c[4429,"`+fallback.TooSlow.Text+`"]`+"\n")
	want(t, d.events, "7 has gone")
}
