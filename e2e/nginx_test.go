package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"crier/io/cluster/redistest"
)

// freePort returns an address of 127.0.0.1 for a program that cannot look for a free port itself.
func freePort(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", redistest.FreePort(t))
}

// edited returns the text of a file with each old, which it has once, replaced by its new.
func edited(t *testing.T, path string, oldAndNew ...string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for n := 0; n < len(oldAndNew); n += 2 {
		if strings.Count(text, oldAndNew[n]) != 1 {
			t.Fatalf("%s has %q %d times, want once", path, oldAndNew[n], strings.Count(text, oldAndNew[n]))
		}
		text = strings.Replace(text, oldAndNew[n], oldAndNew[n+1], 1)
	}
	return text
}

// startNginx runs nginx with what a file in conf.d has, until the test ends.
func startNginx(t *testing.T, site string) *server {
	t.Helper()
	nginx := tool(t, "nginx", "apt-get install nginx-light")
	dir := t.TempDir()
	main := `daemon off; worker_processes 1; pid nginx.pid; error_log stderr notice;
events { worker_connections 1024; }
http {
	access_log off;
	client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
	include site.conf;
}`
	if os.Geteuid() == 0 { // a worker under another user could not write into dir
		main = "user root; " + main
	}
	for name, text := range map[string]string{"nginx.conf": main, "site.conf": site} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := launch(t, nginx, nil, "-p", dir, "-c", "nginx.conf", "-e", "stderr")
	s.log.await(t, s.exited, "start worker process")
	return s
}

// behindNginx has clients come through nginx as deploy/nginx.conf sets it up: by TLS with a certificate of the
// authority, or without any if that is nil.
func behindNginx(certificates *authority) *front {
	return &front{
		settings: settings{"trusted_proxies": "127.0.0.1"},
		open: func(t *testing.T, s *server) {
			t.Helper()
			address, scheme, tls, issuer := freePort(t), "https", " ssl http2", certificates
			if issuer == nil {
				scheme, tls, issuer = "http", "", newAuthority(t)
			}
			of := issuer.newFiles(t)
			startNginx(t, edited(
				t, "../deploy/nginx.conf",
				"server 127.0.0.1:2120;", "server "+s.public+";",
				"listen 80;", "listen "+freePort(t)+";",
				"listen 443 ssl http2;", "listen "+address+tls+";",
				"/etc/ssl/shop.example/fullchain.pem", of.cert,
				"/etc/ssl/shop.example/privkey.pem", of.key,
			))
			s.base = scheme + "://" + address
		},
	}
}

// TestNginx has the clients in Node come through nginx: the main ones for every trial, the others for those that depend
// on what is in between.
func TestNginx(t *testing.T) {
	t.Parallel()
	certificates := newAuthority(t)
	for _, c := range nodeClients {
		t.Run(c.lib, func(t *testing.T) {
			t.Parallel()
			d := startDriver(t, certificates.file)
			d.front = behindNginx(certificates)
			if slices.Contains(mainClients, c) {
				everyTrial(t, d, c)
			} else {
				everyTrial(t, d, c, "product", "restart")
			}
		})
	}
}

// TestNginxPages has the clients in Chromium come through nginx.
func TestNginxPages(t *testing.T) {
	t.Parallel()
	d := startPages(t)
	d.front = behindNginx(newAuthority(t))
	for _, c := range pageClients {
		t.Run(c.lib, func(t *testing.T) { everyTrial(t, d, c, "product", "payload limit", "acknowledgement", "restart") })
	}
}
