//go:build !unix

package app

import "net"

// boundSendBuffer leaves send buffers to the system.
func boundSendBuffer(net.Listener, int64) error { return nil }
