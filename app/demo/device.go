package demo

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"crier/io/socketio"
	socket "crier/io/socketio/client"
)

// devices are the names of those that the demonstration brings along.
func devices() []string { return []string{"lathe", "lift", "oven", "press", "pump", "robot"} }

// How long a device is there, and away: from the one, up to as much more.
const (
	stay = 20 * time.Second
	away = 4 * time.Second
)

// device is one of the machines: a client in Go, which goes away now and then. It implements [socket.Handler].
type device struct{ name string }

// run connects and goes away, again and again, until ctx ends.
func (d *device) run(ctx context.Context, url string, log *slog.Logger) {
	o := socket.Options{URL: url, Auth: map[string]string{"uid": devicePrefix + d.name}}
	for ctx.Err() == nil {
		shift, cancel := context.WithTimeout(ctx, stay+rand.N(4*stay))
		err := socket.Run(shift, o, d)
		cancel()
		if err != nil {
			log.Warn("a device of the demonstration has failed", "device", d.name, "error", err)
		}
		pause := time.NewTimer(away + rand.N(away))
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
}

// Connected implements [socket.Handler].
func (d *device) Connected(*socket.Conn) error { return nil }

// Event implements [socket.Handler]: it carries a command out.
func (d *device) Event(e *socket.Event) error {
	if !e.WantsAck() {
		return nil
	}
	var command string
	if err := e.Decode(0, &command); err != nil {
		return e.Ack(socketio.JSON("?"))
	}
	said := "✓ " + command
	if command == "measure" {
		said = fmt.Sprintf("%.1f °C", 20+5*rand.Float64())
	}
	return e.Ack(socketio.JSON(said))
}

// Lost implements [socket.Handler]: it comes back.
func (d *device) Lost(error, time.Duration) error { return nil }
