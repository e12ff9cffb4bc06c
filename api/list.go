package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"crier/io/hub"
)

const (
	// defaultLimit is how many entries a page of a list has unless limit says otherwise.
	defaultLimit = 100
	// maxLimit is how many it may have.
	maxLimit = 1000
)

// Directory knows who is online. *hub.Hub is one. An error that is hub.ErrPartial comes beside what is known.
type Directory interface {
	Count(ctx context.Context, a hub.Audience) (hub.Result, error)
	Users(p hub.Page) (page []hub.Listed, next string, err error)
	User(uid string) ([]hub.Session, error)
	Rooms(p hub.Page) (page []hub.Listed, next string, err error)
	Room(name string, p hub.Page) (page []hub.Occupant, next string, err error)
	Disconnect(ctx context.Context, a hub.Audience) (int, error)
	Stats() hub.Stats
}

// The answers of the lists, as JSON.
type (
	userList struct {
		Users   []listedUser `json:"users"`
		Next    string       `json:"next,omitempty"`
		Partial bool         `json:"partial,omitempty"`
	}
	listedUser struct {
		UID         string `json:"uid"`
		Connections int    `json:"connections"`
	}
	userState struct {
		UID         string           `json:"uid"`
		Online      bool             `json:"online"`
		Rooms       []string         `json:"rooms"`
		Connections []userConnection `json:"connections"`
		Partial     bool             `json:"partial,omitempty"`
	}
	userConnection struct {
		ID    string   `json:"id"`
		Rooms []string `json:"rooms"`
	}
	kicked struct {
		UID          string `json:"uid"`
		Disconnected int    `json:"disconnected"`
		Partial      bool   `json:"partial,omitempty"`
	}
	roomList struct {
		Rooms   []listedRoom `json:"rooms"`
		Next    string       `json:"next,omitempty"`
		Partial bool         `json:"partial,omitempty"`
	}
	listedRoom struct {
		Room        string `json:"room"`
		Connections int    `json:"connections"`
	}
	roomState struct {
		Room    string     `json:"room"`
		Members []occupant `json:"members"`
		Next    string     `json:"next,omitempty"`
		Partial bool       `json:"partial,omitempty"`
	}
	occupant struct {
		Connection string `json:"connection,omitempty"`
		UID        string `json:"uid,omitempty"`
	}
	figures struct {
		Users       int    `json:"users"`
		Connections int    `json:"connections"`
		Sockets     int    `json:"sockets"`
		Pushes      uint64 `json:"pushes"`
		Delivered   uint64 `json:"delivered"`
		Slow        uint64 `json:"slow"`
		Gone        uint64 `json:"gone"`
		Failed      uint64 `json:"failed"`
	}
	allFigures struct {
		figures
		Webhooks *callbackFigures `json:"webhooks,omitempty"`
		Store    *StoreFigures    `json:"store,omitempty"`
		Inbox    *InboxFigures    `json:"inbox,omitempty"`
		Redis    *RedisFigures    `json:"redis,omitempty"`
		Cluster  *ClusterFigures  `json:"cluster,omitempty"`
		Limits   *LimitFigures    `json:"limits,omitempty"`
	}
)

// ClusterFigures are those of a server that is one of several.
type ClusterFigures struct {
	Node    string   `json:"node"`    // the name of this one
	Nodes   []string `json:"nodes"`   // of all that are there, in the order of their names; only this one if they cannot be asked for
	Partial uint64   `json:"partial"` // pushes of this server that not all were given
	Gaps    uint64   `json:"gaps"`    // how often something was missing here that others had pushed
	Lost    uint64   `json:"lost"`    // clients that could be recovered and had to begin anew because of that
}

// LimitFigures are how many clients there may be, and since the start what was refused or put off.
type LimitFigures struct {
	Connections int    `json:"connections"` // that there may be; 0: no limit
	Full        uint64 `json:"full"`        // clients refused since there were as many
	TooMany     uint64 `json:"too_many"`    // since there were too many of their address
	TooFast     uint64 `json:"too_fast"`    // since too many came from their address at once
	TurnedAway  uint64 `json:"turned_away"` // connections ended at once, since the process has too many files open
	Slow        uint64 `json:"slow"`        // clients disconnected since they read too slowly
	PutOff      uint64 `json:"put_off"`     // times that a client was read later, since it said too much
	Queued      int64  `json:"queued"`      // bytes that wait for clients now
	QueueTotal  int64  `json:"queue_total"` // that may; 0: no limit
	Evicted     uint64 `json:"evicted"`     // connections ended since there were more, and most for them
}

// RedisFigures are those of the connection to Redis, and of what emitters have published there since the start.
type RedisFigures struct {
	Up       bool      `json:"up"`
	Since    time.Time `json:"since"`    // when it became so
	Lost     uint64    `json:"lost"`     // connections that ended
	Pushes   uint64    `json:"pushes"`   // messages pushed
	Requests uint64    `json:"requests"` // joins, leaves and disconnections carried out
	Repeated uint64    `json:"repeated"` // copies of a message that was pushed already
	Passed   uint64    `json:"passed"`   // passed over: for namespaces that there are not, or not meant for this server
	Dropped  uint64    `json:"dropped"`  // broken, too large, or refused
}

