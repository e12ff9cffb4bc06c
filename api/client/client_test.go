package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"crier/api"
	"crier/api/client"
)

func TestPush(t *testing.T) {
	p := start(t, api.Access{})
	c := p.client(t, client.Options{})
	e := p.listen(t, "c1", "a", "red")
	p.listen(t, "c2", "b", "red")
	for _, one := range []struct {
		name    string
		push    client.Push
		matched client.Matched
		event   string // "": nothing arrives
		args    string
	}{
		{"text", client.Push{To: client.Audience{Users: []string{"a"}}, Data: "<b>\u2028 & 中"}, client.Matched{Users: 1, Connections: 1}, "new_msg", `["<b>\u2028 & 中"]`},
		{"null", client.Push{To: client.Audience{Users: []string{"a"}}, Data: json.RawMessage("null")}, client.Matched{Users: 1, Connections: 1}, "new_msg", `[null]`},
		{"raw", client.Push{To: client.Audience{Rooms: []string{"red"}}, Data: json.RawMessage("{\n\"x\": 1.0}"), Volatile: true}, client.Matched{Users: 2, Connections: 2}, "new_msg", `[{"x":1.0}]`},
		{"args", client.Push{To: client.Audience{Connections: []string{"c1"}}, Event: "e", Args: []any{1, "two", client.Bytes("\x00\xff")}}, client.Matched{Users: 1, Connections: 1}, "e", `[1,"two",{"_placeholder":true,"num":0}]`},
		{"an event alone", client.Push{To: client.Audience{All: true, Except: &client.Audience{Users: []string{"b"}}}, Event: "e"}, client.Matched{Users: 1, Connections: 1}, "e", `[]`},
		{"nobody", client.Push{To: client.Audience{Users: []string{}}, Data: 1}, client.Matched{}, "", ""},
		{"dry run", client.Push{To: client.Audience{All: true}, Data: 1, DryRun: true}, client.Matched{Users: 2, Connections: 2}, "", ""},
	} {
		t.Run(one.name, func(t *testing.T) {
			r, err := c.Push(within(t), one.push)
			if err != nil || r.Matched != one.matched || r.Duplicate || r.Stored || r.Acked != nil {
				t.Fatalf("%+v, %v", r, err)
			}
			got := e.take()
			if one.event == "" {
				if len(got) > 0 {
					t.Errorf("got %d messages", len(got))
				}
				return
			}
			if len(got) != 1 || got[0].ID != r.ID || got[0].Event != one.event || got[0].Volatile != one.push.Volatile {
				t.Fatalf("got %+v", got)
			}
			var args, want any
			if err := json.Unmarshal([]byte(one.args), &want); err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(got[0].Args)
			if err == nil {
				err = json.Unmarshal(text, &args)
			}
			if err != nil || !reflect.DeepEqual(args, want) {
				t.Errorf("got %s, %v", text, err)
			}
		})
	}
	for range 2 {
		if _, err := c.Push(within(t), client.Push{ID: "once", To: client.Audience{Users: []string{"a"}}, Data: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if got := e.take(); len(got) != 1 || got[0].ID != "once" {
		t.Errorf("an id brought %d messages", len(got))
	}
}

// Every field is sent as the server reads it.
func TestPushFields(t *testing.T) {
	no := false
	text, err := json.Marshal(client.Push{
		ID: "i", To: client.Audience{Users: []string{"u"}, Rooms: []string{}, Connections: []string{"c"}, All: true, Except: &client.Audience{Rooms: []string{"r"}}},
		Event: "e", Data: 1, Volatile: true, DryRun: true, Ack: 1500 * time.Millisecond, TTL: time.Hour, Store: &no, Receipt: true,
	})
	const want = `{"id":"i","to":{"users":["u"],"rooms":[],"connections":["c"],"all":true,"except":{"rooms":["r"]}},` +
		`"event":"e","data":1,"volatile":true,"dry_run":true,"store":false,"receipt":true,"ack":"1.5s","ttl":"1h0m0s"}`
	if err != nil || string(text) != want {
		t.Errorf("%v: %s", err, text)
	}
}

func TestBatch(t *testing.T) {
	p := start(t, api.Access{})
	c := p.client(t, client.Options{})
	e := p.listen(t, "c", "u")
	to := client.Audience{Users: []string{"u"}}
	answers, err := c.Batch(within(t), []client.Push{{To: to, Data: 1}, {Data: 2}, {To: to, Data: 3}})
	if err != nil || len(answers) != 3 || answers[0].Problem != nil || answers[0].Result.Matched.Connections != 1 || answers[2].Problem != nil {
		t.Fatalf("%+v, %v", answers, err)
	}
	if bad := answers[1].Problem; bad == nil || bad.Code != "missing_field" || bad.Status != 422 || bad.Detail == "" {
		t.Errorf("the second is answered with %+v", answers[1])
	}
	if got := e.take(); len(got) != 2 {
		t.Errorf("got %d messages", len(got))
	}
	if answers, err := c.Batch(within(t), nil); err != nil || len(answers) != 0 {
		t.Errorf("%v, %v", answers, err)
	}
}

func TestReading(t *testing.T) {
	p := start(t, api.Access{})
	c := p.client(t, client.Options{})
	for i := range 5 {
		p.listen(t, fmt.Sprint("c", i), fmt.Sprint("u", i), "all", fmt.Sprint("r", i))
	}
	odd := p.listen(t, "odd", "a/b ?%#中", "x/y")
	ctx := within(t)

	var users, rooms, members []string
	for page := (client.Page{Limit: 2}); ; {
		list, err := c.Users(ctx, page)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range list.Users {
			users = append(users, fmt.Sprint(u.UID, u.Connections))
		}
		if page.Cursor = list.Next; page.Cursor == "" {
			break
		}
	}
	for page := (client.Page{Limit: 3}); ; {
		list, err := c.Rooms(ctx, page)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list.Rooms {
			rooms = append(rooms, fmt.Sprint(r.Room, r.Connections))
		}
		if page.Cursor = list.Next; page.Cursor == "" {
			break
		}
	}
	for page := (client.Page{Limit: 2}); ; {
		room, err := c.Room(ctx, "all", page)
		if err != nil || room.Room != "all" {
			t.Fatal(room.Room, err)
		}
		for _, m := range room.Members {
			members = append(members, m.Connection+m.UID)
		}
		if page.Cursor = room.Next; page.Cursor == "" {
			break
		}
	}
	slices.Sort(users)
	slices.Sort(rooms)
	slices.Sort(members)
	got := fmt.Sprint(users, rooms, members)
	if want := "[a/b ?%#中1 u01 u11 u21 u31 u41] [all5 r01 r11 r21 r31 r41 x/y1] [c0u0 c1u1 c2u2 c3u3 c4u4]"; got != want {
		t.Errorf("got %s", got)
	}

	user, err := c.User(ctx, "a/b ?%#中")
	if want := (client.User{UID: "a/b ?%#中", Online: true, Rooms: []string{}, Connections: []client.Connection{{ID: "odd", Rooms: []string{"x/y"}}}}); err != nil || !reflect.DeepEqual(user, want) {
		t.Errorf("%+v, %v", user, err)
	}
	if room, err := c.Room(ctx, "x/y", client.Page{}); err != nil || !slices.Equal(room.Members, []client.Member{{Connection: "odd", UID: "a/b ?%#中"}}) {
		t.Errorf("%+v, %v", room, err)
	}
	if n, err := c.AddMember(ctx, "v/ip", "a/b ?%#中"); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if user, err := c.User(ctx, "a/b ?%#中"); err != nil || !slices.Equal(user.Rooms, []string{"v/ip"}) {
		t.Errorf("%+v, %v", user, err)
	}
	if n, err := c.RemoveMember(ctx, "v/ip", "a/b ?%#中"); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := c.Disconnect(ctx, "a/b ?%#中"); n != 1 || err != nil || !odd.kicked {
		t.Errorf("%d, %v", n, err)
	}
	s, err := c.Stats(ctx)
	if err != nil || s.Users != 6 || s.Connections != 6 || s.Sockets != 6 || s.Callbacks != nil || s.Store == nil || s.Redis == nil {
		t.Fatalf("%+v, %v", s, err)
	}
	if want := (client.StoreStats{Bytes: 7, Free: 6, Commits: 5, Writes: 4, Failures: 3, Compactions: 2, Error: "full"}); *s.Store != want {
		t.Errorf("the store: %+v", *s.Store)
	}
	if want := (client.RedisStats{Up: true, Since: time.Unix(7, 0).UTC(), Lost: 6, Pushes: 5, Requests: 4, Repeated: 3, Passed: 2, Dropped: 1}); *s.Redis != want {
		t.Errorf("Redis: %+v", *s.Redis)
	}
}

func TestProblems(t *testing.T) {
	const key = "canary-key-31b"
	p := start(t, api.Access{Keys: []string{"right"}})
	for _, one := range []struct{ key, code string }{{"", "forbidden"}, {key, "wrong_key"}} {
		c := p.client(t, client.Options{Key: one.key})
		_, err := c.Stats(within(t))
		var bad *client.Problem
		if !errors.As(err, &bad) || bad.Code != one.code || bad.Status != 403 || bad.Title == "" || !strings.Contains(err.Error(), "("+one.code+")") {
			t.Errorf("%v", err)
		}
		if _, err := c.Link(within(t)); !errors.As(err, &bad) || bad.Code != one.code {
			t.Errorf("a link: %v", err)
		}
		if strings.Contains(err.Error(), key) {
			t.Errorf("the key is in %v", err)
		}
	}
	c := p.client(t, client.Options{Key: "right"})
	if _, err := c.Push(within(t), client.Push{To: client.Audience{Users: []string{"a"}}, Data: 1, TTL: time.Minute}); err == nil || !strings.Contains(err.Error(), "(unsupported)") {
		t.Errorf("ttl: %v", err)
	}
	_, err := newClient(t, client.Options{URL: p.url + "/elsewhere", Key: key}).Stats(within(t)) // where the legacy form answers
	var bad *client.Problem
	if !errors.As(err, &bad) || bad.Code != "" || !strings.Contains(err.Error(), "403 Forbidden and not one of Crier's") {
		t.Errorf("%v", err)
	}
}

func TestNewErrors(t *testing.T) {
	for name, o := range map[string]client.Options{
		"scheme":   {URL: "ftp://h"},
		"no host":  {URL: "127.0.0.1:2121"},
		"user":     {URL: "http://canary:canary@h"},
		"query":    {URL: "http://h/?key=canary"},
		"broken":   {URL: "http://h:canary/%"},
		"tries":    {Tries: -1},
		"bad key":  {Key: "canary\n"},
		"wide key": {Key: "canary中"},
	} {
		if c, err := client.New(o); err == nil || c != nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// trip is what a request comes to.
type trip struct {
	status int // 0: no answer
	header http.Header
	body   string
}

// trips answers requests in turn, the last one again and again.
type trips struct {
	list []trip
	made []time.Time
}

func (s *trips) RoundTrip(r *http.Request) (*http.Response, error) {
	one := s.list[min(len(s.made), len(s.list)-1)]
	s.made = append(s.made, time.Now())
	if r.Body != nil {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return nil, err
		}
	}
	if one.status == 0 {
		return nil, errors.New("connection reset")
	}
	return &http.Response{StatusCode: one.status, Header: one.header, Body: io.NopCloser(strings.NewReader(one.body)), Request: r}, nil
}

func TestRepetition(t *testing.T) {
	const good = `{"id":"x","matched":{"users":1,"connections":1},"stored":false,"duplicate":false}`
	const stopping = `{"type":"urn:crier:problem:stopping","title":"t","status":503,"detail":"d","code":"stopping"}`
	push := client.Push{To: client.Audience{All: true}, Data: 1}
	named := push
	named.ID = "x"
	for _, one := range []struct {
		name  string
		push  client.Push
		tries int
		trips []trip
		made  int
		fails bool
		least time.Duration
	}{
		{"lost once", named, 0, []trip{{}, {200, nil, good}}, 2, false, 100 * time.Millisecond},
		{"lost for good", named, 4, []trip{{}}, 4, true, 700 * time.Millisecond},
		{"lost without an id", push, 0, []trip{{}, {200, nil, good}}, 1, true, 0},
		{"one try", named, 1, []trip{{}, {200, nil, good}}, 1, true, 0},
		{"stopping", named, 0, []trip{{503, http.Header{"Retry-After": {"2"}}, stopping}, {200, nil, good}}, 2, false, 2 * time.Second},
		{"away for long", named, 0, []trip{{503, http.Header{"Retry-After": {"30"}}, stopping}, {200, nil, good}}, 1, true, 0},
		{"away for longer than there is time", named, 0, []trip{{503, http.Header{"Retry-After": {"18446744074"}}, stopping}, {200, nil, good}}, 1, true, 0},
		{"a proxy", named, 0, []trip{{502, nil, "<html>"}, {200, nil, good}}, 2, false, 100 * time.Millisecond},
		{"refused", named, 0, []trip{{422, nil, stopping}, {200, nil, good}}, 1, true, 0},
		{"moved", named, 0, []trip{{307, http.Header{"Location": {"http://elsewhere/"}}, ""}, {200, nil, good}}, 1, true, 0},
		{"nonsense", named, 0, []trip{{200, nil, "ok"}, {200, nil, good}}, 1, true, 0},
	} {
		t.Run(one.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &trips{list: one.trips}
				c := newClient(t, client.Options{Tries: one.tries, HTTP: &http.Client{Transport: s}})
				began := time.Now()
				_, err := c.Push(t.Context(), one.push)
				if (err != nil) != one.fails || len(s.made) != one.made {
					t.Errorf("%d requests, %v", len(s.made), err)
				}
				if took := time.Since(began); took < one.least || took > one.least*3+time.Millisecond {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
	t.Run("the context ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &trips{list: []trip{{}}}
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if _, err := newClient(t, client.Options{HTTP: &http.Client{Transport: s}}).Stats(ctx); err == nil || len(s.made) != 1 {
				t.Errorf("%d requests, %v", len(s.made), err)
			}
		})
	})
}
