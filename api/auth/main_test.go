package auth

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// canary is in every secret, token and cookie of the tests, and must be in no log and no error.
const canary = "sesame"

const secret = "a secret of thirty-two bytes: " + canary

// logBook is a log that can be read while it is written.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// logger returns a log that must not have the canary in it when the test ends.
func logger(t *testing.T) (*slog.Logger, *logBook) {
	book := &logBook{}
	t.Cleanup(func() {
		if strings.Contains(book.String(), canary) {
			t.Errorf("the canary is in the log:\n%s", book)
		}
	})
	return slog.New(slog.NewTextHandler(book, &slog.HandlerOptions{Level: slog.LevelDebug})), book
}

// discreet fails the test if the error repeats what it must not.
func discreet(t *testing.T, err error, more ...string) {
	t.Helper()
	for _, word := range append(more, canary) {
		if err != nil && word != "" && strings.Contains(err.Error(), word) {
			t.Errorf("%q is in the error: %v", word, err)
		}
	}
}

// wantError checks which of the errors err is; nil for none.
func wantError(t *testing.T, err, want error) {
	t.Helper()
	if want == nil && err != nil || want != nil && !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
	if want == nil {
		return
	}
	if got := Public(err); !errors.Is(got, want) || got.Error() != want.Error() {
		t.Fatalf("told as %v, want %v", got, want)
	}
	code := map[error]string{ErrRefused: "refused", ErrExpired: "expired", ErrUnavailable: "unavailable"}[want]
	if Code(err) != code || Retryable(err) != (code == "unavailable") {
		t.Fatalf("code %q, retryable %v, of %v", Code(err), Retryable(err), want)
	}
}

// authenticate asks with a token.
func authenticate(t *testing.T, a interface {
	Authenticate(context.Context, Request) (Identity, error)
}, token string,
) (Identity, error) {
	t.Helper()
	id, err := a.Authenticate(t.Context(), Request{Token: token})
	if err != nil && (id.UID != "" || id.Rooms != nil || !id.Expires.IsZero()) {
		t.Errorf("an error and %+v", id)
	}
	discreet(t, err)
	return id, err
}
