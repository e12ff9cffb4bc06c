package load

import "testing"

func TestCutResponse(t *testing.T) {
	for _, c := range []struct{ name, in, body, rest string }{
		{"a length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP", "ok", "HTTP"},
		{"another spelling", "HTTP/1.1 200 OK\r\nX: y\r\ncontent-length:2\r\n\r\nok", "ok", ""},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\no\r\n1\r\nk\r\n0\r\n\r\nHTTP", "ok", "HTTP"},
		{"no body", "HTTP/1.1 204 No Content\r\n\r\nHTTP", "", "HTTP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			whole := len(c.in) - len(c.rest)
			for cut := range whole {
				if _, rest, ok, err := cutResponse([]byte(c.in[:cut])); ok || err != nil || len(rest) != cut {
					t.Fatalf("%q: ok %v, rest %q, error %v", c.in[:cut], ok, rest, err)
				}
			}
			r, rest, ok, err := cutResponse([]byte(c.in))
			if string(r.body) != c.body || string(rest) != c.rest || !ok || err != nil {
				t.Errorf("body %q, rest %q, ok %v, error %v", r.body, rest, ok, err)
			}
		})
	}
	for _, bad := range []string{
		"SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno\r\n",
	} {
		if _, _, ok, err := cutResponse([]byte(bad)); ok || err == nil {
			t.Errorf("%q was taken for an answer", bad)
		}
	}
}

func TestCutPacket(t *testing.T) {
	for in, want := range map[string]string{
		"2:40": "40", "3:42中rest": "42中", "4:😀ab": "😀ab", "\x00\x01\x00\xff0123456789rest": "0123456789",
	} {
		packet, rest, err := cutPacket([]byte(in))
		if string(packet) != want || err != nil {
			t.Errorf("%q: %q, rest %q, error %v", in, packet, rest, err)
		}
	}
	for _, bad := range []string{"40", "x:40", "9:40", "\x00\x09", "\x00\x09\xff1"} {
		if packet, _, err := cutPacket([]byte(bad)); err == nil {
			t.Errorf("%q was taken for the packet %q", bad, packet)
		}
	}
}
