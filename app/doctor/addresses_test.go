package doctor

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"crier/configs"
)

func TestReach(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	for _, test := range []struct {
		name   string
		status int // 0: there is no server
		method string
		want   Finding
	}{
		{"takes it", 204, "HEAD", Finding{Fine, "webhook.url", "/hook answers HEAD by 204"}},
		{"wants a signature", 401, "HEAD", Finding{Fine, "webhook.url", "401"}},
		{"wants a POST", 405, "HEAD", Finding{Fine, "webhook.url", "405"}},
		{"knows no HEAD", 501, "HEAD", Finding{Fine, "webhook.url", "501"}},
		{"not there", 404, "HEAD", Finding{Warning, "webhook.url", "404: right only if it knows the path for POST alone"}},
		{"fails", 500, "HEAD", Finding{Warning, "webhook.url", "500: look into its log"}},
		{"leads elsewhere", 301, "HEAD", Finding{Wrong, "webhook.url", "redirects are not followed"}},
		{"keys", 200, "GET", Finding{Fine, "webhook.url", "answers GET by 200"}},
		{"no keys", 404, "GET", Finding{Wrong, "webhook.url", "404, and 200 is needed"}},
		{"unreachable", 0, "HEAD", Finding{Wrong, "webhook.url", "/hook cannot be reached from here: dial tcp"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			address := gone.URL
			if test.status != 0 {
				address = answering(t, func(w http.ResponseWriter, r *http.Request) {
					_, password, _ := r.BasicAuth()
					if r.Method != test.method || password != canary || r.URL.RawQuery != "key="+canary {
						t.Errorf("%s %s", r.Method, r.URL)
					}
					w.WriteHeader(test.status)
				}).URL
			}
			address = strings.Replace(address, "http://", "http://user:"+canary+"@", 1) + "/hook?key=" + canary
			found, offset := reach(t.Context(), "webhook.url", address, test.method)
			only(t, []Finding{found}, test.want)
			if offset.known != (test.status != 0) || offset.known && (offset.ahead.Abs() > time.Minute || strings.Contains(offset.from, canary)) {
				t.Errorf("the clock: %+v", offset)
			}
		})
	}
}

// Each address is asked once, and the clock told of once.
func TestAllAddresses(t *testing.T) {
	cfg := configs.Default()
	only(t, addresses(t.Context(), cfg))
	asked := 0
	s := answering(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
	})
	cfg.Webhook.URL, cfg.Forward.URL, cfg.Auth.Callback.URL = s.URL, s.URL, s.URL+"/auth"
	only(t, addresses(t.Context(), cfg),
		Finding{Fine, "webhook.url", "200"}, Finding{Wrong, "clock", "ahead of that of 127.0.0.1:"}, Finding{Fine, "auth.callback.url", "200"})
	if asked != 2 {
		t.Errorf("asked %d times, want 2", asked)
	}
}

func TestUnprotected(t *testing.T) {
	for address, want := range map[string]bool{
		"http://shop.test/hook": true, "http://[2001:db8::1]:8080/": true,
		"https://shop.test/hook": false, "http://127.0.0.1:8080/hook": false, "http://[::1]/": false, "http://localhost/": false,
	} {
		if got := unprotected(address); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}

func TestOffset(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	header := func(date time.Time, age string) http.Header {
		return http.Header{"Date": {date.Format(http.TimeFormat)}, "Age": {age}}
	}
	for _, test := range []struct {
		name           string
		header         http.Header
		sent, answered time.Time
		ahead          time.Duration
		want           Finding
	}{
		{"same", header(at, ""), at.Add(100 * time.Millisecond), at.Add(900 * time.Millisecond), 0, Finding{Fine, "clock", "agrees with that of shop.test"}},
		{"a slow answer", header(at, ""), at.Add(-5 * time.Second), at.Add(5 * time.Second), 0, Finding{Fine, "clock", ""}},
		{"a little ahead", header(at, ""), at.Add(31 * time.Second), at.Add(32 * time.Second), 30 * time.Second, Finding{Warning, "clock", "30s ahead of"}},
		{"far behind", header(at, ""), at.Add(-4*time.Minute - time.Second), at.Add(-4 * time.Minute), -4 * time.Minute, Finding{Wrong, "clock", "4m0s behind"}},
		{"from a cache", header(at, "60"), at.Add(60 * time.Second), at.Add(60 * time.Second), 0, Finding{Fine, "clock", ""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := offsetOf(test.header, test.sent, test.answered)
			if !o.known || o.ahead != test.ahead {
				t.Errorf("%+v, want %s", o, test.ahead)
			}
			o.from = "shop.test"
			only(t, []Finding{o.finding()}, test.want)
		})
	}
	if o := offsetOf(http.Header{"Date": {"today"}}, at, at); o.known {
		t.Errorf("an answer without a date: %+v", o)
	}
}
