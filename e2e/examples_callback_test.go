package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// otherSecret signs nothing that a receiver with secret may take.
const otherSecret = "whsec_b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXI="

// A service is a running example that answers requests.
type service struct {
	url string
	log *logbook
}

// startExample runs an example until the test ends. It prints its address.
func startExample(t *testing.T, command []string, environment ...string) *service {
	t.Helper()
	s := &service{log: newLogbook()}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(append(settings{}.environment(), "PORT=0"), environment...)
	cmd.Stdout, cmd.Stderr = s.log, s.log
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %q: %v", command, err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		t.Logf("%q ended: %v", command, cmd.Wait())
	}()
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Logf("killing %q: %v", command, err)
		}
		<-exited
		if t.Failed() {
			t.Logf("what %q printed:\n%s", command, s.log.text())
		}
	})
	s.url = regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(s.log.await(t, exited, "http://127.0.0.1:")) + "/"
	return s
}

// A tap passes callbacks on to a receiver, and keeps them and the statuses of the answers.
type tap struct {
	url string

	mu       sync.Mutex
	got      []callback
	statuses []int
}

// startTap runs one until the test ends.
func startTap(t *testing.T, to string) *tap {
	t.Helper()
	p := &tap{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			t.Errorf("reading a callback: %v", err)
		}
		answer, err := try(q.Context(), q.Method, to, string(body), q.Header)
		if err != nil {
			t.Errorf("passing a callback on: %v", err)
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		p.mu.Lock()
		p.got, p.statuses = append(p.got, callback{q.Header.Clone(), body}), append(p.statuses, answer.status)
		p.mu.Unlock()
		w.WriteHeader(answer.status)
	}))
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

