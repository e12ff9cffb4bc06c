package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"
)

// hostRules lets Chromium find web-msg-sender's page and its port 2120 under the name shop.example.
func hostRules(t *testing.T, page string, crier *server) string {
	t.Helper()
	u, err := url.Parse(page)
	if err != nil {
		t.Fatalf("parsing %q: %v", page, err)
	}
	return fmt.Sprintf("MAP shop.example:2120 %s, MAP shop.example:8080 %s", crier.public, u.Host)
}

// TestWebsenderPage opens web-msg-sender's page, from another port of the same host, as it stands.
func TestWebsenderPage(t *testing.T) {
	t.Parallel()
	pages := httptest.NewServer(http.FileServer(http.Dir("pages")))
	t.Cleanup(pages.Close)
	crier := startCrier(t, nil)
	b := openPage(t, "http://shop.example:8080/websender.html", hostRules(t, pages.URL, crier), desktop)

	if count, want := b.wait(t, "#online_box", "1人在线"), "当前1人在线，共打开1个页面"; count != want {
		t.Errorf("the online count is %q, want %q", count, want)
	}
	uid := b.wait(t, "b.uid", "000")
	link := crier.pushURL("/?type=publish&content=%E6%B6%88%E6%81%AF%E5%86%85%E5%AE%B9&to=" + uid)
	if r := do(t, http.MethodGet, link, "", nil); r.body != "ok" {
		t.Fatalf("the page's link was answered %q", r.body)
	}
	b.wait(t, "#content", "收到消息：消息内容")

	crier.deliver(t, uid, `<b>bold</b> & "quoted" `+hard)
	b.wait(t, "#content", `收到消息：<b>bold</b> & "quoted" `+hard)
	crier.deliver(t, "", "to all")
	b.wait(t, "#content", "收到消息：to all")
	b.content(t)
	b.picture(t, "websender-1280", desktop)
}

// TestDemoPage opens Crier's own page and pushes with the curl lines that it shows.
func TestDemoPage(t *testing.T) {
	t.Parallel()
	shell := tool(t, "sh", "a POSIX shell")
	tool(t, "curl", "apt-get install curl")
	for _, language := range []string{"en", "zh"} {
		t.Run(language, func(t *testing.T) {
			crier := startCrier(t, nil)
			b := openPage(t, crier.publicURL("/?lang="+language), "", desktop)
			b.wait(t, `#status[data-state="connected"]`, "")
			b.wait(t, "#users", "1")
			b.wait(t, "#pages", "1")
			b.picture(t, "demo-"+language+"-empty-1280", desktop)
			for n, line := range []string{"#one", "#all"} {
				command := b.attribute(t, line, "data-line")
				if !strings.HasPrefix(command, "curl ") {
					t.Fatalf("%s shows %q, not a curl line", line, command)
				}
				out, err := exec.Command(shell, "-c", command+" -sS").CombinedOutput()
				if err != nil || string(out) != "ok" {
					t.Fatalf("%s answered %q: %v", command, out, err)
				}
				b.wait(t, fmt.Sprintf("#log li:nth-last-child(%d)", n+1), "")
			}
			crier.deliver(t, "", `<script>alert(1)</script> & `+hard+strings.Repeat(" long", 60)+strings.Repeat("x", 200))
			b.wait(t, "#log li:first-child", `<script>alert(1)</script> & `+hard)
			b.content(t)
			b.picture(t, "demo-"+language+"-1280", desktop)
			b.picture(t, "demo-"+language+"-390", phone)
		})
	}
}

// TestDemoPageLanguage asks for the page as browsers of several languages do.
func TestDemoPageLanguage(t *testing.T) {
	t.Parallel()
	crier := startCrier(t, nil)
	for accept, want := range map[string]string{"zh-CN,zh;q=0.9,en;q=0.8": "zh", "en-US,en": "en", "de, *;q=0.1": "en"} {
		r := do(t, http.MethodGet, crier.publicURL("/"), "", http.Header{"Accept-Language": {accept}})
		if r.status != http.StatusOK || !strings.Contains(r.body, `lang="`+want) {
			t.Errorf("Accept-Language %q: status %d, not lang=%q", accept, r.status, want)
		}
	}
}
