package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestClientsDocument compares the table in docs/CLIENTS.md with what is tested.
func TestClientsDocument(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../docs/CLIENTS.md")
	if err != nil {
		t.Fatal(err)
	}
	want := clientsTable(t)
	if !strings.Contains(string(document), want) {
		t.Errorf("docs/CLIENTS.md has another table than that of what is tested:\n%s", want)
	}
}

// clientsTable says which release goes which ways, and where.
func clientsTable(t *testing.T) string {
	t.Helper()
	releases := releases(t)
	type row struct{ node, page, jsonp bool }
	rows, order := map[string]row{}, []client(nil)
	for _, c := range slices.Concat(pageClients, nodeClients) {
		version := releases[c.lib]
		if version == "" {
			t.Fatalf("package.json has no %s", c.lib)
		}
		one, known := rows[version]
		if !known {
			order = append(order, c)
		}
		one.node, one.page, one.jsonp = one.node || !c.page, one.page || c.page, one.jsonp || c.jsonp()
		rows[version] = one
	}
	slices.SortFunc(order, func(a, b client) int { return strings.Compare(releases[a.lib], releases[b.lib]) })
	var table strings.Builder
	table.WriteString("| release | Engine.IO | in Node | in Chromium | in Chromium by JSONP |\n|---|---|---|---|---|\n")
	mark := map[bool]string{true: "✓", false: ""}
	for _, c := range order {
		one := rows[releases[c.lib]]
		fmt.Fprintf(&table, "| %s | %d | %s | %s | %s |\n", releases[c.lib], c.revision, mark[one.node], mark[one.page], mark[one.jsonp])
	}
	return table.String()
}

// releases returns the versions of the clients by their names in package.json.
func releases(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("package.json")
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct{ Dependencies map[string]string }
	if err := json.Unmarshal(text, &manifest); err != nil {
		t.Fatalf("package.json: %v", err)
	}
	all := map[string]string{}
	for name, source := range manifest.Dependencies {
		if version, ok := strings.CutPrefix(source, "npm:socket.io-client@"); ok {
			all[name] = version
		}
	}
	return all
}
