package messages

import (
	"time"

	"crier/e2e/ledger/stage"
)

// publishers is how many there are.
const publishers = 48

// Defaults returns terms of a full run; owed are messages that are published.
func Defaults() stage.Terms {
	return stage.Terms{Seed: uint64(time.Now().UnixNano()), Owed: 200_000, Users: 300, Faults: 100, Ping: 2 * time.Second}
}

// settings are the server's, by their environment variables. No message is to be evicted.
func settings() map[string]string {
	return map[string]string{"INBOX_OPEN": "true", "INBOX_MESSAGE_ID": "true", "INBOX_MAX_PER_USER": "100000"}
}
