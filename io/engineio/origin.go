package engineio

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Origins decides which web pages may talk to the server. A request with an
// Origin header must come from the server's own host name, on any port, or
// from a listed origin. Without the header it is allowed, unless the browser
// says that it comes from another site (Sec-Fetch-Site, Referer), as it does
// for a script element. The zero value lists nothing.
type Origins struct {
	any    bool
	listed map[string]struct{}
}

// NewOrigins returns the policy that also admits the listed origins, written
// as browsers send them: "https://example.com", "http://localhost:8080",
// "capacitor://localhost", "null". "*" admits all.
func NewOrigins(list []string) (Origins, error) {
	o := Origins{listed: make(map[string]struct{}, len(list))}
	for _, s := range list {
		if s == "*" {
			o.any = true
			continue
		}
		if s != "null" {
			u, err := url.Parse(s)
			if err != nil || u.Scheme == "" || u.Host == "" && u.Scheme != "file" || strings.Trim(u.Path, "/") != "" ||
				u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Contains(u.Host, "*") {
				return Origins{}, fmt.Errorf("origin %q: want scheme://host[:port], null or *", s)
			}
		}
		o.listed[normalOrigin(s)] = struct{}{}
	}
	return o, nil
}

// OriginError says why a page's request was refused and how to allow it.
type OriginError struct {
	Origin string // what the browser named
	Host   string // the Host header it was compared with
}

func (e *OriginError) Error() string {
	return fmt.Sprintf("origin %q is neither the host of this server (the request's Host is %q) nor listed: "+
		"add it to the setting `origins`, or, behind a proxy, let it pass the Host on (nginx: proxy_set_header Host $http_host)",
		e.Origin, e.Host)
}

// Check returns nil if the page that r comes from may talk to the server,
// else an [*OriginError].
func (o Origins) Check(r *http.Request) error {
	if o.any {
		return nil
	}
	from := r.Header.Get("Origin")
	if from == "" {
		from = refererOrigin(r.Header.Get("Referer"))
	}
	switch {
	case from == "" && r.Header.Get("Sec-Fetch-Site") != "cross-site":
		return nil
	case from == "":
		return &OriginError{Origin: "unnamed (Sec-Fetch-Site: cross-site)", Host: r.Host}
	}
	if _, ok := o.listed[normalOrigin(from)]; ok {
		return nil
	}
	if u, err := url.Parse(from); err == nil && (u.Scheme == "http" || u.Scheme == "https") &&
		u.Hostname() != "" && strings.EqualFold(u.Hostname(), hostname(r.Host)) {
		return nil
	}
	return &OriginError{Origin: from, Host: r.Host}
}

// AllowCORS lets the page that sent r read the reply, with its cookies. Call
// it after [Origins.Check].
func (o Origins) AllowCORS(h http.Header, r *http.Request) {
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", "true")
	if r.Method != http.MethodOptions {
		return
	}
	h.Set("Access-Control-Allow-Methods", "GET,POST,OPTIONS")
	h.Set("Access-Control-Max-Age", "600")
	if want := r.Header.Get("Access-Control-Request-Headers"); want != "" {
		h.Set("Access-Control-Allow-Headers", want)
	}
}

// refererOrigin is the origin of the page that a Referer names, "" for none.
// What cannot be parsed is returned as it is: no policy lists it.
func refererOrigin(referer string) string {
	if referer == "" {
		return ""
	}
	u, err := url.Parse(referer)
	switch {
	case err != nil:
		return referer
	case u.Host == "":
		return ""
	default:
		return u.Scheme + "://" + u.Host
	}
}

// normalOrigin makes origins comparable: browsers leave the default port out.
func normalOrigin(s string) string {
	s = strings.ToLower(strings.TrimRight(s, "/"))
	switch {
	case strings.HasPrefix(s, "http://"):
		return strings.TrimSuffix(s, ":80")
	case strings.HasPrefix(s, "https://"):
		return strings.TrimSuffix(s, ":443")
	default:
		return s
	}
}

// hostname is a Host header without its port.
func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}
