//go:build linux

package stage

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// Bystanders are clients on different transports who are logged in as one user and get messages while others attack. None of them
// comes back: who is disconnected shows.
type Bystanders struct {
	server *Server
	cancel context.CancelFunc
	done   sync.WaitGroup
	each   []*bystander
	n      int
}

// bystander is one of them.
type bystander struct {
	name string
	got  chan string // what it was sent
	mu   sync.Mutex
	err  error // why it ended
}

// uid is the user that they are.
const uid = "bystander"

// trusting takes the certificate that the server has made for itself. Each has his own, since net/http adds HTTP/2 to it.
func trusting() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

// scheme is that of an address on the public port.
func (s *Server) scheme(name string) string {
	if s.Secure {
		name += "s"
	}
	return name + "://"
}

// Watch has bystanders connect.
func (s *Server) Watch(ctx context.Context) (*Bystanders, error) {
	ctx, cancel := context.WithCancel(ctx)
	b := &Bystanders{server: s, cancel: cancel}
	roles := map[string]func(context.Context, *bystander, func()) error{"websocket": s.byWebSocket, "polling": s.byPolling}
	if s.Name == "Crier" {
		roles["sse"] = s.bySSE
	}
	ready := make(chan struct{}, len(roles))
	for name, role := range roles {
		one := &bystander{name: name, got: make(chan string, 1000)}
		b.each = append(b.each, one)
		b.done.Go(func() {
			err := role(ctx, one, func() { ready <- struct{}{} })
			one.mu.Lock()
			one.err = err
			one.mu.Unlock()
			close(one.got)
		})
	}
	for range roles {
		select {
		case <-ready:
		case <-time.After(stopPatience):
			return nil, errors.Join(errors.New("a bystander cannot connect"), b.Close())
		}
	}
	return b, nil
}

// Close has them leave.
func (b *Bystanders) Close() error {
	b.cancel()
	b.done.Wait()
	return nil
}

// Push pushes to them and returns how long it took until all have got it, from the call on.
func (b *Bystanders) Push(ctx context.Context, patience time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	b.n++
	content := fmt.Sprint("message-", b.n)
	begin := time.Now()
	if err := b.server.pushTo(ctx, uid, content); err != nil {
		return 0, err
	}
	for _, one := range b.each {
		if err := one.await(ctx, content); err != nil {
			return 0, fmt.Errorf("the bystander by %s: %w", one.name, err)
		}
	}
	return time.Since(begin), nil
}

func (o *bystander) await(ctx context.Context, content string) error {
	for {
		select {
		case got, open := <-o.got:
			if !open {
				o.mu.Lock()
				defer o.mu.Unlock()
				return fmt.Errorf("it was disconnected: %w", o.err)
			}
			if got == content {
				return nil
			}
		case <-ctx.Done():
			return errors.New("it did not get a push")
		}
	}
}

// hear takes a message.
func (o *bystander) hear(ctx context.Context, content string) {
	select {
	case o.got <- content:
	case <-ctx.Done():
	}
}

// packet takes a packet of Engine.IO 4 and returns the answer to it, if any.
func (o *bystander) packet(ctx context.Context, p string, ready func()) (answer string) {
	switch {
	case p == "2":
		return "3"
	case strings.HasPrefix(p, "40"):
		return `420["login","` + uid + `"]`
	case strings.HasPrefix(p, "430"):
		ready()
	default:
		if content, found := strings.CutPrefix(p, `42["new_msg","`); found {
			o.hear(ctx, strings.TrimSuffix(content, `"]`))
		}
	}
	return ""
}

// byWebSocket is a client of Engine.IO 4 on a WebSocket.
func (s *Server) byWebSocket(ctx context.Context, o *bystander, ready func()) (err error) {
	dialer := ws.Dialer{TLSConfig: trusting()}
	conn, _, _, err := dialer.Dial(ctx, s.scheme("ws")+s.Public+"/socket.io/?EIO=4&transport=websocket")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	defer interrupted(ctx, conn)()
	if err := wsutil.WriteClientText(conn, []byte("40")); err != nil {
		return err
	}
	for {
		p, err := wsutil.ReadServerText(conn)
		if err != nil {
			return err
		}
		if answer := o.packet(ctx, string(p), ready); answer != "" {
			if err := wsutil.WriteClientText(conn, []byte(answer)); err != nil {
				return err
			}
		}
	}
}

// byPolling is one that polls, over HTTP/2 if there is TLS.
func (s *Server) byPolling(ctx context.Context, o *bystander, ready func()) error {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: trusting(), ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	address := s.scheme("http") + s.Public + "/socket.io/?EIO=4&transport=polling"
	first, err := fetch(ctx, client, http.MethodGet, address, "")
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(first, `"sid":"`)
	id, _, _ := strings.Cut(rest, `"`)
	address += "&sid=" + id
	for say := "40"; ; {
		if say != "" {
			if _, err := fetch(ctx, client, http.MethodPost, address, say); err != nil {
				return err
			}
		}
		got, err := fetch(ctx, client, http.MethodGet, address, "")
		if err != nil {
			return err
		}
		var answers []string
		for p := range strings.SplitSeq(got, "\x1e") {
			if answer := o.packet(ctx, p, ready); answer != "" {
				answers = append(answers, answer)
			}
		}
		say = strings.Join(answers, "\x1e")
	}
}

// fetch makes a request.
func fetch(ctx context.Context, client *http.Client, method, address, body string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	resp, err := client.Do(r)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("answered %s, %.100q", resp.Status, text)
	}
	return string(text), nil
}

// interrupted has the reading of a connection end when ctx does, until the returned function is called.
func interrupted(ctx context.Context, conn net.Conn) (stop func()) {
	cancel := context.AfterFunc(ctx, func() {
		if err := conn.SetDeadline(time.Unix(1, 0)); err != nil {
			return // it has been closed
		}
	})
	return func() { cancel() }
}

// bySSE is an event stream.
func (s *Server) bySSE(ctx context.Context, o *bystander, ready func()) (err error) {
	var d interface {
		DialContext(ctx context.Context, network, address string) (net.Conn, error)
	} = &net.Dialer{}
	if s.Secure {
		d = &tls.Dialer{Config: trusting()}
	}
	conn, err := d.DialContext(ctx, "tcp", s.Public)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	defer interrupted(ctx, conn)()
	if _, err := io.WriteString(conn, "GET /sse?uid="+uid+" HTTP/1.1\r\nHost: "+s.Public+"\r\n\r\n"); err != nil {
		return err
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %s", resp.Status)
	}
	ready()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if content, found := strings.CutPrefix(lines.Text(), "data: "); found {
			o.hear(ctx, content)
		}
	}
	return lines.Err()
}
