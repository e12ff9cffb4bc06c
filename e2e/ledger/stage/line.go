package stage

// What a tab's line can say; tabs.mjs tells what it means.
const (
	TabOpen   = "open"
	TabLogin  = "login"
	TabIn     = "in"
	TabProof  = "proof"
	TabOut    = "out"
	TabBye    = "bye"
	TabGone   = "gone"
	TabWrong  = "wrong"
	TabWire   = "wire"
	TabGot    = "got"
	TabStolen = "stolen"
)

// A TabLine is what the books of the browsers hold.
type TabLine struct {
	At    Stamp  `json:"at"`
	Tab   string `json:"tab"`
	UID   string `json:"uid"`
	On    string `json:"on"`
	Sent  Stamp  `json:"sent,omitempty"`  // of a proof
	Clean bool   `json:"clean,omitempty"` // of gone
	// Trail is of in: 1, the connection can be recovered; 2, it has been: nothing is missing since the one before.
	Trail int    `json:"trail,omitempty"`
	Text  string `json:"text,omitempty"` // of wrong
	Conn  int    `json:"conn,omitempty"` // of wire: which of the tab's connections
	Data  string `json:"data,omitempty"` // of wire and stolen: the message
	ID    string `json:"id,omitempty"`   // and its id; of got, too
}

// What a line of the driver's book can say; a Piece may have more.
const (
	ServerStart  = "start"        // the process of the server is about to be started
	ServerListen = "listen"       // it has answered for the first time
	ServerTick   = "tick"         // it has answered a probe
	ServerKill   = "kill"         // it is about to be killed
	ServerTerm   = "term"         // it is about to be told to stop
	ServerLate   = "late"         // it has said that it could not end everything well in time
	ServerStop   = "stop"         // SIGSTOP
	ServerCont   = "cont"         // SIGCONT
	ServerExit   = "exit"         // its process is gone
	RedisKill    = "redis kill"   // Redis is about to be killed
	RedisStop    = "redis stop"   // SIGSTOP
	RedisListen  = "redis listen" // it answers again
	LinkCut      = "cut"          // the connections of a server to Redis are broken off, and new ones not let through
	LinkBlock    = "block"        // nothing passes between a server and Redis, and nobody is told
	LinkMend     = "mend"         // all is well there
	BrowserStart = "browser"
	BrowserGone  = "browser gone" // a browser has been killed, its process is gone
	BrowserStop  = "browser stop" // SIGSTOP
	BrowserCont  = "browser cont" // SIGCONT
	TabOrdered   = "tab"          // a tab was ordered, of Tab, and Lib tells which client
	RunEnd       = "end"          // nothing that comes later counts
)

// A Line is what the driver's book holds.
type Line struct {
	At      Stamp  `json:"at"`
	On      string `json:"on"`
	Node    string `json:"node,omitempty"`    // which of several servers it is about; those of all of them as one have none
	Browser string `json:"browser,omitempty"` // its book
	Tab     string `json:"tab,omitempty"`
	Lib     string `json:"lib,omitempty"`
	// Slow tells that the tab may use polling: if it disappears without a word, only the heartbeat tells the server.
	Slow  bool   `json:"slow,omitempty"`
	Page  string `json:"page,omitempty"`  // it is this page of the browser, loaded for the first time or again
	Greet bool   `json:"greet,omitempty"` // the uid travels with the connection, so that a login leaves no line
}
