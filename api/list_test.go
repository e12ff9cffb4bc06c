package api

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"crier/io/hub"
)

func decodeAnswer(t testing.TB, w *httptest.ResponseRecorder, v any) {
	t.Helper()
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), v); err != nil {
		t.Fatal(err)
	}
}

func TestUsersAndRooms(t *testing.T) {
	h := realHub(t)
	s := newServer(t, Options{Pusher: h})
	var want []string
	for i := range 500 {
		name := fmt.Sprint("n", i)
		want = append(want, name+"1")
		listen(t, h, "c"+name, name, name)
	}
	slices.Sort(want)
	for _, limit := range []int{1, 7, 100, 499, 500, 501, 1000} {
		for _, kind := range []string{"users", "rooms"} {
			var got []string
			cursor := ""
			for pages := 0; pages == 0 || cursor != ""; pages++ {
				var page struct {
					Users, Rooms []struct {
						UID, Room   string
						Connections int
					}
					Next string
				}
				decodeAnswer(t, do(s, "GET", "/v1/"+kind+"?limit="+strconv.Itoa(limit)+"&cursor="+cursor, "", ""), &page)
				for _, u := range append(page.Users, page.Rooms...) {
					got = append(got, u.UID+u.Room+strconv.Itoa(u.Connections))
				}
				if n := len(page.Users) + len(page.Rooms); n > limit || n < limit && page.Next != "" {
					t.Fatalf("%s: a page of %d with the limit %d", kind, n, limit)
				}
				if cursor = page.Next; pages > 600 {
					t.Fatal("the list does not end")
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%s by %d: %d entries", kind, limit, len(got))
			}
		}
	}
}

func TestUser(t *testing.T) {
	h := realHub(t)
	s := newServer(t, Options{Pusher: h})
	a := listen(t, h, "c2", "a/b 中", "red", "blue")
	b := listen(t, h, "c1", "a/b 中")
	other := listen(t, h, "c3", "other")
	const path = "/v1/users/a%2Fb%20%E4%B8%AD"
	if got, want := do(s, "GET", path, "", "").Body.String(),
		`{"uid":"a/b 中","online":true,"rooms":[],"connections":[{"id":"c1","rooms":[]},{"id":"c2","rooms":["red","blue"]}]}`; got != want {
		t.Error(got)
	}
	if got := do(s, "GET", "/v1/users/none", "", "").Body.String(); got != `{"uid":"none","online":false,"rooms":[],"connections":[]}` {
		t.Error(got)
	}
	if got := do(s, "DELETE", path, "", "").Body.String(); got != `{"uid":"a/b 中","disconnected":2}` {
		t.Error(got)
	}
	if !a.kicked || !b.kicked || other.kicked {
		t.Errorf("kicked: %v %v, and %v", a.kicked, b.kicked, other.kicked)
	}
}

func TestRoom(t *testing.T) {
	h := realHub(t)
	s := newServer(t, Options{Pusher: h})
	var want []string
	for i := range 100 {
		id, uid := fmt.Sprintf("c%03d", i), ""
		if i%2 == 0 {
			uid = fmt.Sprint("u", i)
		}
		listen(t, h, id, uid, "r")
		want = append(want, id+uid)
	}
	for _, limit := range []int{1, 9, 99, 100, 101} {
		var got []string
		cursor := ""
		for first := true; first || cursor != ""; first = false {
			var page struct {
				Room    string
				Members []struct{ Connection, UID string }
				Next    string
			}
			decodeAnswer(t, do(s, "GET", "/v1/rooms/r?limit="+strconv.Itoa(limit)+"&cursor="+cursor, "", ""), &page)
			for _, m := range page.Members {
				got = append(got, m.Connection+m.UID)
			}
			if cursor = page.Next; page.Room != "r" || len(page.Members) > limit || len(got) > len(want) {
				t.Fatalf("%d: %d members of %q", limit, len(page.Members), page.Room)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("by %d: %v", limit, got)
		}
	}
	if got := do(s, "GET", "/v1/rooms/none", "", "").Body.String(); got != `{"room":"none","members":[]}` {
		t.Error(got)
	}
}

func TestStats(t *testing.T) {
	h := realHub(t)
	s := newServer(t, Options{Pusher: h})
	listen(t, h, "c1", "a")
	listen(t, h, "c2", "")
	pushed(t, s, `{"to":{"all":true},"data":1}`)
	want := `{"users":1,"connections":1,"sockets":2,"pushes":1,"delivered":2,"slow":0,"gone":0,"failed":0}`
	if got := do(s, "GET", "/v1/stats", "", "").Body.String(); got != want {
		t.Error(got)
	}
}

func TestListErrors(t *testing.T) {
	h := realHub(t)
	s, other := newServer(t, Options{Pusher: h}), newServer(t, Options{Pusher: realHub(t)})
	for i := range 300 {
		listen(t, h, fmt.Sprint("c", i), fmt.Sprint("u", i), "r", fmt.Sprint("r", i))
	}
	var page struct{ Next string }
	decodeAnswer(t, do(s, "GET", "/v1/users?limit=1", "", ""), &page)
	for _, c := range []struct {
		path string
		code code
	}{
		{"/v1/users?limit=0", codeInvalidField},
		{"/v1/users?limit=1001", codeInvalidField},
		{"/v1/users?limit=x", codeInvalidField},
		{"/v1/users?limit=1&limit=2", codeInvalidField},
		{"/v1/users?limit=%", codeInvalidField},
		{"/v1/users?offset=1", codeUnknownField},
		{"/v1/users?cursor=x", codeInvalidCursor},
		{"/v1/rooms?cursor=!", codeInvalidCursor},
		{"/v1/rooms?cursor=" + page.Next, codeInvalidCursor},
		{"/v1/rooms/r?cursor=" + page.Next, codeInvalidCursor},
		{"/v1/users/%0A", codeInvalidField},
		{"/v1/users/%FF", codeInvalidField},
		{"/v1/rooms/" + strings.Repeat("x", 256), codeInvalidField},
	} {
		t.Run(c.path, func(t *testing.T) { checkProblem(t, do(s, "GET", c.path, "", ""), c.code) })
	}
	checkProblem(t, do(other, "GET", "/v1/users?cursor="+page.Next, "", ""), codeInvalidCursor)
	checkProblem(t, do(s, "DELETE", "/v1/users/%0A", "", ""), codeInvalidField)
	for _, path := range []string{"/v1/users", "/v1/users/a", "/v1/rooms", "/v1/rooms/a", "/v1/stats"} {
		checkProblem(t, do(newServer(t, Options{}), "GET", path, "", ""), codeUnsupported)
	}
}

// A list of very many users has no page that costs as much as all of them.
func BenchmarkV1Users(b *testing.B) {
	h, err := hub.New(hub.Options{})
	if err != nil {
		b.Fatal(err)
	}
	for i := range 100_000 {
		listen(b, h, fmt.Sprint("c", i), fmt.Sprint("user-", i))
	}
	s := newServer(b, Options{Pusher: h})
	b.ReportAllocs()
	for b.Loop() {
		if w := do(s, "GET", "/v1/users?limit=1000", "", ""); w.Code != 200 {
			b.Fatal(w.Code)
		}
	}
}
