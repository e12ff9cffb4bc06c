package hop

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"crier/io/netpoll"
)

const (
	// dialTimeout is how long a server may take to accept a connection. One that has ended refuses at once.
	dialTimeout = 2 * time.Second
	// restTime is for how long nothing is passed to a server that could not be reached.
	restTime = 2 * time.Second
	// idleTime is for how long an idle connection is kept: less than the other side keeps it.
	idleTime = time.Minute
	// maxIdle is how many of them are kept for one server.
	maxIdle = 1024
)

// Owners know the servers of the cluster.
type Owners interface {
	// Owner returns the address of the server with that tag, such as http://10.0.0.7:2120, or "" if there is none. It may ask
	// others, for a moment.
	Owner(ctx context.Context, tag string) string
	// Gone says that another server is now where the one with that tag was.
	Gone(tag string)
	// Secrets are what badges are signed with, the present one first; none while it is not known.
	Secrets(ctx context.Context) [][]byte
}

// Options configures a [Passer].
type Options struct {
	// Tag is this server's. Required.
	Tag string
	// Owners is required.
	Owners Owners
	// Poller has the WebSockets that go through this server. Required.
	Poller *netpoll.Poller
	// AnswerTimeout is how long an answer may take to begin, and a body to come: longer than a poll waits. Zero: a minute.
	AnswerTimeout time.Duration
	// MaxPayload and MaxCall are how many bytes the body of a Visit and of a Call may have: of a larger one so much is passed on that
	// the other server sees that it is. Zero: 1,000,000, and 16 MiB.
	MaxPayload, MaxCall int64
	// Certificate returns this server's own, or nil: another server is trusted that has the same, or one for a name in it. Nil:
	// there is none.
	Certificate func() *x509.Certificate
	// Logger gets what goes wrong. Nil: nothing is logged.
	Logger *slog.Logger
}

// Passer passes requests to other servers, and tells those that others have passed to this one. Its methods may be called by
// many goroutines at once.
type Passer struct {
	// static
	o       Options
	log     *slog.Logger
	proxy   *httputil.ReverseProxy
	carrier *http.Transport
	dialer  net.Dialer
	secure  *tls.Config

	number atomic.Uint64 // of the last badge
	used   used

	mu      sync.Mutex
	resting map[string]time.Time  // until when nothing is passed to that tag
	told    time.Time             // when a failure was logged
	warned  time.Time             // when a badge was said not to count
	under   map[*passing]struct{} // requests under way
	tunnels map[*tunnel]struct{}
}

