package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"

	"crier/app"
	"crier/configs"
)

// port is one that the server listens on.
type port struct {
	setting string
	addr    string // host:port, as in the setting
	tls     bool
}

func portsOf(cfg *configs.Config) []port {
	list := []port{{"listen", cfg.Listen, cfg.TLS.Cert != ""}}
	if !cfg.OnePort() {
		list = append(list, port{"api.listen", cfg.API.Listen, false})
	}
	return list
}

// ports tells whether the server can have its ports, or has them.
func ports(ctx context.Context, cfg *configs.Config) []Finding {
	var all []Finding
	for _, p := range portsOf(cfg) {
		all = append(all, p.look(ctx))
	}
	return all
}

func (p port) look(ctx context.Context) Finding {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", p.addr)
	if err == nil {
		if err := l.Close(); err != nil {
			return Finding{Wrong, p.setting, fmt.Sprintf("%s: closing it again: %v", p.addr, err)}
		}
		return Finding{Fine, p.setting, p.addr + " is free"}
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		return Finding{Wrong, p.setting, app.ListenError(p.setting, p.addr, err).Error()}
	}
	if p.ready(ctx) == nil {
		return Finding{Fine, p.setting, p.addr + " is Crier's: one is running, and ready"}
	}
	return Finding{Wrong, p.setting, app.ListenError(p.setting, p.addr, err).Error()}
}

// ready asks for /readyz.
func (p port) ready(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	scheme := "http"
	if p.tls {
		scheme = "https"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+local(p.addr)+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("asking for /readyz: %w", err)
	}
	// It is this machine, under an address that its certificate need not have.
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("asking for /readyz: %w", err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 100))
	switch {
	case err != nil:
		return fmt.Errorf("reading the answer of /readyz: %w", err)
	case response.StatusCode == http.StatusServiceUnavailable:
		return errors.New("it says that it is not: it is stopping")
	case response.StatusCode != http.StatusOK || string(body) != "ok":
		return fmt.Errorf("/readyz is answered by %s, as no Crier does", response.Status)
	}
	return nil
}

// local is an address to call who listens on addr.
func local(addr string) string {
	host, number, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	switch ip, err := netip.ParseAddr(host); {
	case host == "", err == nil && ip.IsUnspecified() && ip.Is4():
		host = "127.0.0.1"
	case err == nil && ip.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, number)
}

// public reports whether an address can be reached from other machines.
func public(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil || strings.EqualFold(host, "localhost") {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err != nil || !ip.IsLoopback()
}
