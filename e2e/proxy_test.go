package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// behindCaddy has clients come through Caddy as deploy/Caddyfile sets it up.
func behindCaddy(certificates *authority) *front {
	return &front{
		settings: settings{"trusted_proxies": "127.0.0.1"},
		open: func(t *testing.T, s *server) {
			t.Helper()
			of, address := certificates.newFiles(t), freePort(t)
			// On a machine that has no name it gets no certificate, and listens on no other port.
			s.base = "https://" + address
			site := edited(
				t, "../deploy/Caddyfile",
				"shop.example {", "{\n\tadmin off\n\tauto_https disable_redirects\n\tgrace_period 1s\n}\n"+s.base+" {\n\ttls "+of.cert+" "+of.key,
				"127.0.0.1:2120 {\n", s.public+" {\n",
			)
			dir := t.TempDir()
			file := filepath.Join(dir, "Caddyfile")
			if err := os.WriteFile(file, []byte(site), 0o600); err != nil {
				t.Fatal(err)
			}
			caddy := tool(t, "caddy", "apt-get install caddy")
			p := launch(
				t, tool(t, "env", "a POSIX system"), nil, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir,
				caddy, "run", "--adapter", "caddyfile", "--config", file,
			)
			p.log.await(t, p.exited, "serving initial configuration")
		},
	}
}

// behindHAProxy has clients come through HAProxy as deploy/haproxy.cfg sets it up.
func behindHAProxy(certificates *authority) *front {
	return &front{
		settings: settings{"trusted_proxies": "127.0.0.1"},
		open: func(t *testing.T, s *server) {
			t.Helper()
			of, address := certificates.newFiles(t), freePort(t)
			both := ""
			for _, path := range []string{of.cert, of.key} {
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				both += string(text)
			}
			dir := t.TempDir()
			bundle, file := filepath.Join(dir, "shop.example.pem"), filepath.Join(dir, "haproxy.cfg")
			site := edited(
				t, "../deploy/haproxy.cfg",
				"\n\tbind :80\n", "\n\tbind "+freePort(t)+"\n",
				"bind :443 ssl crt /etc/haproxy/shop.example.pem", "bind "+address+" ssl crt "+bundle,
				"server crier 127.0.0.1:2120", "server crier "+s.public,
			)
			for path, text := range map[string]string{bundle: both, file: site} {
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			// -db: in the foreground, as one process, which SIGTERM ends at once with the code 143.
			p := launch(t, tool(t, "haproxy", "apt-get install haproxy"), nil, "-db", "-f", file)
			p.killed = true
			awaitListening(t, p, address)
			s.base = "https://" + address
		},
	}
}

// awaitListening waits until a program that does not say so listens.
func awaitListening(t *testing.T, p *server, address string) {
	t.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	limit := time.After(patience)
	for {
		if conn, err := net.Dial("tcp", address); err == nil {
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
			return
		}
		select {
		case <-again.C:
		case <-p.exited:
			t.Fatalf("the program ended: %s", p.log.text())
		case <-limit:
			t.Fatalf("nobody listens on %s", address)
		}
	}
}

// proxies are the programs that deploy/ has settings for.
func proxies(certificates *authority) map[string]*front {
	return map[string]*front{
		"nginx": behindNginx(certificates), "Caddy": behindCaddy(certificates), "HAProxy": behindHAProxy(certificates),
	}
}

// TestProxies has the main clients come through Caddy and HAProxy; TestNginx is for nginx.
func TestProxies(t *testing.T) {
	t.Parallel()
	certificates := newAuthority(t)
	d := startDriver(t, certificates.file)
	for name, front := range proxies(certificates) {
		if name == "nginx" {
			continue
		}
		d.front = front
		for _, c := range mainClients {
			t.Run(name+"/"+c.lib, func(t *testing.T) { everyTrial(t, d, c, "product", "payload limit", "restart") })
		}
	}
}

// TestProxiedAddress: behind each proxy Crier knows the addresses of clients, and believes no client that names another.
func TestProxiedAddress(t *testing.T) {
	t.Parallel()
	certificates := newAuthority(t)
	for name, front := range proxies(certificates) {
		t.Run(name, func(t *testing.T) {
			asked := make(chan string, 1)
			business := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var request struct {
					IP string `json:"ip"`
				}
				if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
					t.Error(err)
				}
				asked <- request.IP
				w.WriteHeader(http.StatusUnauthorized)
			}))
			t.Cleanup(business.Close)
			d := &driver{front: front}
			crier := d.startCrier(t, settings{"auth.mode": "callback", "auth.callback.url": business.URL})
			const own = "127.0.0.2"
			client := clientFrom(t, own, certificates)
			polling := crier.publicURL("/socket.io/?EIO=4&transport=polling&token=x")
			_, rest, _ := strings.Cut(exchange(t, client, http.MethodGet, polling, ""), `"sid":"`)
			sid, _, _ := strings.Cut(rest, `"`)
			if said := exchange(t, client, http.MethodPost, polling+"&sid="+sid, "40"); said != "ok" {
				t.Fatalf("joining was answered %q", said)
			}
			if ip := <-asked; ip != own {
				t.Errorf("the business was told that the client is %s, want %s", ip, own)
			}
		})
	}
}