// New returns a Passer, which must be closed in the end.
func New(o Options) (*Passer, error) {
	if o.Tag == "" || o.Owners == nil || o.Poller == nil {
		return nil, errors.New("hop: Tag, Owners or Poller is missing in Options")
	}
	if o.AnswerTimeout == 0 {
		o.AnswerTimeout = time.Minute
	}
	if o.MaxPayload == 0 {
		o.MaxPayload = 1_000_000
	}
	if o.MaxCall == 0 {
		o.MaxCall = 16 << 20
	}
	if o.Certificate == nil {
		o.Certificate = func() *x509.Certificate { return nil }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Passer{
		o: o, log: o.Logger, dialer: net.Dialer{Timeout: dialTimeout}, secure: trust(o.Certificate),
		resting: make(map[string]time.Time), tunnels: make(map[*tunnel]struct{}), under: make(map[*passing]struct{}),
	}
	p.carrier = &http.Transport{
		DialContext:           p.dialer.DialContext,
		TLSClientConfig:       p.secure,
		TLSHandshakeTimeout:   dialTimeout,
		TLSNextProto:          map[string]func(string, *tls.Conn) http.RoundTripper{}, // HTTP/1.1, as the clients'
		DisableCompression:    true,                                                   // what is compressed stays so
		MaxIdleConnsPerHost:   maxIdle,
		IdleConnTimeout:       idleTime,
		ResponseHeaderTimeout: o.AnswerTimeout,
	}
	p.proxy = &httputil.ReverseProxy{
		Rewrite:        rewrite,
		Transport:      p.carrier,
		FlushInterval:  -1,
		BufferPool:     &buffers{},
		ModifyResponse: refusal,
		ErrorHandler:   func(_ http.ResponseWriter, r *http.Request, err error) { passingOf(r).err = err },
		ErrorLog:       slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	return p, nil
}

// passing is a request that is passed on.
type passing struct {
	passer *Passer
	to     *url.URL
	tag    string
	badge  badge
	secret []byte
	sent   *http.Request // as it came
	err    error         // why there was no answer
}

type passingKey struct{}

func passingOf(r *http.Request) *passing { return r.Context().Value(passingKey{}).(*passing) }

// begin prepares to pass r to the server with that tag; nil if it cannot be reached.
func (p *Passer) begin(r *http.Request, tag string, b badge) *passing {
	address := p.o.Owners.Owner(r.Context(), tag)
	secrets := p.o.Owners.Secrets(r.Context())
	if address == "" || len(secrets) == 0 || p.rests(tag) {
		return nil
	}
	to, err := url.Parse(address)
	if err != nil || to.Host == "" {
		p.complain(tag, fmt.Errorf("its address is %q", address))
		return nil
	}
	b.to, b.from, b.peer = tag, p.o.Tag, r.RemoteAddr
	return &passing{passer: p, to: to, tag: tag, badge: b, secret: secrets[0], sent: r}
}

// sign gives a request that is sent a badge of its own.
func (x *passing) sign(out *http.Request) {
	b := x.badge
	b.at, b.number = time.Now(), x.passer.number.Add(1)
	out.Header.Set(header, b.sign(x.secret, out.Method, out.Host, out.URL.RequestURI()))
}

// rewrite leaves a request as it came, but for the badge.
func rewrite(pr *httputil.ProxyRequest) {
	x := passingOf(pr.In)
	pr.Out.URL.Scheme, pr.Out.URL.Host = x.to.Scheme, x.to.Host
	pr.Out.URL.RawQuery = pr.In.URL.RawQuery // of which net/http/httputil would drop what it cannot parse
	pr.Out.Host = pr.In.Host
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values := pr.In.Header[name]; values != nil {
			pr.Out.Header[name] = values
		}
	}
	x.sign(pr.Out)
}

// refusal makes an error of an answer that says that the badge does not count.
func refusal(r *http.Response) error {
	why := r.Header.Get(header)
	switch {
	case why == "":
		return nil
	case r.StatusCode == http.StatusMisdirectedRequest:
		return fmt.Errorf("%w: %s", errMoved, why)
	default:
		return fmt.Errorf("%w: %s", errRefused, why)
	}
}

var (
	errRefused = errors.New("it did not take the request")
	errMoved   = errors.New("another server is there")
	errUnread  = errors.New("the request has not come in full")
)

// Pass passes the request of a client to the server with that tag. It reports false, and has not answered, if that server is
// not there (any more): nobody has the session then.
func (p *Passer) Pass(w http.ResponseWriter, r *http.Request, tag string) bool {
	x := p.begin(r, tag, badge{kind: Visit})
	if x == nil {
		return false
	}
	if r.Header.Get("Upgrade") != "" {
		x.badge.body = sha256.Sum256(nil)
		p.carry(w, r, x)
	} else {
		p.serve(w, r, x)
	}
	return p.answered(w, r, x)
}

// Call passes the call of a business server to the leader, whose tag that is, with what has to be known of the caller. It
// reports false, and has not answered, if that server is not there.
func (p *Passer) Call(w http.ResponseWriter, r *http.Request, tag, extra string) bool {
	x := p.begin(r, tag, badge{kind: Call, extra: extra})
	if x == nil {
		return false
	}
	p.serve(w, r, x)
	return p.answered(w, r, x)
}

// serve passes a request on and the answer back; x has the error if there is none.
func (p *Passer) serve(w http.ResponseWriter, r *http.Request, x *passing) {
	if x.badge.body, x.err = p.read(w, r, x.badge.kind); x.err != nil {
		x.err = fmt.Errorf("%w: %w", errUnread, x.err)
		return
	}
	p.enter(x)
	defer p.leave(x)
	p.proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), passingKey{}, x)))
}

// answered sees to a request without an answer. It reports false if the other server has not got it.
func (p *Passer) answered(w http.ResponseWriter, r *http.Request, x *passing) bool {
	switch err := x.err; {
	case err == nil, r.Context().Err() != nil: // the client has gone
		return true
	case errors.Is(err, errUnread):
		http.Error(w, err.Error(), http.StatusBadRequest)
		return true
	case isTimeout(err):
		p.complain(x.tag, err)
		http.Error(w, "the server of the cluster that this request is for does not answer", http.StatusGatewayTimeout)
		return true
	case isDial(err):
		p.rest(x.tag)
		p.complain(x.tag, err)
	case errors.Is(err, errMoved): // it has been started again, most likely
		p.o.Owners.Gone(x.tag)
		p.complain(x.tag, err)
	default:
		p.complain(x.tag, err)
	}
	return false
}

// isTimeout reports whether a server was there and took too long.
func isTimeout(err error) bool {
	var late net.Error
	return errors.As(err, &late) && late.Timeout() && !isDial(err)
}

// isDial reports whether there was no connection.
func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// rests reports whether a server could not be reached a moment ago.
func (p *Passer) rests(tag string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	until, found := p.resting[tag]
	if found && time.Now().After(until) {
		delete(p.resting, tag)
		return false
	}
	return found
}

func (p *Passer) rest(tag string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resting[tag] = time.Now().Add(restTime)
}

// complain logs that a request was not passed on, at most once a minute.
func (p *Passer) complain(tag string, err error) {
	p.log.Log(context.Background(), p.seldom(&p.told), "a request could not be passed to the server that it is for", "tag", tag, "error", err)
}

// seldom is the level of a warning that is to be seen once a minute; last is when it was, guarded by mu.
func (p *Passer) seldom(last *time.Time) slog.Level {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Sub(*last) < time.Minute {
		return slog.LevelDebug
	}
	*last = now
	return slog.LevelWarn
}

// buffers are those of [httputil.ReverseProxy].
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if buf, ok := b.pool.Get().(*[]byte); ok {
		return *buf
	}
	return make([]byte, 16<<10)
}

func (b *buffers) Put(buf []byte) { b.pool.Put(&buf) }
