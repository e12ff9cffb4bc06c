package app

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"crier/configs"
)

// varies matches what differs from one answer to the next.
var varies = regexp.MustCompile(`Date: [^\r]*|"id":"[^"]*"`)

// speak sends raw on a connection and returns the whole answer, without what varies.
func speak(t *testing.T, c net.Conn, raw string) string {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
	var head strings.Builder
	resp, err := http.ReadResponse(bufio.NewReader(io.TeeReader(c, &head)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	return varies.ReplaceAllString(head.String(), "…")
}

// TestFastPath sends what back ends send to the push port, and to a plain net/http server of the same handler.
func TestFastPath(t *testing.T) {
	p := start(t, func(c *configs.Config) {
		c.API.Keys = []string{"right"}
		c.API.Limited = []configs.APIKey{{Key: "limited", Rights: []string{"read"}}}
	})
	plain := httptest.NewServer(p.api)
	defer plain.Close()
	pg := p.openAs("7")

	const v1, legacy = "POST /v1/push", "POST /"
	multipart := "--b\r\nContent-Disposition: form-data; name=\"type\"\r\n\r\npublish\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"to\"\r\n\r\n7\r\n--b--\r\n"
	for _, c := range []struct {
		name, line, fields, body string
		events                   int
	}{
		{"push", v1, "X-Api-Key: right\r\n", `{"to":{"users":["7"]},"data":"hi"}`, 1},
		{"bearer", v1, "authorization: bearer right\r\n", `{"to":{"users":["7"]},"data":"hi"}`, 1},
		{"push to nobody", v1, "X-Api-Key: right\r\n", `{"to":{"users":["8"]},"data":"hi"}`, 0},
		{"dry run", v1, "X-Api-Key: right\r\n", `{"to":{"all":true},"data":"hi","dry_run":true}`, 0},
		{"acknowledged by nobody", v1, "X-Api-Key: right\r\n", `{"to":{"users":["7"]},"event":"q","ack":"10ms"}`, 1},
		{"not JSON", v1, "X-Api-Key: right\r\n", `{"to"`, 0},
		{"unknown field", v1, "X-Api-Key: right\r\n", `{"too":1}`, 0},
		{"no key", v1, "", `{"to":{"users":["7"]},"data":"hi"}`, 0},
		{"wrong key", v1, "X-Api-Key: wrong\r\n", `{"to":{"users":["7"]},"data":"hi"}`, 0},
		{"key without the right", v1, "X-Api-Key: limited\r\n", `{"to":{"users":["7"]},"data":"hi"}`, 0},
		{"no body", v1, "X-Api-Key: right\r\n", "", 0},
		{"legacy", legacy, "Content-Type: application/x-www-form-urlencoded\r\n", "type=publish&to=7&content=hi&key=right", 1},
		{"legacy, query", "GET /?type=publish&to=7&content=%3Cb%3E&key=right", "", "", 1},
		{"legacy, both", "POST /?key=right", "", "type=publish&to=7&content=hi", 1},
		{"legacy, multipart", legacy, "X-Api-Key: right\r\nContent-Type: multipart/form-data; boundary=b\r\n", multipart, 1},
		{"legacy, JSON", legacy, "X-Api-Key: right\r\nContent-Type: application/json\r\n", `{"type":"publish","to":7,"content":"hi"}`, 1},
		{"legacy, offline", legacy, "", "type=publish&to=8&content=hi&key=right", 0},
		{"legacy, fail", legacy, "", "type=subscribe&key=right", 0},
		{"legacy, no key", legacy, "", "type=publish&to=7&content=hi", 0},
		{"legacy, wrong key", legacy, "", "type=publish&to=7&content=hi&key=wrong", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := fmt.Sprintf("%s HTTP/1.1\r\nHost: 127.0.0.1\r\n%sContent-Length: %d\r\n\r\n%s", c.line, c.fields, len(c.body), c.body)
			var answers []string
			for _, addr := range []string{p.PushAddr(), plain.Listener.Addr().String()} {
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				answers = append(answers, speak(t, conn, raw))
				if err := conn.Close(); err != nil {
					t.Fatal(err)
				}
				for range c.events {
					if text, err := pg.next(); err != nil || !strings.HasPrefix(text, "42") {
						t.Errorf("the page got %q, %v", text, err)
					}
				}
			}
			same(t, "answer", answers[0], answers[1])
		})
	}
	pg.wantNothing()
}
