package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// A browser is a running Chromium with one page.
type browser struct{ script *script }

// view is a size of the window.
type view struct{ width, height int }

var (
	phone   = view{390, 844}
	desktop = view{1280, 900}
)

// openPage shows an address in a new browser. hosts are rules for finding hosts, as Chromium's
// --host-resolver-rules takes them; "" for none.
func openPage(t *testing.T, address, hosts string, v view) *browser {
	t.Helper()
	chromium := tool(t, "chromium", "apt-get install chromium")
	limit := strconv.FormatInt(patience.Milliseconds()/2, 10) // so that it says what it waited for
	b := &browser{startScript(t, node(t), "clients/browser.mjs", chromium, hosts, limit)}
	b.do(t, map[string]any{"do": "open", "url": address, "width": v.width, "height": v.height})
	return b
}

// browserAnswer is what clients/browser.mjs answers.
type browserAnswer struct {
	Error      string   `json:"error"`
	Text       string   `json:"text"`
	Overflow   int      `json:"overflow"`
	Complaints []string `json:"complaints"`
}

// do has the browser carry out a command.
func (b *browser) do(t *testing.T, command map[string]any) browserAnswer {
	t.Helper()
	var a browserAnswer
	b.script.tell(t, command)
	b.script.answer(t, &a)
	if a.Error != "" {
		t.Fatalf("%v: %s", command, a.Error)
	}
	return a
}

// wait waits until the first visible element of a selector has the text, and returns all of its text.
func (b *browser) wait(t *testing.T, selector, text string) string {
	t.Helper()
	return b.do(t, map[string]any{"do": "wait", "selector": selector, "text": text}).Text
}

// enter types into a field and presses Enter.
func (b *browser) enter(t *testing.T, selector, text string) {
	t.Helper()
	b.do(t, map[string]any{"do": "type", "selector": selector, "text": text})
}

// fill puts text into a field, in place of what it has.
func (b *browser) fill(t *testing.T, selector, text string) {
	t.Helper()
	b.do(t, map[string]any{"do": "fill", "selector": selector, "text": text})
}

// forgive forgets what the browser has complained of.
func (b *browser) forgive(t *testing.T) {
	t.Helper()
	b.do(t, map[string]any{"do": "forgive"})
}

// click clicks on an element.
func (b *browser) click(t *testing.T, selector string) {
	t.Helper()
	b.do(t, map[string]any{"do": "click", "selector": selector})
}

// attribute returns an attribute of an element.
func (b *browser) attribute(t *testing.T, selector, name string) string {
	t.Helper()
	return b.do(t, map[string]any{"do": "attribute", "selector": selector, "name": name}).Text
}

// picture takes a picture of the page at a size, into the artifact folder, and fails the test if the
// page is wider than the window.
func (b *browser) picture(t *testing.T, name string, v view) {
	t.Helper()
	path := filepath.Join(artifacts(t), name+".png")
	a := b.do(t, map[string]any{"do": "picture", "path": path, "width": v.width, "height": v.height})
	if a.Overflow > 0 {
		t.Errorf("the page is %d px wider than a window of %d px", a.Overflow, v.width)
	}
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		t.Errorf("no picture at %s: %v", path, err)
	}
}

// content fails the test if the browser had anything to complain of.
func (b *browser) content(t *testing.T) {
	t.Helper()
	if a := b.do(t, map[string]any{"do": "complaints"}); len(a.Complaints) > 0 {
		t.Errorf("the browser complained: %q", a.Complaints)
	}
}
