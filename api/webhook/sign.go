package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of Standard Webhooks 1.0, section "Webhook headers".
const (
	HeaderID        = "Webhook-Id"        // the event's id, the same on every try
	HeaderTimestamp = "Webhook-Timestamp" // of the try, seconds since 1970
	HeaderSignature = "Webhook-Signature" // "v1,<base64>", several separated by a space
)

// Tolerance is how far Verify lets a timestamp be from the present if not told otherwise.
const Tolerance = 5 * time.Minute

const (
	secretPrefix    = "whsec_"
	signatureScheme = "v1," // HMAC-SHA256
)

// What Verify and the functions that take secrets complain of. No text has a part of a secret.
var (
	ErrSecret    = errors.New("bad signing secret")
	ErrHeaders   = errors.New("the webhook-id, webhook-timestamp or webhook-signature header is missing or cannot be read")
	ErrTimestamp = errors.New("the webhook-timestamp is too far from the present")
	ErrSignature = errors.New("no signature matches")
)

// Signer signs requests with one or several secrets, as Standard Webhooks 1.0 does, section "Signature scheme".
// It can be used by several goroutines.
type Signer struct {
	keys [][]byte
}

// NewSigner returns a Signer that makes a signature with each of the secrets, so that a receiver that knows any of
// them can check it. A secret is "whsec_" and the key in base64, as Standard Webhooks has it, or any other text, of
// which the bytes are the key. (Beware that the libraries of Standard Webhooks take a text without the prefix for
// base64 too.) An error wraps ErrSecret.
func NewSigner(secrets ...string) (*Signer, error) {
	s := &Signer{}
	for i, secret := range secrets {
		key, err := parseSecret(secret)
		if err != nil {
			return nil, fmt.Errorf("secret %d of %d: %w", i+1, len(secrets), err)
		}
		s.keys = append(s.keys, key)
	}
	return s, nil
}

func parseSecret(secret string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(secret, secretPrefix)
	if encoded == "" {
		return nil, fmt.Errorf("%w: it is empty", ErrSecret)
	}
	if !ok {
		return []byte(secret), nil
	}
	key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
	if err != nil || len(key) == 0 {
		return nil, fmt.Errorf("%w: what follows %s is not base64", ErrSecret, secretPrefix)
	}
	return key, nil
}

// Sign returns the value of the webhook-signature header: "v1,<base64>" for each secret, separated by a space, and
// nothing at all without secrets. The id must not have a full stop in it.
func (s *Signer) Sign(id string, at time.Time, body []byte) string {
	var all []byte
	for i, key := range s.keys {
		if i > 0 {
			all = append(all, ' ')
		}
		all = append(all, signatureScheme...)
		all = appendMAC(all, key, id, strconv.FormatInt(at.Unix(), 10), body)
	}
	return string(all)
}

// Header sets the three headers. Without secrets there is no signature, and a header of that name is removed.
func (s *Signer) Header(h http.Header, id string, at time.Time, body []byte) {
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Del(HeaderSignature)
	if sig := s.Sign(id, at, body); sig != "" {
		h.Set(HeaderSignature, sig)
	}
}

// appendMAC appends the base64 of the HMAC-SHA256 of id.timestamp.body.
func appendMAC(dst, key []byte, id, timestamp string, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return base64.StdEncoding.AppendEncode(dst, mac.Sum(nil))
}

// Sign returns one signature, "v1,<base64>", of a request with the given webhook-id, webhook-timestamp and body. An
// error wraps ErrSecret.
func Sign(secret, id string, at time.Time, body []byte) (string, error) {
	s, err := NewSigner(secret)
	if err != nil {
		return "", err
	}
	return s.Sign(id, at, body), nil
}

// Verify is for receivers: it tells whether a request with these headers and this body, the bytes as they came, was
// signed with the secret not longer than tolerance ago, nor further in the future. A tolerance of 0 means Tolerance; a
// negative one accepts any time. The error wraps ErrHeaders, ErrTimestamp, ErrSignature or ErrSecret. A receiver
// should also ignore a webhook-id that it has seen before.
func Verify(secret string, h http.Header, body []byte, tolerance time.Duration) error {
	key, err := parseSecret(secret)
	if err != nil {
		return fmt.Errorf("verifying a webhook: %w", err)
	}
	if err := verify(key, h, body, tolerance); err != nil {
		return fmt.Errorf("verifying a webhook: %w", err)
	}
	return nil
}

func verify(key []byte, h http.Header, body []byte, tolerance time.Duration) error {
	id, stamp, signatures := h.Get(HeaderID), h.Get(HeaderTimestamp), h.Get(HeaderSignature)
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || id == "" || signatures == "" {
		return ErrHeaders
	}
	if tolerance == 0 {
		tolerance = Tolerance
	}
	now, at := time.Now(), time.Unix(seconds, 0)
	if tolerance > 0 && (now.Sub(at) > tolerance || at.After(now.Add(tolerance))) {
		return ErrTimestamp
	}
	// The MAC is over the number, as everybody's libraries have it, not over its spelling.
	want := appendMAC(nil, key, id, strconv.FormatInt(seconds, 10), body)
	for sig := range strings.SplitSeq(signatures, " ") {
		got, ok := strings.CutPrefix(sig, signatureScheme)
		if ok && hmac.Equal([]byte(got), want) {
			return nil
		}
	}
	return ErrSignature
}
