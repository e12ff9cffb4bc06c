package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// snippet is a block of commands in a document.
type snippet struct {
	line   int
	text   string
	reason string // why it is not run; "": it is
}

var notRun = regexp.MustCompile(`^\s*<!-- not run: (.*\S) -->$`)

// snippets are the blocks of a document that are marked as sh. One that cannot be run says why on the line behind it:
// <!-- not run: needs root -->.
func snippets(t *testing.T, path string) (all []snippet) {
	t.Helper()
	document, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var now *snippet
	indent := ""
	for n, line := range strings.Split(string(document), "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case now == nil && trimmed == "```sh":
			indent = line[:strings.Index(line, "`")]
			now = &snippet{line: n + 1}
		case now != nil && trimmed == "```":
			all = append(all, *now)
			now = nil
		case now != nil:
			now.text += strings.TrimPrefix(line, indent) + "\n"
		default:
			if m := notRun.FindStringSubmatch(line); m != nil {
				if len(all) == 0 || all[len(all)-1].reason != "" {
					t.Fatalf("%s:%d: no block stands before this", path, n+1)
				}
				all[len(all)-1].reason = m[1]
			}
		}
	}
	if now != nil {
		t.Fatalf("%s:%d: the block has no end", path, now.line)
	}
	return all
}

// TestSnippets runs the commands of the documents, those of one document in order against one server.
func TestSnippets(t *testing.T) {
	t.Parallel()
	bash := tool(t, "bash", "apt-get install bash")
	tool(t, "curl", "apt-get install curl")
	paths, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, path := range append(paths, "../README.md", "../CONTRIBUTING.md", "../examples/README.md") {
		blocks := snippets(t, path)
		if len(blocks) == 0 {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			s := startCrier(t, settings{"inbox.open": "true", "rooms.client_join": "allow"})
			dir := t.TempDir()
			for name, text := range map[string]string{
				"app.log":    "a line\nanother\n",
				"crier.yaml": "listen: 127.0.0.1:0\napi: {listen: 127.0.0.1:0, keys: [a-key-for-the-snippets]}\nauth: {mode: jwt, jwt: {secret: a-secret-of-32-bytes-for-snippets}}\n",
			} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for _, b := range blocks {
				if b.reason != "" {
					t.Logf("%s:%d is not run: %s", path, b.line, b.reason)
					continue
				}
				ran++
				runSnippet(t, bash, s, dir, path, b)
			}
		})
	}
	if ran < 15 {
		t.Errorf("only %d blocks were run", ran)
	}
}

// runSnippet runs a block in a folder.
func runSnippet(t *testing.T, bash string, s *server, dir, path string, b snippet) {
	t.Helper()
	prelude, err := filepath.Abs("snippets.sh")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, bash, "-eu", "-o", "pipefail", "-c", ". "+prelude+"\n"+b.text)
	cmd.Dir = dir
	cmd.Env = append(settings{}.environment(),
		"CRIER="+os.Getenv(crierVariable), "CRIER_URL="+s.pushURL(""), "PUBLIC="+s.public, "PUSH="+s.push,
		fmt.Sprintf("SERVER=%d", s.cmd.Process.Pid), "ROOT="+filepath.Dir(filepath.Dir(prelude)))
	cmd.WaitDelay = patience // a child may hold its output
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s:%d: %v, %v\n%s\n%s", path, b.line, err, ctx.Err(), b.text, out)
	}
}
