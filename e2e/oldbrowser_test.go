package e2e

import "testing"

// The routes of a client in a browser as old as IE 8 and 9 (clients/old.js): JSONP, which it takes by itself, and
// XDomainRequest if a page asks for it, which 1.3 and later know.
var (
	byOldJSONP = route{name: "jsonp by itself", first: "polling", final: "polling", jsonp: true}
	byXDR      = route{name: "xdr", options: map[string]any{"enablesXDR": true, "jsonp": false}, first: "polling", final: "polling"}
)

// TestOldBrowsers has clients of 1.x in old browsers come through nginx.
func TestOldBrowsers(t *testing.T) {
	t.Parallel()
	d := startPages(t)
	d.front = behindNginx(nil) // XDomainRequest goes from http to http only
	for _, c := range pageClients {
		if !c.before("2.0") {
			continue
		}
		c.lib += "+old"
		for _, r := range []route{byOldJSONP, byXDR} {
			if r.name == byXDR.name && c.before("1.3") {
				continue
			}
			t.Run(c.lib+"/"+r.name, func(t *testing.T) {
				t.Cleanup(func() { d.forget(t) })
				tryProduct(t, d, c, r)
			})
		}
	}
}
