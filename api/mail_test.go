package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"crier/io/hub"
)

// fakeMail has messages for users, at the places 1, 2, ….
type fakeMail struct {
	letters map[string][]*hub.Message
	err     error
}

func (m *fakeMail) Next(uid string, after uint64, messages, bytes int) ([]hub.Letter, error) {
	if m.err != nil {
		return nil, m.err
	}
	var page []hub.Letter
	for i, one := range m.letters[uid] {
		if place := uint64(i + 1); place > after && len(page) < messages {
			if bytes -= len(one.Event); bytes < 0 && len(page) > 0 {
				break
			}
			page = append(page, hub.Letter{Place: place, Message: one})
		}
	}
	return page, nil
}

func TestStoredMessages(t *testing.T) {
	m := &fakeMail{letters: map[string][]*hub.Message{"shop:1": nil}}
	for i := range 3 {
		m.letters["shop:1"] = append(m.letters["shop:1"], &hub.Message{ID: fmt.Sprint("m", i), Event: "order", Args: []json.RawMessage{[]byte(`{"n":1}`)}})
	}
	m.letters["shop:1"][2].Args = []json.RawMessage{[]byte(`"x"`), []byte(`{"_placeholder":true,"num":0}`)}
	m.letters["shop:1"][2].Attachments = [][]byte{[]byte("hi")}
	s := newServer(t, Options{Pusher: realHub(t), Mail: m, Access: Access{Keys: []string{"all"}, Limited: []Key{{Key: "k", Audience: "shop:"}}}})
	get := func(path, key string) string {
		t.Helper()
		w := do(s, "GET", path, "", "", header("X-Api-Key", key))
		if w.Code != 200 {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
		return w.Body.String()
	}
	want := `{"uid":"shop:1","messages":[{"id":"m0","event":"order","args":[{"n":1}]},{"id":"m1","event":"order","args":[{"n":1}]}],"next":"2"}`
	if got := get("/v1/users/shop:1/messages?limit=2", "k"); got != want {
		t.Errorf("got %s", got)
	}
	want = `{"uid":"shop:1","messages":[{"id":"m2","event":"order","args":["x",{"$binary":"aGk="}]}]}`
	if got := get("/v1/users/shop:1/messages?cursor=2", "k"); got != want {
		t.Errorf("got %s", got)
	}
	if got := get("/v1/users/nobody/messages", "all"); got != `{"uid":"nobody","messages":[]}` {
		t.Errorf("got %s", got)
	}
	checkProblem(t, do(s, "GET", "/v1/users/bank:1/messages", "", "", header("X-Api-Key", "k")), codeAudienceDenied)
	checkProblem(t, do(s, "GET", "/v1/users/shop:1/messages?cursor=-", "", "", header("X-Api-Key", "k")), codeInvalidCursor)
	checkProblem(t, do(s, "GET", "/v1/users/%01/messages", "", "", header("X-Api-Key", "all")), codeInvalidField)
	m.err = errors.New("the disk is gone")
	if detail := checkProblem(t, do(s, "GET", "/v1/users/shop:1/messages", "", "", header("X-Api-Key", "k")), codeStoreFailed); strings.Contains(detail, "gone") {
		t.Errorf("the detail is %q", detail)
	}
	none := newServer(t, Options{Pusher: realHub(t), WhyNotKept: "Set inbox.open."})
	if detail := checkProblem(t, do(none, "GET", "/v1/users/u/messages", "", ""), codeUnsupported); detail != "Set inbox.open." {
		t.Errorf("the detail is %q", detail)
	}
}

// Lists of names can be searched, inside the audience of the key.
func TestPrefix(t *testing.T) {
	h := realHub(t)
	for i, uid := range []string{"shop:1", "shop:2", "shop-x", "bank:1"} {
		listen(t, h, fmt.Sprint("c", i), uid, "room-"+uid)
	}
	s := newServer(t, Options{Pusher: h, Access: Access{Keys: []string{"all"}, Limited: []Key{{Key: "k", Audience: "shop:"}}}})
	for _, c := range []struct {
		path, key string
		want      int // entries
		code      code
	}{
		{"/v1/users?prefix=shop", "all", 3, ""},
		{"/v1/users?prefix=shop%3A", "all", 2, ""},
		{"/v1/users?prefix=", "all", 4, ""},
		{"/v1/users?prefix=nobody", "all", 0, ""},
		{"/v1/rooms?prefix=room-shop", "all", 3, ""},
		{"/v1/users?prefix=sh", "k", 2, ""},
		{"/v1/users?prefix=shop%3A2", "k", 1, ""},
		{"/v1/users?prefix=bank", "k", 0, codeAudienceDenied},
		{"/v1/users?prefix=a&prefix=b", "all", 0, codeInvalidField},
		{"/v1/rooms/r?prefix=a", "all", 0, codeUnknownField},
	} {
		w := do(s, "GET", c.path, "", "", header("X-Api-Key", c.key))
		if c.code != "" {
			checkProblem(t, w, c.code)
			continue
		}
		if n := strings.Count(w.Body.String(), `"connections":1`); w.Code != 200 || n != c.want {
			t.Errorf("%s: %d %s", c.path, w.Code, w.Body)
		}
	}
}
