package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gomodule/redigo/redis"
)

// answerTimeout bounds the making of a connection, and every answer but those to a subscription.
const answerTimeout = 3 * time.Second

// RedisOptions says where Redis is.
type RedisOptions struct {
	// URL is redis:// or, for TLS, rediss://, then [[user]:password@]host[:port][/database]; port 6379 and database 0
	// unless given. With Sentinels, the host is the name by which they know the master, without a port.
	URL string
	// Sentinels are the addresses of Redis Sentinels, host:port; none: the URL says where Redis is. They are asked with TLS
	// if Redis is.
	Sentinels []string
	// SentinelPassword is what the Sentinels want to know; empty: nothing.
	SentinelPassword string
	// TLS is used with rediss://; nil: the authorities that the system trusts.
	TLS *tls.Config
}

// What is wrong with an address of Redis. The address itself is in none of them, since it may have a password.
var (
	errScheme   = errors.New("must begin with redis:// or rediss://")
	errHost     = errors.New("must name a host")
	errDatabase = errors.New("must have a database number, or nothing, behind the host")
	errMaster   = errors.New("must have the name of the master in the place of a host, without a port, since Sentinels are asked where it is")
)

// Why Redis does not let in. Its own words are not told: they can repeat the password.
var (
	errPassword   = errors.New("Redis does not take this user and password (setting `cluster.redis`)")
	errNoPassword = errors.New("Redis wants a password (setting `cluster.redis`: redis://:password@host)")
	errSentinel   = errors.New("it does not take this password (setting `cluster.sentinel_password`)")
)

// Redis makes connections. Its methods may be called by many goroutines at once.
type Redis struct {
	address   string // host:port; with Sentinels, the master's name
	sentinels []string
	sentinel  login
	login     login
	database  int
	tls       *tls.Config // nil: none
}

// login is who Redis is told that we are.
type login struct{ user, password string }

// NewRedis checks the options; nothing is connected yet. Its errors say what the URL must be, and never what it is.
func NewRedis(o RedisOptions) (*Redis, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errScheme
	}
	r := &Redis{sentinels: o.Sentinels, sentinel: login{password: o.SentinelPassword}}
	r.login.user = u.User.Username()
	r.login.password, _ = u.User.Password()
	host, port := u.Hostname(), u.Port()
	switch {
	case host == "":
		return nil, errHost
	case len(o.Sentinels) > 0 && port != "":
		return nil, errMaster
	case len(o.Sentinels) > 0:
		r.address = host
	case port == "":
		r.address = net.JoinHostPort(host, "6379")
	default:
		r.address = u.Host
	}
	if number := strings.Trim(u.Path, "/"); number != "" {
		if r.database, err = strconv.Atoi(number); err != nil || r.database < 0 {
			return nil, errDatabase
		}
	}
	if u.Scheme == "rediss" {
		r.tls = o.TLS.Clone()
		if r.tls == nil {
			r.tls = &tls.Config{MinVersion: tls.VersionTLS12}
		}
	}
	return r, nil
}

// dial returns a connection that is ready for commands, and where it leads. The end of ctx closes it.
func (r *Redis) dial(ctx context.Context) (c *conn, address string, err error) {
	if address, err = r.master(ctx); err != nil {
		return nil, "", err
	}
	if c, err = r.connect(ctx, address, r.login); err != nil {
		return nil, "", err
	}
	if r.database != 0 {
		_, err = c.Do("SELECT", r.database)
	}
	if err == nil && len(r.sentinels) > 0 {
		err = c.mustBeMaster()
	}
	if err != nil {
		c.close()
		return nil, "", fmt.Errorf("preparing the connection to Redis at %s: %w", address, err)
	}
	return c, address, nil
}

// conn is a connection to Redis that ends with its context.
type conn struct {
	redis.Conn
	stop func() bool // lets go of the context
}

// connect makes a connection to one address, and logs in.
func (r *Redis) connect(ctx context.Context, address string, as login) (*conn, error) {
	raw, err := r.open(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("connecting to Redis: %w", err)
	}
	c := &conn{Conn: redis.NewConn(raw, answerTimeout, answerTimeout)}
	// Closing what is underneath is the one thing that may be done while another goroutine reads or writes.
	c.stop = context.AfterFunc(ctx, func() { raw.Close() })
	if err := c.authenticate(as); err != nil {
		c.close()
		return nil, fmt.Errorf("logging in to Redis at %s: %w", address, err)
	}
	return c, nil
}

func (r *Redis) open(ctx context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if r.tls == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}
	return (&tls.Dialer{Config: r.tls}).DialContext(ctx, "tcp", address)
}

// authenticate sends a password, if there is one, and else sees whether one is wanted.
func (c *conn) authenticate(as login) error {
	var err error
	switch {
	case as.user != "":
		_, err = c.Do("AUTH", as.user, as.password)
	case as.password != "":
		_, err = c.Do("AUTH", as.password)
	default:
		_, err = c.Do("PING")
	}
	var said redis.Error
	switch {
	case !errors.As(err, &said):
		return err
	case strings.HasPrefix(string(said), "NOAUTH"):
		return errNoPassword
	case as == (login{}):
		return nil // PING may be forbidden to this user, or Redis still loads its data: what follows will say so
	}
	return errPassword
}

// close ends the connection, if it has not ended: an error of that is of no use to anybody.
func (c *conn) close() {
	c.stop()
	c.Close()
}

// LocalHost returns the address of this machine by which it reaches Redis, or the first Sentinel. Nothing is sent.
func (r *Redis) LocalHost() (string, error) {
	address := r.address
	if len(r.sentinels) > 0 {
		address = r.sentinels[0]
	}
	c, err := net.Dial("udp", address)
	if err != nil {
		return "", fmt.Errorf("finding the way to Redis: %w", err)
	}
	host, _, err := net.SplitHostPort(c.LocalAddr().String())
	return host, errors.Join(err, c.Close())
}
