package main

// What a tab's line can say; tabs.mjs tells what it means.
const (
	tabOpen  = "open"
	tabLogin = "login"
	tabIn    = "in"
	tabProof = "proof"
	tabOut   = "out"
	tabBye   = "bye"
	tabGone  = "gone"
	tabWrong = "wrong"
)

// A tabLine is what the books of the browsers hold.
type tabLine struct {
	At    stamp  `json:"at"`
	Tab   string `json:"tab"`
	UID   string `json:"uid"`
	On    string `json:"on"`
	Sent  stamp  `json:"sent,omitempty"`  // of a proof
	Clean bool   `json:"clean,omitempty"` // of gone
	Text  string `json:"text,omitempty"`  // of wrong
}

// What a line of the driver's book can say.
const (
	serverStart  = "start"  // the process of the server is about to be started
	serverListen = "listen" // it has answered for the first time
	serverTick   = "tick"   // it has answered a probe
	serverKill   = "kill"   // it is about to be killed
	serverTerm   = "term"   // it is about to be told to stop
	serverStop   = "stop"   // SIGSTOP
	serverCont   = "cont"   // SIGCONT
	serverExit   = "exit"   // its process is gone
	browserStart = "browser"
	browserGone  = "browser gone"   // a browser has been killed, its process is gone
	receiverDown = "receiver down"  // the receiver refuses connections, for a while
	receiverHang = "receiver hangs" // it answers nobody, for a while
	tabOpened    = "tab"            // a tab was ordered, of Tab, and Lib tells which client
	runEnd       = "end"            // nothing that comes later counts
)

// A driverLine is what the driver's book holds.
type driverLine struct {
	At      stamp  `json:"at"`
	On      string `json:"on"`
	Browser string `json:"browser,omitempty"` // its book
	Tab     string `json:"tab,omitempty"`
	Lib     string `json:"lib,omitempty"`
	// Slow tells that the tab may use polling: if it disappears without a word, only the heartbeat tells the server.
	Slow  bool `json:"slow,omitempty"`
	Greet bool `json:"greet,omitempty"` // the uid travels with the connection, so that a login leaves no line
}

// What became of a request that the receiver got.
const (
	noted    = "noted"    // the callback counts
	repeated = "repeated" // it has been noted before
	refused  = "refused"  // it was not looked at
)

// A callbackLine is what the receiver's book holds: one line for each request.
type callbackLine struct {
	At      stamp  `json:"at"`
	Outcome string `json:"outcome"`         // noted, repeated or refused
	Fault   string `json:"fault,omitempty"` // what the sender got instead of a 204
	ID      string `json:"id"`              // webhook-id
	Sent    string `json:"sent,omitempty"`  // webhook-timestamp: seconds since 1970, of this try
	Body    string `json:"body,omitempty"`  // unless refused
	Wrong   string `json:"wrong,omitempty"` // what is wrong with the request itself
}
