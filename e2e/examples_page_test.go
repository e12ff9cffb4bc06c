package e2e

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestExamplePage opens the example of a page, from another port of Crier's host.
func TestExamplePage(t *testing.T) {
	t.Parallel()
	pages := httptest.NewServer(http.FileServer(http.Dir("../examples/browser")))
	t.Cleanup(pages.Close)
	crier := startCrier(t, nil)
	b := openPage(t, "http://shop.example:8080/page.html?uid=42", hostRules(t, pages.URL, crier), desktop)
	b.wait(t, "#state", "online")
	content := `<script>alert(1)</script> & "quoted" ` + hard
	crier.deliver(t, "42", content)
	if got := b.wait(t, "#messages li", "quoted"); got != content {
		t.Errorf("the page shows %q, want %q", got, content)
	}
	r := do(t, http.MethodPost, crier.pushURL("/v1/push"), `{"to":{"users":["42"]},"event":"order.shipped","data":{"order":"<b>7"}}`, nil)
	if r.status != http.StatusOK {
		t.Fatalf("the push was answered %d %s", r.status, r.body)
	}
	b.wait(t, "#messages li", "Order <b>7 has shipped")
	b.content(t)
	b.do(t, map[string]any{"do": "open", "url": "http://shop.example:8080/page.html?uid=%01", "width": desktop.width, "height": desktop.height})
	b.wait(t, "#state", "refused, bad_uid")
}
