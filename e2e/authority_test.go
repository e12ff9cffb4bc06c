package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// An authority signs certificates, and is trusted by the clients of one test.
type authority struct {
	file        string // its own certificate
	certificate *x509.Certificate
	private     *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{file: filepath.Join(t.TempDir(), "authority.pem"), private: newKey(t), certificate: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the authority of a test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}}
	signed := a.sign(t, a.certificate, a.private)
	var err error
	if a.certificate, err = x509.ParseCertificate(signed); err != nil {
		t.Fatalf("reading the certificate of the authority: %v", err)
	}
	writePEM(t, a.file, "CERTIFICATE", signed)
	return a
}

// files are where a certificate and its key are.
type files struct{ cert, key string }

// issue writes a certificate for 127.0.0.1 with a number into files, over what is there.
func (a *authority) issue(t *testing.T, f files, number int64) {
	t.Helper()
	private := newKey(t)
	certificate := a.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(number), NotBefore: a.certificate.NotBefore, NotAfter: a.certificate.NotAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, private)
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatalf("encoding the key: %v", err)
	}
	writePEM(t, f.cert, "CERTIFICATE", certificate)
	writePEM(t, f.key, "PRIVATE KEY", encoded)
}

// newFiles issues a certificate into files of their own.
func (a *authority) newFiles(t *testing.T) files {
	t.Helper()
	dir := t.TempDir()
	f := files{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	a.issue(t, f, 2)
	return f
}

// sign makes a certificate of the key.
func (a *authority) sign(t *testing.T, template *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	certificate, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.private)
	if err != nil {
		t.Fatalf("making a certificate: %v", err)
	}
	return certificate
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("making a key: %v", err)
	}
	return key
}

func writePEM(t *testing.T, path, kind string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
		t.Fatalf("writing %s: %v", path, err)
	}
}

// pool is for clients in Go.
func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}
