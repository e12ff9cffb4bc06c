package api

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
)

// pushPath is the path of the call that is made most.
const pushPath = "/v1/push"

// stopRetry is when to call again after a server that stops.
const stopRetry = time.Second

// handler answers one call of /v1 by somebody who may make it.
type handler func(w http.ResponseWriter, r *http.Request, who *caller)

// route is one call of /v1.
type route struct {
	method, path string
	right        Right // zero: any caller
	handle       handler
}

// routes are the calls of /v1. A path is a pattern of http.ServeMux.
func (s *Server) routes() []route {
	return []route{
		{http.MethodPost, pushPath, RightPush, s.push},
		{http.MethodPost, "/v1/push/batch", RightPush, s.batch},
		{http.MethodGet, "/v1/stream", RightPush, s.stream},
		{http.MethodGet, "/v1/messages/{id}", RightRead, s.receipt},
		{http.MethodGet, "/v1/users", RightRead, s.users},
		{http.MethodGet, "/v1/users/{uid}", RightRead, s.user},
		{http.MethodGet, "/v1/users/{uid}/messages", RightRead, s.waiting},
		{http.MethodDelete, "/v1/users/{uid}", RightAdmin, s.kick},
		{http.MethodGet, "/v1/rooms", RightRead, s.rooms},
		{http.MethodGet, "/v1/rooms/{room}", RightRead, s.room},
		{http.MethodPut, "/v1/rooms/{room}/users/{uid}", RightAdmin, s.enroll},
		{http.MethodDelete, "/v1/rooms/{room}/users/{uid}", RightAdmin, s.expel},
		{http.MethodPost, "/v1/schedules", RightPush, s.led(s.addSchedule, true)},
		{http.MethodGet, "/v1/schedules", RightRead, s.led(s.listSchedules, false)},
		{http.MethodGet, "/v1/schedules/{id}", RightRead, s.led(s.schedule, false)},
		{http.MethodPut, "/v1/schedules/{id}", RightPush, s.led(s.putSchedule, true)},
		{http.MethodDelete, "/v1/schedules/{id}", RightPush, s.led(s.removeSchedule, false)},
		{http.MethodPost, "/v1/schedules/{id}/pause", RightPush, s.led(s.pauseSchedule, false)},
		{http.MethodPost, "/v1/schedules/{id}/resume", RightPush, s.led(s.resumeSchedule, false)},
		{http.MethodGet, "/v1/webhooks/attempts", RightRead, s.led(s.attempts, false)},
		{http.MethodGet, "/v1/webhooks/dead", RightRead, s.led(s.dead, false)},
		{http.MethodPost, "/v1/webhooks/replay", RightAdmin, s.led(s.replay, false)},
		{http.MethodGet, "/v1/stats", RightRead, s.stats},
		{http.MethodGet, "/v1/stats/live", RightRead, s.live},
		{http.MethodGet, "/openapi.json", 0, s.openAPI},
	}
}

// newMux returns the handler of every path that begins with /v1, and of /openapi.json, for callers whom authorize lets in.
func (s *Server) newMux(authorize authorize) *http.ServeMux {
	mux := http.NewServeMux()
	paths := make(map[string][]route)
	for _, one := range s.routes() {
		paths[one.path] = append(paths[one.path], one)
	}
	for path, there := range paths {
		mux.Handle(path, s.choose(there, authorize))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.refuseV1(w, r, &fault{code: codeNotFound, detail: "There is no such call: /openapi.json has all there are."})
	})
	return mux
}

// authorize returns who makes a call, or why he may not.
type authorize func(r *http.Request, right Right) (*caller, *problem)

// choose answers one path by its method.
func (s *Server) choose(there []route, authorize authorize) http.Handler {
	var allow []string
	for _, one := range there {
		if allow = append(allow, one.method); one.method == http.MethodGet {
			allow = append(allow, http.MethodHead)
		}
	}
	slices.Sort(allow)
	allowed := strings.Join(allow, ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, one := range there {
			if r.Method != one.method && (r.Method != http.MethodHead || one.method != http.MethodGet) {
				continue
			}
			who, refused := authorize(r, one.right)
			if refused != nil {
				s.refuseV1(w, r, refused.fault())
				return
			}
			s.unhurried(w, r)
			one.handle(w, r, who)
			return
		}
		s.refuseV1(w, r, &fault{code: codeBadMethod, allow: allowed, detail: "This path answers " + allowed + " only."})
	})
}

// isV1 says whether a path belongs to the JSON form.
func isV1(path string) bool {
	return strings.HasPrefix(path, "/v1/") || path == "/v1" || path == "/openapi.json"
}

// authorize returns who makes the call r, or why he may not.
func (s *Server) authorize(r *http.Request, right Right) (*caller, *problem) {
	access := s.rules.Load()
	key := access.credentials(inHeader(r))
	if wrong := s.judge(r, access, key); wrong != nil {
		return nil, wrong
	}
	who := key.caller
	if who == nil {
		if refused := access.byAddress(r); refused != nil {
			return nil, refused
		}
		who = access.anybody
	}
	if right != 0 {
		if refused := who.may(right); refused != nil {
			return nil, refused
		}
	}
	return who, nil
}

// send sends a whole answer.
func (s *Server) send(w http.ResponseWriter, r *http.Request, status int, contentType []string, body []byte) {
	h := w.Header()
	h["Content-Type"] = contentType
	h["Cache-Control"] = s.noStore
	h["X-Content-Type-Options"] = s.noSniff
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		s.log.LogAttrs(r.Context(), slog.LevelDebug, "answer not sent", slog.Any("error", err))
	}
}
