//go:build !linux

package app

import "net"

// listenTCP listens on addr. Where connections do not inherit them, Go sets their probes.
func listenTCP(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }
