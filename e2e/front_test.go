package e2e

import "testing"

// A front is what clients come through to a server under test; nil is nothing.
type front struct {
	settings settings                  // that Crier needs behind it
	options  map[string]any            // that clients need before it
	echo     []string                  // arguments of the echo server behind it
	open     func(*testing.T, *server) // puts itself before a server
}

// startCrier starts Crier with more settings, for clients that come as the driver's do.
func (d *driver) startCrier(t *testing.T, more settings) *server {
	t.Helper()
	if d.front == nil {
		return startCrier(t, more)
	}
	s := startCrier(t, d.front.settings.with(more))
	d.front.open(t, s)
	return s
}

// startEcho starts the echo server, for clients that come as the driver's do.
func (d *driver) startEcho(t *testing.T) *server {
	t.Helper()
	if d.front == nil {
		return startEcho(t)
	}
	s := startEcho(t, d.front.echo...)
	d.front.open(t, s)
	return s
}

// again starts Crier anew where s was, with the same settings; clients find it as they did s.
func (s *server) again(t *testing.T) *server {
	t.Helper()
	next := startCrier(t, s.settings.with(settings{"listen": s.public}))
	next.base = s.base
	return next
}
