package hop

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
)

// trust is how another server is known that is reached by TLS: by a certificate for its name, or for a name of our own
// certificate, since servers behind one name often share that, or by the very same certificate. own returns ours, or nil.
func trust(own func() *x509.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // verify sees to it
		VerifyConnection:   func(state tls.ConnectionState) error { return verify(state, own()) },
	}
}

// verify checks the certificate of a connection.
func verify(state tls.ConnectionState, own *x509.Certificate) error {
	leaf := state.PeerCertificates[0]
	names := []string{state.ServerName}
	if own != nil {
		if leaf.Equal(own) {
			return nil
		}
		names = append(names, own.DNSNames...)
	}
	o := x509.VerifyOptions{Intermediates: x509.NewCertPool()}
	for _, c := range state.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	var why error
	for _, o.DNSName = range names {
		_, err := leaf.Verify(o)
		if err == nil {
			return nil
		}
		if why == nil {
			why = err
		}
	}
	return fmt.Errorf("its certificate: %w (setting `cluster.advertise`: name the server as its certificate does, or let the servers share one)", why)
}
