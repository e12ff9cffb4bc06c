package fallback_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"crier/fallback"
)

// polled is what a poll got.
type polled struct {
	Next     string
	Messages []struct {
		ID, Event string
		Args      []any
	}
	Missed bool
}

// poll makes a poll with that query, which is answered at once or when there is something.
func (d *desk) poll(query string) polled {
	d.t.Helper()
	return d.parse(d.get("/comet?" + query))
}

func (d *desk) parse(a answer) (p polled) {
	d.t.Helper()
	if a.err != nil || a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" ||
		a.header.Get("Cache-Control") != "no-store" || a.header.Get("X-Content-Type-Options") != "nosniff" {
		d.t.Fatalf("%+v", a)
	}
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || p.Next == "" || p.Messages == nil {
		d.t.Fatalf("%s: %v", a.body, err)
	}
	return p
}

// ids are those of the messages, and "missed".
func (p polled) ids() string {
	var list []string
	for _, m := range p.Messages {
		list = append(list, m.ID)
	}
	if p.Missed {
		list = append(list, "missed")
	}
	return strings.Join(list, " ")
}

func (d *desk) wantPoll(p polled, ids string) polled {
	d.t.Helper()
	if got := p.ids(); got != ids {
		d.t.Fatalf("got %q, want %q", got, ids)
	}
	return p
}

func TestComet(t *testing.T) {
	d := newDesk(t, true, fallback.Options{})
	first := d.goGet("/comet?uid=7&rooms=a")
	d.awaitUser("7", 1)
	d.push("m1", "7", "e", `"é\u2028"`, `{"a":1}`)
	p := d.wantPoll(d.parse(next(t, first)), "m1")
	if got := fmt.Sprint(p.Messages[0].Event, p.Messages[0].Args); got != "e[é\u2028 map[a:1]]" {
		t.Error(got)
	}
	d.push("m2", "7", "e")
	d.push("m3", "7", "e")
	again := d.wantPoll(d.poll("after="+p.Next), "m2 m3")
	d.push("m4", "7", "e")
	d.wantPoll(d.poll("after="+p.Next), "m2 m3 m4") // the answer was lost
	last := d.wantPoll(d.poll("after="+again.Next), "m4")
	last = d.wantPoll(d.poll("after="+last.Next+"&wait=0"), "")
	d.wantPoll(d.poll("after="+p.Next), "missed") // what it stands for was confirmed
	d.awaitUser("7", 1)

	const kicked = `{"error":"the server has disconnected this client, which should not come back by itself","code":"kicked"}` + "\n"
	d.kick("7")
	want(t, d.events, "7 has gone")
	for _, query := range []string{"", "uid=7&"} {
		wantAnswer(t, d.get("/comet?"+query+"after="+last.Next), http.StatusForbidden, kicked)
	}
}

func TestCometKickedWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, false, fallback.Options{})
		p := d.poll("uid=7&wait=0")
		waiting := d.goGet("/comet?after=" + p.Next)
		synctest.Wait()
		d.kick("7")
		if a := next(t, waiting); a.status != http.StatusForbidden || !strings.Contains(a.body, `"kicked"`) {
			t.Errorf("%+v", a)
		}
		time.Sleep(46 * time.Second) // then it is forgotten
		d.wantPoll(d.poll("wait=0&uid=7&after="+p.Next), "missed")
	})
}

func TestCometSuperseded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, false, fallback.Options{})
		p := d.poll("uid=7&wait=0")
		one := d.goGet("/comet?after=" + p.Next)
		synctest.Wait()
		two := d.goGet("/comet?after=" + p.Next)
		wantAnswer(t, next(t, one), http.StatusConflict, `{"error":"another poll of the same client has come after this one, and takes its place","code":"superseded"}`+"\n")
		d.push("m", "7", "e")
		d.wantPoll(d.parse(next(t, two)), "m")
	})
}

func TestCometTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, false, fallback.Options{PingInterval: 25 * time.Second, PingTimeout: 20 * time.Second})
		begin := time.Now()
		took := func(want time.Duration) {
			t.Helper()
			if got := time.Since(begin).Round(time.Second); got != want {
				t.Errorf("took %s, want %s", got, want)
			}
			begin = time.Now()
		}
		p := d.wantPoll(d.poll("uid=7"), "")
		took(25 * time.Second)
		p = d.wantPoll(d.poll("wait=3&after="+p.Next), "")
		took(3 * time.Second)
		p = d.wantPoll(d.poll("wait=100000&after="+p.Next), "")
		took(60 * time.Second)
		time.Sleep(44 * time.Second)
		d.push("m", "7", "e")
		p = d.wantPoll(d.poll("after="+p.Next), "m")
		begin = time.Now()
		want(t, d.events, "7 has gone")
		took(45 * time.Second)
		next := d.wantPoll(d.poll("wait=10&uid=7&after="+p.Next), "missed")
		took(0)
		if next.Next == p.Next {
			t.Error("the old cursor is good again")
		}

		ctx, cancel := context.WithCancel(t.Context()) // a poll that breaks off
		time.AfterFunc(5*time.Second, cancel)
		if resp, err := d.request(ctx, http.MethodGet, "/comet?after="+next.Next, ""); err == nil {
			t.Errorf("answered: %+v", resp)
		}
		want(t, d.events, "7 has gone")
		took(50 * time.Second)
	})
}

