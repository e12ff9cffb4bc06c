package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// keyring has a private key of each kind.
type keyring struct {
	rsa, otherRSA, shortRSA *rsa.PrivateKey
	ec, p384                *ecdsa.PrivateKey
	ed                      ed25519.PrivateKey
}

// newKeyring makes the keys, once.
var newKeyring = sync.OnceValue(func() keyring {
	var k keyring
	var err error
	must := func() {
		if err != nil {
			panic(err)
		}
	}
	k.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	must()
	k.otherRSA, err = rsa.GenerateKey(rand.Reader, 2048)
	must()
	k.shortRSA, err = rsa.GenerateKey(rand.Reader, 1024)
	must()
	k.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must()
	k.p384, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must()
	_, k.ed, err = ed25519.GenerateKey(rand.Reader)
	must()
	return k
})

func publicPEM(t *testing.T, keys ...any) []byte {
	t.Helper()
	var out []byte
	for _, key := range keys {
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})...)
	}
	return out
}

// token signs claims; header parameters are names and values in turn.
func token(t *testing.T, method jwt.SigningMethod, key any, c jwt.MapClaims, header ...string) string {
	t.Helper()
	tok := jwt.NewWithClaims(method, c)
	for i := 0; i < len(header); i += 2 {
		tok.Header[header[i]] = header[i+1]
	}
	text, err := tok.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// good are claims that are right but for the changes; nil takes one out.
func good(changes jwt.MapClaims) jwt.MapClaims {
	c := jwt.MapClaims{"sub": "7", "exp": time.Now().Add(time.Hour).Unix(), "iss": "shop", "aud": "crier", "note": canary}
	for name, value := range changes {
		if c[name] = value; value == nil {
			delete(c, name)
		}
	}
	return c
}

// forge puts a token together by hand.
func forge(header, claims string, sign func(text string) []byte) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	return text + "." + base64.RawURLEncoding.EncodeToString(sign(text))
}

func hs256(key []byte) func(string) []byte {
	return func(text string) []byte {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(text))
		return mac.Sum(nil)
	}
}

