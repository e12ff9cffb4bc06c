package e2e

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
)

// dashboardWords are some of the words that a test looks for, in each language.
var dashboardWords = map[string]struct{ overview, reached, kicked, saved, paused, givenUp, alone, wrong string }{
	"en": {"Users online", "Would reach 1 user on 1 connection.", "1 connection has been disconnected.", "Schedule digest is saved.", "paused", "410", "This server is alone.", "not one of api.keys"},
	"zh": {"在线用户", "将到达 1 个用户的 1 个连接。", "已断开 1 个连接。", "定时推送 digest 已保存。", "已暂停", "410", "此服务器独立运行。", "not one of api.keys"},
}

// TestDashboard clicks through every page of the dashboard, in both languages, in a window and on a phone, light and dark.
func TestDashboard(t *testing.T) {
	t.Parallel()
	for language, words := range dashboardWords {
		t.Run(language, func(t *testing.T) {
			business := startReceiver(t)
			business.fail(http.StatusGone)
			crier := startCrier(t, settings{"api.keys": "a-key", "inbox.open": "true", "webhook.url": business.url, "rooms.client_join": "allow"})
			subscribe(t, crier, "/sse?uid=anna%2F1&rooms=news")
			business.await(t, 1)
			key := http.Header{"Authorization": {"Bearer a-key"}, "Content-Type": {"application/json"}}
			if r := do(t, http.MethodPost, crier.pushURL("/v1/push"), `{"id":"order-7","to":{"users":["bert"]},"data":"Shipped","ttl":"1h"}`, key); r.status != http.StatusOK {
				t.Fatalf("the push was answered %d %s", r.status, r.body)
			}

			b := openPage(t, crier.pushURL("/admin/?lang="+language), "", desktop)
			b.enter(t, "input[name=key]", "another")
			b.wait(t, ".trouble", words.wrong)
			b.picture(t, "dashboard-signin-"+language, desktop)
			b.forgive(t) // the refusal is in the console
			b.enter(t, "input[name=key]", "a-key")
			shot := func(page string) {
				t.Helper()
				b.picture(t, "dashboard-"+page+"-"+language+"-1280", desktop)
				b.click(t, "#theme")
				b.picture(t, "dashboard-"+page+"-"+language+"-390", phone)
				b.click(t, "#theme")
			}

			b.wait(t, ".tile:first-child", words.overview)
			b.wait(t, ".tile:first-child dd", "1")
			b.wait(t, ".state[data-state=live]", "")
			b.wait(t, ".legend", "sse")
			b.wait(t, ".plot canvas", "")
			shot("overview")

			b.click(t, `nav a[href="#/users"]`)
			b.wait(t, "tbody", "anna/1")
			b.enter(t, ".search input", "nobody")
			b.wait(t, ".empty", "")
			b.enter(t, ".search input", "an")
			b.wait(t, "tbody", "anna/1")
			shot("users")

			b.click(t, `nav a[href="#/rooms"]`)
			b.click(t, `tbody a[href="#/rooms/news"]`)
			b.enter(t, ".inline input", "carl")
			b.wait(t, "tbody tr:nth-child(2)", "carl")
			shot("room")

			b.click(t, `a[href="#/push/room/news"]`)
			b.click(t, ".actions button:not([type=submit])")
			b.wait(t, ".result", words.reached)
			b.fill(t, "textarea.code", `{"broken`)
			b.wait(t, ".verdict[data-kind=bad]", "")
			b.fill(t, "textarea.code", `{"fine": [1, 2]}`)
			b.click(t, ".actions .main")
			b.wait(t, ".result .good", "")
			shot("push")

			b.click(t, `nav a[href="#/schedules"]`)
			b.click(t, "details.card > summary")
			b.fill(t, "details input[maxlength]", "digest")
			b.fill(t, "details fieldset textarea", "bert")
			b.click(t, "details .main")
			b.wait(t, ".notices", words.saved)
			b.click(t, ".schedule .actions button:first-child")
			b.wait(t, ".schedule .badge", words.paused)
			shot("schedules")

			b.click(t, `nav a[href="#/messages"]`)
			b.enter(t, "section:first-of-type input", "order-7")
			b.wait(t, "tbody", "bert")
			shot("messages")
			b.click(t, `tbody a[href="#/users/bert"]`)
			b.wait(t, "tbody", "Shipped")
			shot("user")

			b.click(t, `nav a[href="#/callbacks"]`)
			b.wait(t, "main", words.givenUp)
			shot("callbacks")
			b.click(t, "tbody button")
			business.await(t, 2)

			b.click(t, `nav a[href="#/servers"]`)
			b.wait(t, "main .card", words.alone)
			shot("servers")

			b.click(t, `nav a[href="#/users"]`)
			b.click(t, "tbody a")
			b.click(t, "button.danger")
			b.wait(t, ".notices", words.kicked)
			b.content(t)
			b.click(t, "#leave")
			b.wait(t, "input[name=key]", "")
			b.content(t)
		})
	}
}

// subscribe is a client on an event stream, until the test ends. It is connected when this returns.
func subscribe(t *testing.T, crier *server, path string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, crier.publicURL(path), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatalf("subscribing: %v", err)
	}
	t.Cleanup(func() {
		cancel()
		if err := answer.Body.Close(); err != nil {
			t.Logf("ending the subscription: %v", err)
		}
	})
	line, err := bufio.NewReader(answer.Body).ReadString('\n')
	if err != nil || answer.StatusCode != http.StatusOK || strings.TrimSpace(line) == "" {
		t.Fatalf("subscribing was answered %d %q: %v", answer.StatusCode, line, err)
	}
}
