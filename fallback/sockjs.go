package fallback

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

const (
	// sockBeat is how often a client of SockJS is shown that the connection lives.
	sockBeat = 25 * time.Second
	// sockGap is how long a session may be without a request that receives.
	sockGap = 5 * time.Second
	// sockLimit is after how many bytes a stream ends and the client begins another, as pages keep all that came.
	sockLimit = 128 << 10
)

// sockForm is how what is sent looks in one kind of request. An open frame is
// the text o, a heartbeat h, messages a["…"], a close frame c[code,"reason"].
type sockForm struct {
	prelude       string // before the first frame
	before, after string // around each frame
	messages      form
}

var (
	sockLines  = sockForm{after: "\n", messages: formSockLine}
	sockStream = sockForm{prelude: strings.Repeat("h", 2048) + "\n", after: "\n", messages: formSockLine}
	sockEvents = sockForm{prelude: "\r\n", before: "data: ", after: "\r\n\r\n", messages: formSockEvent}
)

// frame is a frame that brings no message.
func (f sockForm) frame(text string) []byte { return []byte(f.before + text + f.after) }

// sockClose is a close frame.
func sockClose(why Reason) string {
	return fmt.Sprintf("c[%d,%s]", why.close(), appendJSONString(nil, why.Text))
}

// sockBusy is what a second request gets that wants to receive.
const sockBusy = `c[2010,"Another connection still open"]`

// serveSockJS routes what is below /sockjs: a session's requests are
// /server/session/transport, of which the first says nothing.
//
// Specification: sockjs-protocol 0.3.3.
func (s *Server) serveSockJS(w http.ResponseWriter, r *http.Request, path string) {
	parts := strings.Split(path, "/")
	switch {
	case path == "" || path == "/":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		s.write(w, []byte("Welcome to SockJS!\n"))
	case path == "/info":
		s.serveSockInfo(w, r)
	case path == "/websocket":
		s.serveWebSocket(w, r, false)
	case len(parts) != 4 || !sockName(parts[1]) || !sockName(parts[2]):
		http.NotFound(w, r)
	default:
		s.serveSockTransport(w, r, parts[2], parts[3])
	}
}

// sockName reports whether a part of the path can name a server or a session.
func sockName(part string) bool { return part != "" && !strings.Contains(part, ".") }

func (s *Server) serveSockTransport(w http.ResponseWriter, r *http.Request, session, transport string) {
	noStore(w.Header())
	switch transport {
	case "websocket":
		s.serveWebSocket(w, r, true)
	case "xhr":
		if s.allows(http.MethodPost, w, r) && s.skipBody(w, r) {
			w.Header().Set("Content-Type", "application/javascript; charset=utf-8")
			s.serveSockPoll(w, r, session)
		}
	case "xhr_streaming":
		if s.allows(http.MethodPost, w, r) && s.skipBody(w, r) {
			eventHeaders(w.Header())
			w.Header().Set("Content-Type", "application/javascript; charset=utf-8")
			s.serveSockStream(w, r, session, sockStream)
		}
	case "eventsource":
		if s.allows(http.MethodGet, w, r) {
			eventHeaders(w.Header())
			s.serveSockStream(w, r, session, sockEvents)
		}
	case "xhr_send":
		if s.allows(http.MethodPost, w, r) {
			s.serveSockSend(w, r, session)
		}
	default:
		http.NotFound(w, r)
	}
}

// serveSockInfo tells a client what it can use.
func (s *Server) serveSockInfo(w http.ResponseWriter, r *http.Request) {
	if !s.allows(http.MethodGet, w, r) {
		return
	}
	noStore(w.Header())
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	s.write(w, fmt.Appendf(nil, `{"websocket":true,"origins":["*:*"],"cookie_needed":false,"entropy":%d}`, rand.Uint32()))
}

func noStore(h http.Header) {
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Content-Type-Options", "nosniff")
}

// write answers a request whose client may not care any more.
func (s *Server) write(w http.ResponseWriter, body []byte) {
	if err := writeAnswer(w, body); err != nil {
		s.log.Debug("a request was not answered", "error", err)
	}
}

// skipBody reads the body of a POST that needs none, since a connection can only
// be taken over behind it.
func (s *Server) skipBody(w http.ResponseWriter, r *http.Request) bool {
	if r.ContentLength == 0 {
		return true
	}
	if _, err := readPost(w, r, s.o.MaxPayload); err != nil {
		s.refuse(w, r, err)
		return false
	}
	return true
}

// readPost reads the body of a POST. The error is a [Reason].
func readPost(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	c := http.NewResponseController(w)
	err := c.SetReadDeadline(time.Now().Add(postTimeout))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, badRequest("the connection cannot be read")
	}
	body, err := readBody(w, r, limit)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		w.Header().Set("Connection", "close")
		return nil, Reason{http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("the body has more than %d bytes (setting `socketio.max_payload`)", limit)}
	case err != nil:
		return nil, badRequest("the body did not arrive in full")
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) { // the answer may take longer
		return nil, badRequest("the connection cannot be read")
	}
	return body, nil
}

// sockTexts are the messages in what a client of SockJS sends: a JSON array of strings or, on a WebSocket, a string.
func sockTexts(data []byte) ([]string, error) {
	var list []string
	err := json.Unmarshal(data, &list)
	if err != nil {
		var one string
		if json.Unmarshal(data, &one) == nil {
			return []string{one}, nil
		}
		return nil, badMessage("what a client of SockJS sends is a JSON array of strings")
	}
	return list, nil
}

// hear handles messages of a client of SockJS, not two at a time.
func (c *Client) hear(data []byte) error {
	texts, err := sockTexts(data)
	for i := 0; i < len(texts) && err == nil; i++ {
		err = c.receive([]byte(texts[i]))
	}
	return err
}
