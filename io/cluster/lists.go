package cluster

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"crier/io/hub"
)

// Users implements [hub.Hub.Users] for all nodes, in the order of the names. Who has connections on several nodes is listed once, with
// all of them. Its error is hub.ErrPartial beside a page in which what a node has is missing.
func (r *Relay) Users(p hub.Page) (page []hub.Listed, next string, err error) {
	return r.list(p, 'u', topicUsers, r.hub.UsersAfter)
}

// Rooms implements [hub.Hub.Rooms] as Users does.
func (r *Relay) Rooms(p hub.Page) (page []hub.Listed, next string, err error) {
	return r.list(p, 'r', topicRooms, r.hub.RoomsAfter)
}

// listTopics has this node answer what others list.
func (r *Relay) listTopics() {
	r.answerTo(topicCount, r.answerCount)
	r.answerTo(topicUsers, answerList(r.hub.UsersAfter))
	r.answerTo(topicRooms, answerList(r.hub.RoomsAfter))
	r.answerTo(topicRoom, r.answerRoom)
	r.answerTo(topicUser, r.answerUser)
}

// list puts together one page of what all nodes have behind a name.
func (r *Relay) list(p hub.Page, kind byte, about topic, own func(after, prefix string, limit int) ([]hub.Listed, bool)) ([]hub.Listed, string, error) {
	after, err := parseCursor(kind, p.Cursor)
	if err != nil {
		return nil, "", err
	}
	m := merging[hub.Listed]{name: func(l *hub.Listed) string { return l.Name }, join: func(a, b *hub.Listed) { a.Connections += b.Connections }}
	list, more := own(after, p.Prefix, p.Limit)
	m.add(list, more)
	answers, err := r.askAll(context.Background(), about, appendText(appendText(appendNumber(nil, p.Limit), after), p.Prefix))
	for _, body := range answers {
		list, more, perr := parseListed(body)
		m.add(list, more)
		err = errors.Join(err, perr)
	}
	page, last := m.page(p.Limit)
	if last == "" {
		return page, "", partial(err)
	}
	return page, makeCursor(kind, last), partial(err)
}

// partial says that something is missing.
func partial(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", hub.ErrPartial, err)
}

// merging puts together the pages of several nodes, each the first behind the same name, in the order of names.
type merging[T any] struct {
	name func(*T) string
	join func(a, b *T) // adds b to a, which has the same name
	list []T
	cut  string // of the pages that are not all there is, the least last name
}

func (m *merging[T]) add(page []T, more bool) {
	m.list = append(m.list, page...)
	if !more || len(page) == 0 {
		return
	}
	if last := m.name(&page[len(page)-1]); m.cut == "" || last < m.cut {
		m.cut = last
	}
}

// page returns the first of all, and the last name of the page if there are more behind it.
func (m *merging[T]) page(limit int) (page []T, last string) {
	slices.SortStableFunc(m.list, func(a, b T) int { return strings.Compare(m.name(&a), m.name(&b)) })
	more := false
	for i := range m.list {
		one := &m.list[i]
		switch n := len(page); {
		case n > 0 && m.name(&page[n-1]) == m.name(one):
			m.join(&page[n-1], one)
		case n == limit, m.cut != "" && m.name(one) > m.cut: // somebody may have something before it
			more = true
		default:
			page = append(page, *one)
		}
		if more {
			break
		}
	}
	if len(page) > 0 && (more || m.cut != "") {
		last = m.name(&page[len(page)-1])
	}
	return page, last
}

// makeCursor returns the place behind a name in a list of all nodes: the kind, a version, and the name.
func makeCursor(kind byte, last string) string {
	return base64.RawURLEncoding.EncodeToString(append([]byte{kind, cursorFormat}, last...))
}

// cursorFormat sets the cursors of all nodes apart from those of one: no hub has so many shards.
const cursorFormat = 0xff

// parseCursor undoes makeCursor. The beginning of a list is the empty one.
func parseCursor(kind byte, cursor string) (after string, err error) {
	if cursor == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) < 2 || b[0] != kind || b[1] != cursorFormat {
		return "", hub.ErrBadCursor
	}
	return string(b[2:]), nil
}

// answerList answers a question for a page of a list: the limit, the name that it is behind, the prefix.
func answerList(own func(after, prefix string, limit int) ([]hub.Listed, bool)) func([]byte) ([]byte, error) {
	return func(body []byte) ([]byte, error) {
		d := decoder{rest: body}
		limit, after, prefix := int(d.number()), d.text(), d.text()
		if d.bad || limit < 1 {
			return nil, errNotQuestion
		}
		list, more := own(after, prefix, limit)
		b := appendMore(nil, more)
		b = appendNumber(b, len(list))
		for _, one := range list {
			b = appendNumber(appendText(b, one.Name), one.Connections)
		}
		return b, nil
	}
}

