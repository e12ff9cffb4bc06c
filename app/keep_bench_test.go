//go:build unix

package app

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"crier/configs"
)

// BenchmarkPushStored is POST /v1/push with "store", from 64 callers at once, each over a connection of its own: messages a
// second that were answered, hence are on the disk, and the processor time for each, the callers' included. Each is for one of
// 100,000 users, who are offline, under an id that its caller made up.
func BenchmarkPushStored(b *testing.B) {
	const callers = 64
	path := filepath.Join(b.TempDir(), "crier.db")
	p := start(b, func(c *configs.Config) { c.Store.Path, c.Inbox.Open = path, true })
	addr := p.PushAddr()
	var before, after syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			if err := pushStored(addr, (b.N+callers-1-c)/callers); err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
	seconds := time.Since(began).Seconds()
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
		b.Fatal(err)
	}
	cpu := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(b.N)/seconds, "messages/s")
	b.ReportMetric(float64(cpu)/1000/float64(b.N), "µs-of-processor")
	if err := p.stop(); err != nil {
		b.Fatal(err)
	}
}

// pushStored makes so many pushes, one after the other.
func pushStored(addr string, n int) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	text := strings.Repeat("x", 98)
	for range n {
		body := fmt.Sprintf(`{"id":"%s","to":{"users":["user-%d"]},"data":"%s","store":true}`,
			strconv.FormatUint(rand.Uint64(), 36), rand.IntN(100_000), text)
		if _, err := fmt.Fprintf(conn, "POST /v1/push HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", addr, len(body), body); err != nil {
			return err
		}
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			return err
		}
		answer, err := io.ReadAll(resp.Body)
		if err := resp.Body.Close(); err != nil {
			return err
		}
		if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(answer), `"stored":true`) {
			return fmt.Errorf("%d %s, %w", resp.StatusCode, answer, err)
		}
	}
	return nil
}
