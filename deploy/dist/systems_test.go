//go:build !race

package main

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// listed is a package, as go list prints it: one with its tests is named "path [path.test]".
type listed struct {
	ImportPath, Dir string
	GoFiles         []string
	ImportMap       map[string]string
	Module          *struct{ Main bool }
}

// TestSystems checks the types of the program for every system that it is given away for, and those of all programs and tests for
// one of each kind: in seconds what building for them finds in minutes, but for the linker. make dist builds.
func TestSystems(t *testing.T) {
	for _, target := range targets() {
		t.Run(target.os+" "+target.arch, func(t *testing.T) { systems(t, target, 20, ".") })
	}
	for _, target := range []target{{"linux", "arm"}, {"freebsd", "amd64"}, {"windows", "amd64"}} { // of 32 bits, of another Unix, of none
		t.Run("everything, "+target.os+" "+target.arch, func(t *testing.T) { systems(t, target, 90, "-test", "./...") })
	}
}

// systems checks the types of what go list lists, which has to be so many packages of ours.
func systems(t *testing.T, target target, least int, args ...string) {
	cmd := exec.Command("go", append([]string{"list", "-deps", "-json=ImportPath,Dir,GoFiles,ImportMap,Module"}, args...)...)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+target.os, "GOARCH="+target.arch)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	checked, ours := map[string]*types.Package{"unsafe": types.Unsafe}, 0
	for d := json.NewDecoder(out); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if p.ImportPath == "unsafe" || strings.HasSuffix(p.ImportPath, ".test") { // which is the program of the tests
			continue
		}
		own := p.Module != nil && p.Module.Main
		if own {
			ours++
		}
		checked[p.ImportPath] = check(t, p, own, target, checked)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("listing the packages: %v", err)
	}
	if ours < least {
		t.Errorf("only %d packages of ours", ours)
	}
}

// check checks the types of a package whose imports have been: of those of others only what they export.
func check(t *testing.T, p listed, own bool, target target, checked map[string]*types.Package) *types.Package {
	t.Helper()
	set := token.NewFileSet()
	var files []*ast.File
	for _, name := range p.GoFiles {
		file, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	config := types.Config{
		IgnoreFuncBodies: !own,
		FakeImportC:      true,
		Sizes:            types.SizesFor("gc", target.arch),
		Importer: importer(func(path string) (*types.Package, error) {
			if mapped := p.ImportMap[path]; mapped != "" {
				path = mapped
			}
			if found := checked[path]; found != nil {
				return found, nil
			}
			return nil, errors.New("not listed before it is imported: " + path)
		}),
		Error: func(err error) {
			if own {
				t.Error(err)
			}
		},
	}
	made, err := config.Check(p.ImportPath, set, files, nil)
	if err != nil && made == nil {
		t.Fatal(err)
	}
	return made
}

// importer is a function that is a [types.Importer].
type importer func(path string) (*types.Package, error)

func (i importer) Import(path string) (*types.Package, error) { return i(path) }
