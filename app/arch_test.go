package app

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// arrows says which packages of this module each package may import; a test
// file may import more. docs/ARCHITECTURE.md explains them.
var arrows = map[string][]string{
	"io/netpoll":           {},
	"io/hub":               {},
	"io/hub/inboxtest":     {"io/hub"}, // for tests
	"io/jobs":              {},
	"io/store":             {"io/hub", "io/jobs"},
	"io/cluster":           {"io/hub", "io/jobs"},
	"io/cluster/hop":       {"io/netpoll"},
	"io/cluster/redistest": {}, // for tests
	"web":                  {},
	"configs":              {},
	"api/outbound":         {},
	"api/auth":             {"api/outbound"},
	"io/http1":             {},
	"io/rawjson":           {},
	"io/wsconn":            {"io/netpoll"},
	"io/httpconn":          {"io/http1", "io/netpoll", "io/wsconn"},
	"io/engineio":          {"io/netpoll", "io/wsconn"},
	"io/engineio/pipenet":  {}, // for tests
	"io/socketio":          {"io/engineio", "io/hub", "io/rawjson"},
	"io/socketio/client":   {"io/engineio", "io/socketio"},
	"io/socketio/intime":   {}, // for tests
	"fallback":             {"io/engineio", "io/httpconn", "io/wsconn", "io/hub"},
	"api":                  {"io/hub", "io/jobs", "io/rawjson", "io/wsconn", "api/schedule"},
	"api/client":           {},
	"api/fastpath":         {"io/http1", "io/netpoll"},
	"api/schedule":         {},
	"api/webhook":          {"api/outbound", "io/jobs", "io/hub"},
	"app": {
		"io/netpoll", "io/wsconn", "io/httpconn", "io/engineio", "io/socketio", "io/hub", "io/jobs", "io/store", "io/cluster", "io/cluster/hop",
		"fallback", "api", "api/auth", "api/fastpath", "api/schedule", "api/webhook", "web", "configs",
	},
	"app/doctor": {"app", "configs", "api/outbound", "io/cluster"},
	"app/demo":   {"app", "configs", "web", "api/client", "api/webhook", "io/socketio", "io/socketio/client"},
	"bench/load": {},
	"bench/proc": {},
	"bench":      {"bench/load", "bench/proc"},
	"app/cli":    {"app", "app/demo", "app/doctor", "bench", "configs", "api/client", "io/socketio", "io/socketio/client"},
	"":           {"app/cli"}, // main
}

// outside are folders of packages that nothing of the product imports.
var outside = []string{"bench/compare", "bench/peers", "deploy", "e2e", "examples"}

func TestArrows(t *testing.T) {
	seen := map[string]bool{}
	err := filepath.WalkDir("..", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "node_modules" || name == "testdata" || strings.HasPrefix(name, ".") && name != "..") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		pkg := packageOf(file)
		if slices.ContainsFunc(outside, func(folder string) bool { return strings.HasPrefix(pkg+"/", folder+"/") }) {
			return nil
		}
		seen[pkg] = true
		checkImports(t, pkg, file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen["io"] {
		t.Error("io is a folder, not a package: no .go file may stand directly in it")
	}
	for pkg := range arrows {
		if !seen[pkg] {
			t.Errorf("package %q is in the table but not in the tree", pkg)
		}
	}
}

// packageOf is the import path of a file without the module's name; "" for main.
func packageOf(file string) string {
	dir := path.Dir(strings.TrimPrefix(filepath.ToSlash(file), "../"))
	if dir == "." {
		return ""
	}
	return dir
}

func checkImports(t *testing.T, pkg, file string) {
	t.Helper()
	allowed, known := arrows[pkg]
	if !known {
		t.Errorf("%s: package %q has no row in the table of arrows", file, pkg)
		return
	}
	if strings.HasSuffix(file, "_test.go") {
		return
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Error(err)
		return
	}
	for _, imp := range parsed.Imports {
		name, err := strconv.Unquote(imp.Path.Value)
		if err != nil {
			t.Error(err)
			continue
		}
		inside, ours := strings.CutPrefix(name, "crier/")
		if ours && !slices.Contains(allowed, inside) {
			t.Errorf("%s imports %s, which %q may not", file, name, pkg)
		}
	}
}
