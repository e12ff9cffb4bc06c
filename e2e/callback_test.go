package e2e

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"
)

// secret signs the callbacks of these tests, in the notation of Standard Webhooks.
const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// A callbackEvent is the body of a callback.
type callbackEvent struct {
	ID   string    `json:"id"`
	Type string    `json:"type"`
	Time time.Time `json:"time"`
	Node string    `json:"node"`
	Data struct {
		UID         string `json:"uid"`
		Version     uint64 `json:"version"`
		Connections int    `json:"connections"`
		Cause       string `json:"cause"`
	} `json:"data"`
}

// event decodes a callback in the json format.
func (c callback) event(t *testing.T) callbackEvent {
	t.Helper()
	var e callbackEvent
	if err := json.Unmarshal(c.body, &e); err != nil {
		t.Fatalf("a callback's body is %q: %v", c.body, err)
	}
	if e.ID == "" || e.Node == "" || e.Time.IsZero() || (e.Type == "user.offline" && e.Data.Cause == "") {
		t.Errorf("a callback lacks something: %s", c.body)
	}
	if id := c.header.Get("Webhook-Id"); id != e.ID {
		t.Errorf("webhook-id is %q, the body's id %q", id, e.ID)
	}
	return e
}

// A change is what a callback tells, in short.
type change struct{ what, uid string }

// changes returns what callbacks tell, having checked that the versions of each user grow.
func changes(t *testing.T, callbacks []callback) []change {
	t.Helper()
	var all []change
	versions := map[string]uint64{}
	for _, c := range callbacks {
		e := c.event(t)
		if e.Data.Version <= versions[e.Data.UID] {
			t.Errorf("version %d of %q comes after %d", e.Data.Version, e.Data.UID, versions[e.Data.UID])
		}
		versions[e.Data.UID] = e.Data.Version
		if online := e.Type == "user.online"; online != (e.Data.Connections > 0) {
			t.Errorf("%s with %d connections", e.Type, e.Data.Connections)
		}
		all = append(all, change{e.Type, e.Data.UID})
	}
	return all
}

// A verifier checks signatures in Node, by its own crypto.
type verifier struct{ script *script }

