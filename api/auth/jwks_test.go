package auth

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func rsaJWK(n *big.Int, kid, more string) string {
	return fmt.Sprintf(`{"kty":"RSA","e":"AQAB","n":%q,"kid":%q%s}`, b64(n.Bytes()), kid, more)
}

// issuer publishes a key set, with what can go wrong.
type issuer struct {
	*httptest.Server
	set    atomic.Pointer[string]
	status atomic.Int32
	asked  atomic.Int32
	other  atomic.Int32 // requests for anything else
}

func newIssuer(t *testing.T, keys ...string) *issuer {
	t.Helper()
	i := &issuer{}
	i.status.Store(http.StatusOK)
	i.publish(keys...)
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if r.URL.Path != "/jwks" || r.URL.RawQuery != "k="+canary || user != "u" || password != canary {
			i.other.Add(1)
		}
		i.asked.Add(1)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(int(i.status.Load()))
		if _, err := w.Write([]byte(*i.set.Load())); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(i.Close)
	t.Cleanup(func() {
		if i.other.Load() > 0 {
			t.Error("something else was asked for")
		}
	})
	return i
}

func (i *issuer) publish(keys ...string) {
	set := `{"keys":[` + strings.Join(keys, ",") + `]}`
	i.set.Store(&set)
}

func (i *issuer) address() string {
	return strings.Replace(i.URL, "http://", "http://u:"+canary+"@", 1) + "/jwks?k=" + canary
}

func TestJWKS(t *testing.T) {
	k := newKeyring()
	public, err := k.ec.PublicKey.Bytes() // 4, x, y
	if err != nil {
		t.Fatal(err)
	}
	i := newIssuer(
		t,
		rsaJWK(k.rsa.N, "r", `,"alg":"RS256","use":"sig"`),
		fmt.Sprintf(`{"kty":"EC","crv":"P-256","kid":"e","x":%q,"y":%q}`, b64(public[1:33]), b64(public[33:])),
		fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","kid":"d","x":%q}`, b64(k.ed[32:])),
		fmt.Sprintf(`{"kty":"oct","kid":"o","k":%q}`, b64([]byte(secret))),
		rsaJWK(k.otherRSA.N, "enc", `,"use":"enc"`),
		rsaJWK(k.shortRSA.N, "short", ""),
		`{"kty":"new","kid":"n"}`,
	)
	foreign := newIssuer(t, rsaJWK(k.otherRSA.N, "foreign", ""))
	j := newJWT(t, JWTOptions{JWKS: i.address(), Issuer: "shop"})
	there := newJWT(t, JWTOptions{JWKS: foreign.address(), Issuer: "shop"})
	rs, hs := jwt.SigningMethodRS256, jwt.SigningMethodHS256
	tests := []struct {
		name, token string
		want        error
	}{
		{"RS256", token(t, rs, k.rsa, good(nil), "kid", "r"), nil},
		{"RS256 without a kid", token(t, rs, k.rsa, good(nil)), nil},
		{"ES256", token(t, jwt.SigningMethodES256, k.ec, good(nil), "kid", "e"), nil},
		{"EdDSA", token(t, jwt.SigningMethodEdDSA, k.ed, good(nil), "kid", "d"), nil},
		{"a kid of another key", token(t, rs, k.rsa, good(nil), "kid", "e"), ErrRefused},
		{"a kid of another issuer", token(t, rs, k.otherRSA, good(nil), "kid", "foreign"), ErrRefused},
		{"our kid, another issuer's key", token(t, rs, k.otherRSA, good(nil), "kid", "r"), ErrRefused},
		{"another issuer's key without a kid", token(t, rs, k.otherRSA, good(nil)), ErrRefused},
		{"another iss", token(t, rs, k.rsa, good(jwt.MapClaims{"iss": "x"}), "kid", "r"), ErrRefused},
		{"another issuer's address", token(t, rs, k.otherRSA, good(nil), "kid", "foreign", "jku", foreign.address(), "x5u", foreign.address()), ErrRefused},
		{"a kid that is an address", token(t, rs, k.otherRSA, good(nil), "kid", foreign.address()), ErrRefused},
		{"HS256 with the set's own secret", token(t, hs, []byte(secret), good(nil), "kid", "o"), ErrRefused},
		{"HS256 with a public key", token(t, hs, k.rsa.N.Bytes(), good(nil), "kid", "r"), ErrRefused},
		{"a key for encryption", token(t, rs, k.otherRSA, good(nil), "kid", "enc"), ErrRefused},
		{"a short key", token(t, rs, k.shortRSA, good(nil), "kid", "short"), ErrRefused},
		{"another algorithm than the key's", token(t, jwt.SigningMethodPS256, k.rsa, good(nil), "kid", "r"), ErrRefused},
		{"a kid of no text", forge(`{"alg":"RS256","kid":7}`, claimsJSON(t), hs256([]byte("x"))), ErrRefused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := authenticate(t, j, tt.token)
			wantError(t, err, tt.want)
		})
	}
	_, err = authenticate(t, there, token(t, rs, k.otherRSA, good(nil), "kid", "foreign"))
	wantError(t, err, nil)
	if asked := i.asked.Load() + foreign.asked.Load(); asked != 2 {
		t.Errorf("the key sets were asked for %d times, want once each", asked)
	}
}

