package socketio

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The program that docs/LIBRARY.md begins with can be built as it stands there.
func TestLibraryPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/LIBRARY.md")
	if err != nil {
		t.Fatal(err)
	}
	_, program, found := strings.Cut(string(page), "```go\n")
	program, _, ended := strings.Cut(program, "```\n")
	if !found || !ended || !strings.HasPrefix(program, "package main") {
		t.Fatal("the page does not begin with a program")
	}
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput(); err != nil {
		t.Errorf("go vet: %v\n%s", err, out)
	}
}
