package documents

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// logging are the packages of the program that log.
func logging() []string {
	return []string{
		"app", "app/cli", "app/demo", "api", "api/auth", "api/schedule", "api/webhook", "fallback", "web",
		"io/cluster", "io/cluster/hop", "io/engineio", "io/hub", "io/jobs", "io/socketio", "io/store", "io/wsconn",
	}
}

// isLog reports whether a call is one of a slog.Logger, and its method.
func isLog(c *ast.CallExpr) (method string, ok bool) {
	f, is := c.Fun.(*ast.SelectorExpr)
	if !is {
		return "", false
	}
	receiver := ""
	switch x := f.X.(type) {
	case *ast.Ident:
		receiver = x.Name
	case *ast.SelectorExpr:
		receiver = x.Sel.Name
	}
	if receiver != "log" && receiver != "logger" && receiver != "Logger" {
		return "", false
	}
	return f.Sel.Name, true
}

// pairs are the keys of key, value, key, value.
func pairs(list []ast.Expr) (keys []string) {
	for i := 0; i < len(list); i += 2 {
		if text := literal(list[i]); text != "…" {
			keys = append(keys, text)
		}
	}
	return keys
}

// logged are the keys of what is logged, and the messages of warnings and errors.
func logged(t *testing.T) (keys, warnings []string) {
	t.Helper()
	each(t, logging(), func(n ast.Node) {
		switch n := n.(type) {
		case *ast.CompositeLit: // []any{"key", value}
			if a, ok := n.Type.(*ast.ArrayType); ok {
				if of, ok := a.Elt.(*ast.Ident); ok && of.Name == "any" {
					keys = append(keys, pairs(n.Elts)...)
				}
			}
			if of, ok := n.Type.(*ast.Ident); ok && of.Name == "Advice" && len(n.Elts) > 1 { // {slog.LevelWarn, "message", …}
				if level, ok := n.Elts[0].(*ast.SelectorExpr); ok && level.Sel.Name == "LevelWarn" {
					warnings = append(warnings, literal(n.Elts[1]))
				}
			}
		case *ast.CallExpr:
			if called(n) == "append" && len(n.Args) > 2 {
				if to, ok := n.Args[0].(*ast.Ident); ok && to.Name == "attrs" {
					keys = append(keys, pairs(n.Args[1:])...)
				}
			}
			if name := called(n); strings.HasPrefix(name, "slog.") && len(n.Args) == 2 {
				keys = append(keys, pairs(n.Args)...)
			}
			method, ok := isLog(n)
			switch {
			case !ok:
			case method == "With":
				keys = append(keys, pairs(n.Args)...)
			case method == "Log":
				keys = append(keys, pairs(n.Args[3:])...)
			case slices.Contains([]string{"Debug", "Info", "Warn", "Error"}, method):
				keys = append(keys, pairs(n.Args[1:])...)
				if message := literal(n.Args[0]); (method == "Warn" || method == "Error") && message != "…" {
					warnings = append(warnings, message)
				}
			}
		}
	})
	return keys, warnings
}

// TestLogs: docs/LOGS.md has every field, and every warning and error.
func TestLogs(t *testing.T) {
	text := document(t, "LOGS.md")
	raw := rawDocument(t, "LOGS.md")
	keys, warnings := logged(t)
	if len(keys) < 150 || len(warnings) < 60 {
		t.Fatalf("only %d keys and %d warnings were found", len(keys), len(warnings))
	}
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		if !strings.Contains(raw, "`"+key+"`") {
			t.Errorf("missing field: %s", key)
		}
	}
	for _, message := range warnings {
		if !strings.Contains(text, beginning(plain(message))) {
			t.Errorf("missing message: %s", beginning(plain(message)))
		}
	}
}

// beginning is what of a message stands in the document: all of it, or its first words if it is long.
func beginning(message string) string {
	const most = 64
	if len(message) <= 2*most {
		return message
	}
	return message[:strings.LastIndexByte(message[:most], ' ')]
}
