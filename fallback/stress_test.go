package fallback_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"crier/io/engineio"
)

const (
	stressSenders  = 3
	stressMessages = 100 // of each sender, and of the client
)

// stressClient is the client of one session, as the official ones behave: one
// GET and one POST at a time, both finished before it moves to a WebSocket.
type stressClient struct {
	*rig
	query string
	rev   engineio.Revision
	id    string

	posting sync.Mutex // held while the client sends
	socket  *socket    // guarded by posting; nil while on polling

	next  [stressSenders]int // number of the message due from each sender
	ended bool               // a close packet came, or the WebSocket ended
}

// take checks one packet from the server.
func (c *stressClient) take(p engineio.Packet) error {
	switch p.Type {
	case engineio.Close:
		c.ended = true
	case engineio.Ping:
		if err := c.send(engineio.Pong, ""); err != nil && !errors.Is(err, errEnded) {
			return err
		}
	case engineio.Message:
		sender, n, ok := strings.Cut(string(p.Data), " ")
		i, err := strconv.Atoi(sender)
		if err != nil || !ok {
			return fmt.Errorf("message %q", p.Data)
		}
		if want := strconv.Itoa(c.next[i]); n != want {
			return fmt.Errorf("sender %d: got message %s, want %s", i, n, want)
		}
		c.next[i]++
	}
	return nil
}

var errEnded = errors.New("the session has ended")

// send sends a packet on the transport in use.
func (c *stressClient) send(t engineio.PacketType, data string) error {
	c.posting.Lock()
	defer c.posting.Unlock()
	p := engineio.Packet{Type: t, Data: []byte(data)}
	if c.socket != nil {
		text, _ := engineio.AppendFrame(nil, c.rev, true, p)
		c.socket.send(string(text))
		return nil
	}
	framing := engineio.FramingV4
	if c.rev == engineio.Revision3 {
		framing = engineio.FramingV3Text
	}
	a := c.do(context.Background(), http.MethodPost, c.query, strings.NewReader(string(engineio.AppendPayload(nil, framing, p))))
	if a.err != nil || a.status != http.StatusOK {
		return fmt.Errorf("POST: %w: %+v", errEnded, a)
	}
	return nil
}

// poll polls until stop is closed or the session ends.
func (c *stressClient) poll(stop <-chan struct{}) error {
	for !c.ended {
		select {
		case <-stop:
			return nil
		default:
		}
		a := c.do(context.Background(), http.MethodGet, c.query, nil)
		if a.err != nil || a.status != http.StatusOK {
			return fmt.Errorf("GET: %w: %+v", errEnded, a)
		}
		binary := a.header.Get("Content-Type") == "application/octet-stream"
		if err := engineio.ParsePayload(c.rev, []byte(a.body), binary, c.take); err != nil {
			return fmt.Errorf("GET %q: %w", a.body, err)
		}
	}
	return nil
}

// upgrade moves to a WebSocket while it polls and sends.
func (c *stressClient) upgrade() error {
	stop := make(chan struct{})
	polled := make(chan error, 1)
	go func() { polled <- c.poll(stop) }()
	s, refused := c.tryWS(c.query)
	probed := refused == nil
	if probed {
		s.send("2probe")
		probed = <-s.got == "3probe"
	}
	close(stop)
	err := <-polled
	if err != nil || c.ended {
		return err
	}
	if !probed {
		return c.poll(nil) // the session was closed: the poll tells
	}
	c.posting.Lock()
	defer c.posting.Unlock()
	s.send("5")
	c.socket = s
	return nil
}

// read takes what comes on the WebSocket until it ends.
func (c *stressClient) read() error {
	for text := range c.socket.got {
		if text == "close" {
			c.ended = true
			continue
		}
		p, err := engineio.ParseText(c.rev, []byte(text))
		if err != nil {
			return fmt.Errorf("frame %q: %w", text, err)
		}
		if err := c.take(p); err != nil {
			return err
		}
	}
	c.ended = true
	return nil
}

// stressSession is the server's side.
type stressSession struct {
	session *engineio.Session
	sent    [stressSenders]int // messages that were accepted
	err     error              // of the last Send
	got     atomic.Int64       // messages of the client
	all     chan struct{}      // closed when that is all of them
	pace    [stressSenders]chan struct{}
	closed  chan engineio.Reason
	done    chan struct{} // closed when the session ends
}

func (s *stressSession) Opened() {}

func (s *stressSession) Message(data []byte, _ bool) error {
	if want := s.got.Load(); string(data) != strconv.FormatInt(want, 10) {
		return fmt.Errorf("the client's message %q, want %d", data, want)
	}
	for _, ch := range s.pace {
		ch <- struct{}{}
	}
	if s.got.Add(1) == stressMessages {
		close(s.all)
	}
	return nil
}

func (s *stressSession) Closed(reason engineio.Reason) {
	s.closed <- reason
	close(s.done)
}

type stressHandler struct{ sessions sync.Map }

