package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// lag is how many probes the server has answered, one after the other, when it has surely dealt with what had reached it
// before the first of them: noticed the end of a connection, put a login on the disk, found that a time is up. Counted in
// probes and not in seconds, it holds for a server that is stopped or short of a processor, too.
const (
	lag        = 20
	probeEvery = 50 * time.Millisecond
)

// terms are what a run goes by. They stay with the books, in terms.json.
type terms struct {
	Seed        uint64        `json:"seed"`
	Transitions int           `json:"transitions"` // arrivals and departures that are owed a callback
	Users       int           `json:"users"`
	Faults      int           `json:"faults"` // of the server, the browsers and the receiver, spread over the transitions
	Without     []string      `json:"without,omitempty"`
	Drop        int           `json:"drop,omitempty"` // one callback in so many is stolen on its way
	Memory      bool          `json:"memory,omitempty"`
	Batch       int           `json:"batch,omitempty"` // webhook.batch
	Delay       time.Duration `json:"delay"`           // presence.offline_delay
	Grace       time.Duration `json:"grace"`           // presence.restart_grace
	Ping        time.Duration `json:"ping"`            // socketio.ping_interval, and .ping_timeout
}

// defaults returns terms of a full run.
func defaults() terms {
	return terms{
		Seed:        uint64(time.Now().UnixNano()),
		Transitions: 50_000,
		Users:       600,
		Faults:      200,
		Delay:       500 * time.Millisecond,
		Grace:       2 * time.Second,
		Ping:        2 * time.Second,
	}
}

// heartbeat is how long a connection that is gone without a trace may be taken for alive.
func (t terms) heartbeat() time.Duration { return 2 * t.Ping }

// environment returns this process's environment without Crier's variables, and the settings of the server.
func (t terms) environment(dir, public, push, callback string) []string {
	settings := map[string]string{
		"LISTEN":                 public,
		"API_LISTEN":             push,
		"WEBHOOK_URL":            callback,
		"WEBHOOK_SECRETS":        secret,
		"WEBHOOK_TIMEOUT":        receiverPatience.String(),
		"PRESENCE_OFFLINE_DELAY": t.Delay.String(),
		"SOCKETIO_PING_INTERVAL": t.Ping.String(),
		"SOCKETIO_PING_TIMEOUT":  t.Ping.String(),
	}
	if t.Batch > 1 {
		settings["WEBHOOK_BATCH"] = strconv.Itoa(t.Batch)
	}
	if t.Memory {
		settings["STORE_PATH"] = "memory"
	} else {
		settings["STORE_PATH"] = filepath.Join(dir, "store", "crier.db")
		settings["PRESENCE_RESTART_GRACE"] = t.Grace.String()
	}
	var env []string
	for _, one := range os.Environ() {
		if !strings.HasPrefix(one, "CRIER_") {
			env = append(env, one)
		}
	}
	for name, value := range settings {
		env = append(env, "CRIER_"+name+"="+value)
	}
	return env
}

func termsFile(dir string) string { return filepath.Join(dir, "terms.json") }

func (t terms) save(dir string) error {
	text, err := json.MarshalIndent(t, "", "  ")
	if err == nil {
		err = os.WriteFile(termsFile(dir), append(text, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("saving the terms: %w", err)
	}
	return nil
}

func loadTerms(dir string) (terms, error) {
	var t terms
	text, err := os.ReadFile(termsFile(dir))
	if err == nil {
		err = json.Unmarshal(text, &t)
	}
	if err != nil {
		return terms{}, fmt.Errorf("loading the terms: %w", err)
	}
	return t, nil
}
