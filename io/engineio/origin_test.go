package engineio_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"crier/io/engineio"
)

func origins(t *testing.T, list ...string) engineio.Origins {
	t.Helper()
	o, err := engineio.NewOrigins(list)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestOrigins(t *testing.T) {
	const listed = "https://app.test,http://dev.test:8080,null,capacitor://localhost,file://,https://port.test:443,HTTP://Upper.test/"
	for _, c := range []struct {
		name, host, origin, referer, site, list string
		want                                    bool
	}{
		{"no origin", "crier.test", "", "", "", "", true},
		{"own host", "crier.test", "http://crier.test", "", "", "", true},
		{"own host, other scheme", "crier.test", "https://crier.test", "", "", "", true},
		{"own host, port in Host", "crier.test:2120", "http://crier.test", "", "", "", true},
		{"own host, port in Origin", "crier.test", "http://crier.test:8080", "", "", "", true},
		{"own host, two ports", "crier.test:2120", "http://crier.test:8080", "", "", "", true},
		{"own host, other case", "Crier.Test:2120", "http://crier.test", "", "", "", true},
		{"own host wins over Sec-Fetch-Site", "crier.test", "http://crier.test", "", "cross-site", "", true},
		{"own host, foreign referer", "crier.test", "http://crier.test", "http://evil.test/", "", "", true},
		{"IPv4", "127.0.0.1:2120", "http://127.0.0.1:80", "", "", "", true},
		{"IPv6", "[::1]:2120", "http://[::1]:3000", "", "", "", true},
		{"IPv6 without ports", "[::1]", "http://[::1]", "", "", "", true},
		{"IPv6, port in Host", "[2001:db8::1]:2120", "https://[2001:DB8::1]", "", "", "", true},
		{"other IPv6", "[::1]:2120", "http://[::2]:2120", "", "", "", false},
		{"IPv6 without brackets is no host", "[::1]", "http://::1", "", "", "", false},

		{"foreign", "crier.test", "http://evil.test", "", "", "", false},
		{"foreign with own host as user", "crier.test", "http://crier.test@evil.test", "", "", "", false},
		{"subdomain", "crier.test", "http://www.crier.test", "", "", "", false},
		{"parent domain", "www.crier.test", "http://crier.test", "", "", "", false},
		{"prefix", "crier.test", "http://crier.test.evil.test", "", "", "", false},
		{"suffix", "crier.test", "http://notcrier.test", "", "", "", false},
		{"null", "crier.test", "null", "", "", "", false},
		{"app scheme with own host", "localhost:2120", "capacitor://localhost", "", "", "", false},
		{"file scheme", "crier.test", "file://", "", "", "", false},
		{"no host at all", "", "http://", "", "", "", false},
		{"nonsense", "crier.test", "crier.test", "", "", "", false},
		{"foreign, own referer", "crier.test", "http://evil.test", "http://crier.test/", "", "", false},

		{"cross-site without origin", "crier.test", "", "", "cross-site", "", false},
		{"same-site without origin", "crier.test", "", "", "same-site", "", true},
		{"same-origin without origin", "crier.test", "", "", "same-origin", "", true},
		{"typed into the address bar", "crier.test", "", "", "none", "", true},
		{"foreign referer", "crier.test", "", "http://evil.test/page?x", "", "", false},
		{"foreign referer that Go cannot parse", "crier.test", "", "http://evil.test/%zz", "", "", false},
		{"app referer", "crier.test", "", "android-app://com.evil/", "", "", false},
		{"own referer", "crier.test:2120", "", "https://crier.test/page?x", "", "", true},
		{"own referer, cross-site by scheme", "crier.test:2120", "", "http://crier.test/", "cross-site", "", true},
		{"referer that is no address", "crier.test", "", "about:blank", "", "", true},

		{"listed", "crier.test", "https://app.test", "", "", listed, true},
		{"listed, other case", "crier.test", "https://App.Test", "", "", listed, true},
		{"listed without port", "crier.test", "https://app.test:444", "", "", listed, false},
		{"listed with the scheme's port", "crier.test", "https://port.test", "", "", listed, true},
		{"listed, scheme counts", "crier.test", "http://app.test", "", "", listed, false},
		{"listed with port", "crier.test", "http://dev.test:8080", "", "", listed, true},
		{"listed with another port", "crier.test", "http://dev.test", "", "", listed, false},
		{"listed in capitals, with a slash", "crier.test", "http://upper.test", "", "", listed, true},
		{"listed null", "crier.test", "null", "", "", listed, true},
		{"listed app scheme", "crier.test", "capacitor://localhost", "", "", listed, true},
		{"listed file scheme", "crier.test", "file://", "", "", listed, true},
		{"other app scheme", "crier.test", "ionic://localhost", "", "", listed, false},
		{"listed referer", "crier.test", "", "https://app.test/page", "cross-site", listed, true},
		{"own host beside a list", "crier.test", "http://crier.test", "", "", listed, true},

		{"any", "crier.test", "http://evil.test", "", "cross-site", "*", true},
		{"any null", "crier.test", "null", "", "", "*", true},
		{"any referer", "crier.test", "", "http://evil.test/", "cross-site", "*", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/socket.io/", nil)
			r.Host = c.host
			for name, value := range map[string]string{"Origin": c.origin, "Referer": c.referer, "Sec-Fetch-Site": c.site} {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
			var list []string
			if c.list != "" {
				list = strings.Split(c.list, ",")
			}
			err := origins(t, list...).Check(r)
			if (err == nil) != c.want {
				t.Fatalf("Check = %v", err)
			}
			var oe *engineio.OriginError
			if err != nil && (!errors.As(err, &oe) || oe.Host != c.host || oe.Origin == "") {
				t.Errorf("error %#v", err)
			}
		})
	}
}

func TestNewOriginsRefuses(t *testing.T) {
	for _, s := range []string{
		"", "example.com", "example.com:8080", "https://", "//example.com", "https://example.com/path", "https://user@example.com",
		"https://example.com?x", "https://example.com#x", "https://*.example.com", "http://[::1", "http://a b",
	} {
		if _, err := engineio.NewOrigins([]string{"https://fine.test", s}); err == nil {
			t.Errorf("%q is accepted", s)
		} else if !strings.Contains(err.Error(), "scheme://host[:port]") {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// The 403 says what to do about it.
func TestForbidden(t *testing.T) {
	o, _ := withFakes(engineio.Options{})
	r := newRig(t, false, o)
	for _, method := range []string{"GET", "POST", "OPTIONS"} {
		w := request(r.srv, method, eio4, "Origin", "https://evil.test:444")
		message := wantError(t, w, engineio.Forbidden)
		for _, part := range []string{"https://evil.test:444", "crier.test:2120", "origins", "proxy_set_header Host"} {
			if !strings.Contains(message, part) {
				t.Errorf("%q does not name %q", message, part)
			}
		}
		if got := w.Header().Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("Access-Control-Allow-Origin: %s", got)
		}
	}
	wantError(t, request(r.srv, "GET", eio4, "Sec-Fetch-Site", "cross-site"), engineio.Forbidden)
	_, _, resp := r.handshake("EIO=4&transport=websocket", "Origin: https://evil.test")
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("status %d for a WebSocket", resp.StatusCode)
	}
	if n := len(r.handler.accepted); n != 0 {
		t.Errorf("%d sessions were accepted", n)
	}
	_, _, resp = r.handshake("EIO=4&transport=websocket", "Origin: https://crier.test")
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("status %d for the own page", resp.StatusCode)
	}
}

func TestCORS(t *testing.T) {
	o, _ := withFakes(engineio.Options{Origins: origins(t, "https://app.test", "null")})
	r := newRig(t, false, o)
	for _, origin := range []string{"https://app.test", "null", "http://crier.test"} {
		h := request(r.srv, "GET", eio4, "Origin", origin).Header()
		if h.Get("Access-Control-Allow-Origin") != origin || h.Get("Access-Control-Allow-Credentials") != "true" || h.Get("Vary") != "Origin" {
			t.Errorf("%s: %v", origin, h)
		}
		if h.Get("Access-Control-Allow-Methods") != "" {
			t.Errorf("%s: methods in a plain answer", origin)
		}
	}
	w := request(r.srv, "OPTIONS", "", "Origin", "https://app.test",
		"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type,x-trace")
	h := w.Header()
	if w.Code != http.StatusNoContent || w.Body.Len() != 0 || h.Get("Access-Control-Allow-Origin") != "https://app.test" ||
		h.Get("Access-Control-Allow-Credentials") != "true" || h.Get("Access-Control-Allow-Methods") != "GET,POST,OPTIONS" ||
		h.Get("Access-Control-Allow-Headers") != "content-type,x-trace" || h.Get("Access-Control-Max-Age") == "" {
		t.Errorf("preflight: %d %v", w.Code, h)
	}
	h = request(r.srv, "GET", eio4).Header()
	if _, ok := h["Access-Control-Allow-Origin"]; ok || h.Get("Vary") != "Origin" {
		t.Errorf("without Origin: %v", h)
	}
	// Errors can be read by the page, too.
	w = request(r.srv, "GET", eio4+"&sid=abc", "Origin", "https://app.test")
	wantError(t, w, engineio.UnknownSession)
	if got := w.Header().Get("Access-Control-Allow-Origin"); got != "https://app.test" {
		t.Errorf("Access-Control-Allow-Origin: %q", got)
	}
}
