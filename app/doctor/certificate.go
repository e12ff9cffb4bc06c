package doctor

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"crier/configs"
)

// renewal is how long before its end a certificate should have been renewed.
const renewal = 14 * 24 * time.Hour

// certificate tells how long the TLS files are good, and whether browsers find their way from them to an authority.
func certificate(files configs.TLS, now time.Time) []Finding {
	if files.Cert == "" {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return []Finding{{Wrong, "tls.cert", err.Error() + "; tls.cert and tls.key must be PEM, the key unencrypted and the one of the certificate"}}
	}
	all := []Finding{validity(pair.Leaf, now)}
	if f := chain(pair, now); f != nil {
		all = append(all, *f)
	}
	info, err := os.Stat(files.Key)
	switch {
	case err != nil:
		all = append(all, Finding{Wrong, "tls.key", err.Error()})
	case info.Mode().Perm()&0o004 != 0:
		all = append(all, Finding{Warning, "tls.key", fmt.Sprintf("everybody on this machine can read %s: chmod o= %s", files.Key, files.Key)})
	}
	return all
}

func validity(leaf *x509.Certificate, now time.Time) Finding {
	const day = "2006-01-02 15:04 MST"
	switch end := leaf.NotAfter.UTC().Format(day); {
	case now.Before(leaf.NotBefore):
		return Finding{Wrong, "tls.cert", "is not good before " + leaf.NotBefore.UTC().Format(day) + ": wait, or set this machine's clock"}
	case now.After(leaf.NotAfter):
		return Finding{Wrong, "tls.cert", "ended " + end + ", and browsers refuse it: renew it; Crier takes the new files by itself"}
	case now.After(leaf.NotAfter.Add(-renewal)):
		return Finding{Warning, "tls.cert", "ends " + end + ": renew it; Crier takes the new files by itself"}
	default:
		return Finding{Fine, "tls.cert", "is good until " + end}
	}
}

// chain tells of a certificate that this machine's authorities have not signed, or whose file lacks those between. nil:
// nothing to tell.
func chain(pair tls.Certificate, now time.Time) *Finding {
	between := x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return &Finding{Wrong, "tls.cert", "behind the first certificate there is something else: " + err.Error()}
		}
		between.AddCert(c)
	}
	_, err := pair.Leaf.Verify(x509.VerifyOptions{Intermediates: between, CurrentTime: now})
	var stranger x509.UnknownAuthorityError
	if !errors.As(err, &stranger) {
		return nil // what else there is, validity tells
	}
	return &Finding{Warning, "tls.cert", fmt.Sprintf("is signed by %q, which this machine does not trust: browsers must know that authority, "+
		"or the file lacks a certificate between (certbot: fullchain.pem)", pair.Leaf.Issuer)}
}
