//go:build linux

// Command ceiling is the least that a server can do, which others are measured against: one thread over epoll, canned
// handshakes, and write(2) in a loop. It takes what `crier bench` sends and nothing else: a Socket.IO client over a WebSocket
// that logs in as user-N, heartbeats, events with an acknowledgement, and on a second port POST /v1/push to a user or to all,
// and the lines of POST /v1/push/batch in chunks.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	flags := flag.NewFlagSet("ceiling", flag.ContinueOnError)
	port := flags.Int("port", 0, "where clients connect on 127.0.0.1")
	pushPort := flags.Int("push-port", 0, "where is pushed")
	version := flags.Bool("version", false, "print what it is")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *version {
		fmt.Println("bare epoll server,", runtime.Version())
		return 0
	}
	s, err := newServer(*port, *pushPort)
	if err == nil {
		err = s.run()
	}
	fmt.Fprintln(os.Stderr, "ceiling:", err)
	return 1
}
