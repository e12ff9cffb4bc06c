package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestOnce tries crier.js without a page.
func TestOnce(t *testing.T) {
	t.Parallel()
	path, err := filepath.Abs("../web/crier.js")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(node(t), "clients/once.mjs", path).CombinedOutput(); err != nil || string(out) != "fine\n" {
		t.Errorf("%v\n%s", err, out)
	}
	script, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(script), "\n"); n > 60 {
		t.Errorf("crier.js has %d lines", n)
	}
}

// TestOnceInAPage kills the server, and reloads the page, while messages are on their way to it: the page handles each once,
// in order.
func TestOnceInAPage(t *testing.T) {
	t.Parallel()
	const count = 300
	kept := settings{
		"listen": ownAddress(), "store.path": t.TempDir() + "/crier.db", "inbox.open": "true", "inbox.message_id": "true",
		"limits.queue_messages": "40", "origins": "*",
	}
	crier := startCrier(t, kept)
	kept = kept.with(settings{"listen": crier.public})
	stored := 0
	store := func(n int) {
		var batch []string
		for range n {
			batch = append(batch, fmt.Sprintf(`{"to":{"users":["u"]},"data":"%d","store":true}`, stored))
			stored++
		}
		crier.store(t, "["+strings.Join(batch, ",")+"]")
	}
	store(count)
	pages := httptest.NewServer(http.FileServer(http.Dir("pages")))
	t.Cleanup(pages.Close)
	b := openPage(t, pages.URL+"/once.html?server="+url.QueryEscape(crier.publicURL("")), "", desktop)
	b.wait(t, "#handled", "0 1")
	crier.kill(t)
	crier = startCrier(t, kept)
	b.wait(t, "#last", fmt.Sprint(count-1))
	for range 3 {
		store(count)
		b.do(t, map[string]any{"do": "reload"})
	}
	b.wait(t, "#last", fmt.Sprint(stored-1))
	if got := strings.Fields(b.wait(t, "#handled", "")); len(got) != stored {
		t.Errorf("the page has handled %d of %d messages", len(got), stored)
	} else {
		for n, text := range got {
			if text != fmt.Sprint(n) {
				t.Fatalf("the page has handled %q where %d was due", text, n)
			}
		}
	}
	t.Logf("%s messages arrived for %d", b.wait(t, "#arrived", ""), stored)
	crier.awaitEmptyInbox(t)
}

// TestHelperIsServed asks for crier.js, which says whether messages carry their ids.
func TestHelperIsServed(t *testing.T) {
	t.Parallel()
	for shown, want := range map[string]string{"true": "var shown = true;", "false": "var shown = false;"} {
		crier := startCrier(t, settings{"inbox.message_id": shown})
		r := do(t, http.MethodGet, crier.publicURL("/crier.js"), "", nil)
		if r.status != http.StatusOK || !strings.Contains(r.body, want) || r.header.Get("ETag") == "" {
			t.Errorf("status %d, ETag %q, %.100s", r.status, r.header.Get("ETag"), r.body)
		}
		r = do(t, http.MethodGet, crier.publicURL("/crier.js"), "", http.Header{"If-None-Match": {r.header.Get("ETag")}})
		if r.status != http.StatusNotModified {
			t.Errorf("status %d for the ETag that it has", r.status)
		}
	}
}
