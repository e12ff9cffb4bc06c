package e2e

import (
	"bufio"
	"os/exec"
	"strings"
	"testing"
)

// TestPlainCurl reads an event stream with curl: by HTTP/1.1, and over native TLS by both versions of HTTP.
func TestPlainCurl(t *testing.T) {
	t.Parallel()
	curl := tool(t, "curl", "apt-get install curl")
	certificates := newAuthority(t)
	of := certificates.newFiles(t)
	open := startCrier(t, settings{"presence.count_event": "off"})
	secure := startCrier(t, settings{"presence.count_event": "off", "tls.cert": of.cert, "tls.key": of.key})
	for _, tt := range []struct {
		name   string
		crier  *server
		scheme string
		option string
		first  string // of the answer
	}{
		{"HTTP 1.1", open, "http", "--http1.1", "HTTP/1.1 200 OK"},
		{"TLS and HTTP 1.1", secure, "https", "--http1.1", "HTTP/1.1 200 OK"},
		{"TLS and HTTP 2", secure, "https", "--http2", "HTTP/2 200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), curl, "--silent", "--show-error", "--no-buffer", "--include",
				"--cacert", certificates.file, tt.option, tt.scheme+"://"+tt.crier.public+"/sse?uid=7")
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			until := func(end string) (passed []string) {
				t.Helper()
				for lines.Scan() {
					passed = append(passed, lines.Text())
					if strings.HasPrefix(lines.Text(), end) {
						return passed
					}
				}
				t.Fatalf("curl said %q, and not %q", passed, end)
				return nil
			}
			head := until("retry: ")
			if !strings.HasPrefix(head[0], tt.first) {
				t.Errorf("the answer begins with %q, want %q", head[0], tt.first)
			}
			until("")
			for tt.crier.publish(t, "7", "first") == "offline" { // the head is there before the user is
				continue
			}
			until("data: first")
			tt.crier.deliver(t, "7", hard+"\nand more")
			if got := strings.Join(until("data: and more"), "\n"); !strings.Contains(got, "event: new_msg\ndata: "+hard+"\ndata: and more") {
				t.Errorf("got %q", got)
			}
			if r := do(t, "DELETE", tt.crier.pushURL("/v1/users/7"), "", nil); r.body != `{"uid":"7","disconnected":1}` {
				t.Errorf("%+v", r)
			}
			until(`data: [{"error":"the server has disconnected this client`)
			for lines.Scan() {
			}
			if err := cmd.Wait(); err != nil { // at the end of the answer
				t.Error(err)
			}
		})
	}
}