// StoreFigures are those of the file that keeps what survives a crash.
type StoreFigures struct {
	Bytes       int64  `json:"bytes"`           // of the file
	Free        int64  `json:"free"`            // of which unused
	Commits     uint64 `json:"commits"`         // transactions since the start, each with one fsync
	Writes      uint64 `json:"writes"`          // changes in them
	Failures    uint64 `json:"failures"`        // transactions that failed
	Compactions uint64 `json:"compactions"`     // times the file was made smaller
	Error       string `json:"error,omitempty"` // of the latest transaction, if it failed
}

// InboxFigures are those of the messages that are stored for users. Fates are counted for each user, since the file was made.
type InboxFigures struct {
	Messages  uint64 `json:"messages"` // that somebody waits for
	Waiting   uint64 `json:"waiting"`  // the same, for each user
	Bytes     uint64 `json:"bytes"`    // that they take, about
	Confirmed uint64 `json:"confirmed"`
	Expired   uint64 `json:"expired"`
	Evicted   uint64 `json:"evicted"`
}

// users answers GET /v1/users.
func (s *Server) users(w http.ResponseWriter, r *http.Request, who *caller) {
	page, bad := s.namesPage(r, who)
	if bad != nil {
		s.refuseV1(w, r, bad)
		return
	}
	found, next, err := s.directory.Users(page)
	partial, err := s.partial(r, err)
	answer := userList{Users: make([]listedUser, len(found)), Next: next, Partial: partial}
	for i, u := range found {
		answer.Users[i] = listedUser{UID: u.Name, Connections: u.Connections}
	}
	s.answer(w, r, answer, err)
}

// user answers GET /v1/users/{uid}. A user without connections is offline, whether there is such a user or not.
func (s *Server) user(w http.ResponseWriter, r *http.Request, who *caller) {
	uid := r.PathValue("uid")
	if bad := s.lookup(who, &hub.Audience{Users: []string{uid}}); bad != nil {
		s.refuseV1(w, r, bad)
		return
	}
	sessions, err := s.directory.User(uid)
	partial, err := s.partial(r, err)
	answer := userState{
		UID: uid, Online: len(sessions) > 0, Rooms: s.memberships(who, uid), Connections: make([]userConnection, len(sessions)), Partial: partial,
	}
	for i, one := range sessions {
		rooms := make([]string, 0, len(one.Rooms))
		for _, room := range one.Rooms {
			if who.sees(room) {
				rooms = append(rooms, room)
			}
		}
		answer.Connections[i] = userConnection{ID: one.Connection, Rooms: rooms}
	}
	s.answer(w, r, answer, err)
}

// kick answers DELETE /v1/users/{uid}.
func (s *Server) kick(w http.ResponseWriter, r *http.Request, who *caller) {
	uid := r.PathValue("uid")
	whom := hub.Audience{Users: []string{uid}}
	if bad := s.lookup(who, &whom); bad != nil {
		s.refuseV1(w, r, bad)
		return
	}
	n, err := s.directory.Disconnect(r.Context(), whom)
	partial, err := s.partial(r, err)
	s.answer(w, r, kicked{UID: uid, Disconnected: n, Partial: partial}, err)
}

// rooms answers GET /v1/rooms.
func (s *Server) rooms(w http.ResponseWriter, r *http.Request, who *caller) {
	page, bad := s.namesPage(r, who)
	if bad != nil {
		s.refuseV1(w, r, bad)
		return
	}
	found, next, err := s.directory.Rooms(page)
	partial, err := s.partial(r, err)
	answer := roomList{Rooms: make([]listedRoom, len(found)), Next: next, Partial: partial}
	for i, one := range found {
		answer.Rooms[i] = listedRoom{Room: one.Name, Connections: one.Connections}
	}
	s.answer(w, r, answer, err)
}

// room answers GET /v1/rooms/{room}. A room without connections has no members, whether there was such a room or not.
func (s *Server) room(w http.ResponseWriter, r *http.Request, who *caller) {
	name := r.PathValue("room")
	page, bad := s.page(r, who)
	if bad == nil {
		bad = s.lookup(who, &hub.Audience{Rooms: []string{name}})
	}
	if bad != nil {
		s.refuseV1(w, r, bad)
		return
	}
	found, next, err := s.directory.Room(name, page)
	partial, err := s.partial(r, err)
	answer := roomState{Room: name, Members: make([]occupant, len(found)), Next: next, Partial: partial}
	for i, one := range found {
		answer.Members[i] = occupant{Connection: one.Connection}
		if who.sees(one.UID) {
			answer.Members[i].UID = one.UID
		}
	}
	s.answer(w, r, answer, err)
}

