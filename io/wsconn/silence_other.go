//go:build !linux

package wsconn

import (
	"net"
	"time"
)

// limitSilence does nothing where there is no portable way to do it.
func limitSilence(net.Conn, time.Duration) error { return nil }
