package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"crier/io/jobs"
)

func TestAttempts(t *testing.T) {
	f := newCallbacks(0)
	for i := range 2500 {
		one := jobs.Try{
			Number: uint64(i + 1), Key: fmt.Sprint("shop:", i), Begun: time.UnixMilli(1770000000000), Took: 1500 * time.Millisecond,
			Attempt: 2, Payload: fmt.Appendf(nil, `{"id":"msg_%d","type":"user.online"}`, i),
		}
		switch {
		case i%500 == 0:
			one.Key, one.Error = "bank:1", "the receiver answered 500"
		case i == 2499:
			one.Error, one.Last = "the receiver answered 410 Gone", true
		}
		f.tries = append(f.tries, one)
	}
	s := newServer(t, Options{Pusher: realHub(t), Callbacks: f, Access: Access{Keys: []string{"all"}, Limited: []Key{{Key: "k", Audience: "bank:"}}}})
	get := func(query, key string) attemptList {
		t.Helper()
		var list attemptList
		decodeAnswer(t, do(s, "GET", "/v1/webhooks/attempts"+query, "", "", header("X-Api-Key", key)), &list)
		return list
	}
	const want = `{"attempts":[{"callback":"msg_2499","type":"user.online","uid":"shop:2499","time":"2026-02-02T02:40:00Z","seconds":1.5,"attempt":2,` +
		`"result":"given_up","error":"the receiver answered 410 Gone"}],"next":"1xg"}`
	if got := do(s, "GET", "/v1/webhooks/attempts?limit=1", "", "", header("X-Api-Key", "all")).Body.String(); got != strings.ReplaceAll(want, "1xg", get("?limit=1", "all").Next) {
		t.Errorf("got %s", got)
	}
	// Page by page, each is there once, the newest first.
	next, n := "", 2500
	for {
		list := get("?limit=999&cursor="+next, "all")
		for _, one := range list.Attempts {
			if n--; one.Callback != fmt.Sprint("msg_", n) {
				t.Fatalf("%s instead of %d", one.Callback, n)
			}
		}
		if next = list.Next; next == "" {
			break
		}
	}
	if n != 0 {
		t.Errorf("%d are missing", n)
	}
	list := get("?limit=3", "k")
	if len(list.Attempts) != 3 || list.Attempts[0].Callback != "msg_2000" || list.Attempts[0].Result != "failed" || list.Next == "" {
		t.Errorf("a key with an audience sees %+v", list)
	}
	if rest := get("?limit=3&cursor="+list.Next, "k"); len(rest.Attempts) != 2 || rest.Next != "" {
		t.Errorf("and then %+v", rest)
	}
	checkProblem(t, do(s, "GET", "/v1/webhooks/attempts?cursor=-", "", "", header("X-Api-Key", "all")), codeInvalidCursor)
	checkProblem(t, do(newServer(t, Options{Pusher: realHub(t)}), "GET", "/v1/webhooks/attempts", "", ""), codeUnsupported)
}
