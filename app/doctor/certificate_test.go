package doctor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"crier/configs"
)

// issue writes a certificate that is good for a time, signed by itself, and its key.
func issue(t *testing.T, from, to time.Time) configs.TLS {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shop.test"}, NotBefore: from, NotAfter: to}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	files := configs.TLS{Cert: filepath.Join(t.TempDir(), "cert.pem"), Key: filepath.Join(t.TempDir(), "key.pem")}
	for path, block := range map[string]*pem.Block{
		files.Cert: {Type: "CERTIFICATE", Bytes: certificate},
		files.Key:  {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func TestCertificate(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	stranger := Finding{Warning, "tls.cert", `is signed by "CN=shop.test", which this machine does not trust`}
	only(t, certificate(configs.TLS{}, now))
	for _, test := range []struct {
		name     string
		from, to time.Duration
		want     []Finding
	}{
		{"good", -day, 90 * day, []Finding{{Fine, "tls.cert", "is good until 2026-07-30 12:00 UTC"}, stranger}},
		{"to be renewed", -day, 13 * day, []Finding{{Warning, "tls.cert", "ends 2026-05-14 12:00 UTC: renew it"}, stranger}},
		{"over", -2 * day, -day, []Finding{{Wrong, "tls.cert", "ended 2026-04-30 12:00 UTC, and browsers refuse it"}}},
		{"not yet", day, 2 * day, []Finding{{Wrong, "tls.cert", "is not good before 2026-05-02 12:00 UTC"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			only(t, certificate(issue(t, now.Add(test.from), now.Add(test.to)), now), test.want...)
		})
	}
	t.Run("another's key", func(t *testing.T) {
		files := issue(t, now, now.Add(day))
		files.Key = issue(t, now, now.Add(day)).Key
		only(t, certificate(files, now), Finding{Wrong, "tls.cert", "private key does not match public key; tls.cert and tls.key must be"})
	})
	t.Run("no file", func(t *testing.T) {
		only(t, certificate(configs.TLS{Cert: "nowhere.pem", Key: "nowhere.pem"}, now), Finding{Wrong, "tls.cert", "no such file"})
	})
	t.Run("a key for everybody", func(t *testing.T) {
		files := issue(t, now, now.Add(90*day))
		if err := os.Chmod(files.Key, 0o644); err != nil {
			t.Fatal(err)
		}
		only(t, certificate(files, now), Finding{Fine, "tls.cert", ""}, stranger, Finding{Warning, "tls.key", "chmod o="})
	})
}
