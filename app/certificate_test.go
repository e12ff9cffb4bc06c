package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"crier/configs"
)

// pair is where a server's certificate and key are.
type pair struct {
	cert, key string
	written   int
}

func newPair(t *testing.T, serial int64) *pair {
	t.Helper()
	dir := t.TempDir()
	p := &pair{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	p.issue(t, serial)
	return p
}

// issue writes a new self-signed certificate for 127.0.0.1.
func (p *pair) issue(t *testing.T, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: "test"},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, p.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
	p.write(t, p.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

// write writes a file whose time is later than that of all before.
func (p *pair) write(t *testing.T, path string, data []byte) {
	t.Helper()
	p.written++
	at := time.Date(2030, 1, 1, 0, 0, p.written, 0, time.UTC)
	err := os.WriteFile(path, data, 0o600)
	if err == nil {
		err = os.Chtimes(path, at, at)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// trust is a client's settings that accept what is in the file now.
func (p *pair) trust(t *testing.T) *tls.Config {
	t.Helper()
	data, err := os.ReadFile(p.cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(data)
	return &tls.Config{RootCAs: roots}
}

// serial is the number of the certificate that a server shows to a new connection.
func serial(t *testing.T, addr string) int64 {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

func TestTLS(t *testing.T) {
	files := newPair(t, 1)
	p := start(t, func(c *configs.Config) { c.TLS.Cert, c.TLS.Key = files.cert, files.key })
	config := files.trust(t)
	pg := dial(t, "wss", p.Addr(), "EIO=4&uid=7", config)
	pg.join("")
	same(t, "push, which goes without TLS", p.push("7", "hi"), "ok")
	pg.want(`42["new_msg","hi"]`)

	for _, h2 := range []bool{false, true} {
		transport := &http.Transport{TLSClientConfig: config.Clone(), ForceAttemptHTTP2: h2}
		if !h2 {
			transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
		}
		p.http.Transport = transport
		resp := p.do("GET", "https://"+p.Addr()+"/socket.io/?EIO=4&transport=polling", "")
		same(t, "polling over TLS", resp.status, 200)
		transport.CloseIdleConnections()
	}
	p.http.Transport = &http.Transport{}
	old := config.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if conn, err := tls.Dial("tcp", p.Addr(), old); err == nil {
		t.Errorf("TLS 1.1 is spoken: %v", conn.Close())
	}
	same(t, "plain HTTP", p.do("GET", "http://"+p.Addr()+"/", "").status, 400)

	// A new certificate is for new connections; those there are stay.
	files.issue(t, 2)
	same(t, "serial before the reload", serial(t, p.Addr()), 1)
	if err := p.Reload(t.Context(), p.cfg); err != nil {
		t.Fatal(err)
	}
	same(t, "serial", serial(t, p.Addr()), 2)
	pg.wantNothing()

	files.write(t, files.key, []byte("not a key"))
	if err := p.Reload(t.Context(), p.cfg); err == nil || !strings.Contains(err.Error(), files.key) {
		t.Errorf("Reload of a broken key: %v", err)
	}
	same(t, "serial", serial(t, p.Addr()), 2)
}

// The files are looked at every ten seconds.
func TestCertificateFollowsFiles(t *testing.T) {
	files := newPair(t, 1)
	log := &logBook{}
	synctest.Test(t, func(t *testing.T) {
		c, err := newCertificate(files.cert, files.key, slog.New(slog.NewTextHandler(log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		shown := func() int64 {
			t.Helper()
			cert, err := c.get(nil)
			if err != nil {
				t.Fatal(err)
			}
			return cert.Leaf.SerialNumber.Int64()
		}
		same(t, "at first", shown(), 1)
		first := c.current
		time.Sleep(checkInterval)
		same(t, "unchanged", shown(), 1)
		same(t, "read again", c.current == first, true)

		files.issue(t, 2)
		same(t, "not looked at yet", shown(), 1)
		time.Sleep(checkInterval)
		same(t, "changed", shown(), 2)

		files.write(t, files.cert, []byte("half a certifi"))
		time.Sleep(checkInterval)
		same(t, "broken", shown(), 2)
		if text := log.String(); strings.Count(text, "the old certificate stays") != 1 || !strings.Contains(text, files.cert) {
			t.Errorf("the log: %s", text)
		}
		if err := os.Remove(files.key); err != nil {
			t.Fatal(err)
		}
		time.Sleep(checkInterval)
		same(t, "missing", shown(), 2)
		files.issue(t, 3)
		time.Sleep(checkInterval)
		same(t, "repaired", shown(), 3)
	})
}

func TestUnreadableCertificate(t *testing.T) {
	good, other := newPair(t, 1), newPair(t, 2)
	broken := newPair(t, 3)
	broken.write(t, broken.cert, []byte("not PEM"))
	gone := filepath.Join(t.TempDir(), "gone.pem")
	tests := []struct {
		name, cert, key string
		want            []string
	}{
		{"no certificate", gone, good.key, []string{"cannot read the TLS file of setting `tls.cert`", gone, "no such file"}},
		{"no key", good.cert, gone, []string{"cannot read the TLS file of setting `tls.key`", gone, "no such file"}},
		{"not PEM", broken.cert, good.key, []string{"cannot use the TLS files", broken.cert, "`tls.cert`", "must be PEM"}},
		{"key of another certificate", good.cert, other.key, []string{"cannot use the TLS files", other.key, "the one of the certificate"}},
		{"a folder", filepath.Dir(good.cert), good.key, []string{"cannot use the TLS files", "is a directory"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := build(t, func(c *configs.Config) { c.TLS.Cert, c.TLS.Key = tt.cert, tt.key }).Start()
			if err == nil {
				t.Fatal("Start: no error")
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error %q does not say %q", err, part)
				}
			}
		})
	}
}
