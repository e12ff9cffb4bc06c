package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

// When connections that do nothing use up the descriptors of the process, those of the push port are kept, and who is there
// goes on getting messages.
func TestDescriptorsRunOut(t *testing.T) {
	s := launch(t, "/bin/sh", free.with(settings{"store.path": "memory"}), "-c", `ulimit -n 256 && exec "$0"`, os.Getenv(crierVariable))
	s.public, s.push = s.address(t, "public"), s.address(t, "push")

	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + s.public + "/sse?uid=1")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
	}()
	events := bufio.NewReader(resp.Body)
	push := func(content string) { // over a connection of its own
		t.Helper()
		answer, err := client.PostForm("http://"+s.push, url.Values{"type": {"publish"}, "to": {"1"}, "content": {content}})
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		if err != nil || string(text) != "ok" {
			t.Fatalf("the push was answered %q: %v", text, err)
		}
		if err := answer.Body.Close(); err != nil {
			t.Error(err)
		}
		for line := ""; line != "data: "+content+"\n"; {
			if line, err = events.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
	}
	push("before")

	var idle []net.Conn
	leave := func() {
		for _, c := range idle {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		idle = nil
	}
	defer leave()
	for range 400 {
		c, err := net.DialTimeout("tcp", s.public, patience)
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
	}
	last := idle[len(idle)-1]
	if err := last.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if answer, err := bufio.NewReader(last).ReadString('\n'); !strings.HasPrefix(answer, "HTTP/1.1 503 ") {
		t.Errorf("the last connection was told %q: %v", answer, err)
	}
	s.log.await(t, s.exited, "connections are turned away")
	for range 20 {
		push("meanwhile")
	}
	leave()
	deadline := time.Now().Add(patience)
	for {
		resp, err := client.Get("http://" + s.public + "/comet?wait=0")
		if err == nil {
			if err := resp.Body.Close(); err != nil {
				t.Error(err)
			}
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("there is no room again: %v", err)
		}
	}
}

// Real clients that are refused since too many come from their address come again by themselves, until all of them are in.
func TestHandshakesAreRefused(t *testing.T) {
	t.Parallel()
	crier := startCrier(t, settings{"limits.handshakes_per_ip": "2"})
	d := startDriver(t)
	var all []*socket
	for _, c := range mainClients {
		for _, r := range []route{byWebSocket, byPolling, byUpgrade} {
			for n := range 3 {
				uid := fmt.Sprint(c.lib, " ", r.name, " ", n)
				all = append(all, d.open(t, uid, opening{client: c, route: r, url: crier.publicURL(""), login: uid}))
			}
		}
	}
	for _, s := range all {
		s.loggedIn(t)
	}
	figures := do(t, http.MethodGet, crier.pushURL("/metrics"), "", nil).body
	if !strings.Contains(figures, `crier_refused_total{limit="handshakes_per_ip"} `) || strings.Contains(figures, `crier_refused_total{limit="handshakes_per_ip"} 0`+"\n") {
		t.Errorf("nobody was refused: %s", figures)
	}
}
