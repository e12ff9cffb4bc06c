//go:build linux

// Command ceiling is the least that a server can do, which others are measured against. Its first
// argument says what:
//
//	writes N   accepts N connections; for each line of standard input, a payload, it writes a
//	           WebSocket frame to all of them with write(2), and prints how many took it
//	unicasts N BYTES
//	           accepts N connections; for each line of standard input, a number, it writes as
//	           many frames, each with an event of that size, to random ones, and prints how many
//	           were taken
//	pushes     a bare net/http handler that parses the JSON of a push and answers
//
// All print their address first.
package main

import (
	"fmt"
	"os"
	"strconv"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	var err error
	switch {
	case len(args) == 2 && args[0] == "writes":
		var conns int
		if conns, err = strconv.Atoi(args[1]); err == nil {
			err = writes(conns)
		}
	case len(args) == 3 && args[0] == "unicasts":
		var conns, size int
		if _, err = fmt.Sscan(args[1]+" "+args[2], &conns, &size); err == nil {
			err = unicasts(conns, size)
		}
	case len(args) == 1 && args[0] == "pushes":
		err = pushes()
	default:
		fmt.Fprintln(os.Stderr, "usage: ceiling writes N | ceiling unicasts N BYTES | ceiling pushes")
		return 2
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "ceiling:", err)
		return 1
	}
	return 0
}
