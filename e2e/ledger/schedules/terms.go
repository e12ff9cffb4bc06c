package schedules

import (
	"time"

	"crier/e2e/ledger/stage"
)

// witness is the user whom all runs are pushed to.
const witness = "witness"

// grace is how long after its start the server makes up for what it has missed.
const grace = 10 * time.Second

// Defaults returns terms of a full run: users are makers of schedules, who have one at a time, and owed are schedules.
func Defaults() stage.Terms {
	return stage.Terms{Seed: uint64(time.Now().UnixNano()), Owed: 10_000, Users: 400, Faults: 60, Ping: 2 * time.Second}
}

// settings are the server's, by their environment variables.
func settings() map[string]string {
	return map[string]string{"INBOX_OPEN": "true", "INBOX_MESSAGE_ID": "true"}
}
