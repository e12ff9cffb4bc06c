//go:build !linux

package app

import "net"

// probe does nothing: Go does so itself.
func probe(*net.TCPListener) error { return nil }

// listenTCP listens on addr. Where connections do not inherit them, Go sets their probes.
func listenTCP(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }
