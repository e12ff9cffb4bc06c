package hop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// selfSigned returns a certificate for that name that nobody else trusts.
func selfSigned(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	raw, err := x509.CreateCertificate(rand.Reader, of, of, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key, Leaf: leaf}
}

// Servers that have one certificate trust each other, whatever it says; another one's is not trusted.
func TestTrust(t *testing.T) {
	shared, strange := selfSigned(t, "shop.example"), selfSigned(t, "shop.example")
	for name, test := range map[string]struct {
		own    *x509.Certificate
		status int
	}{
		"the same":            {shared.Leaf, http.StatusAccepted},
		"another of the name": {strange.Leaf, http.StatusBadRequest},
		"none of our own":     {nil, http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			o := newTown()
			second := newNode(t, o, "second", nil, echo)
			secure := httptest.NewUnstartedServer(second.server.Config.Handler)
			secure.TLS = &tls.Config{Certificates: []tls.Certificate{shared}}
			secure.StartTLS()
			defer secure.Close()
			first := newNode(t, o, "first2", func(o *Options) { o.Certificate = func() *x509.Certificate { return test.own } }, unknown)
			o.mu.Lock()
			o.owners["second"] = secure.URL
			o.mu.Unlock()
			if got := send(t, "GET", first.url, "", to("second")); got.status != test.status {
				t.Errorf("%+v", got)
			}
			_, _, resp := upgrade(t, first.url, "second")
			if resp.StatusCode != test.status {
				t.Errorf("a WebSocket is answered %d", resp.StatusCode)
			}
			if log := first.log.String(); test.status != http.StatusAccepted && !strings.Contains(log, "cluster.advertise") {
				t.Errorf("the log does not name the setting:\n%s", log)
			}
		})
	}
}
