package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// selfSigned writes a certificate for 127.0.0.1 and its key, and returns their paths.
func selfSigned(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("making a key: %v", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatalf("making a certificate: %v", err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatalf("encoding the key: %v", err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: certificate},
		key:  {Type: "PRIVATE KEY", Bytes: encoded},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatalf("writing %s: %v", path, err)
		}
	}
	return cert, key
}

// TestTLS has clients connect over native TLS.
func TestTLS(t *testing.T) {
	t.Parallel()
	cert, key := selfSigned(t)
	crier := startCrier(t, settings{"tls.cert": cert, "tls.key": key})
	d := startDriver(t)
	for _, c := range mainClients[1:] {
		for _, r := range routes {
			uid := c.lib + " by " + r.name
			s := d.open(t, uid, opening{
				client: c, route: r, url: "https://" + crier.public, login: uid,
				options: map[string]any{"rejectUnauthorized": false},
			})
			s.loggedIn(t)
			crier.deliver(t, uid, hard)
			s.until(t, hard)
			if r.upgrades() {
				s.await(t, happening{On: "upgrade"})
				crier.deliver(t, uid, "upgraded")
				s.until(t, "upgraded")
			}
		}
	}
}
