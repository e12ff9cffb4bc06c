package app

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// checkInterval is how often the files of a certificate are looked at.
const checkInterval = 10 * time.Second

// certificate is a TLS certificate that follows its files.
type certificate struct {
	// static
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	current *keyPair
	checked time.Time
}

// keyPair is what the files hold, and when they were modified.
type keyPair struct {
	tls.Certificate
	version [2]time.Time
}

func newCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	var err error
	c.current, err = c.read()
	return c, err
}

// read reads the files.
func (c *certificate) read() (*keyPair, error) {
	version, err := c.modified()
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return nil, fmt.Errorf("cannot use the TLS files %q and %q (settings `tls.cert`, `tls.key`): %w; "+
			"both must be PEM, the key unencrypted and the one of the certificate", c.certFile, c.keyFile, err)
	}
	return &keyPair{pair, version}, nil
}

// use takes a pair for new connections.
func (c *certificate) use(pair *keyPair) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = pair
}

func (c *certificate) modified() (version [2]time.Time, err error) {
	for i, f := range []struct{ setting, path string }{{"tls.cert", c.certFile}, {"tls.key", c.keyFile}} {
		info, err := os.Stat(f.path)
		if err != nil {
			return version, fmt.Errorf("cannot read the TLS file of setting `%s`: %w", f.setting, err)
		}
		version[i] = info.ModTime()
	}
	return version, nil
}

// get implements [tls.Config] GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.checked) >= checkInterval {
		c.checked = now
		if version, err := c.modified(); err == nil && version == c.current.version {
			return &c.current.Certificate, nil
		}
		if pair, err := c.read(); err != nil {
			c.log.Error("the changed TLS files cannot be used; the old certificate stays", "error", err)
		} else {
			c.current = pair
		}
	}
	return &c.current.Certificate, nil
}
