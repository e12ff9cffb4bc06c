//go:build linux

package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"

	"crier/bench/load"
)

// unicasts writes to random ones of its sockets what a link has delivered to as many clients, and nothing else: for each line
// of standard input, a number of frames.
func unicasts(conns, size int) error {
	fds, err := listen(conns)
	if err != nil {
		return err
	}
	var packet, frame []byte
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			return fmt.Errorf("reading how many: %w", err)
		}
		seq := make([]int, conns)
		taken := 0
		for i := range n {
			to := rand.IntN(conns)
			seq[to]++
			packet = append(load.AppendContent(append(packet[:0], load.EventPrefix...), 0, seq[to], size), `"]`...)
			frame = load.AppendServerFrame(frame[:0], packet)
			if n, err := syscall.Write(fds[to], frame); err == nil && n == len(frame) {
				taken++
			}
			breathe(i)
		}
		fmt.Println(taken)
	}
	return lines.Err()
}
