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
	current *tls.Certificate
	version [2]time.Time // modification times of the files in use
	checked time.Time
}

func newCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	return c, c.load()
}

// load reads the files; after an error the certificate in use stays.
func (c *certificate) load() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.loadLocked()
}

func (c *certificate) loadLocked() error {
	version, err := c.modified()
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("cannot use the TLS files %q and %q (settings `tls.cert`, `tls.key`): %w; "+
			"both must be PEM, the key unencrypted and the one of the certificate", c.certFile, c.keyFile, err)
	}
	c.current, c.version = &pair, version
	return nil
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
		if version, err := c.modified(); err == nil && version == c.version {
			return c.current, nil
		}
		if err := c.loadLocked(); err != nil {
			c.log.Error("the changed TLS files cannot be used; the old certificate stays", "error", err)
		}
	}
	return c.current, nil
}
