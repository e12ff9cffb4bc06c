package callbacks

import "crier/e2e/ledger/stage"

// What a line of the driver's book can say besides the stage's.
const (
	receiverDown = "receiver down"  // the receiver refuses connections, for a while
	receiverHang = "receiver hangs" // it answers nobody, for a while
)

// What became of a request that the receiver got.
const (
	noted    = "noted"    // the callback counts
	repeated = "repeated" // it has been noted before
	refused  = "refused"  // it was not looked at
)

// A callbackLine is what the receiver's book holds: one line for each request.
type callbackLine struct {
	At      stage.Stamp `json:"at"`
	Outcome string      `json:"outcome"`         // noted, repeated or refused
	Fault   string      `json:"fault,omitempty"` // what the sender got instead of a 204
	ID      string      `json:"id"`              // webhook-id
	Sent    string      `json:"sent,omitempty"`  // webhook-timestamp: seconds since 1970, of this try
	Body    string      `json:"body,omitempty"`  // unless refused
	Wrong   string      `json:"wrong,omitempty"` // what is wrong with the request itself
}
