// Command handler is what a push costs net/http and encoding/json alone: it parses the JSON of a POST /v1/push, answers as
// Crier does, and delivers nothing to anybody.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"time"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	flags := flag.NewFlagSet("handler", flag.ContinueOnError)
	flags.Int("port", 0, "where nobody listens: there are no clients")
	port := flags.Int("push-port", 0, "where is pushed on 127.0.0.1")
	version := flags.Bool("version", false, "print what it is")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *version {
		fmt.Println("bare net/http and encoding/json,", runtime.Version())
		return 0
	}
	server := &http.Server{
		Addr:    net.JoinHostPort("127.0.0.1", strconv.Itoa(*port)),
		Handler: http.HandlerFunc(servePush), ReadHeaderTimeout: 10 * time.Second,
	}
	fmt.Fprintln(os.Stderr, "handler:", server.ListenAndServe())
	return 1
}

// push is what is parsed.
type push struct {
	To struct {
		Users []string `json:"users"`
	} `json:"to"`
	Event string          `json:"event"`
	Data  json.RawMessage `json:"data"`
}

// answer is as long as that of Crier.
const answer = `{"id":"ABCDEFGHIJKLM-12345","matched":{"users":1,"connections":1},"stored":false,"duplicate":false}`

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
