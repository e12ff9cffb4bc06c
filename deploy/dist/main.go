// Dist builds Crier for every system that it is given away for, in archives with checksums: make dist.
//
//	crier_VERSION_OS_ARCH.tar.gz    the program and what belongs to it; a .zip for Windows
//	SHA256SUMS                      for sha256sum -c
//
// VERSION is the one that the program itself says it is, which Go takes from the commit's tag (v1.2.3). The same commit gives the
// same bytes, with the same release of Go: nothing of the machine or the time is in them.
package main

import (
	"cmp"
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// target is one system.
type target struct{ os, arch string }

// targets are all of them.
func targets() []target {
	return []target{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"}, {"windows", "arm64"}}
}

// companions are the files that go with the program, by their names in the repository.
func companions() []string {
	return []string{"README.md", "README.zh-CN.md", "LICENSE", "CHANGELOG.md", "configs/crier.example.yaml", "deploy/crier.service"}
}

func main() {
	into := flag.String("into", "bin/dist", "the `FOLDER` for the archives")
	changed := flag.Bool("changed", false, "also build what is not committed, for a try")
	flag.Parse()
	if err := dist(*into, *changed); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

// dist makes all archives, from the repository's root.
func dist(into string, changed bool) error {
	if err := os.MkdirAll(into, 0o755); err != nil {
		return fmt.Errorf("making %s: %w", into, err)
	}
	var sums strings.Builder
	for _, t := range targets() {
		name, sum, err := pack(t, into, changed)
		if err != nil {
			return fmt.Errorf("%s/%s: %w", t.os, t.arch, err)
		}
		fmt.Println(filepath.Join(into, name))
		fmt.Fprintf(&sums, "%s  %s\n", sum, name)
	}
	if err := os.WriteFile(filepath.Join(into, "SHA256SUMS"), []byte(sums.String()), 0o644); err != nil {
		return fmt.Errorf("writing the checksums: %w", err)
	}
	return nil
}

// pack builds for t, and writes its archive into a folder.
func pack(t target, into string, changed bool) (name, sum string, err error) {
	program := "crier"
	if t.os == "windows" {
		program += ".exe"
	}
	folder, err := os.MkdirTemp("", "crier-dist-")
	if err != nil {
		return "", "", fmt.Errorf("making a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	path := filepath.Join(folder, program)
	if err := build(t, path); err != nil {
		return "", "", err
	}
	version, at, err := stamp(path, changed)
	if err != nil {
		return "", "", err
	}
	base := fmt.Sprintf("crier_%s_%s_%s", version, t.os, t.arch)
	files := []file{{base + "/" + program, path, 0o755}}
	for _, one := range companions() {
		files = append(files, file{base + "/" + filepath.Base(one), one, 0o644})
	}
	write := tarball
	name = base + ".tar.gz"
	if t.os == "windows" {
		write, name = zipped, base+".zip"
	}
	sum, err = archive(filepath.Join(into, name), files, at, write)
	return name, sum, err
}

// build compiles the program for t.
func build(t target, path string) error {
	cmd := exec.Command(cmp.Or(os.Getenv("GO"), "go"), "build", "-trimpath", "-buildvcs=true", "-ldflags=-s -w", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+t.os, "GOARCH="+t.arch, "GOFLAGS=", "GOAMD64=v1", "GOARM64=v8.0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building: %w\n%s", err, out)
	}
	return nil
}

// stamp returns the version that a program says it is, and the time of its commit.
func stamp(path string, changed bool) (version string, at time.Time, err error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("reading what was built: %w", err)
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.modified" && s.Value == "true" && !changed:
			return "", time.Time{}, errors.New("there are changes that are not committed: commit them, or say -changed for a try")
		case s.Key == "vcs.time":
			if at, err = time.Parse(time.RFC3339, s.Value); err != nil {
				return "", time.Time{}, fmt.Errorf("reading the time of the commit: %w", err)
			}
		}
	}
	if at.IsZero() {
		return "", time.Time{}, errors.New("no commit was found here: build in a clone of the repository, with git installed")
	}
	return strings.TrimPrefix(info.Main.Version, "v"), at.UTC(), nil
}