// signature signs as Standard Webhooks 1.0 says, section "Signature scheme".
func signature(t *testing.T, secret, id, timestamp string, body []byte) string {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// signed returns a callback of ours, made at a time.
func signed(t *testing.T, secret string, at time.Time, body []byte) callback {
	t.Helper()
	timestamp := strconv.FormatInt(at.Unix(), 10)
	return callback{body: body, header: http.Header{
		"Content-Type": {"application/json"}, "Webhook-Id": {"msg_ours"}, "Webhook-Timestamp": {timestamp},
		"Webhook-Signature": {signature(t, secret, "msg_ours", timestamp, body)},
	}}
}

// but returns c with another value of one header; "" removes it.
func (c callback) but(name, value string) callback {
	c.header = c.header.Clone()
	if c.header.Del(name); value != "" {
		c.header.Set(name, value)
	}
	return c
}

// forgeries are requests that no receiver may take, by what is wrong with them. genuine is one that Crier made.
func forgeries(t *testing.T, genuine callback) map[string]callback {
	t.Helper()
	forged := []byte(`{"id":"msg_ours","type":"user.online","data":{"uid":"forged","version":1,"connections":1}}`)
	now := time.Now()
	ours := signed(t, secret, now, forged)
	value := ours.header.Get("Webhook-Signature")
	id, timestamp := genuine.header.Get("Webhook-Id"), genuine.header.Get("Webhook-Timestamp")
	return map[string]callback{
		"another body":           {header: genuine.header, body: forged},
		"a longer body":          {header: genuine.header, body: append(bytes.Clone(genuine.body), ' ')},
		"another id":             genuine.but("Webhook-Id", id+"x"),
		"another timestamp":      genuine.but("Webhook-Timestamp", timestamp+"0"),
		"another secret":         signed(t, otherSecret, now, forged),
		"signed long ago":        signed(t, secret, now.Add(-6*time.Minute), forged),
		"signed in the future":   signed(t, secret, now.Add(6*time.Minute), forged),
		"no timestamp":           ours.but("Webhook-Timestamp", ""),
		"no signature":           ours.but("Webhook-Signature", ""),
		"no id":                  ours.but("Webhook-Id", ""),
		"an empty signature":     ours.but("Webhook-Signature", "v1,"),
		"another scheme":         ours.but("Webhook-Signature", "v1a,"+strings.TrimPrefix(value, "v1,")),
		"no scheme":              ours.but("Webhook-Signature", strings.TrimPrefix(value, "v1,")),
		"half a signature":       ours.but("Webhook-Signature", value[:20]),
		"many wrong signatures":  ours.but("Webhook-Signature", strings.Repeat("v1,AAAA ", 200)),
		"a very large timestamp": ours.but("Webhook-Timestamp", strings.Repeat("9", 30)),
		"a very large body":      signed(t, secret, now, bytes.Repeat([]byte{' '}, 1<<20)),
		"a signed word for a time": {body: forged, header: http.Header{
			"Webhook-Id": {"msg_ours"}, "Webhook-Timestamp": {"now"}, "Webhook-Signature": {signature(t, secret, "msg_ours", "now", forged)},
		}},
	}
}

// TestExampleCallbacks has every example receive callbacks of a user who comes and goes, and forged ones. The secret is
// being changed: Crier signs with two.
func TestExampleCallbacks(t *testing.T) {
	t.Parallel()
	for _, e := range receivers(t) {
		t.Run(e.name, func(t *testing.T) {
			withoutSecret(t, e)
			receiver := startExample(t, e.command, "CRIER_WEBHOOK_SECRET="+secret)
			through := startTap(t, receiver.url)
			crier := startCrier(t, settings{
				"webhook.url": through.url, "webhook.secrets": otherSecret + "," + secret, "presence.offline_delay": "10ms",
			})
			s := startDriver(t).open(t, "page", opening{client: client{lib: "sioc-4"}, url: crier.publicURL(""), login: "alice"})
			s.loggedIn(t)
			receiver.log.await(t, nil, "user.online", "alice")
			s.close(t)
			receiver.log.await(t, nil, "user.offline", "alice")
			crier.stop(t)
			through.mu.Lock()
			defer through.mu.Unlock()
			if len(through.got) != 2 || through.statuses[0]/100 != 2 || through.statuses[1]/100 != 2 {
				t.Fatalf("%d callbacks were answered %d", len(through.got), through.statuses)
			}
			genuine := through.got[0]
			mine := signed(t, secret, time.Now(), []byte(`{"id":"msg_ours","type":"user.online","data":{"uid":"bob","version":2,"connections":1}}`))
			for what, one := range map[string]callback{"a callback of Crier's again": genuine, "one that the test signed": mine} {
				if r := do(t, http.MethodPost, receiver.url, string(one.body), one.header); r.status/100 != 2 {
					t.Errorf("%s was answered %d", what, r.status)
				}
			}
			said := signed(t, secret, time.Now(), []byte(`{"id":"msg_ours","type":"client.event","data":{"uid":"carol","connection":"c","event":"e","args":[1]}}`))
			if r := do(t, http.MethodPost, receiver.url, string(said.body), said.header); r.status != http.StatusNotFound {
				t.Errorf("an event of a browser, which is not for it, was answered %d", r.status)
			}
			for what, one := range forgeries(t, genuine) {
				r, err := try(t.Context(), http.MethodPost, receiver.url, string(one.body), one.header)
				if what == "a very large body" && err != nil {
					continue // it need not be read to its end
				}
				if err != nil || r.status < 400 || r.status == http.StatusInternalServerError {
					t.Errorf("a callback with %s was answered %d: %v", what, r.status, err)
				}
			}
			for _, mark := range []string{"forged", "carol", "Warning"} {
				if strings.Contains(receiver.log.text(), mark) {
					t.Errorf("it handled what it must not, or complained: %q", mark)
				}
			}
		})
	}
}

// withoutSecret runs an example without a secret, and with an empty one, with which anybody could sign.
func withoutSecret(t *testing.T, e example) {
	t.Helper()
	for _, empty := range []string{"", "whsec_"} {
		if e.name != "php" {
			if printed, ok := runExample(t, e.command, []string{"PORT=0", "CRIER_WEBHOOK_SECRET=" + empty}); ok {
				t.Errorf("it ran with the secret %q, and printed %q", empty, printed)
			}
			continue
		}
		// PHP begins when there is a request.
		receiver := startExample(t, e.command, "CRIER_WEBHOOK_SECRET="+empty)
		one := signed(t, "whsec_", time.Now(), []byte(`{"type":"user.online","data":{"uid":"forged","version":1}}`))
		if r := do(t, http.MethodPost, receiver.url, string(one.body), one.header); r.status != http.StatusInternalServerError {
			t.Errorf("with the secret %q it answered %d", empty, r.status)
		}
	}
}