func newJWT(t *testing.T, o JWTOptions) *JWT {
	t.Helper()
	if o.Logger == nil {
		o.Logger, _ = logger(t)
	}
	j, err := NewJWT(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	return j
}

func claimsJSON(t *testing.T) string {
	t.Helper()
	data, err := json.Marshal(good(nil))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestSecretTokens(t *testing.T) {
	j := newJWT(t, JWTOptions{Secret: secret, Issuer: "shop", Audience: []string{"crier", "other"}, Leeway: 10 * time.Second})
	key := []byte(secret)
	unsigned := func(string) []byte { return nil }
	hs := func(c jwt.MapClaims, header ...string) string {
		return token(t, jwt.SigningMethodHS256, key, good(c), header...)
	}
	right := hs(nil)
	dots := strings.Split(right, ".")
	now := time.Now()
	tests := []struct {
		name, token string
		want        error
	}{
		{"right", right, nil},
		{"integer for sub", hs(jwt.MapClaims{"sub": 7}), nil},
		{"one of several audiences", hs(jwt.MapClaims{"aud": []string{"x", "other"}}), nil},
		{"nbf within the leeway", hs(jwt.MapClaims{"nbf": now.Add(5 * time.Second).Unix()}), nil},
		{"a kid says nothing", hs(nil, "kid", "../../dev/null"), nil},
		{"alg none", forge(`{"alg":"none"}`, claimsJSON(t), unsigned), ErrRefused},
		{"alg None", forge(`{"alg":"None"}`, claimsJSON(t), unsigned), ErrRefused},
		{"alg none with a signature", forge(`{"alg":"none"}`, claimsJSON(t), hs256(key)), ErrRefused},
		{"alg empty", forge(`{"alg":""}`, claimsJSON(t), hs256(key)), ErrRefused},
		{"alg missing", forge(`{"typ":"JWT"}`, claimsJSON(t), hs256(key)), ErrRefused},
		{"alg of no text", forge(`{"alg":["HS256"]}`, claimsJSON(t), hs256(key)), ErrRefused},
		{"alg twice, none last", forge(`{"alg":"HS256","alg":"none"}`, claimsJSON(t), unsigned), ErrRefused},
		{"crit", forge(`{"alg":"HS256","crit":["b64"],"b64":false}`, claimsJSON(t), hs256(key)), ErrRefused},
		{"HS512", token(t, jwt.SigningMethodHS512, key, good(nil)), ErrRefused},
		{"HS384", token(t, jwt.SigningMethodHS384, key, good(nil)), ErrRefused},
		{"RS256", token(t, jwt.SigningMethodRS256, newKeyring().rsa, good(nil)), ErrRefused},
		{"another secret", token(t, jwt.SigningMethodHS256, []byte("another"), good(nil)), ErrRefused},
		{"empty secret", token(t, jwt.SigningMethodHS256, []byte{}, good(nil)), ErrRefused},
		{"no signature", dots[0] + "." + dots[1] + ".", ErrRefused},
		{"truncated", right[:len(right)-2], ErrRefused},
		{"two parts", dots[0] + "." + dots[1], ErrRefused},
		{"four parts", right + ".x", ErrRefused},
		{"claims of another token", dots[0] + "." + strings.Split(hs(jwt.MapClaims{"sub": "8"}), ".")[1] + "." + dots[2], ErrRefused},
		{"empty", "", ErrRefused},
		{"no token", "sesame, open", ErrRefused},
		{"padded", dots[0] + "=." + dots[1] + "." + dots[2], ErrRefused},
		{"a blank before", " " + right, ErrRefused},
		{"a line break behind", right + "\n", ErrRefused},
		{"huge", hs(jwt.MapClaims{"x": strings.Repeat("x", 20000)}), ErrRefused},
		{"expired", hs(jwt.MapClaims{"exp": now.Add(-time.Hour).Unix()}), ErrExpired},
		{"expired just now, in spite of the leeway", hs(jwt.MapClaims{"exp": now.Add(-time.Second).Unix()}), ErrExpired},
		{"no exp", hs(jwt.MapClaims{"exp": nil}), ErrRefused},
		{"exp of null", forge(`{"alg":"HS256"}`, `{"sub":"7","iss":"shop","aud":"crier","exp":null}`, hs256(key)), ErrRefused},
		{"exp as text", hs(jwt.MapClaims{"exp": "tomorrow " + canary}), ErrRefused},
		{"exp of zero", hs(jwt.MapClaims{"exp": 0}), ErrExpired},
		{"nbf", hs(jwt.MapClaims{"nbf": now.Add(time.Hour).Unix()}), ErrRefused},
		{"wrong issuer", hs(jwt.MapClaims{"iss": "other"}), ErrRefused},
		{"wrong issuer and expired", hs(jwt.MapClaims{"iss": "other", "exp": now.Add(-time.Hour).Unix()}), ErrRefused},
		{"no issuer", hs(jwt.MapClaims{"iss": nil}), ErrRefused},
		{"wrong audience", hs(jwt.MapClaims{"aud": "elsewhere"}), ErrRefused},
		{"no audience", hs(jwt.MapClaims{"aud": nil}), ErrRefused},
		{"no sub", hs(jwt.MapClaims{"sub": nil}), ErrRefused},
		{"empty sub", hs(jwt.MapClaims{"sub": ""}), ErrRefused},
		{"sub of null", hs(jwt.MapClaims{"sub": json.RawMessage("null")}), ErrRefused},
		{"sub with a fraction", hs(jwt.MapClaims{"sub": 7.5}), ErrRefused},
		{"sub of an array", hs(jwt.MapClaims{"sub": []string{"7"}}), ErrRefused},
		{"rooms of no texts", hs(jwt.MapClaims{"rooms": []int{1}}), ErrRefused},
		{"names of claims in other letters beside", forge(`{"alg":"HS256"}`, claimsJSON(t)[:len(claimsJSON(t))-1]+
			`,"SUB":"8","ſub":"9","Exp":1,"AUD":"elsewhere","Iss":"other","Rooms":7}`, hs256(key)), nil},
		{"sub in other letters", hs(jwt.MapClaims{"sub": nil, "Sub": "8"}), ErrRefused},
		{"exp in other letters", hs(jwt.MapClaims{"exp": nil, "EXP": now.Add(time.Hour).Unix()}), ErrRefused},
		{"iss in other letters", hs(jwt.MapClaims{"iss": nil, "Iss": "shop"}), ErrRefused},
		{"claims that are an array", forge(`{"alg":"HS256"}`, `[]`, hs256(key)), ErrRefused},
		{"claims that are null", forge(`{"alg":"HS256"}`, `null`, hs256(key)), ErrRefused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id, err := authenticate(t, j, tt.token)
			wantError(t, err, tt.want)
			if err == nil && id.UID != "7" {
				t.Errorf("uid %q", id.UID)
			}
		})
	}
}

// A public key is text that everybody has: it must be no secret of HS256.
func TestPublicKeyTokens(t *testing.T) {
	k := newKeyring()
	text := publicPEM(t, &k.rsa.PublicKey, &k.ec.PublicKey, k.ed.Public())
	all := newJWT(t, JWTOptions{PublicKey: text})
	onlyRSA := newJWT(t, JWTOptions{PublicKey: publicPEM(t, &k.otherRSA.PublicKey, &k.rsa.PublicKey)})
	narrowed := newJWT(t, JWTOptions{PublicKey: text, Algorithms: []string{EdDSA}})
	rs := token(t, jwt.SigningMethodRS256, k.rsa, good(nil))
	es := token(t, jwt.SigningMethodES256, k.ec, good(nil))
	ed := token(t, jwt.SigningMethodEdDSA, k.ed, good(nil))
	der, err := x509.MarshalPKIXPublicKey(&k.rsa.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	jwkHeader := fmt.Sprintf(`{"alg":"RS256","jwk":{"kty":"RSA","e":"AQAB","n":%q},"jku":"http://127.0.0.1:1/","x5u":"http://127.0.0.1:1/"}`,
		base64.RawURLEncoding.EncodeToString(k.shortRSA.N.Bytes()))
	own := func(text string) []byte {
		sig, err := jwt.SigningMethodRS256.Sign(text, k.shortRSA)
		if err != nil {
			t.Fatal(err)
		}
		return sig
	}
	tests := []struct {
		name  string
		j     *JWT
		token string
		want  error
	}{
		{"RS256", all, rs, nil},
		{"ES256", all, es, nil},
		{"EdDSA", all, ed, nil},
		{"the second of two RSA keys", onlyRSA, rs, nil},
		{"ES256 without such a key", onlyRSA, es, ErrRefused},
		{"RS256 left out", narrowed, rs, ErrRefused},
		{"EdDSA alone", narrowed, ed, nil},
		{"HS256 with the PEM text", all, forge(`{"alg":"HS256"}`, claimsJSON(t), hs256(text)), ErrRefused},
		{"HS256 with the DER bytes", all, forge(`{"alg":"HS256"}`, claimsJSON(t), hs256(der)), ErrRefused},
		{"HS256 with the modulus", all, forge(`{"alg":"HS256"}`, claimsJSON(t), hs256(k.rsa.N.Bytes())), ErrRefused},
		{"none", all, forge(`{"alg":"none"}`, claimsJSON(t), func(string) []byte { return nil }), ErrRefused},
		{"RS512", all, token(t, jwt.SigningMethodRS512, k.rsa, good(nil)), ErrRefused},
		{"PS256", all, token(t, jwt.SigningMethodPS256, k.rsa, good(nil)), ErrRefused},
		{"another key", all, token(t, jwt.SigningMethodRS256, k.otherRSA, good(nil)), ErrRefused},
		{"a key in the header", all, forge(jwkHeader, claimsJSON(t), own), ErrRefused},
		{"ES256 of zeros", all, forge(`{"alg":"ES256"}`, claimsJSON(t), func(string) []byte { return make([]byte, 64) }), ErrRefused},
		{"ES256 in DER", all, forge(`{"alg":"ES256"}`, claimsJSON(t), func(text string) []byte {
			sum := sha256.Sum256([]byte(text))
			sig, err := ecdsa.SignASN1(rand.Reader, k.ec, sum[:])
			if err != nil {
				t.Fatal(err)
			}
			return sig
		}), ErrRefused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := authenticate(t, tt.j, tt.token)
			wantError(t, err, tt.want)
		})
	}
}

func TestIdentity(t *testing.T) {
	j := newJWT(t, JWTOptions{Secret: secret, Issuer: "i", Audience: []string{"a"}})
	want := Identity{UID: "中文", Rooms: []string{"r1", "r2"}, Expires: time.Now().Add(time.Minute).Truncate(time.Second)}
	signed, err := Sign(SignOptions{Secret: secret, Issuer: "i", Audience: "a"}, want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := authenticate(t, j, signed)
	if err != nil || got.UID != want.UID || !slices.Equal(got.Rooms, want.Rooms) || !got.Expires.Equal(want.Expires) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, id := range []Identity{{UID: "7"}, {Expires: want.Expires}} {
		if _, err := Sign(SignOptions{Secret: secret}, id); err == nil {
			t.Errorf("signed %+v", id)
		}
	}
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJWT(t, JWTOptions{Secret: secret, Leeway: time.Minute})
		tok := token(t, jwt.SigningMethodHS256, []byte(secret), good(nil))
		time.Sleep(time.Hour - time.Nanosecond)
		_, err := authenticate(t, j, tok)
		wantError(t, err, nil)
		time.Sleep(time.Nanosecond)
		_, err = authenticate(t, j, tok)
		wantError(t, err, ErrExpired)
	})
}

