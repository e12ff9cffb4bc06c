package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
)

// The kinds of requests that are carried out (RequestType of @socket.io/redis-adapter). The others are questions between
// Socket.IO servers, or for their programs (SERVER_SIDE_EMIT).
const (
	requestJoin       = 2
	requestLeave      = 3
	requestDisconnect = 4
)

var errNoType = errors.New("is no request: it has no type")

// request is what an emitter wants to be done with sockets.
type request struct {
	Type *int `json:"type"`
	// Opts says which sockets. Without it, the request is one of a server, about a socket that it names otherwise.
	Opts *struct {
		Rooms  names `json:"rooms"`
		Except names `json:"except"`
	} `json:"opts"`
	Rooms names `json:"rooms"` // to join or to leave
	Close bool  `json:"close"` // end the connection too
}

// parseRequest reads the JSON of a request.
func parseRequest(body []byte) (request, error) {
	var r request
	if err := json.Unmarshal(body, &r); err != nil {
		return request{}, fmt.Errorf("is no request: %w", err)
	}
	if r.Type == nil {
		return request{}, errNoType
	}
	return r, nil
}
