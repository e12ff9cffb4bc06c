package web

import (
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"
)

// pageScript is the build of the client that the demo page uses.
const pageScript = "socket.io.min.js"

// cdns mirror every npm release byte for byte; %s are version and file.
// The page tries them in this order, a redirect goes to the first.
var cdns = [...]string{
	"https://cdn.jsdelivr.net/npm/socket.io-client@%s/dist/%s",
	"https://unpkg.com/socket.io-client@%s/dist/%s",
}

// release is one npm release, as release.json has it.
type release struct {
	Version string            `json:"version"`
	Files   map[string]string `json:"files"` // name → "sha384-…" (Subresource Integrity)
}

// releases are the two lines that are served: the current one, and the last
// that JSONP polling still works with; and the charts of the dashboard.
type releases struct {
	V4     release `json:"4"`
	V2     release `json:"2"`
	Charts release `json:"uplot"`
}

// clientSet is the client script as it will be served.
type clientSet struct {
	releases
	embedded bool
	// by file name; empty unless embedded
	v4, v2, charts map[string]*resource
}

// loadClient reads the client from fsys, nil for what the build embedded, or,
// when that has no release.json, only learns from the committed one which
// release a CDN should give.
func loadClient(fsys fs.FS) (clientSet, error) {
	if fsys == nil {
		var err error
		if fsys, err = fs.Sub(clientFiles, "client"); err != nil {
			return clientSet{}, fmt.Errorf("opening the embedded client: %w", err)
		}
	}
	manifest, err := fs.ReadFile(fsys, "release.json")
	embedded := err == nil
	if errors.Is(err, fs.ErrNotExist) {
		manifest, err = clientFiles.ReadFile("release.json")
	}
	if err != nil {
		return clientSet{}, fmt.Errorf("reading release.json: %w", err)
	}
	c := clientSet{embedded: embedded}
	if err := json.Unmarshal(manifest, &c.releases); err != nil {
		return clientSet{}, fmt.Errorf("reading release.json: %w", err)
	}
	if c.V4.Version == "" || c.V2.Version == "" || c.V4.Files[pageScript] == "" {
		return clientSet{}, fmt.Errorf("%w: release.json lacks a version or %s", ErrOptions, pageScript)
	}
	if !embedded {
		return c, nil
	}
	if c.v4, err = loadRelease(fsys, "4", c.V4, clientHeader); err != nil {
		return clientSet{}, err
	}
	if c.v2, err = loadRelease(fsys, "2", c.V2, clientHeader); err != nil {
		return clientSet{}, err
	}
	if c.charts, err = loadRelease(fsys, "uplot", c.Charts, chartsHeader); err != nil {
		return clientSet{}, err
	}
	return c, nil
}

func loadRelease(fsys fs.FS, dir string, rel release, header func(name string) map[string]string) (map[string]*resource, error) {
	out := make(map[string]*resource, len(rel.Files))
	for name, integrity := range rel.Files {
		body, err := fs.ReadFile(fsys, dir+"/"+name)
		if err != nil {
			return nil, fmt.Errorf("reading a file that release.json names: %w", err)
		}
		sum := sha512.Sum384(body)
		if got := "sha384-" + base64.StdEncoding.EncodeToString(sum[:]); got != integrity {
			return nil, fmt.Errorf("%w: %s/%s is not the file of release %s; run npm run build in web/", ErrOptions, dir, name, rel.Version)
		}
		out[name] = newResource(body, `"`+rel.Version+`"`, header(name))
	}
	return out, nil
}

// clientHeader is what the Node server sends with the client, and leave for
// pages of any origin to import it: the file is public.
func clientHeader(string) map[string]string {
	return map[string]string{
		"Content-Type":                 "application/javascript; charset=utf-8",
		"Cache-Control":                "public, max-age=0",
		"Access-Control-Allow-Origin":  "*",
		"Cross-Origin-Resource-Policy": "cross-origin",
	}
}

// chartsHeader is for files that only our own pages load.
func chartsHeader(name string) map[string]string {
	kind := "text/javascript; charset=utf-8"
	if strings.HasSuffix(name, ".css") {
		kind = "text/css; charset=utf-8"
	}
	return map[string]string{"Content-Type": kind, "Cache-Control": "no-cache"}
}

// HasClient reports whether the build embedded the client script. Without it,
// pages are sent to a public CDN.
func (s *Site) HasClient() bool { return s.client.embedded }

// ClientNotice is the line to log at the start when HasClient is false; empty
// otherwise.
func (s *Site) ClientNotice() string {
	if s.client.embedded {
		return ""
	}
	return "the Socket.IO client script is not in this build: pages get it from " + cdnHost(cdns[0]) +
		"; to serve it from here, run npm ci && npm run build in web/ and build again"
}

// ClientVersions are the pinned releases of socket.io-client: the current one
// and the 2.x one.
func (s *Site) ClientVersions() (current, v2 string) {
	return s.client.V4.Version, s.client.V2.Version
}

// ClientPaths are the exact URL paths that [Site.Client] serves, sorted.
func (s *Site) ClientPaths() []string {
	var paths []string
	for name := range s.client.V4.Files {
		paths = append(paths, s.path+name)
	}
	slices.Sort(paths)
	return paths
}

// Client serves the official client at ClientPaths as the Node server does:
// with the version as ETag, revalidated on every use. The query v=2 asks for
// the last 2.x release where that has the file. A client that is not embedded
// is a redirect to a public CDN. Requests from any origin are welcome.
func (s *Site) Client() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !allowMethod(w, r) {
			return
		}
		name, ok := strings.CutPrefix(r.URL.Path, s.path)
		if !ok || s.client.V4.Files[name] == "" {
			http.Error(w, "no such client file; there are "+strings.Join(s.ClientPaths(), ", "), http.StatusNotFound)
			return
		}
		rel, files := s.client.V4, s.client.v4
		if s.client.V2.Files[name] != "" && r.URL.Query().Get("v") == "2" {
			rel, files = s.client.V2, s.client.v2
		}
		if !s.client.embedded {
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("Access-Control-Allow-Origin", "*")
			http.Redirect(w, r, fmt.Sprintf(cdns[0], rel.Version, name), http.StatusFound)
			return
		}
		files[name].serve(w, r, s.log)
	})
}

// script is one place to load the client from.
type script struct {
	Src       string `json:"src"`
	Integrity string `json:"integrity,omitempty"` // only for another origin
}

// scripts are the places the page at path tries in turn.
func (c clientSet) scripts(path string) []script {
	if c.embedded {
		return []script{{Src: path + pageScript}}
	}
	var out []script
	for _, format := range cdns {
		out = append(out, script{
			Src:       fmt.Sprintf(format, c.V4.Version, pageScript),
			Integrity: c.V4.Files[pageScript],
		})
	}
	return out
}

// origins are the foreign origins of scripts, for the Content-Security-Policy.
func (c clientSet) origins() []string {
	if c.embedded {
		return nil
	}
	var out []string
	for _, format := range cdns {
		out = append(out, "https://"+cdnHost(format))
	}
	return out
}

func cdnHost(format string) string {
	host, _, _ := strings.Cut(strings.TrimPrefix(format, "https://"), "/")
	return host
}
