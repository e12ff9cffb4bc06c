package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"crier/api"
	"crier/io/cluster"
	"crier/io/cluster/hop"
)

// answerSlack is how much longer than a poll waits another server may take to answer it.
const answerSlack = 10 * time.Second

var (
	errNoLeader = errors.New("no server leads, or it cannot be reached")
	errChanged  = errors.New("the body is not the one that the other server has passed on")
)

// passage passes requests to the servers of the cluster that can answer them: clients that poll come to any of them.
type passage struct {
	// static
	app    *App
	tag    string
	owners *cluster.Owners
	passer *hop.Passer
}

// buildPassage makes it, if this server is one of several.
func (a *App) buildPassage() error {
	if a.cluster == nil {
		return nil
	}
	p := &passage{app: a, tag: a.cluster.node.Tag(), owners: cluster.NewOwners(a.cluster.node)}
	var err error
	p.passer, err = hop.New(hop.Options{
		Tag: p.tag, Owners: p.owners, Poller: a.poller, Certificate: a.ownCertificate, Logger: a.log,
		AnswerTimeout: a.cfg.SocketIO.PingInterval + a.cfg.SocketIO.PingTimeout + answerSlack,
	})
	a.passage = p
	return err
}

// ownCertificate is that of the public port, or nil.
func (a *App) ownCertificate() *x509.Certificate {
	if a.public.certificate == nil {
		return nil
	}
	pair, err := a.public.certificate.get(nil)
	if err != nil {
		return nil // it has been logged
	}
	return pair.Leaf
}

// advertise tells the others where this server is, now that its port is bound.
func (a *App) advertise() {
	if a.cluster == nil {
		return
	}
	address := a.cfg.Cluster.Advertise
	if address == "" {
		var err error
		if address, err = a.findAddress(); err != nil {
			a.log.Warn("the other servers do not know how to reach this one, so that clients that poll do not get through: set cluster.advertise", "error", err)
			return
		}
	}
	level, text := slog.LevelInfo, "the other servers reach this one by its public port"
	if here, err := a.cluster.redis.LocalHost(); err == nil && loopback(address) && !net.ParseIP(here).IsLoopback() {
		level, text = slog.LevelWarn, "servers on other machines do not reach this one by a loopback address, so that clients that poll do not get through: set cluster.advertise, or listen"
	}
	a.log.Log(context.Background(), level, text, "advertise", address)
	a.cluster.node.Advertise(address)
}

// loopback reports whether an address leads nowhere else.
func loopback(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback())
}

// findAddress is the default of cluster.advertise: the host in listen or, without one, the address by which this machine
// reaches Redis.
func (a *App) findAddress() (string, error) {
	host, port, err := net.SplitHostPort(a.Addr())
	if err != nil {
		return "", err
	}
	if net.ParseIP(host).IsUnspecified() {
		if host, err = a.cluster.redis.LocalHost(); err != nil {
			return "", err
		}
	}
	scheme := "http"
	if a.public.certificate != nil {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port), nil
}

// around is the handler of the public port: own is for what this server answers itself.
func (p *passage) around(own http.Handler) http.Handler {
	if p == nil {
		return own
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, passed, ok := p.passer.Admit(w, r)
		switch {
		case !ok: // it has been refused
		case passed == nil:
			if tag := p.foreign(r); tag == "" || !p.passer.Pass(w, r, tag) {
				own.ServeHTTP(w, r)
			}
		case passed.Kind == hop.Call:
			p.answer(w, r, passed)
		case passed.Kind == hop.Nudge:
			p.app.sockets.Engine().Nudge(sessionOf(r))
			w.WriteHeader(http.StatusNoContent)
		default:
			own.ServeHTTP(w, r)
		}
	})
}

// foreign returns the tag of another server, if r is for a session of that.
func (p *passage) foreign(r *http.Request) string {
	path := p.app.cfg.SocketIO.Path
	if at := r.URL.Path; at != path && at+"/" != path || r.Method == http.MethodOptions {
		return ""
	}
	id := sessionOf(r)
	if len(id) <= len(p.tag) {
		return ""
	}
	tag := id[:len(p.tag)]
	if tag == p.tag || strings.Trim(tag, "abcdefghijklmnopqrstuvwxyz234567") != "" { // no tag looks so
		return ""
	}
	return tag
}

// sessionOf is the session id in the query, as all clients write it.
func sessionOf(r *http.Request) string { return sessionIn(r.URL.RawQuery) }

// sessionIn is the same of a query.
func sessionIn(query string) string {
	for one := range strings.SplitSeq(query, "&") {
		if id, found := strings.CutPrefix(one, "sid="); found {
			return id
		}
	}
	return ""
}

// release ends what goes through this server to others and is none of its own clients, once it takes no more requests.
func (p *passage) release(ctx context.Context) {
	if p == nil {
		return
	}
	p.passer.Release(ctx)
	p.passer.Close()
}

// introduction is what goes with a call that is passed to the leader.
type introduction struct {
	Caller api.Introduction `json:"caller"`
	Body   []byte           `json:"body"` // its hash
}

// Pass implements [api.Leader].
func (p *passage) Pass(w http.ResponseWriter, r *http.Request, as api.Introduction) error {
	name, known, err := p.app.cluster.leader.Where(r.Context())
	if err != nil {
		return err
	}
	tag := ""
	if known {
		tag = p.owners.Tag(r.Context(), name)
	}
	if tag == "" {
		return errNoLeader
	}
	body, err := p.read(r)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	extra, err := json.Marshal(introduction{as, sum[:]})
	if err != nil {
		return err
	}
	if !p.passer.Call(w, r, tag, string(extra)) {
		return errNoLeader
	}
	return nil
}

// read reads the body of a call, or so much of it that it is seen to be too large, and puts it back.
func (p *passage) read(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, p.app.cfg.API.MaxBody+1))
	if err != nil {
		return nil, fmt.Errorf("reading the body of a call: %w", err)
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return body, nil
}

// answer answers a call that another server has passed on.
func (p *passage) answer(w http.ResponseWriter, r *http.Request, passed *hop.Passed) {
	var of introduction
	body, err := p.read(r)
	if err == nil {
		err = json.Unmarshal([]byte(passed.Extra), &of)
	}
	if sum := sha256.Sum256(body); err == nil && !bytes.Equal(of.Body, sum[:]) {
		err = errChanged
	}
	if err != nil {
		p.passer.Refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	p.app.api.ServeIntroduced(w, r, of.Caller)
}
