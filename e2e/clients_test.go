package e2e

import (
	"slices"
	"testing"
)

// A client is one of the official clients' releases, under its name in package.json.
type client struct {
	lib      string
	revision int  // of Engine.IO
	page     bool // its browser bundle, in Chromium
}

// The clients tested in Node: one release of every minor there is, and the oldest that installs, 1.4.0.
var (
	nodeClients = []client{
		{lib: "sioc-1.4.0", revision: 3},
		{lib: "sioc-1.4", revision: 3},
		{lib: "sioc-1.5", revision: 3},
		{lib: "sioc-1.6", revision: 3},
		{lib: "sioc-1.7", revision: 3},
		{lib: "sioc-2.0", revision: 3},
		{lib: "sioc-2.1", revision: 3},
		{lib: "sioc-2.2", revision: 3},
		{lib: "sioc-2.3", revision: 3},
		{lib: "sioc-2.4", revision: 3},
		{lib: "sioc-2.5", revision: 3},
		{lib: "sioc-3.0", revision: 4},
		{lib: "sioc-3.1", revision: 4},
		{lib: "sioc-4.0", revision: 4},
		{lib: "sioc-4.1", revision: 4},
		{lib: "sioc-4.2", revision: 4},
		{lib: "sioc-4.3", revision: 4},
		{lib: "sioc-4.4", revision: 4},
		{lib: "sioc-4.5", revision: 4},
		{lib: "sioc-4.6", revision: 4},
		{lib: "sioc-4.7", revision: 4},
		latest,
	}
	latest = client{lib: "sioc-4", revision: 4}
)

// pageClients are tested in Chromium. A page has its own build of a client, which polls in another way than
// Node does: with bodies of bytes and limits of its own, or by JSONP. These are releases that cannot run in
// Node, those that changed something in a page, and the last ones with JSONP and of all. A page with 2.0.3 is
// tested by TestWebsenderPage.
var pageClients = []client{
	{lib: "sioc-1.0", revision: 3, page: true},
	{lib: "sioc-1.3", revision: 3, page: true},
	{lib: "sioc-1.7", revision: 3, page: true},
	{lib: "sioc-2.5", revision: 3, page: true},
	{lib: "sioc-4.2", revision: 4, page: true},
	{lib: "sioc-4", revision: 4, page: true},
}

// mainClients are the ones that most pages have: tests of what hardly depends on the release use these.
var mainClients = []client{{lib: "sioc-2.0", revision: 3}, {lib: "sioc-2.5", revision: 3}, latest}

// before says whether the client's release is older than a minor such as "1.5".
func (c client) before(minor string) bool { return c.lib != latest.lib && c.lib[len("sioc-"):] < minor }

// jsonp says whether the client can poll by JSONP, which went with 4.3.
func (c client) jsonp() bool { return c.page && c.before("4.3") }

// routes returns the client's ways to connect.
func (c client) routes() []route {
	if c.jsonp() {
		return append(slices.Clip(routes), byJSONP)
	}
	return routes
}

// A route is a way to connect.
type route struct {
	name    string
	options map[string]any // what makes the client go this way
	first   string         // the transport to begin with
	final   string         // the one in the end
	jsonp   bool
}

// The routes that every client has, and all of them; without options a client begins with polling.
var (
	byWebSocket = route{name: "websocket", options: transports("websocket"), first: "websocket", final: "websocket"}
	byPolling   = route{name: "polling", options: transports("polling"), first: "polling", final: "polling"}
	byUpgrade   = route{name: "upgrade", first: "polling", final: "websocket"}
	routes      = []route{byWebSocket, byPolling, byUpgrade}
)

// The routes through JSONP, forced, since every browser now has XMLHttpRequest.
var (
	byJSONP = route{
		name: "jsonp", first: "polling", final: "polling", jsonp: true,
		options: map[string]any{"transports": []string{"polling"}, "forceJSONP": true, "jsonp": true},
	}
	byJSONPUpgrade = route{
		name: "jsonp-upgrade", first: "polling", final: "websocket", jsonp: true,
		options: map[string]any{"forceJSONP": true},
	}
)

// transports returns the option that has a client use these alone.
func transports(names ...string) map[string]any { return map[string]any{"transports": names} }

// upgrades says whether the route changes its transport.
func (r route) upgrades() bool { return r.first != r.final }

// with returns what to give the client for this route, and more.
func (r route) with(more map[string]any) map[string]any {
	options := map[string]any{"reconnectionDelay": 100, "reconnectionDelayMax": 1000}
	for _, some := range []map[string]any{r.options, more} {
		for name, value := range some {
			options[name] = value
		}
	}
	return options
}

// TestClients makes every trial of every client in Node, each in a process of its own.
func TestClients(t *testing.T) {
	t.Parallel()
	for _, c := range nodeClients {
		t.Run(c.lib, func(t *testing.T) {
			t.Parallel()
			everyTrial(t, startDriver(t), c)
		})
	}
}

// TestPages makes every trial of clients in Chromium.
func TestPages(t *testing.T) {
	t.Parallel()
	d := startPages(t)
	for _, c := range pageClients {
		t.Run(c.lib, func(t *testing.T) { everyTrial(t, d, c) })
	}
}

// everyTrial makes the trials of one client on each of its routes, and those that hardly depend on the route
// or have several at a time, once.
func everyTrial(t *testing.T, d *driver, c client) {
	if c.jsonp() {
		t.Run("product/"+byJSONPUpgrade.name, func(t *testing.T) {
			t.Cleanup(func() { d.forget(t) })
			tryProduct(t, d, c, byJSONPUpgrade)
		})
	}
	for _, one := range []struct {
		name string
		try  func(*testing.T, *driver, client, route)
	}{
		{"product", tryProduct},
		{"payload limit", tryPayloadLimit},
		{"echo", tryEcho},
		{"acknowledgement", tryAcknowledgement},
		{"namespaces", tryNamespaces},
	} {
		t.Run(one.name, func(t *testing.T) {
			for _, r := range c.routes() {
				t.Run(r.name, func(t *testing.T) {
					t.Cleanup(func() { d.forget(t) })
					one.try(t, d, c, r)
				})
			}
		})
	}
	for _, one := range []struct {
		name string
		try  func(*testing.T, *driver, client)
	}{
		{"credentials", tryCredentials},
		{"namespace credentials", tryNamespaceCredentials},
		{"privacy", tryPrivacy},
		{"nowhere", tryNowhere},
		{"restart", tryRestart},
		{"inbox", tryInbox},
	} {
		t.Run(one.name, func(t *testing.T) {
			t.Cleanup(func() { d.forget(t) })
			one.try(t, d, c)
		})
	}
}