// startVerifier runs clients/verify.mjs, and has it pass a published example of Standard Webhooks.
func startVerifier(t *testing.T) *verifier {
	t.Helper()
	v := &verifier{startScript(t, node(t), "clients/verify.mjs")}
	example := callback{body: []byte(`{"test": 2432232314}`), header: http.Header{
		"Webhook-Id":        {"msg_p5jXN8AQM9LWM0D4loKWxJek"},
		"Webhook-Timestamp": {"1614265330"},
		"Webhook-Signature": {"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
	}}
	if !v.valid(t, example) {
		t.Fatal("the verifier refuses the example of Standard Webhooks")
	}
	example.body = []byte(`{"test": 2432232315}`)
	if v.valid(t, example) {
		t.Fatal("the verifier takes a changed body")
	}
	return v
}

// valid says whether a callback is signed with secret.
func (v *verifier) valid(t *testing.T, c callback) bool {
	t.Helper()
	v.script.tell(t, map[string]string{
		"secret": secret, "id": c.header.Get("Webhook-Id"), "timestamp": c.header.Get("Webhook-Timestamp"),
		"signature": c.header.Get("Webhook-Signature"), "body": base64.StdEncoding.EncodeToString(c.body),
	})
	var answer struct {
		Valid bool `json:"valid"`
	}
	v.script.answer(t, &answer)
	return answer.Valid
}

// signed fails the test unless every callback is signed, and lately.
func (v *verifier) signed(t *testing.T, callbacks []callback) {
	t.Helper()
	for _, c := range callbacks {
		if !v.valid(t, c) {
			t.Errorf("the signature %q of %s is wrong", c.header.Get("Webhook-Signature"), c.body)
		}
		seconds, err := strconv.ParseInt(c.header.Get("Webhook-Timestamp"), 10, 64)
		if age := time.Since(time.Unix(seconds, 0)); err != nil || age < -time.Second || age > 5*time.Minute {
			t.Errorf("webhook-timestamp is %q", c.header.Get("Webhook-Timestamp"))
		}
	}
}

// TestCallbacks has users come and go.
func TestCallbacks(t *testing.T) {
	t.Parallel()
	r := startReceiver(t)
	crier := startCrier(t, settings{"webhook.url": r.url, "webhook.secrets": secret, "presence.offline_delay": "50ms"})
	d := startDriver(t)
	open := func(id, uid string) *socket {
		s := d.open(t, id, opening{client: latest, route: byWebSocket, url: crier.publicURL(""), login: uid})
		s.connected(t)
		if uid != "" {
			s.loggedIn(t)
		}
		return s
	}
	first := open("first page", hard)
	r.await(t, 1)
	second := open("second page", hard) // online already: no callback
	first.close(t)                      // the second page is left: no callback
	second.close(t)
	r.await(t, 2)
	open("third page", hard)
	r.await(t, 3)
	open("visitor", "").close(t) // without a uid: no callback
	open("other", "other").close(t)
	got := r.await(t, 5)

	want := []change{
		{"user.online", hard},
		{"user.offline", hard},
		{"user.online", hard},
		{"user.online", "other"},
		{"user.offline", "other"},
	}
	if all := changes(t, got); !slices.Equal(all, want) {
		t.Errorf("the callbacks were %v, want %v", all, want)
	}
	startVerifier(t).signed(t, got)
	for _, c := range got {
		if kind := c.header.Get("Content-Type"); kind != "application/json" {
			t.Errorf("Content-Type is %q", kind)
		}
	}
}

// TestPageRefresh has a user leave and come back within presence.offline_delay, of which no callback tells;
// without a store, a stop then tells that the user is gone before the program ends.
func TestPageRefresh(t *testing.T) {
	t.Parallel()
	for _, c := range mainClients {
		t.Run(c.lib, func(t *testing.T) {
			r := startReceiver(t)
			crier := startCrier(t, settings{"webhook.url": r.url, "webhook.secrets": secret, "presence.offline_delay": "1h", "store.path": "memory"})
			d := startDriver(t)
			for _, id := range []string{"page", "page, refreshed", "page, refreshed again"} {
				s := d.open(t, id, opening{client: c, route: byUpgrade, url: crier.publicURL(""), login: "1445590039000"})
				s.loggedIn(t)
				s.close(t)
				// Once it counts as gone, the push port says so.
				for crier.publish(t, "1445590039000", "x") != "offline" {
				}
			}
			left := d.open(t, "left", opening{client: c, route: byWebSocket, url: crier.publicURL(""), login: "stayed to the end"})
			left.loggedIn(t)
			r.await(t, 2)
			crier.stop(t)
			got := changes(t, r.callbacks())
			for _, uid := range []string{"1445590039000", "stayed to the end"} {
				want := []change{{"user.online", uid}, {"user.offline", uid}}
				own := slices.DeleteFunc(slices.Clone(got), func(c change) bool { return c.uid != uid })
				if !slices.Equal(own, want) {
					t.Errorf("the callbacks of %q were %v, want %v", uid, own, want)
				}
			}
		})
	}
}

// TestCallbackRetries has the receiver fail twice: the callback comes again, the same, before the user's next.
func TestCallbackRetries(t *testing.T) {
	t.Parallel()
	r := startReceiver(t)
	r.fail(http.StatusInternalServerError, http.StatusInternalServerError)
	crier := startCrier(t, settings{"webhook.url": r.url, "webhook.secrets": secret, "presence.offline_delay": "10ms"})
	d := startDriver(t)
	s := d.open(t, "page", opening{client: latest, route: byWebSocket, url: crier.publicURL(""), login: "alice"})
	s.loggedIn(t)
	s.close(t)
	got := r.await(t, 4)
	startVerifier(t).signed(t, got)
	for n, c := range got {
		e := c.event(t)
		if n < 3 && (e.Type != "user.online" || e.ID != got[0].event(t).ID || string(c.body) != string(got[0].body)) {
			t.Errorf("try %d is %s, want %s again", n+1, c.body, got[0].body)
		}
		if n == 3 && (e.Type != "user.offline" || e.ID == got[0].event(t).ID) {
			t.Errorf("after the tries comes %s", c.body)
		}
	}
	crier.log.await(t, crier.exited, "level=WARN", "callback", "500")
}

// TestCallbackForm checks the form that PHP reads as $_POST.
func TestCallbackForm(t *testing.T) {
	t.Parallel()
	r := startReceiver(t)
	crier := startCrier(t, settings{
		"webhook.url": r.url, "webhook.secrets": secret, "webhook.format": "form",
		"presence.offline_delay": "10ms",
	})
	d := startDriver(t)
	uid := hard + " &=+%"
	s := d.open(t, "page", opening{client: mainClients[0], route: byWebSocket, url: crier.publicURL(""), login: uid})
	s.loggedIn(t)
	s.close(t)
	got := r.await(t, 2)
	startVerifier(t).signed(t, got)
	var last uint64
	for n, event := range []string{"online", "offline"} {
		if kind := got[n].header.Get("Content-Type"); kind != "application/x-www-form-urlencoded" {
			t.Errorf("Content-Type is %q", kind)
		}
		form, err := url.ParseQuery(string(got[n].body))
		if err != nil {
			t.Fatalf("the body is %q: %v", got[n].body, err)
		}
		version, err := strconv.ParseUint(form.Get("version"), 10, 64)
		if err != nil || version <= last {
			t.Errorf("version is %q, after %d: %v", form.Get("version"), last, err)
		}
		last = version
		if form.Get("event") != event || form.Get("uid") != uid || form.Get("time") == "" ||
			form.Get("id") != got[n].header.Get("Webhook-Id") {
			t.Errorf("callback %d is %q", n, got[n].body)
		}
	}
}

// TestCallbackBatch has callbacks come several at a time: what gathers while the receiver fails comes in one request, which is
// the same on every try.
func TestCallbackBatch(t *testing.T) {
	t.Parallel()
	r := startReceiver(t)
	r.fail(http.StatusInternalServerError, http.StatusInternalServerError)
	crier := startCrier(t, settings{
		"webhook.url": r.url, "webhook.secrets": secret, "webhook.batch": "100", "presence.offline_delay": "10ms",
	})
	d := startDriver(t)
	s := d.open(t, "page", opening{client: latest, route: byWebSocket, url: crier.publicURL(""), login: "alice"})
	s.loggedIn(t)
	r.await(t, 1)
	s.close(t)
	bodies := map[string]string{}
	var told []string
	for n := 3; len(told) < 2; n++ {
		told = told[:0]
		got := r.await(t, n)
		for _, c := range got {
			id := c.header.Get("Webhook-Id")
			if known := bodies[id]; known != "" && known != string(c.body) {
				t.Errorf("the batch %s was %s and is %s", id, known, c.body)
			}
			bodies[id] = string(c.body)
		}
		for _, c := range got[2:] { // the first two were not taken
			var batch struct{ Events []callbackEvent }
			if err := json.Unmarshal(c.body, &batch); err != nil || len(batch.Events) == 0 {
				t.Fatalf("the body is %s: %v", c.body, err)
			}
			for _, e := range batch.Events {
				told = append(told, e.Type+" "+e.Data.UID)
			}
		}
	}
	if !slices.Equal(told, []string{"user.online alice", "user.offline alice"}) {
		t.Errorf("told %q", told)
	}
	startVerifier(t).signed(t, r.callbacks())
}
