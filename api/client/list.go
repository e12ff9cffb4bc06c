package client

import (
	"context"
	"net/url"
	"strconv"
)

// Page says which part of a list to return.
type Page struct {
	// Cursor is Next of the page before; empty for the first page. It is good until the server restarts.
	Cursor string
	// Limit is the most entries of the page, 1 to 1000. Zero: 100.
	Limit int
}

func (p Page) query() url.Values {
	q := url.Values{}
	if p.Cursor != "" {
		q.Set("cursor", p.Cursor)
	}
	if p.Limit != 0 {
		q.Set("limit", strconv.Itoa(p.Limit))
	}
	return q
}

// The answers of the calls that read. Lists come in no order that means anything; Next is the cursor of the next page, and
// empty on the last.
type (
	// UserList is a page of the users who are online.
	UserList struct {
		Users []OnlineUser `json:"users"`
		Next  string       `json:"next,omitempty"`
	}
	// OnlineUser is one of them.
	OnlineUser struct {
		UID         string `json:"uid"`
		Connections int    `json:"connections"`
	}
	// User is one user; one without connections is offline, whether there is such a user or not.
	User struct {
		UID         string       `json:"uid"`
		Online      bool         `json:"online"`
		Rooms       []string     `json:"rooms,omitempty"` // that the user has been made a member of
		Connections []Connection `json:"connections"`
	}
	// Connection is one of a user's connections and the rooms that it is in.
	Connection struct {
		ID    string   `json:"id"`
		Rooms []string `json:"rooms"`
	}
	// RoomList is a page of the rooms that have connections.
	RoomList struct {
		Rooms []ListedRoom `json:"rooms"`
		Next  string       `json:"next,omitempty"`
	}
	// ListedRoom is one of them.
	ListedRoom struct {
		Room        string `json:"room"`
		Connections int    `json:"connections"`
	}
	// Room is a page of who is in one room.
	Room struct {
		Room    string   `json:"room"`
		Members []Member `json:"members"`
		Next    string   `json:"next,omitempty"`
	}
	// Member is one of them: a connection, whose UID is empty if it is not logged in; or a user who has been made a member,
	// online or not, without a Connection.
	Member struct {
		Connection string `json:"connection,omitempty"`
		UID        string `json:"uid,omitempty"`
	}
	// Stats are the figures of a server: what there is now, and totals since it started.
	Stats struct {
		Users       int    `json:"users"`       // online
		Connections int    `json:"connections"` // logged in
		Sockets     int    `json:"sockets"`     // all connections
		Pushes      uint64 `json:"pushes"`
		Delivered   uint64 `json:"delivered"`
		Slow        uint64 `json:"slow"`   // dropped: the connection's queue was full
		Gone        uint64 `json:"gone"`   // dropped: the connection had ended
		Failed      uint64 `json:"failed"` // dropped for another reason

		Callbacks *CallbackStats `json:"webhooks,omitempty"` // nil without webhook.url
		Store     *StoreStats    `json:"store,omitempty"`    // nil without store.path
		Inbox     *InboxStats    `json:"inbox,omitempty"`    // nil where messages cannot be stored
	}
	// CallbackStats are those of the callbacks.
	CallbackStats struct {
		Waiting   int    `json:"waiting"`   // not delivered yet
		Dead      int    `json:"dead"`      // given up and kept
		Delivered uint64 `json:"delivered"` // since the start
		Failed    uint64 `json:"failed"`    // tries since the start
	}
	// StoreStats are those of the file that keeps what survives a crash.
	StoreStats struct {
		Bytes       int64  `json:"bytes"`           // of the file
		Free        int64  `json:"free"`            // of which unused
		Commits     uint64 `json:"commits"`         // transactions since the start
		Writes      uint64 `json:"writes"`          // changes in them
		Failures    uint64 `json:"failures"`        // transactions that failed
		Compactions uint64 `json:"compactions"`     // times the file was made smaller
		Error       string `json:"error,omitempty"` // of the latest transaction, if it failed
	}
	// InboxStats are those of stored messages.
	InboxStats struct {
		Messages  uint64 `json:"messages"`  // that somebody waits for
		Waiting   uint64 `json:"waiting"`   // the same, for each user
		Bytes     uint64 `json:"bytes"`     // that they take, about
		Confirmed uint64 `json:"confirmed"` // for each user, since the file was made; as the next two
		Expired   uint64 `json:"expired"`
		Evicted   uint64 `json:"evicted"`
	}
)

// Users returns a page of the users who are online.
func (c *Client) Users(ctx context.Context, p Page) (UserList, error) {
	var list UserList
	err := c.read(ctx, &list, p.query(), "v1", "users")
	return list, err
}

// User returns one user's connections.
func (c *Client) User(ctx context.Context, uid string) (User, error) {
	var user User
	err := c.read(ctx, &user, nil, "v1", "users", uid)
	return user, err
}

// Disconnect ends the connections of a user in such a way that their clients stay away, and returns how many there were.
func (c *Client) Disconnect(ctx context.Context, uid string) (int, error) {
	var answer struct {
		Disconnected int `json:"disconnected"`
	}
	err := c.do(ctx, call{method: "DELETE", path: []string{"v1", "users", uid}}, &answer)
	return answer.Disconnected, err
}

// Rooms returns a page of the rooms that have connections.
func (c *Client) Rooms(ctx context.Context, p Page) (RoomList, error) {
	var list RoomList
	err := c.read(ctx, &list, p.query(), "v1", "rooms")
	return list, err
}

// Room returns a page of the connections in a room.
func (c *Client) Room(ctx context.Context, name string, p Page) (Room, error) {
	var room Room
	err := c.read(ctx, &room, p.query(), "v1", "rooms", name)
	return room, err
}

// AddMember makes a user a member of a room, for all connections now and later, and returns how many entered it now.
func (c *Client) AddMember(ctx context.Context, room, uid string) (int, error) {
	return c.changeMember(ctx, "PUT", room, uid)
}

// RemoveMember undoes AddMember, and returns how many connections left the room.
func (c *Client) RemoveMember(ctx context.Context, room, uid string) (int, error) {
	return c.changeMember(ctx, "DELETE", room, uid)
}

func (c *Client) changeMember(ctx context.Context, method, room, uid string) (int, error) {
	var answer struct {
		Connections int `json:"connections"`
	}
	err := c.do(ctx, call{method: method, path: []string{"v1", "rooms", room, "users", uid}, repeat: true}, &answer)
	return answer.Connections, err
}

// Stats returns the figures.
func (c *Client) Stats(ctx context.Context) (Stats, error) {
	var s Stats
	err := c.read(ctx, &s, nil, "v1", "stats")
	return s, err
}

func (c *Client) read(ctx context.Context, v any, query url.Values, path ...string) error {
	return c.do(ctx, call{method: "GET", path: path, query: query, repeat: true}, v)
}
