//go:build unix

package app

import (
	"fmt"
	"io"
	"syscall"
	"testing"

	"github.com/gobwas/ws"
)

// BenchmarkEvent is an event that is acknowledged, the login said again: 64 in one piece, so that what the kernel takes for reading and
// writing them hardly counts. The client is in the same process, and takes less than a tenth of it.
func BenchmarkEvent(b *testing.B) {
	const together = 64
	pg := start(b, nil).openAs("user-1")
	var events []byte
	answers := 0
	for i := range together {
		text := fmt.Sprintf(`42%d["login","user-1"]`, 1000+i)
		frame, err := ws.CompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(text))))
		if err != nil {
			b.Fatal(err)
		}
		events = append(events, frame...)
		answers += len(fmt.Sprintf(`..43%d[{"ok":true,"uid":"user-1"}]`, 1000+i))
	}
	got := make([]byte, answers)
	var before, after syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for n := 0; n < b.N; n += together {
		if _, err := pg.conn.Write(events); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(pg.in, got); err != nil {
			b.Fatal(err)
		}
	}
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(after.Utime.Nano()-before.Utime.Nano())/float64(b.N), "ns-of-user")
	b.ReportMetric(float64(after.Stime.Nano()-before.Stime.Nano())/float64(b.N), "ns-of-system")
}
