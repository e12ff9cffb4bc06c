package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"

	"crier/api/outbound"
)

const (
	keysEvery  = time.Hour        // how often the keys are fetched
	keysRetry  = 30 * time.Second // how soon after a failure
	keysAtMost = 10 * time.Second // the least time between two fetches that tokens ask for
	keysWithin = 5 * time.Second  // how long one fetch may take
	maxKeySet  = 256 << 10        // bytes of a key set
)

var errUnknownKey = errors.New("unknown key")

// keySet is a JSON Web Key Set that is fetched from one URL. What was fetched stays in force while it cannot be again.
type keySet struct {
	// static
	from   *outbound.Endpoint
	store  *jwkset.MemoryJWKSet
	choose keyfunc.Keyfunc
	log    *slog.Logger
	ctx    context.Context // ends the fetching; not a request's
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	loaded  bool      // there have been keys
	failed  bool      // the last fetch did
	tried   time.Time // end of the last fetch
	running chan struct{}
}

func newKeySet(raw string, log *slog.Logger) (*keySet, error) {
	from, err := outbound.New(raw, 2, nil)
	if err != nil {
		return nil, fmt.Errorf("the JWKS: %w", err)
	}
	k := &keySet{from: from, store: jwkset.NewMemoryStorage(), log: log}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	k.choose, err = keyfunc.New(keyfunc.Options{Ctx: k.ctx, Storage: k.store, UseWhitelist: []jwkset.USE{jwkset.UseSig, ""}})
	if err != nil {
		return nil, fmt.Errorf("the JWKS: %w", err)
	}
	return k, nil
}

// start fetches the keys, now and again.
func (k *keySet) start() {
	k.done.Go(func() {
		for {
			wait := keysEvery
			if !k.refresh(k.ctx, 0) {
				wait = keysRetry
			}
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-k.ctx.Done():
				timer.Stop()
				return
			}
		}
	})
}

func (k *keySet) close() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.cancel()
	k.done.Wait()
	k.from.CloseIdle()
}

// key finds the key of a token, by the kid in its header, or all keys if it names none. Header parameters that say where
// a key is (jku, x5u, jwk) are not looked at.
func (k *keySet) key(ctx context.Context, t *jwt.Token) (any, error) {
	key, err := k.choose.KeyfuncCtx(ctx)(t)
	if err == nil && k.has(key) {
		return key, nil
	}
	if err != nil && !errors.Is(err, jwkset.ErrKeyNotFound) {
		return nil, errUnknownKey // its alg is another one, or its kid no text
	}
	if !k.refresh(ctx, keysAtMost) {
		return nil, ErrUnavailable
	}
	key, err = k.choose.KeyfuncCtx(ctx)(t)
	if err != nil || !k.has(key) {
		return nil, errUnknownKey
	}
	return key, nil
}

// has reports whether there is a key at all in what was chosen.
func (k *keySet) has(key any) bool {
	set, several := key.(jwt.VerificationKeySet)
	return !several || len(set.Keys) > 0
}

// refresh fetches the keys, unless that was tried less than spare ago, or waits for who does so already. It reports
// whether the last fetch succeeded.
func (k *keySet) refresh(ctx context.Context, spare time.Duration) bool {
	if running := k.begin(spare); running != nil {
		select {
		case <-running:
		case <-ctx.Done():
			return false
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.loaded && !k.failed
}

// begin begins to fetch the keys, unless somebody does so already, or it was tried less than spare ago. What it returns
// is closed at the end; nil if nobody fetches.
func (k *keySet) begin(spare time.Duration) <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.running == nil {
		if k.closed || !k.tried.IsZero() && time.Since(k.tried) < spare {
			return nil
		}
		k.running = make(chan struct{})
		k.done.Go(k.fetch)
	}
	return k.running
}

// fetch fetches the keys once, and wakes who waits for them.
func (k *keySet) fetch() {
	ctx, cancel := context.WithTimeout(k.ctx, keysWithin)
	defer cancel()
	keys, err := k.get(ctx)
	if err == nil {
		err = k.store.KeyReplaceAll(ctx, keys)
	}
	if err != nil && k.ctx.Err() == nil {
		k.log.Warn("the keys that check tokens could not be fetched (setting `auth.jwt.jwks`)", "url", k.from.String(), "error", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.failed, k.tried = err != nil, time.Now()
	k.loaded = k.loaded || err == nil
	close(k.running)
	k.running = nil
}

// get makes the request. Redirects are not followed.
func (k *keySet) get(ctx context.Context) ([]jwkset.JWK, error) {
	req, err := k.from.Request(ctx, http.MethodGet, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := k.from.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking for the key set: %w", err)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet+1))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return nil, fmt.Errorf("reading the key set: %w", err)
	}
	switch {
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the answer is %d, want 200 and no redirect", resp.StatusCode)
	case len(body) > maxKeySet:
		return nil, fmt.Errorf("the key set has more than %d bytes", maxKeySet)
	}
	return k.parse(body)
}

// parse takes the keys out of a key set that can check a token, and leaves out the others.
func (k *keySet) parse(body []byte) ([]jwkset.JWK, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, errors.New("the answer is not a JSON Web Key Set")
	}
	var keys []jwkset.JWK
	for _, raw := range set.Keys {
		jwk, err := jwkset.NewJWKFromRawJSON(raw, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
		if err == nil {
			_, err = algorithmOf(jwk.Key())
		}
		if err != nil || jwk.Marshal().USE == jwkset.UseEnc {
			continue
		}
		keys = append(keys, jwk)
	}
	if len(keys) == 0 {
		return nil, errors.New("none of its keys can check a token: RSA of 2048 bits or more, P-256, Ed25519")
	}
	return keys, nil
}
