//go:build !linux

// Command compare measures Crier and its peers; it works on Linux only.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench/compare needs Linux: it reads /proc and waits with epoll")
	os.Exit(1)
}
