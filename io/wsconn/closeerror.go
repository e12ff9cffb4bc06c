package wsconn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// CloseError is a connection closed for a reason that has a status code (RFC
// 6455 §7.4). A Handler.Message that returns one (possibly wrapped) chooses the
// close frame that is sent.
type CloseError struct {
	// Code is the status code; 1005 when the peer's close frame had none.
	Code ws.StatusCode
	// Reason is UTF-8 of at most 123 bytes. It goes over the wire.
	Reason string
	// Remote says that the peer sent the close frame.
	Remote bool
}

// Error tells the side, the code and the reason.
func (e *CloseError) Error() string {
	side := "closed"
	if e.Remote {
		side = "closed by peer"
	}
	if e.Reason == "" {
		return fmt.Sprintf("websocket %s: %d", side, e.Code)
	}
	return fmt.Sprintf("websocket %s: %d %q", side, e.Code, e.Reason)
}

// maxReason is the longest reason in a close frame, in bytes.
const maxReason = ws.MaxControlFramePayloadSize - 2

// cutReason cuts a reason that is too long, between two characters.
func cutReason(s string) string {
	if len(s) <= maxReason {
		return s
	}
	n := maxReason
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// violation is the error for a peer that broke the protocol.
func violation(code ws.StatusCode, reason string) error {
	return &CloseError{Code: code, Reason: reason}
}

// closeFrameFor returns the close frame that answers err.
func closeFrameFor(err error) []byte {
	var ce *CloseError
	if errors.As(err, &ce) {
		return appendClose(nil, ce.Code, ce.Reason)
	}
	return appendClose(nil, ws.StatusProtocolError, "")
}

// parseClose reads the payload of a received close frame (RFC 6455 §5.5.1). The
// result always is an error: what the peer said, or what is wrong with it.
func parseClose(p []byte) *CloseError {
	if len(p) == 0 {
		return &CloseError{Code: ws.StatusNoStatusRcvd, Remote: true}
	}
	if len(p) == 1 {
		return &CloseError{Code: ws.StatusProtocolError, Reason: "close payload of one byte"}
	}
	code := ws.StatusCode(binary.BigEndian.Uint16(p))
	if !validCode(code) {
		return &CloseError{Code: ws.StatusProtocolError, Reason: "bad close code"}
	}
	if !utf8.Valid(p[2:]) {
		return &CloseError{Code: ws.StatusInvalidFramePayloadData, Reason: "close reason is not UTF-8"}
	}
	return &CloseError{Code: code, Reason: string(p[2:]), Remote: true}
}

// validCode tells whether a status code may appear in a close frame: those
// registered with IANA, and the ranges for libraries and applications (RFC 6455
// §7.4.1, §7.4.2).
func validCode(c ws.StatusCode) bool {
	switch {
	case c >= 3000 && c <= 4999:
		return true
	case c >= 1007 && c <= 1014, c >= 1000 && c <= 1003:
		return true
	}
	return false
}
