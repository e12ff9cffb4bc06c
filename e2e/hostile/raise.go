//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"crier/e2e/hostile/storm"
)

// stormPatience is how long nothing may happen in a storm.
const stormPatience = 2 * time.Minute

// raise makes a storm and a rush, and returns their figures in Markdown. The error says what must not be.
func (o options) raise(ctx context.Context, dir string) (string, error) {
	s := storm.Options{Binary: o.binary, Dir: dir, Clients: o.clients, Patience: stormPatience}
	back, err := storm.Run(ctx, s)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(os.Stderr, "%+v\n", *back)
	rush, err := storm.Rush(ctx, s)
	if err != nil {
		return "", err
	}
	return returned(o.clients, back) + refused(rush), errors.Join(back.Wrong(), rush.Wrong())
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func returned(clients int, r *storm.Result) string {
	return fmt.Sprintf("%d clients, a third each over WebSocket with Engine.IO 4 and 3 and by polling. From `kill -9` until the new process was ready: %s; "+
		"until all were logged in again: **%s**; had all that was stored for them: %s; and a push to all: %s.\n\n",
		clients, seconds(r.Ready), seconds(r.Back), seconds(r.Stored), seconds(r.Pushed))
}

func refused(ways storm.Refusals) string {
	var b strings.Builder
	b.WriteString("| `limits.handshakes_per_ip: 5` | came | refused | p50 | p99 | processor time of a refusal | of a login |\n|---|--:|--:|--:|--:|--:|--:|\n")
	for _, w := range ways {
		login := "–"
		if w.Login > 0 {
			login = fmt.Sprint(w.Login.Microseconds(), " µs")
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %.2f ms | %.2f ms | %d µs | %s |\n", w.Way, w.Came, w.Refused,
			float64(w.P50.Microseconds())/1e3, float64(w.P99.Microseconds())/1e3, w.Refusal.Microseconds(), login)
	}
	return b.String()
}