var errNotQuestion = errors.New("is no question that this version understands")

func appendMore(b []byte, more bool) []byte {
	if more {
		return append(b, 1)
	}
	return append(b, 0)
}

func parseListed(b []byte) (list []hub.Listed, more bool, err error) {
	d := decoder{rest: b}
	more = d.byte() == 1
	for range d.count() {
		list = append(list, hub.Listed{Name: d.text(), Connections: int(d.number())})
	}
	if d.bad {
		return nil, false, errNotAnswer
	}
	return list, more, nil
}

// Room implements [hub.Hub.Room] for all nodes.
func (r *Relay) Room(name string, p hub.Page) (page []hub.Occupant, next string, err error) {
	if hub.CheckUID(name) != nil {
		return nil, "", hub.ErrBadRoom
	}
	part, err := parseCursor('o', p.Cursor)
	if err != nil {
		return nil, "", err
	}
	after, behindConnections := strings.CutPrefix(part, "u")
	if !behindConnections {
		after = strings.TrimPrefix(part, "c")
		m := merging[hub.Occupant]{name: func(o *hub.Occupant) string { return o.Connection }, join: func(a, b *hub.Occupant) {}}
		list, more := r.hub.OccupantsAfter(name, after, p.Limit)
		m.add(list, more)
		var answers [][]byte
		answers, err = r.askAll(context.Background(), topicRoom, appendText(appendText(appendNumber(nil, p.Limit), after), name))
		for _, body := range answers {
			list, more, perr := parseOccupants(body)
			m.add(list, more)
			err = errors.Join(err, perr)
		}
		var last string
		if page, last = m.page(p.Limit); last != "" {
			return page, makeCursor('o', "c"+last), partial(err)
		}
		after = ""
	}
	users, more := r.hub.MembersAfter(name, after, p.Prefix, p.Limit-len(page))
	if page = append(page, users...); !more {
		return page, "", partial(err)
	}
	if len(users) > 0 {
		after = users[len(users)-1].UID
	}
	return page, makeCursor('o', "u"+after), partial(err)
}

func (r *Relay) answerRoom(body []byte) ([]byte, error) {
	d := decoder{rest: body}
	limit, after, name := int(d.number()), d.text(), d.text()
	if d.bad || limit < 1 {
		return nil, errNotQuestion
	}
	list, more := r.hub.OccupantsAfter(name, after, limit)
	b := appendMore(nil, more)
	b = appendNumber(b, len(list))
	for _, one := range list {
		b = appendText(appendText(b, one.Connection), one.UID)
	}
	return b, nil
}

func parseOccupants(b []byte) (list []hub.Occupant, more bool, err error) {
	d := decoder{rest: b}
	more = d.byte() == 1
	for range d.count() {
		list = append(list, hub.Occupant{Connection: d.text(), UID: d.text()})
	}
	if d.bad {
		return nil, false, errNotAnswer
	}
	return list, more, nil
}

// User implements [hub.Hub.User] for all nodes.
func (r *Relay) User(uid string) ([]hub.Session, error) {
	sessions, err := r.hub.User(uid)
	if err != nil {
		return nil, err
	}
	answers, err := r.askAll(context.Background(), topicUser, []byte(uid))
	for _, body := range answers {
		d := decoder{rest: body}
		for range d.count() {
			sessions = append(sessions, hub.Session{Connection: d.text(), Rooms: d.names()})
		}
		if d.bad {
			err = errors.Join(err, errNotAnswer)
		}
	}
	slices.SortFunc(sessions, func(a, b hub.Session) int { return strings.Compare(a.Connection, b.Connection) })
	return sessions, partial(err)
}

func (r *Relay) answerUser(body []byte) ([]byte, error) {
	sessions, err := r.hub.User(string(body))
	if err != nil {
		return nil, err
	}
	b := appendNumber(nil, len(sessions))
	for _, one := range sessions {
		b = appendNames(appendText(b, one.Connection), one.Rooms)
	}
	return b, nil
}

// Stats implements [hub.Hub.Stats] for this node.
func (r *Relay) Stats() hub.Stats { return r.hub.Stats() }

// Members are the connections of this node.
func (r *Relay) Members(a hub.Audience) ([]*hub.Member, error) { return r.hub.Members(a) }
