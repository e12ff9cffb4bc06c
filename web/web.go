// Package web holds the pages that Crier embeds: the demo page at "/", the
// dashboard at "/admin/", the manual at "/docs", and the official Socket.IO browser client that pages load from Crier itself, with a
// helper for it.
//
// Everything is rendered and hashed once, in [New], and compressed when first asked
// for; a request only picks one of the prepared answers.
package web

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
)

//go:embed all:client release.json
var clientFiles embed.FS

//go:embed crier.js
var helper []byte

//go:embed demo
var demoFiles embed.FS

// ErrOptions is wrapped by every error of [New] that the caller's Options cause.
var ErrOptions = errors.New("bad web options")

// Access says who may call the push port, so that the demo page can show a
// command that will be let in.
type Access string

// The ways to be let in at the push port.
const (
	AccessLoopback Access = "loopback" // neither keys nor an allow list: only the machine itself
	AccessListed   Access = "listed"   // an allow list of addresses, no keys
	AccessKeys     Access = "keys"     // at least one key is set, with or without an allow list
)

// Push tells the demo page where business servers push to.
type Push struct {
	// Addr is the bound address of the push port, "host:port". Empty when the
	// push API answers at the page's own address.
	Addr string
	// Access defaults to AccessLoopback.
	Access Access
}

// Options are the settings of a Site. The zero value is usable.
type Options struct {
	// SocketIOPath is the path of the Socket.IO endpoint; it starts and ends
	// with "/". Default "/socket.io/".
	SocketIOPath string
	// Push is shown on the demo page.
	Push Push
	// Client holds the Socket.IO client files: release.json, 4/socket.io.js and
	// so on. Default: what the build embedded, which may be nothing.
	Client fs.FS
	// MessageIDs says that messages carry their ids, for /crier.js.
	MessageIDs bool
	// Logger gets what goes wrong while answering, at debug level. Default: discarded.
	Logger *slog.Logger
}

// Site serves the demo page and the client script. It is an [http.Handler] for
// the page and everything the page needs ("/", "/demo/…", "/favicon.svg",
// "/favicon.ico"), and for /crier.js; any other path is answered 404. Safe for concurrent use.
type Site struct {
	log    *slog.Logger
	path   string // of the Socket.IO endpoint, with both slashes
	client clientSet
	pages  map[language]*resource // the demo page
	assets map[string]*resource   // by URL path
}

// New prepares every answer. It fails, wrapping ErrOptions, on a SocketIOPath
// or a Push that cannot be, and on Client files that contradict their own
// release.json.
func New(o Options) (*Site, error) {
	if o.SocketIOPath == "" {
		o.SocketIOPath = "/socket.io/"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if err := checkPath(o.SocketIOPath); err != nil {
		return nil, err
	}
	target, err := o.Push.target()
	if err != nil {
		return nil, err
	}
	s := &Site{log: o.Logger, path: o.SocketIOPath}
	if s.client, err = loadClient(o.Client); err != nil {
		return nil, fmt.Errorf("loading the Socket.IO client: %w", err)
	}
	if s.assets, err = loadAssets(); err != nil {
		return nil, fmt.Errorf("loading the demo page's files: %w", err)
	}
	s.assets["/crier.js"] = newHelper(o.MessageIDs)
	if s.pages, err = renderPages(s.client, s.path, target); err != nil {
		return nil, fmt.Errorf("rendering the demo page: %w", err)
	}
	return s, nil
}

// newHelper is the script for pages that has them handle each message once. It lets everything through if messages carry
// no ids.
func newHelper(shown bool) *resource {
	body := helper
	if !shown {
		body = bytes.Replace(body, []byte("var shown = true;"), []byte("var shown = false;"), 1)
	}
	return newResource(body, "", clientHeader(""))
}

// ServeHTTP answers the demo page and its files.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !allowMethod(w, r) {
		return
	}
	if r.URL.Path == "/" {
		pickPage(s.pages, r).serve(w, r, s.log)
		return
	}
	if asset := s.assets[r.URL.Path]; asset != nil {
		asset.serve(w, r, s.log)
		return
	}
	http.Error(w, "nothing is here; the demo page is at /, and Socket.IO answers at "+s.path+" (setting `socketio.path`)", http.StatusNotFound)
}

// checkPath refuses paths that could not be a prefix in a URL as they stand.
func checkPath(p string) error {
	if !strings.HasPrefix(p, "/") || !strings.HasSuffix(p, "/") || strings.HasPrefix(p, "//") {
		return fmt.Errorf("%w: path %q must start and end with one /", ErrOptions, p)
	}
	if i := strings.IndexFunc(p, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`?#%\{}"<>`, r) }); i >= 0 {
		return fmt.Errorf("%w: path %q holds a character that a path may not have", ErrOptions, p)
	}
	if p == "/" {
		return fmt.Errorf("%w: path / would hide the demo page", ErrOptions)
	}
	return nil
}

func allowMethod(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	w.Header().Set("Allow", "GET, HEAD")
	http.Error(w, "this address can only be read (GET)", http.StatusMethodNotAllowed)
	return false
}
