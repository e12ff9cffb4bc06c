package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
)

//go:embed admin
var adminFiles embed.FS

// dashboardPolicy lets the pages of the dashboard run their own files and talk to their own server, and nothing else.
const dashboardPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// DashboardOptions are what a dashboard is made of. The zero value is usable.
type DashboardOptions struct {
	// Client holds the files of the charts, as Options.Client. Default: what the build embedded, which may be nothing: then
	// there are figures without charts.
	Client fs.FS
	// Logger gets what goes wrong while answering, at debug level. Default: discarded.
	Logger *slog.Logger
}

// Dashboard serves the pages of the dashboard: a shell in two languages, and the modules, styles and words that it loads. What
// they show they ask the server for. It is an [http.Handler] for /admin, /admin/ and what is under it. Safe for concurrent use.
type Dashboard struct {
	log   *slog.Logger
	pages map[language]*resource
	files map[string]*resource // by URL path
}

// dashboardData is what the template reads.
type dashboardData struct {
	Lang, Other language
	T           map[string]string
	Charts      bool
	Config      dashboardConfig
}

// dashboardConfig is what the scripts read from the page.
type dashboardConfig struct {
	Lang language          `json:"lang"`
	Text map[string]string `json:"text"`
}

// NewDashboard prepares every answer.
func NewDashboard(o DashboardOptions) (*Dashboard, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	set, err := loadClient(o.Client)
	if err != nil {
		return nil, fmt.Errorf("loading the charts: %w", err)
	}
	d := &Dashboard{log: o.Logger}
	if d.files, err = assets(adminFiles, "admin"); err != nil {
		return nil, fmt.Errorf("loading the dashboard's files: %w", err)
	}
	for name, file := range set.charts {
		d.files["/admin/charts/"+name] = file
	}
	icon, err := demoFiles.ReadFile("demo/icon.svg")
	if err != nil {
		return nil, fmt.Errorf("loading the dashboard's icon: %w", err)
	}
	d.files["/admin/icon.svg"] = newResource(icon, "", map[string]string{"Content-Type": "image/svg+xml", "Cache-Control": "no-cache"})
	if d.pages, err = renderDashboard(len(set.charts) > 0); err != nil {
		return nil, fmt.Errorf("rendering the dashboard: %w", err)
	}
	return d, nil
}

func renderDashboard(charts bool) (map[language]*resource, error) {
	tmpl, err := template.New("page.html").Option("missingkey=error").ParseFS(adminFiles, "admin/page.html")
	if err != nil {
		return nil, fmt.Errorf("parsing the template: %w", err)
	}
	pages := make(map[language]*resource, 2)
	for lang, other := range map[language]language{english: chinese, chinese: english} {
		t, err := loadTexts(adminFiles, "admin", lang)
		if err != nil {
			return nil, err
		}
		var page bytes.Buffer
		err = tmpl.Execute(&page, dashboardData{Lang: lang, Other: other, T: t.Page, Charts: charts, Config: dashboardConfig{lang, t.Script}})
		if err != nil {
			return nil, fmt.Errorf("filling the template: %w", err)
		}
		pages[lang] = newResource(page.Bytes(), "", map[string]string{
			"Content-Type":               "text/html; charset=utf-8",
			"Content-Language":           string(lang),
			"Vary":                       "Accept-Language",
			"Cache-Control":              "no-cache",
			"Content-Security-Policy":    dashboardPolicy,
			"Cross-Origin-Opener-Policy": "same-origin",
			"Referrer-Policy":            "same-origin",
		})
	}
	return pages, nil
}

// ServeHTTP answers the page and its files.
func (d *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !allowMethod(w, r) {
		return
	}
	switch p := r.URL.Path; {
	case p == "/admin":
		http.Redirect(w, r, "/admin/", http.StatusMovedPermanently)
	case p == "/admin/":
		pickPage(d.pages, r).serve(w, r, d.log)
	case d.files[p] != nil:
		d.files[p].serve(w, r, d.log)
	default:
		http.Error(w, "nothing is here; the dashboard is at /admin/", http.StatusNotFound)
	}
}

// pickPage picks one of the prepared pages: by the query ?lang=en or ?lang=zh, else by Accept-Language.
func pickPage(pages map[language]*resource, r *http.Request) *resource {
	if p := pages[language(r.URL.Query().Get("lang"))]; p != nil {
		return p
	}
	return pages[chooseLanguage(r.Header.Values("Accept-Language"))]
}
