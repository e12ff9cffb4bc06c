package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"net"
	"path"
	"strconv"
	"strings"
)

// pushTarget is Push as the page's script wants it.
type pushTarget struct {
	Host   string `json:"host"` // empty: the host the page was opened at
	Port   int    `json:"port"` // 0: the page's own address, port included
	Access Access `json:"access"`
}

// target resolves p. A push port that only the machine itself may call is
// named by its loopback address, wherever the page was opened.
func (p Push) target() (pushTarget, error) {
	t := pushTarget{Access: p.Access}
	switch t.Access {
	case "":
		t.Access = AccessLoopback
	case AccessLoopback, AccessListed, AccessKeys:
	default:
		return t, fmt.Errorf("%w: access %q is none of loopback, listed, keys", ErrOptions, p.Access)
	}
	if p.Addr == "" {
		return t, nil
	}
	host, port, err := net.SplitHostPort(p.Addr)
	if err != nil {
		return t, fmt.Errorf("%w: push address %q: %w", ErrOptions, p.Addr, err)
	}
	if t.Port, err = strconv.Atoi(port); err != nil || t.Port < 1 || t.Port > 65535 {
		return t, fmt.Errorf("%w: push address %q has no port between 1 and 65535", ErrOptions, p.Addr)
	}
	ip := net.ParseIP(host)
	switch {
	case host == "" || (ip != nil && ip.IsUnspecified()):
		if t.Access == AccessLoopback {
			t.Host = "127.0.0.1"
		}
	case ip != nil && ip.To4() == nil:
		t.Host = "[" + host + "]"
	default:
		t.Host = host
	}
	return t, nil
}

// texts are a page's words in one language, by key: page for the template,
// script for the page's script.
type texts struct {
	Page   map[string]string `json:"page"`
	Script map[string]string `json:"script"`
}

// pageConfig is what the page's script reads from the page.
type pageConfig struct {
	Path    string            `json:"path"`
	Push    pushTarget        `json:"push"`
	Scripts []script          `json:"scripts"`
	Text    map[string]string `json:"text"`
}

// pageData is what the template reads.
type pageData struct {
	Lang, Other language
	T           map[string]string
	Script      script
	Version     string
	Access      Access
	Config      pageConfig
}

func renderPages(c clientSet, socketPath string, push pushTarget) (map[language]*resource, error) {
	tmpl, err := template.New("page.html").Option("missingkey=error").ParseFS(demoFiles, "demo/page.html")
	if err != nil {
		return nil, fmt.Errorf("parsing the template: %w", err)
	}
	policy := contentSecurityPolicy(c.origins())
	pages := make(map[language]*resource, 2)
	for lang, other := range map[language]language{english: chinese, chinese: english} {
		t, err := loadTexts(demoFiles, "demo", lang)
		if err != nil {
			return nil, err
		}
		scripts := c.scripts(socketPath)
		var buf bytes.Buffer
		err = tmpl.Execute(&buf, pageData{
			Lang: lang, Other: other, T: t.Page, Script: scripts[0], Version: c.V4.Version, Access: push.Access,
			Config: pageConfig{Path: socketPath, Push: push, Scripts: scripts, Text: t.Script},
		})
		if err != nil {
			return nil, fmt.Errorf("filling the template: %w", err)
		}
		pages[lang] = newResource(buf.Bytes(), "", map[string]string{
			"Content-Type":            "text/html; charset=utf-8",
			"Content-Language":        string(lang),
			"Vary":                    "Accept-Language",
			"Cache-Control":           "no-cache",
			"Content-Security-Policy": policy,
			"Referrer-Policy":         "same-origin",
		})
	}
	return pages, nil
}

// contentSecurityPolicy lets the page run its own files, the client from
// origins, and connections to its own server: ws: and wss: are named because
// some browsers do not count them as 'self'.
func contentSecurityPolicy(origins []string) string {
	scripts := strings.Join(append([]string{"'self'"}, origins...), " ")
	return "default-src 'self'; script-src " + scripts + "; connect-src 'self' ws: wss:; " +
		"object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// loadTexts reads the words of a folder of pages in one language.
func loadTexts(files fs.FS, folder string, lang language) (texts, error) {
	raw, err := fs.ReadFile(files, folder+"/"+string(lang)+".json")
	if err != nil {
		return texts{}, fmt.Errorf("reading the words of %s: %w", lang, err)
	}
	var t texts
	if err := json.Unmarshal(raw, &t); err != nil {
		return texts{}, fmt.Errorf("reading the words of %s: %w", lang, err)
	}
	return t, nil
}

// loadAssets prepares the files next to the demo page, by their URL path.
func loadAssets() (map[string]*resource, error) {
	all, err := assets(demoFiles, "demo")
	if err != nil {
		return nil, err
	}
	icon := all["/demo/icon.svg"]
	all["/favicon.svg"], all["/favicon.ico"] = icon, icon
	return all, nil
}

// assets prepares the scripts, styles and pictures in a folder, by their URL path, which is their name.
func assets(files fs.FS, folder string) (map[string]*resource, error) {
	types := map[string]string{
		".css": "text/css; charset=utf-8",
		".js":  "text/javascript; charset=utf-8",
		".svg": "image/svg+xml",
	}
	names, err := fs.Glob(files, folder+"/*.*")
	if err != nil {
		return nil, fmt.Errorf("listing: %w", err)
	}
	all := map[string]*resource{}
	for _, name := range names {
		contentType, served := types[path.Ext(name)]
		if !served {
			continue
		}
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		all["/"+name] = newResource(body, "", map[string]string{"Content-Type": contentType, "Cache-Control": "no-cache"})
	}
	return all, nil
}