func TestBadJWTOptions(t *testing.T) {
	k := newKeyring()
	private, err := x509.MarshalPKCS8PrivateKey(k.ed)
	if err != nil {
		t.Fatal(err)
	}
	public := publicPEM(t, &k.rsa.PublicKey)
	tests := []struct {
		name string
		o    JWTOptions
		want string
	}{
		{"nothing", JWTOptions{}, "exactly one of"},
		{"two", JWTOptions{Secret: secret, PublicKey: public}, "exactly one of"},
		{"no PEM", JWTOptions{PublicKey: []byte(canary)}, "no public key in PEM form"},
		{"broken", JWTOptions{PublicKey: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte(canary)})}, "cannot be read"},
		{"private key", JWTOptions{PublicKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})}, "private key"},
		{"other block", JWTOptions{PublicKey: pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: []byte("x")})}, "neither a PUBLIC KEY nor"},
		{"short RSA", JWTOptions{PublicKey: publicPEM(t, &k.shortRSA.PublicKey)}, "1024 bits"},
		{"P-384", JWTOptions{PublicKey: publicPEM(t, &k.p384.PublicKey)}, "not on the curve P-256"},
		{"HS256 with a public key", JWTOptions{PublicKey: public, Algorithms: []string{HS256}}, `"HS256" is not one for this kind of key`},
		{"RS256 with a secret", JWTOptions{Secret: secret, Algorithms: []string{RS256}}, `"RS256" is not one for this kind of key`},
		{"ES256 with an RSA key", JWTOptions{PublicKey: public, Algorithms: []string{ES256}}, `"ES256" is not one for this kind of key`},
		{"none", JWTOptions{Secret: secret, Algorithms: []string{"none"}}, `"none" is not one`},
		{"a URL that is none", JWTOptions{JWKS: "ftp://u:" + canary + "@h/"}, "the URL is not of the form"},
		{"negative leeway", JWTOptions{Secret: secret, Leeway: -1}, "leeway"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewJWT(tt.o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			discreet(t, err)
		})
	}
}

