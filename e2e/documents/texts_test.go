package documents

import (
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// parsed are the files of a package, without its tests.
func parsed(t *testing.T, folder string) []*ast.File {
	t.Helper()
	names, err := filepath.Glob("../../" + folder + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	if len(files) == 0 {
		t.Fatalf("no files in %s", folder)
	}
	return files
}

// literal is the text of an expression of literals: "a", or "a" + "b". What is not one is "…".
func literal(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			return constant.StringVal(constant.MakeFromLiteral(e.Value, e.Kind, 0))
		}
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			return literal(e.X) + literal(e.Y)
		}
	case *ast.ParenExpr:
		return literal(e.X)
	}
	return "…"
}

// called is the name of what a call calls: errors.New, log.Warn.
func called(c *ast.CallExpr) string {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			return x.Name + "." + f.Sel.Name
		}
		return "." + f.Sel.Name
	}
	return ""
}

// each calls fn with every node of the packages.
func each(t *testing.T, folders []string, fn func(ast.Node)) {
	t.Helper()
	for _, folder := range folders {
		for _, file := range parsed(t, folder) {
			ast.Inspect(file, func(n ast.Node) bool {
				fn(n)
				return true
			})
		}
	}
}

// returned are the texts that the functions of a name return, in packages.
func returned(t *testing.T, name string, folders ...string) (all []string) {
	t.Helper()
	each(t, folders, func(n ast.Node) {
		f, ok := n.(*ast.FuncDecl)
		if !ok || f.Name.Name != name {
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if r, ok := n.(*ast.ReturnStmt); ok {
				for _, value := range r.Results {
					if text := literal(value); !strings.Contains(text, "…") && text != "" {
						all = append(all, text)
					}
				}
			}
			return true
		})
	})
	return all
}

// constants are the values of the constants of a type in a package.
func constants(t *testing.T, typ, folder string) (all []string) {
	t.Helper()
	each(t, []string{folder}, func(n ast.Node) {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return
		}
		if id, ok := v.Type.(*ast.Ident); !ok || id.Name != typ {
			return
		}
		for _, value := range v.Values {
			if text := literal(value); text != "…" {
				all = append(all, text)
			}
		}
	})
	return all
}

// arguments are the texts of the n-th argument of calls of the names.
func arguments(t *testing.T, n int, names []string, folders ...string) (all []string) {
	t.Helper()
	each(t, folders, func(node ast.Node) {
		c, ok := node.(*ast.CallExpr)
		if ok && len(c.Args) > n && slices.Contains(names, called(c)) {
			all = append(all, literal(c.Args[n]))
		}
	})
	return all
}

// second are the second values of composite literals of a type without names of fields: {Forbidden, "kicked", "…"}.
func second(t *testing.T, typ string, folders ...string) (all []string) {
	t.Helper()
	each(t, folders, func(n ast.Node) {
		c, ok := n.(*ast.CompositeLit)
		if !ok || len(c.Elts) < 3 {
			return
		}
		var name string
		switch of := c.Type.(type) {
		case *ast.Ident:
			name = of.Name
		case *ast.SelectorExpr:
			name = of.Sel.Name
		}
		if name == typ {
			if text := literal(c.Elts[1]); text != "…" {
				all = append(all, text)
			}
		}
	})
	return all
}

// words are the literals without a blank in the functions of a name, in packages.
func words(t *testing.T, name string, folders ...string) (all []string) {
	t.Helper()
	each(t, folders, func(n ast.Node) {
		f, ok := n.(*ast.FuncDecl)
		if !ok || f.Name.Name != name {
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING && !strings.Contains(l.Value, " ") {
				all = append(all, literal(l))
			}
			return true
		})
	})
	return all
}

// sentences are the literals of packages that somebody reads: of three words or more.
func sentences(t *testing.T, folders ...string) (all []string) {
	t.Helper()
	each(t, folders, func(n ast.Node) {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			text, err := strconv.Unquote(l.Value)
			if err != nil {
				t.Fatal(err)
			}
			if len(strings.Fields(text)) > 2 {
				all = append(all, text)
			}
		}
	})
	return all
}

var verb = regexp.MustCompile(`%[-+#0-9.]*[a-z]`)

// plain is a text as a document has it: "…" for what varies, no backquotes, no pause at either end.
func plain(text string) string {
	text = verb.ReplaceAllString(strings.ReplaceAll(text, "`", ""), "…")
	return strings.Trim(strings.Join(strings.Fields(text), " "), " :;,.…(")
}

// rawDocument is a file of docs.
func rawDocument(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// document is what a file of docs says, without backquotes.
func document(t *testing.T, name string) string {
	t.Helper()
	return strings.Join(strings.Fields(strings.NewReplacer("`", "", `\|`, "|").Replace(rawDocument(t, name))), " ")
}

// TestTroubleshooting: docs/TROUBLESHOOTING.md has every code and every text by which Crier refuses something.
func TestTroubleshooting(t *testing.T) {
	text, raw := document(t, "TROUBLESHOOTING.md"), rawDocument(t, "TROUBLESHOOTING.md")
	settings := sentences(t, "configs")
	settings = slices.DeleteFunc(settings, func(s string) bool { // the help of the settings, and what wraps an error
		return !regexp.MustCompile(`^(must |needs |has |is |holds |cannot be |looks like|a value that|takes the port)`).MatchString(s) || strings.HasSuffix(s, "did you mean ")
	})
	start := arguments(t, 0, []string{"errors.New", "fmt.Errorf"}, "app", "io/store")
	start = slices.DeleteFunc(start, func(s string) bool { // steps, which end with the error that says what is wrong
		return regexp.MustCompile(`^[a-z]+ing .*%w$|^(app|fallback|store): |^%w; `).MatchString(s) || len(strings.Fields(plain(s))) < 3
	})
	for _, group := range []struct {
		name   string
		least  int
		quoted bool // the whole text stands in backquotes, as codes do
		texts  []string
	}{
		{"codes of the push port", 30, true, constants(t, "code", "api")},
		{"codes of login, subscribe and forwarding", 12, true, slices.Concat(returned(t, "errorCode", "app"), returned(t, "Code", "api/auth"), words(t, "failure", "app"))},
		{"codes of refused clients", 6, true, slices.Concat(second(t, "noEntry", "app"), second(t, "Reason", "app", "fallback"))},
		{"Engine.IO errors", 8, false, returned(t, "String", "io/engineio")},
		{"refused requests", 12, false, arguments(t, 1, []string{"refuse"}, "io/engineio")},
		{"reasons of an end", 9, false, slices.Concat(constants(t, "Reason", "io/engineio"), constants(t, "Reason", "io/socketio"))},
		{"settings", 60, false, settings},
		{"start", 30, false, start},
	} {
		t.Run(group.name, func(t *testing.T) {
			if len(group.texts) < group.least {
				t.Fatalf("only %d found: %q", len(group.texts), group.texts)
			}
			slices.Sort(group.texts)
			for _, one := range slices.Compact(group.texts) {
				if group.quoted && !strings.Contains(raw, "`"+one+"`") || !strings.Contains(text, plain(one)) {
					t.Errorf("missing: %s", plain(one))
				}
			}
		})
	}
}
