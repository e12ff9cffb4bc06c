package configs

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
)

// A public key may be a file's name or the text itself, which is printed on one line that loads again.
func TestPublicKey(t *testing.T) {
	t.Chdir(t.TempDir())
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	for name, given := range map[string]string{"path": "/etc/key.pem", "text": text, "escaped": strings.ReplaceAll(text, "\n", `\n`)} {
		t.Run(name, func(t *testing.T) {
			want := text
			if name == "path" {
				want = given
			}
			loaded := load(t, "", "CRIER_AUTH_MODE=jwt", "CRIER_AUTH_JWT_PUBLIC_KEY="+given)
			if got := loaded.Config.Auth.JWT.PublicKey; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			var out bytes.Buffer
			if err := loaded.Print(&out); err != nil {
				t.Fatal(err)
			}
			write(t, "again.yaml", out.String())
			if got := load(t, "again.yaml").Config.Auth.JWT.PublicKey; got != want {
				t.Errorf("printed and loaded: %q, want %q", got, want)
			}
		})
	}
}

func TestJWTSecretFile(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "secret", "  a secret, with a comma \n\n")
	loaded := load(t, "", "CRIER_AUTH_MODE=jwt", "CRIER_AUTH_JWT_SECRET_FILE=secret")
	if got := loaded.Config.Auth.JWT.Secret; got != "a secret, with a comma" {
		t.Errorf("got %q", got)
	}
	var out bytes.Buffer
	if err := loaded.Print(&out); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "a secret") {
		t.Errorf("the secret is printed:\n%s", out.String())
	}
}
