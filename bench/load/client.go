package load

import "time"

// phase is how far a client has come.
type phase uint8

const (
	away      phase = iota // without a connection
	dialing                // TCP
	asking                 // HTTP
	greeting               // Engine.IO
	loggingIn              // Socket.IO, or what stands for it
	ready
)

// client is one of a fleet's. Idle it holds no buffer.
type client struct {
	// static
	id   int // its user is UID(id)
	crew Crew

	phase   phase
	posting bool // polling: a POST is under way, not a GET
	waits   bool // for room in the socket
	fd      int
	attempt uint32        // number of its connection
	tries   int           // that have failed since it was last logged in
	begun   time.Duration // when that was begun
	rest    []byte        // the beginning of something
	out     []byte        // what the socket has not taken
	said    []byte        // polling: packets for the next POST
	sid     string        // polling

	seq   Sequence // of what it has been sent, or of acknowledgements
	owed  int      // broadcasts sent when it was lost
	lost  bool
	asked int           // events without an acknowledgement
	event uint64        // the last one's number
	turn  time.Duration // when they were sent
}

// Crew is what a client is there for.
type Crew uint8

// What clients are there for.
const (
	Stay  Crew = iota
	Churn      // they go as soon as they have logged in, and come again
	Sleep      // they never read once they have logged in
	// errand makes one request.
	errand
)
