package webhook

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestVectors(t *testing.T) {
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name, Secret, ID, Body, Signature string
		Timestamp                         int64
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) < 3 {
		t.Fatalf("only %d vectors", len(vectors))
	}
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			got, err := Sign(v.Secret, v.ID, time.Unix(v.Timestamp, 0), []byte(v.Body))
			if err != nil || got != v.Signature {
				t.Errorf("got %s, %v\nwant %s", got, err, v.Signature)
			}
			h := http.Header{}
			h.Set("webhook-id", v.ID)
			h.Set("webhook-timestamp", strconv.FormatInt(v.Timestamp, 10))
			h.Set("webhook-signature", v.Signature)
			if err := Verify(v.Secret, h, []byte(v.Body), -1); err != nil {
				t.Error(err)
			}
			if err := Verify(v.Secret, h, []byte(v.Body), 0); !errors.Is(err, ErrTimestamp) {
				t.Errorf("of long ago: %v", err)
			}
		})
	}
}

// The cases of the Standard Webhooks libraries' tests.
func TestVerify(t *testing.T) {
	const (
		id   = "msg_p5jXN8AQM9LWM0D4loKWxJek"
		body = `{"test": 2432232314}`
		fake = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="
	)
	for _, tt := range []struct {
		name      string
		age       time.Duration
		modify    func(http.Header)
		tolerance time.Duration
		secret    string
		want      error
	}{
		{name: "valid"},
		{name: "no id", modify: func(h http.Header) { h.Del("webhook-id") }, want: ErrHeaders},
		{name: "no timestamp", modify: func(h http.Header) { h.Del("webhook-timestamp") }, want: ErrHeaders},
		{name: "no signature", modify: func(h http.Header) { h.Del("webhook-signature") }, want: ErrHeaders},
		{name: "timestamp is text", modify: func(h http.Header) { h.Set("webhook-timestamp", "hello") }, want: ErrHeaders},
		{name: "timestamp is a fraction", modify: func(h http.Header) { h.Set("webhook-timestamp", "161426533.0") }, want: ErrHeaders},
		{name: "timestamp is huge", modify: func(h http.Header) { h.Set("webhook-timestamp", "9223372036854775807") }, want: ErrTimestamp},
		{name: "wrong signature", modify: func(h http.Header) { h.Set("webhook-signature", fake) }, want: ErrSignature},
		{name: "partial signature", modify: func(h http.Header) { h.Set("webhook-signature", h.Get("webhook-signature")[:8]) }, want: ErrSignature},
		{name: "empty signature", modify: func(h http.Header) { h.Set("webhook-signature", "v1,") }, want: ErrSignature},
		{name: "no scheme", modify: func(h http.Header) { h.Set("webhook-signature", h.Get("webhook-signature")[3:]) }, want: ErrSignature},
		{name: "other scheme", modify: func(h http.Header) { h.Set("webhook-signature", "v2"+h.Get("webhook-signature")[2:]) }, want: ErrSignature},
		{name: "other id", modify: func(h http.Header) { h.Set("webhook-id", "msg_2") }, want: ErrSignature},
		{name: "other time", modify: func(h http.Header) { h.Set("webhook-timestamp", strconv.FormatInt(time.Now().Unix()+1, 10)) }, want: ErrSignature},
		{name: "several signatures", modify: func(h http.Header) {
			h.Set("webhook-signature", strings.Join([]string{fake, "v2" + fake[2:], h.Get("webhook-signature"), fake}, " "))
		}},
		{name: "old", age: 5*time.Minute + time.Second, want: ErrTimestamp},
		{name: "just not old", age: 5 * time.Minute},
		{name: "from the future", age: -5*time.Minute - time.Second, want: ErrTimestamp},
		{name: "old, any time", age: 1000 * time.Hour, tolerance: -1},
		{name: "other tolerance", age: 2 * time.Second, tolerance: time.Second, want: ErrTimestamp},
		{name: "other secret", secret: "something else", want: ErrSignature},
		{name: "bad secret", secret: "whsec_!", want: ErrSecret},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				signer, err := NewSigner(testSecret)
				if err != nil {
					t.Fatal(err)
				}
				h := http.Header{}
				signer.Header(h, id, time.Now().Add(-tt.age), []byte(body))
				if tt.modify != nil {
					tt.modify(h)
				}
				secret := testSecret
				if tt.secret != "" {
					secret = tt.secret
				}
				if err := Verify(secret, h, []byte(body), tt.tolerance); !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
				if err := Verify(secret, h, []byte(body+" "), tt.tolerance); err == nil {
					t.Error("another body passes too")
				}
			})
		})
	}
}

func TestSignerRotation(t *testing.T) {
	secrets := []string{testSecret, "the old one"}
	s, err := NewSigner(secrets...)
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	s.Header(h, "msg_1", time.Now(), []byte("x"))
	if n := strings.Count(h.Get("webhook-signature"), "v1,"); n != 2 {
		t.Errorf("%d signatures", n)
	}
	for _, secret := range secrets {
		if err := Verify(secret, h, []byte("x"), 0); err != nil {
			t.Errorf("%s: %v", secret, err)
		}
	}
	none, err := NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	none.Header(h, "msg_2", time.Now(), nil)
	if h.Get("webhook-id") != "msg_2" || h.Values("webhook-signature") != nil {
		t.Errorf("without secrets: %v", h)
	}
}

func TestBadSecrets(t *testing.T) {
	for _, secret := range []string{"", "whsec_", "whsec_===", "whsec_not base64, but secret"} {
		if _, err := NewSigner(testSecret, secret); !errors.Is(err, ErrSecret) ||
			!strings.Contains(err.Error(), "secret 2 of 2") || strings.Contains(err.Error(), "but secret") {
			t.Errorf("%q: %v", secret, err)
		}
		if _, err := Sign(secret, "msg_1", time.Now(), nil); !errors.Is(err, ErrSecret) {
			t.Errorf("%q: Sign: %v", secret, err)
		}
	}
}
