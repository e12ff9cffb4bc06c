package stage

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Terms are what any run goes by.
type Terms struct {
	Seed  uint64 `json:"seed"`
	Owed  int    `json:"owed"` // how much there is to do, in what the piece is about
	Users int    `json:"users"`
	// Nodes is how many servers there are, which are one through a Redis of their own. 0: one, without Redis.
	Nodes   int      `json:"nodes,omitempty"`
	Faults  int      `json:"faults"` // spread over what there is to do
	Without []string `json:"without,omitempty"`
	// Drop is to how many there is one that is stolen on its way: the checker has to find that out. 0: none is.
	Drop int           `json:"drop,omitempty"`
	Ping time.Duration `json:"ping"` // socketio.ping_interval, and .ping_timeout
}

// Heartbeat is how long a connection that is gone without a trace may be taken for alive.
func (t Terms) Heartbeat() time.Duration { return 2 * t.Ping }

// environment returns this process's environment without Crier's variables, and settings of the server.
func environment(settings map[string]string) []string {
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

// Save files the terms of a piece with the books, where Load finds them.
func Save(dir string, terms any) error {
	text, err := json.MarshalIndent(terms, "", "  ")
	if err == nil {
		err = os.WriteFile(termsFile(dir), append(text, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("saving the terms: %w", err)
	}
	return nil
}

// Load reads the terms that the books in a folder were made by.
func Load[T any](dir string) (terms T, err error) {
	text, err := os.ReadFile(termsFile(dir))
	if err == nil {
		err = json.Unmarshal(text, &terms)
	}
	if err != nil {
		return terms, fmt.Errorf("loading the terms: %w", err)
	}
	return terms, nil
}
