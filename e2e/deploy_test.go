package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// output runs a program that has to succeed, and returns what it prints.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// TestUnits has systemd check the units, and how much it keeps from the service.
func TestUnits(t *testing.T) {
	t.Parallel()
	analyze := tool(t, "systemd-analyze", "apt-get install systemd")
	dir := t.TempDir()
	var units []string
	for name, edits := range map[string][]string{
		"crier.service":     {"ExecStart=/usr/bin/crier ", "ExecStart=" + os.Getenv(crierVariable) + " "},
		"crier.socket":      nil,
		"crier-push.socket": nil,
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(edited(t, "../deploy/"+name, edits...)), 0o600); err != nil {
			t.Fatal(err)
		}
		units = append(units, path)
	}
	if said := output(t, analyze, append([]string{"verify", "--man=no"}, units...)...); said != "" {
		t.Errorf("systemd-analyze verify: %s", said)
	}
	// From 0, nothing is left to it, to 100.
	output(t, analyze, "security", "--offline=yes", "--threshold=15", filepath.Join(dir, "crier.service"))
}

// TestDebianPackage makes the package, takes it apart, and pushes through the program with the settings in it.
func TestDebianPackage(t *testing.T) {
	t.Parallel()
	dpkg, shell := tool(t, "dpkg-deb", "a Debian system"), tool(t, "sh", "a POSIX shell")
	dir, root := t.TempDir(), t.TempDir()
	output(t, tool(t, "make", "apt-get install make"), "-C", "..", "deb", "VERSION=1.2.3", "DEB="+dir+"/")
	packages, err := filepath.Glob(filepath.Join(dir, "crier_1.2.3_*.deb"))
	if err != nil || len(packages) != 1 {
		t.Fatalf("made %q, %v", packages, err)
	}
	output(t, dpkg, "--extract", packages[0], root)
	output(t, dpkg, "--control", packages[0], dir)
	for _, script := range []string{"postinst", "prerm", "postrm"} {
		output(t, shell, "-n", filepath.Join(dir, script))
	}
	if conffiles, err := os.ReadFile(filepath.Join(dir, "conffiles")); err != nil || string(conffiles) != "/etc/crier/crier.yaml\n" {
		t.Errorf("settings that an upgrade leaves alone: %q, %v", conffiles, err)
	}
	for _, name := range []string{
		"lib/systemd/system/crier.service", "lib/systemd/system/crier.socket", "lib/systemd/system/crier-push.socket",
		"share/bash-completion/completions/crier", "share/doc/crier/docs/API.md", "share/doc/crier/crier.example.yaml",
	} {
		if info, err := os.Stat(filepath.Join(root, "usr", name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}

	unit := edited(t, filepath.Join(root, "usr/lib/systemd/system/crier.service"))
	_, rest, _ := strings.Cut(unit, "\nExecStart=")
	line, _, _ := strings.Cut(rest, "\n")
	command := strings.Fields(line)
	for n, word := range command {
		if strings.HasPrefix(word, "/") {
			command[n] = filepath.Join(root, word)
		}
	}
	elsewhere := free.with(settings{"store.path": filepath.Join(t.TempDir(), "crier.db")})
	crier := launch(t, command[0], elsewhere, command[1:]...)
	crier.push = crier.address(t, "push")
	if said := crier.publish(t, "nobody", "x"); said != "offline" {
		t.Errorf("a push was answered %q, want offline", said)
	}
}

// TestImage runs the commands of the Dockerfile, without a container: the server that it starts is healthy by its health
// check, and is not once it has ended.
func TestImage(t *testing.T) {
	t.Parallel()
	dockerfile := edited(t, "../deploy/Dockerfile")
	words := func(instruction string) []string {
		_, rest, found := strings.Cut(dockerfile, instruction)
		line, _, _ := strings.Cut(rest, "\n")
		var list []string
		if err := json.Unmarshal([]byte(line), &list); err != nil || !found {
			t.Fatalf("%s in the Dockerfile: %q, %v", instruction, line, err)
		}
		return list
	}
	command := append(words("\nENTRYPOINT "), words("\nCMD ")...)
	check := words(" CMD ") // of HEALTHCHECK
	if command[0] != "/crier" || check[0] != "/crier" || !strings.Contains(dockerfile, "/out/crier /crier\n") {
		t.Fatalf("the program of the image is /crier, not that of %q and %q", command, check)
	}
	program := os.Getenv(crierVariable)
	all := settings{"listen": freePort(t), "api.listen": freePort(t), "api.keys": "a-long-random-string"}
	crier := launch(t, program, all, command[1:]...)
	crier.address(t, "push")
	healthy := func() string {
		c := exec.CommandContext(t.Context(), program, check[1:]...)
		c.Env = all.environment()
		c.Dir = t.TempDir()
		out, err := c.Output()
		if err != nil {
			return err.Error()
		}
		return string(out)
	}
	if said := healthy(); strings.Count(said, "is ready") != 2 {
		t.Errorf("the health check of a server says %q", said)
	}
	crier.stop(t)
	if said := healthy(); said != "exit status 1" {
		t.Errorf("the health check of no server ends with %q", said)
	}
}
