package app

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"crier/api/auth"
	"crier/configs"
)

// knows reports whether the server lets in who brings the token.
func (p *program) knows(token string) bool {
	p.t.Helper()
	pg := p.open("")
	defer pg.leave()
	return pg.ack(`["login",null,"` + token + `"]`).OK
}

func TestReloadSecret(t *testing.T) {
	p := start(t, withJWT)
	before := sign(t, "7", time.Hour)
	with := func(secret string) string {
		token, err := auth.Sign(auth.SignOptions{Secret: secret}, auth.Identity{UID: "8", Expires: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	changed := settings()
	withJWT(changed)
	changed.Auth.JWT.Secret = canary + ", another secret of more than thirty-two bytes"
	after := with(changed.Auth.JWT.Secret)
	stays := p.open(`{"token":"` + before + `"}`)
	same(t, "the new one, before", p.knows(after), false)
	if err := p.Reload(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	same(t, "the new one", p.knows(after), true)
	same(t, "the old one", p.knows(before), false)
	same(t, "push", p.push("7", "hi"), "ok")
	stays.want(`42["new_msg","hi"]`)

	for name, spoil := range map[string]func(*configs.Config){
		"a key": func(c *configs.Config) { c.Auth.JWT.Secret, c.Auth.JWT.PublicKey = "", "/nowhere/key.pem" },
		"jwks":  func(c *configs.Config) { c.Auth.JWT.Secret, c.Auth.JWT.JWKS = "", "http://127.0.0.1:1/?k="+canary },
		"hosts": func(c *configs.Config) { c.API.Hosts = []string{"a/b"} },
		"right": func(c *configs.Config) { c.API.Limited = []configs.APIKey{{Key: canary, Rights: []string{"x"}}} },
	} {
		bad := settings()
		withJWT(bad)
		spoil(bad)
		if err := p.Reload(t.Context(), bad); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: Reload: %v", name, err)
		}
		same(t, "after a refused reload: "+name, p.knows(after), true)
		same(t, "before, after a refused reload: "+name, p.knows(before), false)
	}
	open := settings() // another mode needs a restart
	if err := p.Reload(t.Context(), open); err != nil {
		t.Fatal(err)
	}
	same(t, "in the same mode", p.knows(after), true)
	same(t, "the settings that need a restart", strings.Join(p.NeedRestart(open), " "), "auth.mode")
	same(t, "the canary is in the log", strings.Contains(p.log.String(), canary), false)
}

// The file of a public key is read again, under the same name.
func TestReloadPublicKey(t *testing.T) {
	file := t.TempDir() + "/key.pem"
	issue := func() string {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return signWith(t, jwt.SigningMethodEdDSA, private, "")
	}
	before := issue()
	p := start(t, func(c *configs.Config) { c.Auth.Mode, c.Auth.JWT.PublicKey = "jwt", file })
	after := issue()
	same(t, "the old one, before", p.knows(before), true)
	if err := p.Reload(t.Context(), p.cfg); err != nil {
		t.Fatal(err)
	}
	same(t, "the old one", p.knows(before), false)
	same(t, "the new one", p.knows(after), true)
	if err := os.WriteFile(file, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.Reload(t.Context(), p.cfg); err == nil {
		t.Error("Reload took a file without a key")
	}
	same(t, "after a refused reload", p.knows(after), true)
}

// signWith makes a token for 7.
func signWith(t *testing.T, method jwt.SigningMethod, key any, kid string) string {
	t.Helper()
	token := jwt.NewWithClaims(method, jwt.MapClaims{"sub": "7", "exp": time.Now().Add(time.Hour).Unix()})
	if kid != "" {
		token.Header["kid"] = kid
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// publisher publishes one key at a time as a JWKS.
type publisher struct {
	*httptest.Server
	set   atomic.Pointer[string]
	asked atomic.Int32
}

func newPublisher(t *testing.T) *publisher {
	t.Helper()
	b := &publisher{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		defer b.asked.Add(1)
		if _, err := w.Write([]byte(*b.set.Load())); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(b.Close)
	return b
}

// issue publishes a new key, and returns a token that it checks.
func (b *publisher) issue(t *testing.T, kid string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	set := fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","kid":%q,"x":%q,"y":%q}]}`, kid, b64(point[1:33]), b64(point[33:]))
	b.set.Store(&set)
	return signWith(t, jwt.SigningMethodES256, key, kid)
}

// A JWKS is fetched again, so that a key that was taken from it does not count any more; one at another address counts
// once it is there.
func TestReloadJWKS(t *testing.T) {
	b := newPublisher(t)
	before := b.issue(t, "a")
	p := start(t, func(c *configs.Config) { c.Auth.Mode, c.Auth.JWT.JWKS = "jwt", b.URL })
	same(t, "the first", p.knows(before), true)
	after := b.issue(t, "b")
	same(t, "the first while nobody looks", p.knows(before), true)
	asked := b.asked.Load()
	if err := p.Reload(t.Context(), p.cfg); err != nil {
		t.Fatal(err)
	}
	await(t, "fetching", func() bool { return b.asked.Load() > asked })
	await(t, "the end of the first", func() bool { return !p.knows(before) })
	same(t, "the second", p.knows(after), true)

	other := newPublisher(t)
	moved := other.issue(t, "c")
	changed := settings()
	changed.Auth.Mode, changed.Auth.JWT.JWKS = "jwt", other.URL
	if err := p.Reload(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	same(t, "that of the other address", p.knows(moved), true)
	same(t, "the second", p.knows(after), false)
	other.Close()
	if err := p.Reload(t.Context(), changed); err != nil { // it stays in force while it cannot be fetched
		t.Error(err)
	}
	same(t, "that of an address that is gone", p.knows(moved), true)
	changed = settings()
	changed.Auth.Mode, changed.Auth.JWT.JWKS = "jwt", other.URL+"/new"
	if err := p.Reload(t.Context(), changed); err == nil {
		t.Error("Reload took a JWKS that is not there")
	}
	same(t, "after a refused reload", p.knows(moved), true)
}
