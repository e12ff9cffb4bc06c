package app

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"crier/configs"
)

// startOnOnePort starts a server that has everything on one port.
func startOnOnePort(t *testing.T) *program {
	t.Helper()
	for range 10 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		p := build(t, func(c *configs.Config) {
			c.Listen, c.API.Listen = addr, addr
			c.API.Keys = []string{"right"}
		})
		switch err := p.Start(); {
		case err == nil:
			return p
		case !strings.Contains(err.Error(), "another program uses this port"):
			t.Fatal(err)
		}
	}
	t.Fatal("no port stays free")
	return nil
}

// route is a request and what begins its answer.
type route struct {
	name, method, path, body, contentType string
	status                                int
	want                                  string
}

const formType = "application/x-www-form-urlencoded"

func (p *program) routes(t *testing.T, addr string, routes []route) {
	for _, r := range routes {
		t.Run(r.name, func(t *testing.T) {
			more := []string{}
			if r.contentType != "" {
				more = append(more, "Content-Type", r.contentType)
			}
			got := p.do(r.method, "http://"+addr+r.path, r.body, more...)
			if got.status != r.status || !strings.Contains(got.body, r.want) {
				t.Errorf("%s %s: %d %.200q, want %d and %q", r.method, r.path, got.status, got.body, r.status, r.want)
			}
		})
	}
}

const pageStart = "<!doctype html>"

// both are routes that the public port has, whatever else it has.
var both = []route{
	{"page", "GET", "/", "", "", 200, pageStart},
	{"page in a language", "GET", "/?lang=zh", "", "", 200, pageStart},
	{"page's files", "GET", "/demo/demo.js", "", "", 200, ""},
	{"icon", "GET", "/favicon.ico", "", "", 200, ""},
	{"health", "GET", "/healthz", "", "", 200, "ok"},
	{"readiness", "GET", "/readyz", "", "", 200, "ok"},
	{"handshake", "GET", "/socket.io/?EIO=4&transport=polling", "", "", 200, `0{"sid":"`},
	{"handshake without the last slash", "GET", "/socket.io?EIO=3&transport=polling", "", "", 200, `0{"sid":"`},
	{"no transport", "GET", "/socket.io/?EIO=4", "", "", 400, `"code":0`},
	{"unknown session", "GET", "/socket.io/?EIO=4&transport=polling&sid=x", "", "", 400, `"code":1`},
	{"0.9 client", "GET", "/socket.io/1/?t=1", "", "", 400, "0.9 clients are not supported: load socket.io-client 1.0 or newer"},
	{"0.9 transport", "GET", "/socket.io/1/websocket/1", "", "", 400, "/socket.io/socket.io.js"},
}

func TestTwoPorts(t *testing.T) {
	p := start(t, nil)
	pg := p.openAs("7")
	p.routes(t, p.Addr(), append([]route{
		{"a push is no page", "POST", "/", "type=publish&to=7&content=hi", formType, 405, ""},
		{"a push by GET shows the page", "GET", "/?type=publish&to=7&content=hi", "", "", 200, pageStart},
		{"other paths", "GET", "/nothing", "", "", 404, "the demo page is at /"},
		{"the manual is of the other port", "GET", "/docs", "", "", 404, ""},
		{"and so is the dashboard", "GET", "/admin/", "", "", 404, ""},
	}, both...))
	pg.wantNothing()
	p.routes(t, p.PushAddr(), []route{
		{"health", "GET", "/healthz", "", "", 200, "ok"},
		{"readiness", "GET", "/readyz", "", "", 200, "ok"},
		{"push by GET", "GET", "/?type=publish&to=7&content=1", "", "", 200, "ok"},
		{"push by POST", "POST", "/any/path", "type=publish&to=7&content=2", formType, 200, "ok"},
		{"manual", "GET", "/docs", "", "", 200, "/v1/push"},
		{"manual's files", "GET", "/docs/docs.css", "", "", 200, "--paper"},
		{"dashboard", "GET", "/admin/", "", "", 200, "/admin/admin.js"},
		{"dashboard's session", "GET", "/admin/session", "", "", 200, `"by":"address"`},
		{"no page", "GET", "/", "", "", 200, "fail"},
		{"no Socket.IO", "GET", "/socket.io/?EIO=4&transport=polling", "", "", 200, "fail"},
	})
	pg.want(`42["new_msg","1"]`, `42["new_msg","2"]`)
	pg.wantNothing()
}

