//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// push is what the handler parses.
type push struct {
	To struct {
		Users []string `json:"users"`
	} `json:"to"`
	Event string          `json:"event"`
	Data  json.RawMessage `json:"data"`
}

// answer is as long as that of Crier.
const answer = `{"id":"ABCDEFGHIJKLM-12345","matched":{"users":1,"connections":1},"stored":false,"duplicate":false}`

// pushes serves the handler until the process is ended.
func pushes() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	fmt.Println(l.Addr())
	server := &http.Server{Handler: http.HandlerFunc(servePush), ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(l)
}

func servePush(w http.ResponseWriter, r *http.Request) {
	var p push
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &p)
	}
	if err != nil || len(p.To.Users) != 1 || p.Event == "" || len(p.Data) == 0 {
		http.Error(w, "not a push", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := io.WriteString(w, answer); err != nil {
		return // the caller has gone
	}
}