func TestCertificateAndPKCS1(t *testing.T) {
	k := newKeyring()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: k.rsa.N, NotAfter: time.Now()}, &x509.Certificate{}, &k.rsa.PublicKey, k.rsa)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range []*pem.Block{{Type: "CERTIFICATE", Bytes: der}, {Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&k.rsa.PublicKey)}} {
		j := newJWT(t, JWTOptions{PublicKey: pem.EncodeToMemory(block)})
		_, err := authenticate(t, j, token(t, jwt.SigningMethodRS256, k.rsa, good(nil)))
		wantError(t, err, nil)
	}
}

func FuzzToken(f *testing.F) {
	j, err := NewJWT(JWTOptions{Secret: secret})
	if err != nil {
		f.Fatal(err)
	}
	signed, err := Sign(SignOptions{Secret: secret}, Identity{UID: "7", Expires: time.Now().Add(time.Hour)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signed)
	f.Add("a.b.c")
	f.Add(forge(`{"alg":"none"}`, `{"sub":"7"}`, func(string) []byte { return nil }))
	f.Fuzz(func(t *testing.T, text string) {
		if id, err := j.Authenticate(t.Context(), Request{Token: text}); err == nil && (text != signed || id.UID != "7") {
			t.Errorf("%q is taken, for %+v", text, id)
		}
	})
}
