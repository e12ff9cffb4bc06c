//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"crier/e2e/hostile/siege"
	"crier/e2e/hostile/stage"
)

// scene is a siege, and what it is to show.
type scene struct {
	name string
	o    siege.Options
	res  *siege.Result
}

// scenes are a thousand clients that read with and without a thousand that never do, under the bound of each connection and under one
// for all.
func scenes(last time.Duration) []*scene {
	o := siege.Options{Readers: 1000, Last: last, Broadcasts: 5, Floods: 1000, Size: 100, FloodSize: 64_000, QueueBytes: 1 << 20, SendBuffer: 128 << 10}
	with := o
	with.Gluttons = 1000
	bounded := with
	bounded.QueueTotal = 128 << 20
	return []*scene{
		{"1,000 that read", o, nil},
		{"and 1,000 that never do", with, nil},
		{"and `limits.queue_total: 128MiB`", bounded, nil},
	}
}

// besiege makes the scenes, each with a server of its own, and returns their figures in Markdown. The error says what must not be.
func (o options) besiege(ctx context.Context, dir string) (string, error) {
	all := scenes(o.last)
	var errs []error
	for _, s := range all {
		server, err := stage.Crier(ctx, o.binary, dir, s.o.Settings()...)
		if err != nil {
			return "", err
		}
		s.res, err = siege.Run(ctx, server, s.o)
		if err = errors.Join(err, server.Stop()); err != nil {
			return "", fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Fprintf(os.Stderr, "%s: %+v\n", s.name, *s.res)
		if err := s.res.Wrong(s.o); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
		}
	}
	return figures(all), errors.Join(errs...)
}

func figures(all []*scene) string {
	const mega = 1 << 20
	var b strings.Builder
	o := all[0].o
	fmt.Fprintf(&b, "%s: %d messages a second of %d bytes to all, and %d of %d bytes to clients that never read (without them, to nobody), each to one; `limits.queue_bytes` 1 MiB, `.send_buffer` 128 KiB.\n\n",
		o.Last, o.Broadcasts, o.Size, o.Floods, o.FloodSize)
	b.WriteString("| | p50 | p99 | lost | sent away, and back | closed by `queue_total` | waited, at most | process before | at most | bound |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, s := range all {
		r := s.res
		fmt.Fprintf(&b, "| %s | %.1f ms | %.1f ms | %d of %d | %d | %d | %d MiB | %d MiB | %d MiB | %d MiB |\n", s.name, float64(r.P50.Microseconds())/1e3, float64(r.P99.Microseconds())/1e3,
			r.Lost, r.Sent*s.o.Readers, r.Back, r.Evicted, r.Queued/mega, r.Base/mega, r.Peak/mega, r.Bound(s.o)/mega)
	}
	return b.String()
}
