package web

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"
)

//go:embed tour
var tourFiles embed.FS

// tourPages are the pages of a Tour, in the order of its bar.
var tourPages = [...]string{"chat", "quotes", "devices"}

// hostname is what a Host header may have in front of the port, to be put into a page and its policy.
var hostname = regexp.MustCompile(`^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])$`)

// TourOptions are the settings of a Tour.
type TourOptions struct {
	// Port is Crier's public port, on the host that the pages are opened at. Required.
	Port int
	// Logger gets what goes wrong while answering, at debug level. Default: discarded.
	Logger *slog.Logger
}

// Tour serves the pages of crier demo, as a web site beside Crier: a chat room at "/chat", a ticker at "/quotes", a board of devices at
// "/devices". It is an [http.Handler] for these, "/", and what they load from "/tour/"; any other path is answered 404. What the pages say to
// the site, and the site to them, is the business of package demo. Safe for concurrent use.
type Tour struct {
	log     *slog.Logger
	port    string
	origins []string // of the client script, if Crier sends pages elsewhere for it
	pages   map[string]*template.Template
	texts   map[language]map[string]map[string]string // by page, or "all"
	assets  map[string]*resource                      // by URL path
}

// NewTour reads the pages. It fails, wrapping ErrOptions, on a Port that cannot be.
func NewTour(o TourOptions) (*Tour, error) {
	if o.Port < 1 || o.Port > 65535 {
		return nil, fmt.Errorf("%w: port %d is none", ErrOptions, o.Port)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	t := &Tour{log: o.Logger, port: strconv.Itoa(o.Port), pages: map[string]*template.Template{}, texts: map[language]map[string]map[string]string{}}
	embedded, err := fs.Sub(clientFiles, "client")
	if err != nil {
		return nil, fmt.Errorf("opening the embedded client: %w", err)
	}
	client, err := loadClient(embedded)
	if err != nil {
		return nil, fmt.Errorf("loading the Socket.IO client: %w", err)
	}
	t.origins = client.origins()
	for _, page := range tourPages {
		if t.pages[page], err = template.New(page+".html").Option("missingkey=error").ParseFS(tourFiles, "tour/layout.html", "tour/"+page+".html"); err != nil {
			return nil, fmt.Errorf("parsing the page %s: %w", page, err)
		}
	}
	for _, lang := range []language{english, chinese} {
		if t.texts[lang], err = tourTexts(lang); err != nil {
			return nil, err
		}
	}
	if t.assets, err = assets(tourFiles, "tour"); err != nil {
		return nil, fmt.Errorf("loading the tour's files: %w", err)
	}
	return t, nil
}

func tourTexts(lang language) (map[string]map[string]string, error) {
	raw, err := tourFiles.ReadFile("tour/" + string(lang) + ".json")
	if err != nil {
		return nil, fmt.Errorf("reading the words of %s: %w", lang, err)
	}
	var texts map[string]map[string]string
	if err := json.Unmarshal(raw, &texts); err != nil {
		return nil, fmt.Errorf("reading the words of %s: %w", lang, err)
	}
	return texts, nil
}

// ServeHTTP answers the pages and their files.
func (t *Tour) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !allowMethod(w, r) {
		return
	}
	if r.URL.Path == "/" {
		http.Redirect(w, r, "/"+tourPages[0], http.StatusFound)
		return
	}
	if asset := t.assets[r.URL.Path]; asset != nil {
		asset.serve(w, r, t.log)
		return
	}
	page := t.pages[path.Base(r.URL.Path)]
	if page == nil || r.URL.Path != "/"+path.Base(r.URL.Path) {
		http.Error(w, "nothing is here; the pages are /"+strings.Join(tourPages[:], ", /"), http.StatusNotFound)
		return
	}
	t.page(page, path.Base(r.URL.Path), w, r)
}

// tourLink is an entry of the bar.
type tourLink struct{ Name, Title string }

// tourData is what a page's template reads.
type tourData struct {
	Lang, Other language
	Page        string
	Pages       []tourLink
	T           map[string]string
	Crier       string // its address, without a path
	Config      struct {
		Crier string            `json:"crier"`
		Text  map[string]string `json:"text"`
	}
}

// page answers a page in the language that is asked for. Where Crier is depends on where the page is opened.
func (t *Tour) page(page *template.Template, name string, w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
		if strings.Contains(h, ":") {
			host = "[" + h + "]"
		}
	}
	if !hostname.MatchString(host) {
		http.Error(w, "the Host header names no host", http.StatusBadRequest)
		return
	}
	lang := language(r.URL.Query().Get("lang"))
	if t.texts[lang] == nil {
		lang = chooseLanguage(r.Header.Values("Accept-Language"))
	}
	d := tourData{Lang: lang, Other: chinese, Page: name, Crier: "http://" + host + ":" + t.port, T: map[string]string{}}
	if lang == chinese {
		d.Other = english
	}
	for _, one := range tourPages {
		d.Pages = append(d.Pages, tourLink{one, t.texts[lang][one]["title"]})
	}
	maps.Copy(d.T, t.texts[lang]["all"])
	maps.Copy(d.T, t.texts[lang][name])
	d.Config.Crier, d.Config.Text = d.Crier, d.T
	var b bytes.Buffer
	if err := page.Execute(&b, d); err != nil {
		t.log.Debug("a page could not be written", "page", name, "error", err)
		http.Error(w, "the page could not be written", http.StatusInternalServerError)
		return
	}
	newResource(b.Bytes(), "", map[string]string{
		"Content-Type":            "text/html; charset=utf-8",
		"Content-Language":        string(lang),
		"Vary":                    "Accept-Language",
		"Cache-Control":           "no-cache",
		"Content-Security-Policy": t.policy(host),
		"Referrer-Policy":         "same-origin",
	}).serve(w, r, t.log)
}

// policy lets a page that was opened at host run its own files and Crier's, and connect to Crier.
func (t *Tour) policy(host string) string {
	crier := host + ":" + t.port
	scripts := strings.Join(append([]string{"'self'", "http://" + crier}, t.origins...), " ")
	return "default-src 'self'; script-src " + scripts + "; connect-src http://" + crier + " ws://" + crier + "; " +
		"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
}
