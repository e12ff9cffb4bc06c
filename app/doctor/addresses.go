package doctor

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"crier/api/outbound"
	"crier/configs"
)

// How far the clocks may be apart: receivers refuse signatures that are 5 minutes old (Standard Webhooks).
const (
	clockNoted = 30 * time.Second
	clockWrong = 4 * time.Minute
)

// addresses tells whether the addresses of the settings can be reached, and how far the first one's clock is from this
// machine's.
func addresses(ctx context.Context, cfg *configs.Config) []Finding {
	var all []Finding
	var asked []string
	clock := false
	for _, a := range []struct{ setting, url, method string }{
		{"webhook.url", cfg.Webhook.URL, http.MethodHead},
		{"forward.url", cfg.Forward.URL, http.MethodHead},
		{"auth.callback.url", cfg.Auth.Callback.URL, http.MethodHead},
		{"auth.jwt.jwks", cfg.Auth.JWT.JWKS, http.MethodGet},
	} {
		if a.url == "" || slices.Contains(asked, a.url) {
			continue
		}
		asked = append(asked, a.url)
		found, offset := reach(ctx, a.setting, a.url, a.method)
		all = append(all, found)
		if offset.known && !clock {
			clock = true
			all = append(all, offset.finding())
		}
		if unprotected(a.url) {
			all = append(all, Finding{Warning, a.setting, "http and not https, to another machine: everybody on the way can read along; use https unless the network is yours"})
		}
	}
	return all
}

// unprotected reports whether calls of an address leave this machine without TLS.
func unprotected(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "http" && public(net.JoinHostPort(u.Hostname(), "80"))
}

// reach makes one request.
func reach(ctx context.Context, setting, address, method string) (Finding, offset) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	e, err := outbound.New(address, 1, nil)
	if err != nil {
		return Finding{Wrong, setting, err.Error()}, offset{}
	}
	defer e.CloseIdle()
	request, err := e.Request(ctx, method, nil)
	if err != nil {
		return Finding{Wrong, setting, e.String() + ": " + err.Error()}, offset{}
	}
	sent := time.Now()
	answer, err := e.Do(request, 1<<20)
	if err != nil {
		return Finding{Wrong, setting, e.String() + " cannot be reached from here: " + err.Error()}, offset{}
	}
	apart := offsetOf(answer.Header, sent, time.Now())
	apart.from = request.URL.Host
	said := fmt.Sprintf("%s answers %s by %d", e, method, answer.Status)
	switch s := answer.Status; {
	case s >= 500 && s != http.StatusNotImplemented:
		return Finding{Warning, setting, said + ": look into its log"}, apart
	case s == http.StatusNotFound && method == http.MethodHead:
		return Finding{Warning, setting, said + ": right only if it knows the path for POST alone"}, apart
	case s >= 300 && s < 400:
		return Finding{Wrong, setting, said + ", and redirects are not followed: give the address that it leads to"}, apart
	case s != http.StatusOK && method == http.MethodGet:
		return Finding{Wrong, setting, said + ", and 200 is needed"}, apart
	}
	return Finding{Fine, setting, said}, apart
}

// offset is how far the clock of another machine is from this one's.
type offset struct {
	known bool
	ahead time.Duration // of this machine's clock
	from  string        // host of the other
}

// offsetOf reads the answer to a request that was sent and answered at these times. Date has whole seconds, and a cache
// says in Age how many have passed since (RFC 9110 section 6.6.1, RFC 9111 section 5.1).
func offsetOf(h http.Header, sent, answered time.Time) offset {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return offset{}
	}
	if age, err := strconv.Atoi(h.Get("Age")); err == nil {
		date = date.Add(time.Duration(age) * time.Second)
	}
	switch earliest, latest := date, date.Add(time.Second); {
	case answered.Before(earliest):
		return offset{known: true, ahead: answered.Sub(earliest)}
	case sent.After(latest):
		return offset{known: true, ahead: sent.Sub(latest)}
	}
	return offset{known: true}
}

func (o offset) finding() Finding {
	const advice = ": receivers refuse signatures of another time, servers each other's calls, and tokens end early or late; set the clock, such as by timedatectl set-ntp true"
	apart, side := o.ahead.Round(time.Second), "ahead of"
	if o.ahead < 0 {
		apart, side = -apart, "behind"
	}
	switch text := fmt.Sprintf("%s %s that of %s", apart, side, o.from); {
	case apart >= clockWrong:
		return Finding{Wrong, "clock", text + advice}
	case apart >= clockNoted:
		return Finding{Warning, "clock", text + advice}
	}
	return Finding{Fine, "clock", "agrees with that of " + o.from}
}
