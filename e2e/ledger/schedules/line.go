package schedules

import "crier/e2e/ledger/stage"

// What a line of the makers' book can say of a schedule.
const (
	asked   = "asked"   // the server is about to be asked to make it
	made    = "made"    // it has said that it has
	open    = "open"    // it has not answered, or that it could not: the schedule may be there or not
	removes = "removes" // the server is about to be asked to remove it
	removed = "removed" // it has said that it has
)

// A line is what the makers' book holds.
type line struct {
	At   stage.Stamp `json:"at"`
	On   string      `json:"on"`
	ID   string      `json:"id"`
	Plan *plan       `json:"plan,omitempty"` // of asked
	// Made is the time from which on the schedule is reckoned, and First its first run, as the server has answered.
	Made  stage.Stamp `json:"made,omitempty"`
	First stage.Stamp `json:"first,omitempty"`
}
