package cluster

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"crier/io/hub"
)

func TestNewRedis(t *testing.T) {
	tests := []struct {
		url       string
		sentinels []string
		want      string // the address and the database, or what the error says
	}{
		{"redis://h", nil, "h:6379 0"},
		{"redis://u:p@h:1/2", nil, "h:1 2"},
		{"redis://[::1]/", nil, "[::1]:6379 0"},
		{"rediss://h/15", nil, "h:6379 15"},
		{"redis://mymaster/3", []string{"s:1"}, "mymaster 3"},
		{"redis://mymaster:6379", []string{"s:1"}, "without a port"},
		{"redis://:sesame@", nil, "must name a host"},
		{"http://sesame@h", nil, "must begin with redis://"},
		{"redis://u:ses%ame@h", nil, "must begin with redis://"},
		{"redis://h/sesame", nil, "database number"},
		{"redis://h?db=sesame", nil, "must begin with redis://"},
	}
	for _, test := range tests {
		t.Run(test.url, func(t *testing.T) {
			r, err := NewRedis(RedisOptions{URL: test.url, Sentinels: test.sentinels})
			if err != nil {
				if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "sesame") {
					t.Errorf("got %v, want %s", err, test.want)
				}
				return
			}
			if got := r.address + " " + strconv.Itoa(r.database); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// TestOverRedis has several publish at once: what each of them says arrives once and in its order.
func TestOverRedis(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	s := connect(t, RedisOptions{URL: "redis://" + server.Addr()})
	s.up(t)
	alice := &browser{id: "alice's"}
	m, err := s.main.hub.Connect(alice)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Join("room-a"); err != nil {
		t.Fatal(err)
	}
	if err := m.Login("42"); err != nil {
		t.Fatal(err)
	}
	// Each message means her in several ways.
	const messages = 3000
	var publishers sync.WaitGroup
	for _, name := range []string{"x", "y"} {
		publishers.Go(func() {
			c, err := redis.Dial("tcp", server.Addr())
			if err != nil {
				t.Error(err)
				return
			}
			for _, event := range count(name, messages) {
				body := append(unhex(t, "93 a165 81 a464617461 91"), 0xa0|byte(len(event)))
				body = append(append(body, event...), unhex(t, "81 a5726f6f6d73 93 a6726f6f6d2d61 2a a7616c6963652773")...)
				if err := c.Send("PUBLISH", "socket.io#/#", body); err != nil {
					t.Error(err)
				}
			}
			if _, err := c.Do(""); err != nil {
				t.Error(err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	publishers.Wait()
	await(t, "all have come", func() bool { return len(alice.got()) >= 2*messages })
	var x, y []string
	for _, event := range alice.got() {
		if event[0] == 'x' {
			x = append(x, event)
		} else {
			y = append(y, event)
		}
	}
	if !slices.Equal(x, count("x", messages)) || !slices.Equal(y, count("y", messages)) {
		t.Errorf("%d and %d events came, or not in order", len(x), len(y))
	}
	if got := s.Stats(); got != (EmitterStats{Pushes: 2 * messages}) {
		t.Errorf("%+v", got)
	}
}

func TestRequests(t *testing.T) {
	s := newStation(t, nowhere(t))
	enter := func(c hub.Conn, uid string) *hub.Member {
		m, err := s.main.hub.Connect(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Login(uid); err != nil {
			t.Fatal(err)
		}
		return m
	}
	alice, bob, carol := &browser{id: "a"}, &browser{id: "b"}, namespaced{&browser{id: "c"}}
	ma, mb, mc := enter(alice, "alice"), enter(bob, "bob"), enter(carol, "carol")
	rooms := func(m *hub.Member) string { return strings.Join(m.Rooms(), " ") }

	s.hear("socket.io-request#/#", []byte(`{"type":2,"opts":{"rooms":["alice","c"],"except":[]},"rooms":["j","k"]}`))
	s.hear("socket.io-request#/#", []byte(`{"type":2,"opts":{"rooms":[],"except":["j"]},"rooms":"l"}`))
	if rooms(ma) != "j k" || rooms(mb) != "l" || rooms(mc) != "j k" {
		t.Errorf("after the joins: %q, %q and %q", rooms(ma), rooms(mb), rooms(mc))
	}
	s.hear("socket.io-request#/#", []byte(`{"type":3,"opts":{"rooms":["j"],"except":["alice"]},"rooms":["j","nowhere"]}`))
	if rooms(ma) != "j k" || rooms(mc) != "k" {
		t.Errorf("after the leave: %q and %q", rooms(ma), rooms(mc))
	}
	s.hear("socket.io-request#/#", []byte(`{"type":4,"opts":{"rooms":["k"],"except":[]}}`))
	if !alice.kicked || bob.kicked || carol.kicked || !carol.left {
		t.Errorf("after the disconnection: %v, %v, %v, %v", alice.kicked, bob.kicked, carol.kicked, carol.left)
	}
	s.hear("socket.io-request#/#", []byte(`{"type":4,"opts":{"rooms":["bob"],"except":[]},"close":true}`))
	if !bob.kicked || carol.kicked {
		t.Errorf("after the closing: %v, %v", bob.kicked, carol.kicked)
	}
	// Without who is meant it is no request of an emitter: nobody is sent away.
	s.hear("socket.io-request#/#", []byte(`{"type":4,"close":true}`))
	if carol.kicked || s.Stats() != (EmitterStats{Requests: 5, Passed: 1}) {
		t.Errorf("%v, %+v", carol.kicked, s.Stats())
	}
}

func TestPrefix(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	r, err := NewRedis(RedisOptions{URL: "redis://" + server.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	notes := &notebook{name: "/", hub: newHub(t)}
	e, err := NewEmitters(EmitterOptions{Redis: r, Prefix: `my*[a]?\`, Sockets: map[string]Sockets{"/": notes}, MaxPayload: 1000})
	if err != nil {
		t.Fatal(err)
	}
	s := &station{Emitters: e, main: notes, log: &logBook{}}
	s.begin(t)
	s.up(t)
	body := unhex(t, "92 81 a464617461 91 a161 80")
	server.publish(t, "socket.io#emitter", body)
	server.publish(t, "myx[a]xx#emitter", body)
	server.publish(t, `my*[a]?\#emitter`, unhex(t, "92 81 a464617461 91 a162 80"))
	await(t, "the one with the prefix", func() bool { return len(notes.taken()) > 0 })
	if got := notes.taken(); len(got) != 1 || got[0] != "/ all: b" {
		t.Errorf("%q", got)
	}
}

// TestRedisComesAndGoes begins without Redis, and has it killed twice.
func TestRedisComesAndGoes(t *testing.T) {
	t.Parallel()
	server := newRedis(t)
	s := connect(t, RedisOptions{URL: "redis://" + server.Addr()})
	await(t, "the log says so", func() bool { return strings.Contains(s.log.String(), "Redis is away") })
	if got := s.Redis(); got.Up || got.Since.IsZero() || got.Lost != 0 {
		t.Errorf("before Redis: %+v", got)
	}
	for round, event := range []string{"first", "second", "third"} {
		server.Start(t)
		s.up(t)
		s.gets(t, server, event)
		if round == 2 {
			break
		}
		server.Kill(t)
		s.away(t)
		if got := s.Redis(); got.Lost != uint64(round+1) {
			t.Errorf("killed %d times: %+v", round+1, got)
		}
	}
	if n := strings.Count(s.log.String(), "connected to Redis"); n != 3 {
		t.Errorf("the log says %d times that it is there", n)
	}
	if n := strings.Count(s.log.String(), "Redis is away"); n != 3 {
		t.Errorf("the log says %d times that it is away", n)
	}
}

// TestLogin has Redis ask for a password, or a user and a password, which must never be shown.
func TestLogin(t *testing.T) {
	t.Parallel()
	plain := startRedis(t, "--requirepass", "sesame")
	users := startRedis(t, "--user", "crier", "on", ">sesame", "resetchannels", "&socket.io#*", "&socket.io-request#*", "-@all", "+ping", "+psubscribe", "+select", "+role",
		"--user", "default", "off") // as in docs/CLUSTER.md
	renamed := startRedis(t, "--rename-command", "AUTH", "LOGIN") // its error repeats the arguments
	forbidden := startRedis(t, "--user", "crier", "on", ">sesame", "+ping")
	tests := []struct {
		name   string
		server *redisServer
		user   string
		want   string // in the log
	}{
		{"password", plain, ":sesame@", "connected to Redis"},
		{"user", users, "crier:sesame@", "connected to Redis"},
		{"a database", plain, ":sesame@", "connected to Redis"},
		{"no password", plain, "", "Redis wants a password (setting `cluster.redis`"},
		{"wrong password", plain, ":sesame2@", "Redis does not take this user and password (setting `cluster.redis`)"},
		{"wrong user", users, "other:sesame@", "Redis does not take this user and password"},
		{"no user", users, ":sesame@", "Redis does not take this user and password"},
		{"a password for nothing", startRedis(t), ":sesame@", "Redis does not take this user and password"},
		{"no AUTH", renamed, ":sesame@", "Redis does not take this user and password"},
		{"no right to subscribe", forbidden, "crier:sesame@", "NOPERM"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			url := "redis://" + test.user + test.server.Addr()
			if test.name == "a database" {
				url += "/3"
			}
			s := connect(t, RedisOptions{URL: url})
			await(t, "the log says "+test.want, func() bool { return strings.Contains(s.log.String(), test.want) })
			if strings.Contains(s.log.String(), "sesame") {
				t.Errorf("the password is shown:\n%s", s.log)
			}
		})
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ours, others := newAuthority(t), newAuthority(t)
	cert, key := ours.pair(t, "server")
	clientCert, clientKey := ours.pair(t, "client")
	server := newRedis(t)
	// Unless it is told otherwise, Redis asks for a certificate of ours.
	server.Args = []string{"--port", "0", "--tls-port", strconv.Itoa(server.Port), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ours.file}
	server.Start(t)
	pair, err := tls.LoadX509KeyPair(clientCert, clientKey)
	if err != nil {
		t.Fatal(err)
	}
	known := ours.trust()
	known.Certificates = []tls.Certificate{pair}
	tests := []struct {
		name, scheme string
		tls          *tls.Config
		want         string // in the log
	}{
		{"both certificates", "rediss://", known, "connected to Redis"},
		{"without ours", "rediss://", ours.trust(), "Redis is away"},
		{"of an authority nobody knows", "rediss://", others.trust(), "unknown authority"},
		{"without TLS", "redis://", nil, "Redis is away"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := connect(t, RedisOptions{URL: test.scheme + server.Addr(), TLS: test.tls})
			await(t, "the log says "+test.want, func() bool { return strings.Contains(s.log.String(), test.want) })
		})
	}
}

// TestSentinel follows a master that is replaced.
func TestSentinel(t *testing.T) {
	t.Parallel()
	first := startRedis(t)
	second := startRedis(t, "--replicaof", "127.0.0.1", strconv.Itoa(first.Port))
	sentinel := newRedis(t)
	conf := filepath.Join(sentinel.Dir, "sentinel.conf")
	text := "port " + strconv.Itoa(sentinel.Port) + "\nbind 127.0.0.1\nrequirepass open\ndir " + sentinel.Dir + "\n" +
		"sentinel monitor mymaster 127.0.0.1 " + strconv.Itoa(first.Port) + " 1\n" +
		"sentinel down-after-milliseconds mymaster 500\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	sentinel.StartSentinel(t, conf)

	nobody := newRedis(t)
	o := RedisOptions{URL: "redis://mymaster", Sentinels: []string{nobody.Addr(), sentinel.Addr()}, SentinelPassword: "open"}
	s := connect(t, o)
	s.up(t)
	s.gets(t, first, "first")

	for _, wrong := range []struct {
		o    RedisOptions
		want string
	}{
		{RedisOptions{URL: "redis://other", Sentinels: o.Sentinels[1:], SentinelPassword: "open"}, "knows no master of that name"},
		{RedisOptions{URL: "redis://mymaster", Sentinels: o.Sentinels[1:], SentinelPassword: "sesame"}, "it does not take this password (setting `cluster.sentinel_password`)"},
		{RedisOptions{URL: "redis://mymaster", Sentinels: o.Sentinels[1:]}, "cluster.sentinel_password"},
		{RedisOptions{URL: "redis://mymaster", Sentinels: o.Sentinels[:1]}, "connection refused"},
	} {
		r, err := NewRedis(wrong.o)
		if err != nil {
			t.Fatal(err)
		}
		if c, _, err := r.dial(t.Context()); err == nil {
			c.close()
			t.Errorf("connected, want %s", wrong.want)
		} else if text := err.Error(); !strings.Contains(text, wrong.want) || strings.Contains(text, "sesame") {
			t.Errorf("got %q, want %s", text, wrong.want)
		}
	}

	// Sentinels that have not noticed lead to what is no master.
	stale, err := NewRedis(RedisOptions{URL: "redis://" + second.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := stale.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.mustBeMaster(); err == nil {
		t.Error("a replica is taken for a master")
	}
	c.close()

	await(t, "the Sentinel knows the replica", func() bool {
		c, err := redis.Dial("tcp", sentinel.Addr(), redis.DialPassword("open"))
		if err != nil {
			return false
		}
		replicas, err := redis.Values(c.Do("SENTINEL", "replicas", "mymaster"))
		return c.Close() == nil && err == nil && len(replicas) == 1 && strings.Contains(second.Log.String(), "sync: Finished with success")
	})
	first.Kill(t)
	s.away(t)
	s.up(t)
	s.gets(t, second, "second")
}

// TestSilentRedis has a connection that leads nowhere any more, without an end.
func TestSilentRedis(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	var cut atomic.Bool
	proxy := startProxy(t, server.Addr(), &cut)
	r, err := NewRedis(RedisOptions{URL: "redis://" + proxy})
	if err != nil {
		t.Fatal(err)
	}
	s := newStation(t, r)
	s.link.interval = 50 * time.Millisecond
	s.begin(t)
	s.getsAtLast(t, server, "first") // on a busy machine an answer may be late, too
	cut.Store(true)
	s.away(t)
	cut.Store(false)
	s.getsAtLast(t, server, "second")
}

// startProxy passes connections on to an address; what comes while cut is swallowed.
func startProxy(t *testing.T, to string, cut *atomic.Bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	pass := func(from, to net.Conn) {
		buf := make([]byte, 4096)
		for {
			n, err := from.Read(buf)
			if err != nil {
				break
			}
			if cut.Load() {
				continue
			}
			if _, err := to.Write(buf[:n]); err != nil {
				break
			}
		}
		from.Close()
		to.Close()
	}
	running.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			mu.Lock()
			conns = append(conns, in, out)
			mu.Unlock()
			running.Go(func() { pass(in, out) })
			running.Go(func() { pass(out, in) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return l.Addr().String()
}

// TestHugeMessage publishes 100 MB. Redis ends the connection of a subscriber with more than 32 MB unread, unless it is
// told otherwise; either way the next message arrives.
func TestHugeMessage(t *testing.T) {
	for name, args := range map[string][]string{"usual": nil, "without a limit": {"--client-output-buffer-limit", "pubsub", "0", "0", "0"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startRedis(t, args...)
			s := connect(t, RedisOptions{URL: "redis://" + server.Addr()})
			s.up(t)
			server.publish(t, "socket.io#/#", make([]byte, 100_000_000))
			if args != nil {
				await(t, "it is dropped", func() bool { return s.Stats().Dropped == 1 })
			} else {
				await(t, "Redis ends the connection", func() bool { return s.Redis().Lost == 1 })
				s.up(t)
			}
			s.gets(t, server, "next")
		})
	}
}

// TestClose ends while Redis cannot be reached, does not answer, and is there.
func TestClose(t *testing.T) {
	deaf, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 1)
	go func() {
		if c, err := deaf.Accept(); err == nil {
			accepted <- c
		}
	}()
	s := newStation(t, nowhere(t))
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("never started: %v", err)
	}
	for _, address := range []string{"127.0.0.1:1", deaf.Addr().String(), startRedis(t).Addr()} {
		r, err := NewRedis(RedisOptions{URL: "redis://" + address})
		if err != nil {
			t.Fatal(err)
		}
		s := newStation(t, r)
		s.Start()
		if address == deaf.Addr().String() {
			c := <-accepted
			defer func() {
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			}()
			if _, err := io.ReadAtLeast(c, make([]byte, 100), 10); err != nil { // it waits for an answer
				t.Error(err)
			}
		}
		for range 2 {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			if err := s.Close(ctx); err != nil {
				t.Errorf("%s: %v", address, err)
			}
			cancel()
		}
	}
	if err := deaf.Close(); err != nil {
		t.Error(err)
	}
}
