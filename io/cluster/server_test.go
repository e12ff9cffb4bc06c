package cluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"crier/io/cluster/redistest"
	"crier/io/hub"
)

// redisServer is a real redis-server.
type redisServer struct {
	*redistest.Server
	login string // of those who are not the test itself: user:password@
}

// startRedis starts one that keeps nothing; the test's end stops it.
func startRedis(t testing.TB, args ...string) *redisServer {
	t.Helper()
	return &redisServer{Server: redistest.Start(t, args...)}
}

// newRedis is startRedis that does not start it yet.
func newRedis(t testing.TB, args ...string) *redisServer {
	t.Helper()
	return &redisServer{Server: redistest.New(t, args...)}
}

// do sends commands over a connection of their own.
func (s *redisServer) do(t testing.TB, commands ...[]any) {
	t.Helper()
	c, err := redis.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, command := range commands {
		if _, err := c.Do(command[0].(string), command[1:]...); err != nil {
			t.Fatalf("%v: %v", command[0], err)
		}
	}
}

func (s *redisServer) publish(t testing.TB, channel string, body []byte) {
	t.Helper()
	s.do(t, []any{"PUBLISH", channel, body})
}

// connect returns a station that is connected to Redis at the URL, or tries to; the test's end closes it.
func connect(t *testing.T, o RedisOptions) *station {
	t.Helper()
	r, err := NewRedis(o)
	if err != nil {
		t.Fatal(err)
	}
	s := newStation(t, r)
	s.begin(t)
	return s
}

func (s *station) begin(t *testing.T) {
	t.Helper()
	s.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the log:\n%s", s.log)
		}
	})
}

func (s *station) up(t *testing.T) {
	t.Helper()
	await(t, "Redis is there", func() bool { return s.Redis().Up })
}

func (s *station) away(t *testing.T) {
	t.Helper()
	await(t, "Redis is away", func() bool { return !s.Redis().Up })
}

// gets publishes once, and waits until the station has pushed it.
func (s *station) gets(t *testing.T, from *redisServer, event string) {
	t.Helper()
	publishEvent(t, from, event)
	s.pushes(t, event, func() {})
}

// getsAtLast publishes until the station has pushed it: what is published while it is not subscribed is lost.
func (s *station) getsAtLast(t *testing.T, from *redisServer, event string) {
	t.Helper()
	s.pushes(t, event, func() { publishEvent(t, from, event) })
}

// pushes waits until the station has pushed an event, and calls again as long as it has not.
func (s *station) pushes(t *testing.T, event string, again func()) {
	t.Helper()
	want := "/ all: " + event
	await(t, want, func() bool {
		again()
		return slices.Contains(s.main.taken(), want)
	})
}

// publishEvent publishes an event for everybody, as an emitter does.
func publishEvent(t *testing.T, to *redisServer, event string) {
	t.Helper()
	body := unhex(t, "92 81 a464617461 91")
	body = append(append(body, 0xa0|byte(len(event))), event...)
	to.publish(t, "socket.io#emitter", append(body, 0x80))
}

// browser is a connection.
type browser struct {
	id string

	mu     sync.Mutex
	events []string
	kicked bool
	left   bool // by Disconnect
}

func (b *browser) ID() string { return b.id }

func (b *browser) Deliver(m *hub.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, m.Event)
	return nil
}

func (b *browser) Kick() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kicked = true
}

func (b *browser) got() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.events)
}

// namespaced is a browser that can leave one namespace.
type namespaced struct{ *browser }

func (n namespaced) Disconnect() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.left = true
}

// authority makes certificates: a file of its own, and pairs of files for others.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	a.file, _ = a.issue(t, "ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, a.key)
	return a
}

// issue writes NAME.crt and NAME.key. The first one is the authority's own.
func (a *authority) issue(t *testing.T, name string, template *x509.Certificate, key *ecdsa.PrivateKey) (certFile, keyFile string) {
	t.Helper()
	template.SerialNumber = big.NewInt(int64(len(name)))
	template.Subject = pkix.Name{CommonName: name}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent := a.cert
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert == nil {
		if a.cert, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(a.dir, name+".crt"), filepath.Join(a.dir, name+".key")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "EC PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// pair issues a certificate for 127.0.0.1, for servers and clients.
func (a *authority) pair(t *testing.T, name string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return a.issue(t, name, &x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, key)
}

// trust returns settings that trust the authority.
func (a *authority) trust() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// count returns what a browser must get of n events.
func count(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return all
}