func TestCometFull(t *testing.T) {
	d := newDesk(t, true, fallback.Options{QueueMessages: 3})
	p := d.poll("uid=7&wait=0")
	if slow := d.overflow("7"); slow != 1 || d.srv.Stats().SlowConsumers.Total() != 1 {
		t.Errorf("%d dropped, %+v", slow, d.srv.Stats())
	}
	want(t, d.events, "7 has gone")
	p = d.wantPoll(d.poll("uid=7&after="+p.Next), "missed")
	d.push("m", "7", "e")
	d.wantPoll(d.poll("after="+p.Next), "m")
}

// A cursor says nothing to anybody else, and is none of somebody else's.
func TestCometCursors(t *testing.T) {
	d := newDesk(t, true, fallback.Options{})
	p := d.poll("uid=7&wait=0")
	d.push("m", "7", "e")
	secret, _, _ := strings.Cut(p.Next, ".")
	list, err := d.hub.User("7")
	if err != nil || len(list) != 1 || strings.Contains(p.Next, list[0].Connection) {
		t.Errorf("the cursor %q gives the connection away: %+v, %v", p.Next, list, err)
	}
	for _, after := range []string{"x", "0", ".0", "x.0", secret, secret + ".", secret + ".x", secret + ".-1", secret + ".18446744073709551616", list[0].Connection + ".0"} {
		d.wantPoll(d.poll("uid=8&after="+url.QueryEscape(after)), "missed")
	}
	d.wantPoll(d.poll("uid=8&after="+p.Next), "missed") // another user's
	d.wantPoll(d.poll("uid=7&after="+secret+".7"), "m missed")
	d.awaitUser("7", 1)
}

func TestCometRefusals(t *testing.T) {
	d := newDesk(t, true, fallback.Options{})
	tests := []struct {
		name, query string
		status      int
		says        string
	}{
		{"refused", "uid=7&refuse=early", 401, `{"error":"not you","code":"refused"}`},
		{"refused in the end", "uid=7&refuse=late", 401, `{"error":"not you","code":"refused"}`},
		{"wait", "uid=7&wait=-1", 400, "wait has to be a whole number"},
		{"wait that is none", "uid=7&wait=1.5", 400, "wait has to be a whole number"},
		{"no query", "uid=%zz", 400, "the query string cannot be parsed"},
	}
	for _, callback := range []string{
		"a b", "a-b", "alert(1)", "a;b", "a[0]", "<script>", "1a", "a.1", ".a", "a.", "a..b", "é", "/**/a", "a\n", strings.Repeat("a", 129),
	} {
		tests = append(tests, struct {
			name, query string
			status      int
			says        string
		}{"callback " + callback, "uid=7&callback=" + url.QueryEscape(callback), 400, "callback has to be the name of a function"})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := d.get("/comet?" + tt.query)
			if a.err != nil || a.status != tt.status || !strings.Contains(a.body, tt.says) ||
				a.header.Get("Content-Type") != "application/json" || a.header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%+v", a)
			}
			d.awaitUser("7", 0)
		})
	}
	a := d.get("/comet?uid=7&callback=f", "Referer", "https://elsewhere.example/page")
	if a.status != http.StatusForbidden || !strings.Contains(a.body, "bad_origin") {
		t.Errorf("from elsewhere: %+v", a)
	}
}

func TestCometCallback(t *testing.T) {
	d := newDesk(t, true, fallback.Options{})
	for _, name := range []string{"f", "_", "$", "jQuery3600_1", "app.got.f_1", strings.Repeat("a", 128)} {
		waiting := d.goGet("/comet?uid=7&callback=" + name)
		d.awaitUser("7", 1)
		d.push("m", "7", "e", "\"</script>\u2028\u2029\"")
		a := next(t, waiting)
		_, rest, _ := strings.Cut(a.body, `.1",`)
		if a.status != http.StatusOK || !strings.HasPrefix(a.body, "/**/"+name+`({"next":"`) ||
			rest != `"messages":[{"id":"m","event":"e","args":["</script>\u2028\u2029"]}]});` {
			t.Errorf("%+v", a)
		}
		if a.header.Get("Content-Type") != "text/javascript; charset=utf-8" || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%v", a.header)
		}
		d.kick("7")
		want(t, d.events, "7 has gone")
		d.awaitUser("7", 0)
	}
}

// What is no name of a function is refused, and not answered with.
func TestCometCallbackRefused(t *testing.T) {
	d := newDesk(t, true, fallback.Options{})
	for _, name := range []string{"alert(1)//", "a%3Bb", "%3Cscript%3E", "a..b", strings.Repeat("a", 129)} {
		if a := next(t, d.goGet("/comet?uid=7&wait=0&callback="+name)); a.status != http.StatusBadRequest || strings.HasPrefix(a.body, "/**/") {
			t.Errorf("%s: %+v", name, a)
		}
	}
}
