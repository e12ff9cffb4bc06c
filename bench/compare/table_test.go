//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"crier/bench"
)

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "–", 0.65: "0.65", 1.2: "1.2", 12: "12", 534: "534", 20_800: "20,800", 1_500_000: "1,500,000"} {
		if got := number(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}

func TestMarkdown(t *testing.T) {
	c := &comparison{clients: 10_000, rounds: 3, duration: time.Second, notes: []string{"b", "a", "b"}}
	peers := []peer{{name: "crier", version: "1"}, {name: "ceiling", version: "2"}}
	value := func(r *bench.Result) float64 { return float64(r.Sent) }
	cols := []column{
		{"push", "more", value, []bound{atLeast("ceiling", 0.5)}},
		{"push", "less", value, []bound{atMost("ceiling", 0.5), atLeast("handler", 1)}},
		{"alone", "alone", value, []bound{atMost("", 5)}},
		{"lines", "link", value, []bound{overPush(), atLeast("", 9)}},
		{"none", "nothing", value, []bound{atMost("", 5)}},
	}
	rounds := func(sent ...int) []*bench.Result {
		var list []*bench.Result
		for _, n := range sent {
			list = append(list, &bench.Result{Sent: n})
		}
		return list
	}
	text := c.markdown(peers, cols, map[string]results{
		"push": {"crier": rounds(1, 3, 2), "ceiling": rounds(2, 4, 8)}, "alone": {"crier": rounds(5)}, "lines": {"crier": rounds(2, 6, 8)},
	})
	for _, want := range []string{
		"| more | 2 | 4 | 0.5 | – | ≥ 0.5 × ceiling | 0.5 | yes |\n", "| less | 2 | 4 | 0.5 | – | ≤ 0.5 × ceiling; ≥ 1 × handler | 0.5; – | yes; – |\n",
		"| alone | 5 | – | – | – | ≤ 5 | 5 | yes |\n", "| link | 6 | – | – | – | ≥ 2.5 × push; ≥ 9 | 2; 6 | no; no |\n", "- crier: 1\n- ceiling: 2\n- a\n- b\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "nothing") {
		t.Errorf("a figure without any is in\n%s", text)
	}
}

func TestWrite(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(page, []byte("before\n<!-- table -->\nold\n<!-- /table -->\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := write(page, "table", "new\n"); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(page); err != nil || string(data) != "before\n<!-- table -->\nnew\n<!-- /table -->\nafter\n" {
		t.Errorf("%q: %v", data, err)
	}
	if err := write(page, "growth", "new\n"); err == nil {
		t.Error("a page without the markers was written")
	}
}
