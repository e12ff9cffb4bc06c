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
	id int // its user is UID(id)
	kind

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

// kind is what a client is for.
type kind uint8

const (
	stays  kind = iota
	comes       // goes as soon as it has logged in, and comes again
	sleeps      // never reads once it has logged in
	errand      // makes one request
)