func TestOnePort(t *testing.T) {
	p := startOnOnePort(t)
	same(t, "push address", p.PushAddr(), p.Addr())
	pg := p.openAs("7")
	p.routes(t, p.Addr(), append([]route{
		{"dashboard", "GET", "/admin/", "", "", 200, "/admin/admin.js"},
		{"dashboard's session", "GET", "/admin/session", "", "", 200, `"by":""`},
		{"dashboard's calls", "GET", "/admin/api/users", "", "", 403, "signed_out"},
		{"push by GET", "GET", "/?type=publish&to=7&content=1&key=right", "", "", 200, "ok"},
		{"push by POST", "POST", "/", "type=publish&to=7&content=2&key=right", formType, 200, "ok"},
		{"push on any path", "POST", "/push.php", "type=publish&to=7&content=3&key=right", formType, 200, "ok"},
		{"push by GET with a body", "GET", "/", "type=publish&to=7&content=4&key=right", formType, 200, "ok"},
		{"push on the page's other path", "POST", "/demo/", "type=publish&to=7&content=5&key=right", formType, 200, "ok"},
		{"manual", "GET", "/docs", "", "", 200, "/v1/push"},
		{"offline", "GET", "/?type=publish&to=8&content=x&key=right", "", "", 200, "offline"},
		{"push without a key", "GET", "/?type=publish&to=7&content=x", "", "", 403, "api.keys"},
		{"push with a wrong key", "POST", "/", "type=publish&to=7&content=x&key=wrong", formType, 403, "api.keys"},
		{"other paths need a key", "GET", "/nothing", "", "", 403, "api.keys"},
		{"other methods", "DELETE", "/", "", "", 403, "api.keys"},
	}, both...))
	pg.want(`42["new_msg","1"]`, `42["new_msg","2"]`, `42["new_msg","3"]`, `42["new_msg","4"]`, `42["new_msg","5"]`)
	pg.wantNothing()
	same(t, "HEAD of the page", p.do("HEAD", "http://"+p.Addr()+"/", "").status, 200)
}

func TestClientScript(t *testing.T) {
	p := start(t, nil)
	p.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, name := range []string{"socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js", "socket.io.js?v=2"} {
		got := p.do("GET", "http://"+p.Addr()+"/socket.io/"+name, "", "Origin", "http://elsewhere.example")
		switch {
		case p.site.Load().HasClient() && (got.status != 200 || got.header.Get("ETag") == ""):
			t.Errorf("%s: %d, ETag %q", name, got.status, got.header.Get("ETag"))
		case !p.site.Load().HasClient() && got.status != http.StatusFound:
			t.Errorf("%s: %d, want a redirect", name, got.status)
		}
	}
	notice := strings.Contains(p.log.String(), "the Socket.IO client script is not in this build")
	same(t, "notice in the log", notice, !p.site.Load().HasClient())
}

func TestSocketIOSettings(t *testing.T) {
	p := start(t, func(c *configs.Config) {
		c.SocketIO.Path = "/live/io/"
		c.SocketIO.Transports = []string{"websocket"}
		c.SocketIO.AllowEIO3 = false
		c.Origins = []string{"https://shop.example"}
	})
	p.routes(t, p.Addr(), []route{
		{"transport left out", "GET", "/live/io/?EIO=4&transport=polling", "", "", 400, `"polling\" is not one of websocket (setting`},
		{"another path", "GET", "/socket.io/?EIO=4&transport=polling", "", "", 404, ""},
		{"old client", "GET", "/live/io/?EIO=3&transport=websocket", "", "", 400, ""},
		{"0.9 client", "GET", "/live/io/1/", "", "", 400, "/live/io/socket.io.js"},
	})
	address := "http://" + p.Addr() + "/live/io/?EIO=4&transport=websocket"
	foreign := p.do("GET", address, "", "Origin", "https://evil.example")
	if foreign.status != 403 || !strings.Contains(foreign.body, "setting `origins`") {
		t.Errorf("foreign origin: %d %q", foreign.status, foreign.body)
	}
	same(t, "listed origin", p.do("GET", address, "", "Origin", "https://shop.example").status, 400)
}

func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := taken.Close(); err != nil {
			t.Error(err)
		}
	}()
	addr := taken.Addr().String()
	for setting, adapt := range map[string]func(*configs.Config){
		"listen":     func(c *configs.Config) { c.Listen = addr },
		"api.listen": func(c *configs.Config) { c.API.Listen = addr },
	} {
		t.Run(setting, func(t *testing.T) {
			want := "cannot listen on " + addr + " (setting `" + setting + "`): another program uses this port; stop it, or choose another address"
			if err := build(t, adapt).Start(); err == nil || err.Error() != want {
				t.Errorf("Start: %v, want %q", err, want)
			}
		})
	}
}

func TestListenError(t *testing.T) {
	for want, err := range map[string]error{
		"permission denied; choose a port above 1023, or run with the right to bind low ports": syscall.EACCES,
		"this machine has no such address; leave the host out to listen on all that it has":    syscall.EADDRNOTAVAIL,
		"listen tcp: lookup nowhere: no such host":                                             errors.New("listen tcp: lookup nowhere: no such host"),
		"another program uses this port; stop it, or choose another address":                   syscall.EADDRINUSE,
	} {
		got := ListenError("listen", "host:80", &net.OpError{Op: "listen", Err: err})
		if !strings.HasPrefix(got.Error(), "cannot listen on host:80 (setting `listen`): ") || !strings.Contains(got.Error(), want) {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
}

// A listener that dies while the server runs is told.
func TestErr(t *testing.T) {
	p := start(t, nil)
	if err := p.App.push.listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := take(t, "error", p.Err()); !errors.Is(err, net.ErrClosed) || !strings.Contains(err.Error(), "the push port stopped listening") {
		t.Errorf("Err: %v", err)
	}
}
