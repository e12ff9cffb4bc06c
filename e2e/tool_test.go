package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// tool returns the path of a program the test cannot do without. Where it is missing the test is
// skipped on a developer's machine and fails in CI (CI=true); how says what to install.
func tool(t *testing.T, name, how string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, name+" is missing: "+how)
	}
	return path
}

// missing skips the test for want of something, or fails it in CI.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// node returns the path of Node, having seen that the clients are installed.
func node(t *testing.T) string {
	t.Helper()
	path := tool(t, "node", "install Node 20 or later (apt-get install nodejs npm, or nodejs.org)")
	if _, err := os.Stat(filepath.Join("node_modules", "sioc-4")); err != nil {
		missing(t, "the npm packages are missing: run npm ci in e2e/")
	}
	return path
}

// php returns the path of PHP with its curl extension.
func php(t *testing.T) string {
	t.Helper()
	path := tool(t, "php", "apt-get install php-cli php-curl")
	if err := exec.Command(path, "-r", "exit(function_exists('curl_init') ? 0 : 1);").Run(); err != nil {
		missing(t, "PHP has no curl extension: apt-get install php-curl")
	}
	return path
}
