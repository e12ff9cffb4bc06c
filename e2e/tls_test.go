package e2e

import (
	"crypto/tls"
	"math/big"
	"syscall"
	"testing"
)

// TestTLS has the clients in Node come by native TLS.
func TestTLS(t *testing.T) {
	t.Parallel()
	certificates := newAuthority(t)
	for _, c := range nodeClients {
		t.Run(c.lib, func(t *testing.T) {
			t.Parallel()
			d := startDriver(t, certificates.file)
			tryTLS(t, d, c, certificates)
		})
	}
}

// TestTLSPages has clients in Chromium come by native TLS.
func TestTLSPages(t *testing.T) {
	t.Parallel()
	d := startPages(t)
	certificates := newAuthority(t)
	for _, c := range pageClients {
		t.Run(c.lib, func(t *testing.T) { tryTLS(t, d, c, certificates) })
	}
}

// tryTLS pushes to a client on each of its routes; then Crier gets another certificate, which who comes is shown from
// then on, and nobody who is there notices.
func tryTLS(t *testing.T, d *driver, c client, certificates *authority) {
	of := certificates.newFiles(t)
	crier := startCrier(t, settings{"tls.cert": of.cert, "tls.key": of.key})
	crier.base = "https://" + crier.public
	t.Cleanup(func() { d.forget(t) })
	open := func(r route, when string) {
		s := d.open(t, r.name+when, opening{client: c, route: r, url: crier.publicURL(""), login: r.name + when})
		s.loggedIn(t)
		crier.deliver(t, r.name+when, hard)
		s.until(t, hard)
		if r.upgrades() {
			s.await(t, happening{On: "upgrade"})
		}
	}
	for _, r := range c.routes() {
		open(r, " before")
	}

	certificates.issue(t, of, 3)
	if err := crier.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatalf("sending SIGHUP: %v", err)
	}
	crier.log.await(t, crier.exited, "reloaded the TLS files")
	wantCertificate(t, crier.public, certificates, 3)
	for _, r := range c.routes() {
		open(r, " after")
	}
	for uid, s := range d.sockets {
		crier.deliver(t, uid, "to all routes")
		s.until(t, "to all routes")
	}
	d.undisturbed(t)
}

// wantCertificate fails the test unless a server shows the certificate with a number.
func wantCertificate(t *testing.T, address string, certificates *authority, number int64) {
	t.Helper()
	conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: certificates.pool()})
	if err != nil {
		t.Fatalf("connecting by TLS: %v", err)
	}
	if got := conn.ConnectionState().PeerCertificates[0].SerialNumber; got.Cmp(big.NewInt(number)) != 0 {
		t.Errorf("the certificate has the number %s, want %d", got, number)
	}
	if err := conn.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
}
