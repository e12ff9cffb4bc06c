package callbacks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"crier/e2e/ledger/stage"
)

// secret signs the callbacks, in the notation of Standard Webhooks.
const (
	secret    = "whsec_" + secretKey
	secretKey = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)

// A callback is the body of a request to the receiver, or one of several in it.
type callback struct {
	ID   string    `json:"id"`
	Type string    `json:"type"`
	Time time.Time `json:"time"`
	Data struct {
		UID         string `json:"uid"`
		Version     uint64 `json:"version"`
		Connections int    `json:"connections"`
		Cause       string `json:"cause"`
	} `json:"data"`
}

func (c callback) online() bool { return c.Type == "user.online" }

func (c callback) at() stage.Stamp { return stage.StampOf(c.Time) }

// readCallbacks decodes the body of a request, one callback or a batch of them, and says what is wrong with it.
func readCallbacks(body []byte) ([]callback, error) {
	var batch struct {
		callback
		Events []callback `json:"events"`
	}
	if err := json.Unmarshal(body, &batch); err != nil {
		return nil, fmt.Errorf("the body is no callback: %w", err)
	}
	all := batch.Events
	if len(all) == 0 {
		all = []callback{batch.callback}
	}
	for _, c := range all {
		if err := c.check(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// check says what is wrong with a callback by itself.
func (c callback) check() error {
	switch {
	case !c.online() && c.Type != "user.offline":
		return fmt.Errorf("the type is %q", c.Type)
	case c.ID == "" || c.Time.IsZero() || c.Data.UID == "" || c.Data.Version == 0:
		return errors.New("the body lacks something")
	case c.online() != (c.Data.Connections > 0):
		return fmt.Errorf("%s with %d connections", c.Type, c.Data.Connections)
	case c.online() != (c.Data.Cause == ""):
		return fmt.Errorf("%s with the cause %q", c.Type, c.Data.Cause)
	}
	return nil
}

// verify checks the headers of a callback as Standard Webhooks 1.0 says. The age is not looked at: it is up to the faults.
func verify(h http.Header, body []byte) error {
	key, err := base64.StdEncoding.DecodeString(secretKey)
	if err != nil {
		return fmt.Errorf("decoding the secret: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(h.Get("Webhook-Id") + "." + h.Get("Webhook-Timestamp") + "."))
	mac.Write(body)
	for one := range strings.FieldsSeq(h.Get("Webhook-Signature")) {
		version, text, _ := strings.Cut(one, ",")
		given, err := base64.StdEncoding.DecodeString(text)
		if err == nil && version == "v1" && hmac.Equal(given, mac.Sum(nil)) {
			return nil
		}
	}
	return fmt.Errorf("the signature %q is wrong", h.Get("Webhook-Signature"))
}
