package engineio

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// Errors of sending.
var (
	// ErrClosed means that the session, or the transport, has ended.
	ErrClosed = errors.New("engineio: session closed")
	// ErrQueueFull means that the peer reads more slowly than it is sent to:
	// its queue was at the limit and the session has been closed.
	ErrQueueFull = errors.New("engineio: send queue full")
)

// Reason says why a session ended, in the words of the Node server.
type Reason string

// Reasons.
const (
	TransportClose     Reason = "transport close"      // the peer went away, or its WebSocket broke
	TransportError     Reason = "transport error"      // the peer broke the protocol, or broke a polling request off
	PingTimeout        Reason = "ping timeout"         // no heartbeat in time
	ParseError         Reason = "parse error"          // bytes that are no packet
	ForcedClose        Reason = "forced close"         // Session.Close
	ServerShuttingDown Reason = "server shutting down" // Server.Close
	SlowConsumer       Reason = "slow consumer"        // the send queue was full; Node has no such limit
)

// An ErrorCode tells a client why its request was refused, as JSON
// {"code":N,"message":"…"}. Source: Server.errors of the Node server.
type ErrorCode int

// Error codes.
const (
	UnknownTransport   ErrorCode = iota // 400
	UnknownSession                      // 400
	BadHandshakeMethod                  // 400
	BadRequest                          // 400
	Forbidden                           // 403
	UnsupportedVersion                  // 400

	// Not in the Node server, which has no limits.
	TooManyRequests // 429
	Overloaded      // 503
)

func (c ErrorCode) String() string {
	switch c {
	case UnknownTransport:
		return "Transport unknown"
	case UnknownSession:
		return "Session ID unknown"
	case BadHandshakeMethod:
		return "Bad handshake method"
	case BadRequest:
		return "Bad request"
	case Forbidden:
		return "Forbidden"
	case UnsupportedVersion:
		return "Unsupported protocol version"
	case TooManyRequests:
		return "Too many requests"
	case Overloaded:
		return "Overloaded"
	default:
		return fmt.Sprintf("Error %d", int(c))
	}
}

// RequestError is a refused request: the code and what the caller can do about it.
type RequestError struct {
	Code       ErrorCode
	Detail     string
	RetryAfter time.Duration // when it may help to try again; 0 = not said
}

func (e *RequestError) Error() string { return e.Code.String() + ": " + e.Detail }

func refuse(code ErrorCode, format string, args ...any) *RequestError {
	return &RequestError{Code: code, Detail: fmt.Sprintf(format, args...)}
}

func (c ErrorCode) status() int {
	switch c {
	case Forbidden:
		return http.StatusForbidden
	case TooManyRequests:
		return http.StatusTooManyRequests
	case Overloaded:
		return http.StatusServiceUnavailable
	default:
		return http.StatusBadRequest
	}
}

// WriteError answers a request with e, in the form that Engine.IO clients expect.
func WriteError(w http.ResponseWriter, e *RequestError) {
	body, err := json.Marshal(struct {
		Code    ErrorCode `json:"code"`
		Message string    `json:"message"`
	}{e.Code, e.Error()})
	if err != nil { // a struct of a number and a string always encodes
		http.Error(w, e.Error(), e.Code.status())
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	w.WriteHeader(e.Code.status())
	if _, err := w.Write(body); err != nil {
		return // the caller has gone; there is nobody to tell
	}
}
