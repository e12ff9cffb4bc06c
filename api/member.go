package api

import (
	"context"
	"net/http"

	"crier/io/hub"
)

// Roster knows which users are members of which rooms. *hub.Hub is one.
type Roster interface {
	AddMembership(ctx context.Context, uid, room string) (joined int, err error)
	RemoveMembership(ctx context.Context, uid, room string) (left int, err error)
	Memberships(uid string) []string
}

// membership is the answer to a change of one.
type membership struct {
	Room        string `json:"room"`
	UID         string `json:"uid"`
	Member      bool   `json:"member"`
	Connections int    `json:"connections"`
}

// enroll answers PUT /v1/rooms/{room}/users/{uid}.
func (s *Server) enroll(w http.ResponseWriter, r *http.Request, who *caller) {
	s.changeMembership(w, r, who, true)
}

// expel answers DELETE /v1/rooms/{room}/users/{uid}.
func (s *Server) expel(w http.ResponseWriter, r *http.Request, who *caller) {
	s.changeMembership(w, r, who, false)
}

func (s *Server) changeMembership(w http.ResponseWriter, r *http.Request, who *caller, member bool) {
	room, uid := r.PathValue("room"), r.PathValue("uid")
	if denied := who.reaches(&hub.Audience{Users: []string{uid}, Rooms: []string{room}}); denied != nil {
		s.refuseV1(w, r, denied.fault())
		return
	}
	if s.roster == nil {
		s.refuseV1(w, r, &fault{code: codeUnsupported, detail: "This server cannot make users members of rooms."})
		return
	}
	change := s.roster.AddMembership
	if !member {
		change = s.roster.RemoveMembership
	}
	n, err := change(r.Context(), uid, room)
	s.answer(w, r, membership{Room: room, UID: uid, Member: member, Connections: n}, err)
}

// memberships are the rooms that a user is a member of, as far as who may see them.
func (s *Server) memberships(who *caller, uid string) []string {
	rooms := []string{}
	if s.roster == nil {
		return rooms
	}
	for _, room := range s.roster.Memberships(uid) {
		if who.sees(room) {
			rooms = append(rooms, room)
		}
	}
	return rooms
}
