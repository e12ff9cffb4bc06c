//go:build linux

package stage

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificate writes a self-signed certificate for this machine, and its key, into a folder.
func certificate(dir string) (cert, key string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	public, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return "", "", err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", err
	}
	write := func(name, kind string, bytes []byte) (string, error) {
		f, err := os.CreateTemp(dir, name) // servers that start at the same time have one each
		if err != nil {
			return "", err
		}
		if err := errors.Join(pem.Encode(f, &pem.Block{Type: kind, Bytes: bytes}), f.Close()); err != nil {
			return "", err
		}
		return filepath.Abs(f.Name())
	}
	cert, cerr := write("cert-*.pem", "CERTIFICATE", public)
	key, kerr := write("key-*.pem", "PRIVATE KEY", secret)
	return cert, key, errors.Join(cerr, kerr)
}
