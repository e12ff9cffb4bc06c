package callbacks

import (
	"strconv"
	"time"

	"crier/e2e/ledger/stage"
)

// Terms are what a run goes by. They stay with the books, in terms.json. What is owed are transitions: arrivals and departures
// that have to be told.
type Terms struct {
	stage.Terms
	Memory bool          `json:"memory,omitempty"`
	Batch  int           `json:"batch,omitempty"` // webhook.batch
	Delay  time.Duration `json:"delay"`           // presence.offline_delay
	Grace  time.Duration `json:"grace"`           // presence.restart_grace
}

// Defaults returns terms of a full run.
func Defaults() Terms {
	return Terms{
		Terms: stage.Terms{
			Seed: uint64(time.Now().UnixNano()), Owed: 50_000, Users: 600, Faults: 200, Ping: 2 * time.Second,
		},
		Delay: 500 * time.Millisecond,
		Grace: 2 * time.Second,
	}
}

// settings returns the server's, by their environment variables.
func (t Terms) settings(callback string) map[string]string {
	settings := map[string]string{
		"WEBHOOK_URL":            callback,
		"WEBHOOK_SECRETS":        secret,
		"WEBHOOK_TIMEOUT":        receiverPatience.String(),
		"PRESENCE_OFFLINE_DELAY": t.Delay.String(),
	}
	if t.Batch > 1 {
		settings["WEBHOOK_BATCH"] = strconv.Itoa(t.Batch)
	}
	if t.Memory {
		settings["STORE_PATH"] = "memory"
	} else {
		settings["PRESENCE_RESTART_GRACE"] = t.Grace.String()
	}
	return settings
}