// The host of the keys may be down at the start, and later: that is nobody's fault but passes.
func TestJWKSFailures(t *testing.T) {
	k := newKeyring()
	first := token(t, jwt.SigningMethodRS256, k.rsa, good(nil), "kid", "a")
	second := token(t, jwt.SigningMethodRS256, k.otherRSA, good(nil), "kid", "b")
	i := newIssuer(t, rsaJWK(k.rsa.N, "a", ""))
	i.status.Store(http.StatusFound)
	log, book := logger(t)
	j := newJWT(t, JWTOptions{JWKS: i.address(), Logger: log})
	// again lets the next unknown key be asked for.
	again := func() {
		j.fetched.mu.Lock()
		defer j.fetched.mu.Unlock()
		j.fetched.tried = time.Now().Add(-keysAtMost)
	}
	check := func(name, token string, want error) {
		t.Helper()
		t.Log(name)
		_, err := authenticate(t, j, token)
		wantError(t, err, want)
	}
	check("down", first, ErrUnavailable)
	asked := i.asked.Load()
	check("down, soon after", first, ErrUnavailable)
	if i.asked.Load() != asked {
		t.Error("asked for again at once")
	}
	i.status.Store(http.StatusOK)
	for _, bad := range []string{"no JSON", `{"keys":{}}`, `{"keys":[]}`, strings.Repeat(" ", maxKeySet) + "{}"} {
		i.set.Store(&bad)
		again()
		check("a set of no use", first, ErrUnavailable)
	}
	i.publish(rsaJWK(k.rsa.N, "a", ""))
	again()
	check("up", first, nil)
	check("a key that is not there", second, ErrRefused)
	i.publish(rsaJWK(k.otherRSA.N, "b", ""))
	again()
	check("a new key", second, nil)
	check("the old key is taken back", first, ErrRefused)
	i.status.Store(http.StatusBadGateway)
	again()
	check("down again, a key not known", first, ErrUnavailable)
	check("down again, a known key", second, nil)
	if text := book.String(); !strings.Contains(text, "could not be fetched") || !strings.Contains(text, "the answer is 302") {
		t.Errorf("nothing in the log:\n%s", text)
	}
}

// A host that does not answer holds up neither the start nor, past its patience, a login.
func TestJWKSSilent(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(release)
	j := newJWT(t, JWTOptions{JWKS: server.URL})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := j.Authenticate(ctx, Request{Token: token(t, jwt.SigningMethodRS256, newKeyring().rsa, good(nil), "kid", "a")})
	wantError(t, err, ErrUnavailable)
	j.Close()
}

// FuzzKeySet: every key that is taken is of one of the algorithms, whatever its numbers are; it checks a token without harm, says that one that nobody
// has signed is none, and reads the same when it is written again.
func FuzzKeySet(f *testing.F) {
	point := func(key *ecdsa.PublicKey) (x, y string) {
		raw, err := key.Bytes()
		if err != nil {
			f.Fatal(err)
		}
		return b64(raw[1:33]), b64(raw[33:])
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	x, y := point(&key.PublicKey)
	large := new(big.Int).Lsh(big.NewInt(1), 2047)
	for _, one := range []string{
		rsaJWK(large, "r", ""), rsaJWK(new(big.Int).SetBit(large, 0, 1), "r", `,"alg":"RS256","use":"sig"`), rsaJWK(big.NewInt(15), "small", ""),
		strings.Replace(rsaJWK(large, "r", ""), "AQAB", "AA", 1), strings.Replace(rsaJWK(large, "r", ""), "AQAB", "_____________w", 1), strings.Replace(rsaJWK(large, "r", ""), "AQAB", "", 1),
		`{"kty":"EC","crv":"P-256","x":"` + x + `","y":"` + y + `","kid":"e"}`, `{"kty":"EC","crv":"P-256","x":"` + y + `","y":"` + x + `"}`, `{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}`,
		`{"kty":"EC","crv":"P-521","x":"` + x + `","y":"` + y + `"}`, `{"kty":"EC","crv":"P-256","x":"` + x + x + `","y":"` + y + `"}`,
		`{"kty":"OKP","crv":"Ed25519","x":"` + x + `"}`, `{"kty":"OKP","crv":"Ed25519","x":"AA"}`, `{"kty":"OKP","crv":"X25519","x":"` + x + `"}`, `{"kty":"oct","k":"AAAA"}`, `{"kty":"EC"}`, `{}`, `null`, `1`,
	} {
		f.Add([]byte(`{"keys":[` + one + `]}`))
	}
	hash := sha256.Sum256([]byte("a token"))
	f.Fuzz(func(t *testing.T, body []byte) {
		keys, err := new(keySet).parse(body)
		if err != nil {
			return
		}
		for _, one := range keys {
			text, err := json.Marshal(one.Marshal())
			if err != nil {
				t.Fatal(err)
			}
			again, err := new(keySet).parse([]byte(`{"keys":[` + string(text) + `]}`))
			if err != nil {
				t.Fatalf("%q is read as %s: %v", body, text, err)
			}
			good := false
			switch key := one.Key().(type) {
			case *rsa.PublicKey:
				good = rsa.VerifyPKCS1v15(key, crypto.SHA256, hash[:], make([]byte, key.Size())) == nil || !key.Equal(again[0].Key())
			case *ecdsa.PublicKey:
				good = ecdsa.Verify(key, hash[:], big.NewInt(1), big.NewInt(1)) || !key.Equal(again[0].Key())
			case ed25519.PublicKey:
				good = len(key) != ed25519.PublicKeySize || ed25519.Verify(key, hash[:], append(bytes.Repeat([]byte{1}, 32), make([]byte, 32)...)) || !key.Equal(again[0].Key())
			default:
				t.Fatalf("%q gives the key %v", body, key)
			}
			if good {
				t.Errorf("%q gives the key %s, which takes what nobody has signed, or is read again as %v", body, text, again[0].Key())
			}
		}
	})
}
