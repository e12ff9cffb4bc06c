package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

// foreignClients are clients in other languages, which foreign/prepare puts together. Their lib is theirs alone.
var foreignClients = []struct {
	client
	command []string // in foreign/
	needs   string   // a file there
}{
	{client{lib: "java-1.0", revision: 3}, []string{"java", "-cp", "java/v1/classes:java/v1/lib/*", "Driver"}, "java/v1/classes"},
	{client{lib: "java-2.1", revision: 4}, []string{"java", "-cp", "java/v2/classes:java/v2/lib/*", "Driver"}, "java/v2/classes"},
	{client{lib: "python-4", revision: 3}, []string{"python/v4/bin/python", "python/driver.py"}, "python/v4/installed"},
	{client{lib: "python-5", revision: 4}, []string{"python/v5/bin/python", "python/driver.py"}, "python/v5/installed"},
}

// TestForeignClients has clients in Java and Python log in, get 1,000 pushes in their order, and come back after Crier
// was stopped and killed, on each route.
func TestForeignClients(t *testing.T) {
	t.Parallel()
	for _, c := range foreignClients {
		t.Run(c.lib, func(t *testing.T) {
			if _, err := os.Stat(filepath.Join("foreign", c.needs)); err != nil {
				missing(t, "the clients in other languages are missing: run make test-clients")
			}
			d := &driver{script: startForeign(t, c.command...), sockets: map[string]*socket{}}
			everyTrial(t, d, c.client, "product", "restart")
		})
	}
	t.Run("Java-WebSocket", func(t *testing.T) { // does what the clients without Socket.IO do in JavaScript
		if _, err := os.Stat(filepath.Join("foreign", "java/websocket/classes")); err != nil {
			missing(t, "the clients in other languages are missing: run make test-clients")
		}
		c := &crowd{startForeign(t, "java", "-cp", "java/websocket/classes:java/websocket/lib/*", "PlainDriver"), map[string][]heard{}, sameJSON}
		tryPlain(t, c, "ws")
	})
}

// startForeign runs a command in foreign/.
func startForeign(t *testing.T, command ...string) *script {
	t.Helper()
	return startScript(t, tool(t, "sh", "a POSIX shell"), append([]string{"-c", `cd foreign && exec "$@"`, "sh"}, command...)...)
}