// clientFrom returns an HTTP client that calls from an address of this machine.
func clientFrom(t *testing.T, address string, certificates *authority) *http.Client {
	t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: certificates.pool()},
		DialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, to)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// exchange makes a request that names a wrong address of its sender, and returns the answer, which must be 200.
func exchange(t *testing.T, client *http.Client, method, address, body string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Forwarded-For", "203.0.113.9")
	request.Header.Set("Content-Type", "text/plain")
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Error(err)
	}
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s %s", method, address, response.Status, text)
	}
	return string(text)
}

// tutorial is what pages about nginx and WebSockets tell to write: nothing passes the Host on.
const tutorial = `
		proxy_http_version 1.1;
		proxy_set_header Upgrade $http_upgrade;
		proxy_set_header Connection "upgrade";
`

// behindTutorial has clients come through nginx with a location of the tutorials and more directives.
func behindTutorial(location, more string, s settings, options map[string]any) *front {
	return &front{settings: s, options: options, open: func(t *testing.T, s *server) {
		t.Helper()
		address := freePort(t)
		startNginx(t, "server {\n\tlisten "+address+";\n\tlocation "+location+" {\n\t\tproxy_pass http://"+s.public+";"+tutorial+more+"\t}\n}\n")
		s.base = "http://" + address
	}}
}

// TestTutorial has clients come through nginx as tutorials set it up: they get through, or are told what to change.
func TestTutorial(t *testing.T) {
	t.Parallel()
	chat := settings{"socketio.path": "/chat/"}
	page := http.Header{"Host": {"shop.example"}, "Origin": {"http://shop.example"}}
	for _, test := range []struct {
		name, location, more string
		settings             settings
		path                 string
		header               http.Header
		status               int
		phrases              []string // of the answer
	}{
		{"a program", "/chat", "", chat, "/chat/", nil, 200, []string{`"sid":"`}},
		{"a page", "/chat", "", chat, "/chat/", page, 403, []string{"http://shop.example", "origins", "proxy_set_header Host $http_host"}},
		{"a page that is listed", "/chat", "", chat.with(settings{"origins": "http://shop.example"}), "/chat/", page, 200, []string{`"sid":"`}},
		{"the Host passed on", "/chat", "\t\tproxy_set_header Host $http_host;\n", chat, "/chat/", page, 200, []string{`"sid":"`}},
		{"another path than Crier's", "/chat", "", nil, "/chat/socket.io/", page, 404, []string{"/socket.io/", "socketio.path"}},
		{"web-msg-sender's", "/socket.io", "\t\tproxy_set_header X-Real-IP $remote_addr;\n", nil, "/socket.io/", page, 403, []string{"proxy_set_header Host $http_host"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := &driver{front: behindTutorial(test.location, test.more, test.settings, nil)}
			crier := d.startCrier(t, nil)
			for _, header := range []http.Header{test.header, upgradeHeader(test.header)} {
				transport, want := "polling", test.status
				if header.Get("Upgrade") != "" {
					transport = "websocket"
					if want == 200 {
						continue // the clients below upgrade
					}
				}
				r := do(t, http.MethodGet, crier.publicURL(test.path+"?EIO=4&transport="+transport), "", header)
				if lacks := missingPhrase(r.body, test.phrases); r.status != want || lacks != "" {
					t.Errorf("%s: %d %q, want %d and %q", transport, r.status, r.body, want, lacks)
				}
			}
		})
	}
	d := startDriver(t)
	d.front = behindTutorial("/chat", "", chat, map[string]any{"path": "/chat"})
	for _, c := range mainClients {
		t.Run(c.lib, func(t *testing.T) { everyTrial(t, d, c, "product") })
	}
}
