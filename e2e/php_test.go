package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// runPHP runs a script of ours to its end and returns what it printed.
func runPHP(t *testing.T, path string, input []byte, args ...string) string {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Stdin = bytes.NewReader(input)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("php %q: %v\n%s%s", args, err, out, complaints.String())
	}
	return string(out)
}

// TestPHP has PHP push in every way that its back ends do.
func TestPHP(t *testing.T) {
	t.Parallel()
	path := php(t)
	crier := startCrier(t, nil)
	d := startDriver(t)
	alice := d.open(t, "alice", opening{client: mainClients[0], route: byWebSocket, url: crier.publicURL(""), login: "1445590039000"})
	alice.loggedIn(t)
	content := "这个是推送的测试数据 <b>&'\" " + hard + " +%20&a=b"
	escaped := "这个是推送的测试数据 &lt;b&gt;&amp;&#039;&quot; " + hard + " +%20&amp;a=b"
	tests := []struct {
		name   string
		how    string
		fields map[string]any
		body   string
	}{
		{"array", "array", map[string]any{"type": "publish", "to": "1445590039000", "content": content}, "ok"},
		{"array, to everybody", "array", map[string]any{"type": "publish", "to": "", "content": content}, "ok"},
		{"array, large", "array", map[string]any{"type": "publish", "to": "1445590039000", "content": strings.Repeat("y", 200_000)}, "ok"},
		{"query", "query", map[string]any{"type": "publish", "to": "1445590039000", "content": content}, "ok"},
		{"query, number", "query", map[string]any{"type": "publish", "to": int64(1445590039000), "content": content}, "ok"},
		{"query, large", "query", map[string]any{"type": "publish", "to": "1445590039000", "content": strings.Repeat("y", 200_000)}, "ok"},
		{"query, several", "query", map[string]any{"type": "publish", "to": []any{"nobody", int64(1445590039000)}, "content": content}, "ok"},
		{"get", "get", map[string]any{"type": "publish", "to": "1445590039000", "content": content}, "ok"},
		{"json", "json", map[string]any{"type": "publish", "to": "1445590039000", "content": content}, "ok"},
		{"json, number", "json", map[string]any{"type": "publish", "to": int64(1445590039000), "content": content}, "ok"},
		{"json, several", "json", map[string]any{"type": "publish", "to": []any{int64(1445590039000), "nobody"}, "content": content}, "ok"},
		{"offline", "array", map[string]any{"type": "publish", "to": "nobody", "content": content}, "offline"},
		{"wrong type", "array", map[string]any{"type": "publsh", "to": "nobody", "content": content}, "fail"},
		{"nothing", "query", map[string]any{}, "fail"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			fields, err := json.Marshal(test.fields)
			if err != nil {
				t.Fatalf("encoding the fields: %v", err)
			}
			var answer struct {
				Status int    `json:"status"`
				Body   string `json:"body"`
			}
			out := runPHP(t, path, fields, "php/push.php", crier.pushURL("/"), test.how)
			if err := json.Unmarshal([]byte(out), &answer); err != nil {
				t.Fatalf("PHP printed %q: %v", out, err)
			}
			if answer.Status != 200 || answer.Body != test.body {
				t.Fatalf("answered %d %q, want %q", answer.Status, answer.Body, test.body)
			}
			if test.body != "ok" {
				return
			}
			want := escaped
			if test.fields["content"] != content {
				want = strings.Repeat("y", 200_000)
			}
			if got := alice.await(t, happening{On: "event", Event: "new_msg"}).text(t, 0); got != want {
				t.Errorf("the message is %.100q, want %.100q", got, want)
			}
		})
	}
}

// TestEscaping compares what arrives with what this PHP's htmlspecialchars makes of 500 strings.
func TestEscaping(t *testing.T) {
	t.Parallel()
	path := php(t)
	crier := startCrier(t, nil)
	d := startDriver(t)
	alice := d.open(t, "alice", opening{client: latest, route: byWebSocket, url: crier.publicURL(""), login: "alice"})
	alice.loggedIn(t)
	out := runPHP(t, path, nil, "php/escape.php", crier.pushURL("/"), "alice", "500")
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(lines) != 500 {
		t.Fatalf("PHP pushed %d strings, want 500", len(lines))
	}
	crier.deliver(t, "alice", "the end")
	got := alice.until(t, "the end")
	if len(got) != len(lines)+1 {
		t.Fatalf("%d messages came, want %d", len(got)-1, len(lines))
	}
	for n, line := range lines {
		want, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			t.Fatalf("PHP printed %q: %v", line, err)
		}
		if got[n] != string(want) {
			t.Errorf("message %d is %q, htmlspecialchars makes it %q", n, got[n], want)
		}
	}
}