// stats answers GET /v1/stats.
func (s *Server) stats(w http.ResponseWriter, r *http.Request, who *caller) {
	if bad := s.lookup(who, &hub.Audience{All: true}); bad != nil {
		s.refuseV1(w, r, bad)
		return
	}
	all := allFigures{figures: figures(s.directory.Stats())}
	if s.online != nil {
		all.Users, all.Connections = s.online()
	}
	if lead, _ := s.lead(); lead.Callbacks != nil {
		c := lead.Callbacks.Stats()
		all.Webhooks = &callbackFigures{Waiting: c.Waiting, Dead: c.Dead, Delivered: c.Done, Failed: c.Failed}
	}
	if s.store != nil {
		st := s.store()
		all.Store = &st
	}
	if s.redis != nil {
		st := s.redis()
		all.Redis = &st
	}
	if s.cluster != nil {
		st := s.cluster(r.Context())
		all.Cluster = &st
	}
	if s.limits != nil {
		st := s.limits()
		all.Limits = &st
	}
	var err error
	if s.inbox != nil {
		all.Inbox = new(InboxFigures)
		*all.Inbox, err = s.inbox()
	}
	s.answer(w, r, all, err)
}

// partial tells apart, of the errors of a list, that a server has not said what it has.
func (s *Server) partial(r *http.Request, err error) (bool, error) {
	if !errors.Is(err, hub.ErrPartial) {
		return false, err
	}
	s.debug(r, "a list is not whole", err)
	return true, nil
}

// lookup returns nil if who may look at what a names, or the fault.
func (s *Server) lookup(who *caller, a *hub.Audience) *fault {
	if s.directory == nil {
		return pushFault(errNoDirectory)
	}
	if denied := who.reaches(a); denied != nil {
		return denied.fault()
	}
	return nil
}

// page reads the parameters of a list.
func (s *Server) page(r *http.Request, who *caller) (hub.Page, *fault) {
	if s.directory == nil {
		return hub.Page{}, pushFault(errNoDirectory)
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return hub.Page{}, errBadQuery()
	}
	return pageOf(query, who)
}

// namesPage reads the parameters of a list of names: those of every list, and what the names have to begin with.
func (s *Server) namesPage(r *http.Request, who *caller) (hub.Page, *fault) {
	if s.directory == nil {
		return hub.Page{}, pushFault(errNoDirectory)
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return hub.Page{}, errBadQuery()
	}
	prefix := query["prefix"]
	if len(prefix) == 1 {
		delete(query, "prefix")
	}
	p, bad := pageOf(query, who)
	if bad != nil || len(prefix) == 0 || strings.HasPrefix(who.audience, prefix[0]) {
		return p, bad
	}
	if !who.sees(prefix[0]) {
		return p, who.denied("the users and rooms have to begin with the audience of the key").fault()
	}
	p.Prefix = prefix[0]
	return p, nil
}

// errBadQuery is the fault of parameters that cannot be told apart.
func errBadQuery() *fault {
	return invalid("The query", "has a percent sign that is no escape, or a semicolon")
}

// pageOf reads the parameters of a list.
func pageOf(query url.Values, who *caller) (hub.Page, *fault) {
	p := hub.Page{Limit: defaultLimit, Prefix: who.audience}
	for name, values := range query {
		var err error
		if len(values) > 1 {
			return p, invalid("A parameter", "is there twice")
		}
		switch name {
		case "cursor":
			p.Cursor = values[0]
		case "limit":
			if p.Limit, err = strconv.Atoi(values[0]); err != nil || p.Limit < 1 || p.Limit > maxLimit {
				return p, invalid("limit", "has to be a number from 1 to "+strconv.Itoa(maxLimit))
			}
		default:
			return p, unknownField("", []byte(name))
		}
	}
	return p, nil
}

// cursorOf returns the cursor of a list that is in the order of numbers, none of which is 0.
func cursorOf(number uint64) string { return strconv.FormatUint(number, 36) }

// numberOf undoes cursorOf; 0 stands for no cursor.
func numberOf(cursor string) (uint64, *fault) {
	if cursor == "" {
		return 0, nil
	}
	number, err := strconv.ParseUint(cursor, 36, 64)
	if err != nil {
		return 0, &fault{code: codeInvalidCursor, detail: "The cursor is not one of this list: begin again without one."}
	}
	return number, nil
}

// answer sends v as JSON, or what to say about err.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, v any, err error) {
	var body []byte
	if err == nil {
		body, err = json.Marshal(v)
	}
	switch {
	case errors.Is(err, hub.ErrBadCursor):
		s.refuseV1(w, r, &fault{code: codeInvalidCursor, detail: hub.ErrBadCursor.Error() + "."})
	case errors.Is(err, hub.ErrBadUID):
		s.refuseV1(w, r, invalid("uid:", hub.ErrBadUID.Error()))
	case errors.Is(err, hub.ErrBadRoom):
		s.refuseV1(w, r, invalid("room:", hub.ErrBadRoom.Error()))
	case err != nil:
		s.refuseV1(w, r, s.blame(r.Context(), err))
	default:
		s.send(w, r, http.StatusOK, s.jsonType, body)
	}
}