func (h *stressHandler) Accept(s *engineio.Session, _ *http.Request) engineio.Receiver {
	r := &stressSession{session: s, all: make(chan struct{}), closed: make(chan engineio.Reason, 10), done: make(chan struct{})}
	for i := range r.pace {
		r.pace[i] = make(chan struct{}, stressMessages)
	}
	h.sessions.Store(s.ID(), r)
	return r
}

// emit sends from several goroutines at once, each as often as the client does.
// It closes the session when the given number of messages has been sent, if
// closeAt is not negative.
func (s *stressSession) emit(closeAt int) {
	var wg sync.WaitGroup
	var total atomic.Int64
	var mu sync.Mutex
	for i := range stressSenders {
		wg.Go(func() {
			for n := range stressMessages {
				text := fmt.Sprintf("%d %d", i, n)
				err := s.session.Send(engineio.Prepare([]byte(text), len(text)))
				if err != nil {
					mu.Lock()
					s.err = err
					mu.Unlock()
					return
				}
				s.sent[i]++
				if total.Add(1) == int64(closeAt) {
					s.session.Close()
				}
				select {
				case <-s.pace[i]:
				case <-s.done:
				}
			}
		})
	}
	wg.Wait()
}

// Many sessions on both transports and between them, with several senders
// each, some closed in the middle: every message that was accepted arrives
// once and in order, unless the session was closed while its client moved.
func TestStress(t *testing.T) {
	const sessions = 30
	h := new(stressHandler)
	// A client that takes longer than that to move polls no more, and would end by a ping timeout.
	r := newRigFor(t, true, engineio.Options{PingInterval: 20 * time.Millisecond, PingTimeout: time.Minute, UpgradeTimeout: time.Minute}, h)
	var wg sync.WaitGroup
	for i := range sessions {
		wg.Go(func() { stressOne(t, r, h, i) })
	}
	wg.Wait()
	// Those closed while their clients moved may wait for a GET that never comes.
	if st := r.srv.Stats(); st.Sessions > sessions/6 || st.SlowConsumers.Total() != 0 || st.Upgrades == 0 {
		t.Errorf("%+v", st)
	}
}

// stressOne is session i.
func stressOne(t *testing.T, r *rig, h *stressHandler, i int) {
	moves, socket := i%3 == 1, i%3 == 2
	closeAt := -1
	if i/3%2 == 1 {
		closeAt = 1 + rand.IntN(stressSenders*stressMessages)
	}
	c := &stressClient{rig: r, rev: engineio.Revision4 - engineio.Revision(i/6%2)}
	name := fmt.Sprintf("session %d (revision %d, moves %v, WebSocket %v, closed at %d)", i, c.rev, moves, socket, closeAt)
	if err := c.open(socket); err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	v, ok := h.sessions.Load(c.id)
	if !ok {
		t.Errorf("%s: unknown session", name)
		return
	}
	s := v.(*stressSession)

	var wg sync.WaitGroup
	wg.Go(func() { s.emit(closeAt) })
	wg.Go(func() {
		for n := range stressMessages {
			if err := c.send(engineio.Message, strconv.Itoa(n)); err != nil {
				if closeAt < 0 {
					t.Errorf("%s: %v", name, err)
				}
				return
			}
		}
	})
	done := make(chan error, 1)
	go func() { done <- c.run(moves) }()
	wg.Wait()
	if closeAt < 0 {
		select {
		case <-s.all: // the last may still be on the WebSocket
			s.session.Close()
		case <-s.done:
		}
	}
	err := <-done
	reason := <-s.closed
	if err != nil && !(moves && closeAt >= 0 && errors.Is(err, errEnded)) {
		t.Errorf("%s: %v", name, err)
	}
	if reason != engineio.ForcedClose || len(s.closed) > 0 {
		t.Errorf("%s: closed for %q", name, reason)
	}
	if closeAt < 0 && (s.got.Load() != stressMessages || s.err != nil) {
		t.Errorf("%s: %d messages of the client, error %v", name, s.got.Load(), s.err)
	}
	if c.next != s.sent && !(moves && closeAt >= 0) {
		t.Errorf("%s: got %v messages of %v", name, c.next, s.sent)
	}
}

// open opens the session, on a WebSocket or on polling.
func (c *stressClient) open(onSocket bool) error {
	c.query = fmt.Sprintf("EIO=%d&b64=1", c.rev)
	var packet string
	if onSocket {
		c.socket = c.ws(c.query)
		packet = <-c.socket.got
	} else {
		a := c.do(context.Background(), http.MethodGet, c.query, nil)
		if a.err != nil || a.status != http.StatusOK {
			return fmt.Errorf("handshake: %+v", a)
		}
		packet = a.body
	}
	_, rest, ok := strings.Cut(packet, `"sid":"`)
	if !ok {
		return fmt.Errorf("handshake: %q: %w", packet, io.ErrUnexpectedEOF)
	}
	c.id = rest[:24]
	c.query += "&sid=" + c.id
	return nil
}

// run takes what comes until the session ends.
func (c *stressClient) run(moves bool) error {
	if moves {
		if err := c.upgrade(); err != nil {
			return err
		}
	}
	c.posting.Lock()
	onSocket := c.socket != nil
	c.posting.Unlock()
	if onSocket {
		return c.read()
	}
	return c.poll(nil)
}
