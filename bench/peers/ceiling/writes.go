//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"syscall"

	"crier/bench/load"
)

// backlog is how many connections may wait to be accepted.
const backlog = 256

// writes is the loop of write(2). Its sockets are bare, so that the runtime does not watch them.
func writes(conns int) error {
	fds, err := listen(conns)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		frame := load.AppendServerFrame(nil, lines.Bytes())
		taken := 0
		for i, fd := range fds {
			if n, err := syscall.Write(fd, frame); err == nil && n == len(frame) {
				taken++
			}
			breathe(i)
		}
		fmt.Println(taken)
	}
	return lines.Err()
}

// breathe is called behind each write. A loop that never lets others run looks to the runtime like one that computes: its
// writes are interrupted then, to take the processor from it.
func breathe(writes int) {
	if writes%atOnce == 0 {
		runtime.Gosched()
	}
}

// atOnce is how many writes follow one another.
const atOnce = 256

// listen prints an address, and returns as many connections as it has accepted there.
func listen(conns int) ([]int, error) {
	l, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("making a socket: %w", err)
	}
	if err := syscall.Bind(l, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return nil, fmt.Errorf("binding: %w", err)
	}
	if err := syscall.Listen(l, backlog); err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	addr, err := syscall.Getsockname(l)
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	if a, ok := addr.(*syscall.SockaddrInet4); ok {
		fmt.Println(netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)))
	}
	return acceptAll(l, conns)
}

func acceptAll(listener, n int) ([]int, error) {
	fds := make([]int, 0, n)
	for len(fds) < n {
		fd, _, err := syscall.Accept4(listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err == nil { // as net does
			err = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
		}
		if err != nil {
			return nil, fmt.Errorf("accepting: %w", err)
		}
		fds = append(fds, fd)
	}
	return fds, nil
}
