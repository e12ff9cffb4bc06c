package api

import (
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// code names a class of error of /v1. Codes are part of the API: callers compare them, so they never change.
type code string

// The codes of /v1, by status; docs/API.md says what to do about each.
const (
	codeBadJSON         code = "bad_json"
	codeBodyIncomplete  code = "body_incomplete"
	codeForbidden       code = "forbidden"
	codeWrongKey        code = "wrong_key"
	codeNoRight         code = "no_right"
	codeSignedOut       code = "signed_out"
	codeWrongToken      code = "wrong_token"
	codeAudienceDenied  code = "audience_denied"
	codeNotFound        code = "not_found"
	codeNoSchedule      code = "schedule_not_found"
	codeNoMessage       code = "message_not_found"
	codeBadMethod       code = "method_not_allowed"
	codeBodyTooLarge    code = "body_too_large"
	codeLineTooLong     code = "line_too_long"
	codeMessageTooLarge code = "message_too_large"
	codeMissingField    code = "missing_field"
	codeUnknownField    code = "unknown_field"
	codeInvalidField    code = "invalid_field"
	codeInvalidBinary   code = "invalid_binary"
	codeInvalidCursor   code = "invalid_cursor"
	codeReservedEvent   code = "reserved_event"
	codeTooMany         code = "too_many"
	codeUnsupported     code = "unsupported"
	codeManyAttempts    code = "too_many_attempts"
	codeRateLimited     code = "rate_limited"
	codeInternal        code = "internal"
	codeTableFull       code = "id_table_full"
	codeTooManyAcks     code = "too_many_acks"
	codeStoreFailed     code = "store_failed"
	codeRedisAway       code = "redis_away"
	codeNoLeader        code = "no_leader"
	codeOutboxFull      code = "outbox_full"
	codeSchedulesFull   code = "schedules_full"
	codeStopping        code = "stopping"
)

// codes returns all codes, in the order in which docs/API.md lists them.
func codes() []code {
	return []code{
		codeBadJSON, codeBodyIncomplete, codeForbidden, codeWrongKey, codeNoRight, codeSignedOut, codeWrongToken, codeAudienceDenied, codeNotFound,
		codeNoSchedule, codeNoMessage, codeBadMethod, codeBodyTooLarge, codeLineTooLong, codeMessageTooLarge, codeMissingField, codeUnknownField,
		codeInvalidField, codeInvalidBinary, codeInvalidCursor, codeReservedEvent, codeTooMany, codeUnsupported,
		codeManyAttempts, codeRateLimited, codeInternal, codeTableFull,
		codeTooManyAcks, codeStoreFailed, codeRedisAway, codeNoLeader, codeOutboxFull, codeSchedulesFull, codeStopping,
	}
}

// about returns the HTTP status of c and its title, which is the same for every error of that code.
func (c code) about() (status int, title string) {
	switch c {
	case codeBadJSON:
		return http.StatusBadRequest, "Not valid JSON"
	case codeBodyIncomplete:
		return http.StatusBadRequest, "The body ended too early"
	case codeForbidden:
		return http.StatusForbidden, "Not allowed to call"
	case codeWrongKey:
		return http.StatusForbidden, "Wrong key"
	case codeNoRight:
		return http.StatusForbidden, "The key lacks the right"
	case codeAudienceDenied:
		return http.StatusForbidden, "Outside the key's audience"
	case codeSignedOut:
		return http.StatusForbidden, "Not signed in at the dashboard"
	case codeWrongToken:
		return http.StatusForbidden, "Not a page of the dashboard"
	case codeNotFound:
		return http.StatusNotFound, "No such call"
	case codeNoSchedule:
		return http.StatusNotFound, "No such schedule"
	case codeNoMessage:
		return http.StatusNotFound, "No receipt of that message"
	case codeBadMethod:
		return http.StatusMethodNotAllowed, "Method not allowed"
	case codeBodyTooLarge, codeLineTooLong, codeMessageTooLarge:
		return http.StatusRequestEntityTooLarge, "Too large"
	case codeMissingField:
		return http.StatusUnprocessableEntity, "A field is missing"
	case codeUnknownField:
		return http.StatusUnprocessableEntity, "Unknown field"
	case codeInvalidField:
		return http.StatusUnprocessableEntity, "Invalid field"
	case codeInvalidBinary:
		return http.StatusUnprocessableEntity, "Invalid binary argument"
	case codeInvalidCursor:
		return http.StatusUnprocessableEntity, "Invalid cursor"
	case codeReservedEvent:
		return http.StatusUnprocessableEntity, "Reserved event name"
	case codeTooMany:
		return http.StatusUnprocessableEntity, "Too many at once"
	case codeUnsupported:
		return http.StatusUnprocessableEntity, "Not supported by this server"
	case codeManyAttempts:
		return http.StatusTooManyRequests, "Too many wrong keys"
	case codeRateLimited:
		return http.StatusTooManyRequests, "Rate limit"
	case codeTableFull:
		return http.StatusServiceUnavailable, "Too many ids are remembered"
	case codeTooManyAcks:
		return http.StatusServiceUnavailable, "Too many acknowledgements are waited for"
	case codeStoreFailed:
		return http.StatusServiceUnavailable, "The store failed"
	case codeRedisAway:
		return http.StatusServiceUnavailable, "Redis is away"
	case codeNoLeader:
		return http.StatusServiceUnavailable, "No server leads here"
	case codeOutboxFull:
		return http.StatusServiceUnavailable, "Too many callbacks wait"
	case codeSchedulesFull:
		return http.StatusServiceUnavailable, "Too many schedules"
	case codeStopping:
		return http.StatusServiceUnavailable, "The server is stopping"
	default:
		return http.StatusInternalServerError, "Internal error"
	}
}

// fault is an error of /v1, as its caller sees it (RFC 9457).
type fault struct {
	code   code
	detail string        // what is wrong and what to do; free of keys and of message text
	retry  time.Duration // when to come back, if that helps
	allow  string        // of codeBadMethod: the methods that are allowed
}

// Error returns the detail.
func (f *fault) Error() string { return f.detail }

// invalid returns the fault of a field that cannot be.
func invalid(field, what string) *fault {
	return &fault{code: codeInvalidField, detail: field + " " + what + "."}
}

// fault returns p, a problem of the questions that both forms ask, as /v1 says it.
func (p *problem) fault() *fault {
	f := &fault{code: p.code, detail: p.text, retry: p.retry, allow: p.allow}
	if f.code != "" {
		return f
	}
	switch p.kind {
	case forbidden:
		f.code = codeForbidden
	case badMethod:
		f.code = codeBadMethod
	case tooLarge:
		f.code = codeBodyTooLarge
	case badBody:
		f.code = codeBodyIncomplete
	case notReady:
		f.code = codeStopping
	default:
		f.code = codeInternal
	}
	return f
}

// append appends f as a problem object (RFC 9457, section 3) to dst.
func (f *fault) append(dst []byte) []byte {
	status, title := f.code.about()
	dst = append(dst, `{"type":"urn:crier:problem:`...)
	dst = append(dst, f.code...)
	dst = append(dst, `","title":"`...)
	dst = append(dst, title...)
	dst = append(dst, `","status":`...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, `,"detail":`...)
	dst = appendJSONString(dst, []byte(strings.ToValidUTF8(f.detail, "\uFFFD")))
	dst = append(dst, `,"code":"`...)
	dst = append(dst, f.code...)
	return append(dst, `"}`...)
}

// refuseV1 answers f. Only its code is logged: the detail may name what the caller sent.
func (s *Server) refuseV1(w http.ResponseWriter, r *http.Request, f *fault) {
	status, _ := f.code.about()
	s.logFault(r, f)
	h := w.Header()
	if f.allow != "" {
		h.Set("Allow", f.allow)
	}
	if f.retry > 0 {
		h.Set("Retry-After", seconds(f.retry))
	}
	if f.code == codeBodyTooLarge || f.code == codeBodyIncomplete || r.ContentLength < 0 {
		h.Set("Connection", "close") // what is left of the body is not read: that of a link has no end
	}
	s.send(w, r, status, s.problemType, f.append(nil))
}

// logFault logs that a call was refused.
func (s *Server) logFault(r *http.Request, f *fault) {
	status, _ := f.code.about()
	level := slog.LevelDebug
	if status == http.StatusForbidden || f.code == codeManyAttempts {
		level = slog.LevelWarn
	}
	s.log.LogAttrs(r.Context(), level, "call refused", slog.Int("status", status), slog.String("code", string(f.code)),
		slog.String("method", r.Method), slog.String("remote", r.RemoteAddr))
}

// seconds returns d for a Retry-After header (RFC 9110, section 10.2.3): whole seconds, at least one.
func seconds(d time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(d.Seconds()))))
}
