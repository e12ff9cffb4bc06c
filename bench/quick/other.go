//go:build !linux

// Command quick measures Crier; it works on Linux only.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench/quick needs Linux: it reads /proc and waits with epoll")
	os.Exit(1)
}
