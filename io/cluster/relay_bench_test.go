package cluster

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"crier/io/hub"
)

// BenchmarkRelay pushes 100 bytes through several servers at one redis-server: to one user of 1,000, who has one connection, or to
// all, which are those 1,000. Beside the pushes a second there are those for each second of the processor that Redis takes, and, of pushes
// one at a time, how long it takes from the push on one server until a connection of another one has it.
func BenchmarkRelay(b *testing.B) {
	for _, nodes := range []int{1, 2, 4, 8} {
		for _, kind := range []string{"user", "all"} {
			b.Run(fmt.Sprintf("%s/nodes=%d", kind, nodes), func(b *testing.B) { benchmarkRelay(b, nodes, kind == "all") })
		}
	}
}

const (
	benchUsers = 1000
	benchAhead = 256 // pushes under way
)

func benchmarkRelay(b *testing.B, nodes int, all bool) {
	server := startRedis(b)
	members := make([]*member, nodes)
	for i := range members {
		members[i] = newMember(b, server, fmt.Sprint("n", i), nil).ready(b)
	}
	got := make(chan time.Time, 1)
	for i := range benchUsers {
		m, uid := members[i%nodes], fmt.Sprint("u", i)
		one, err := m.hub.Connect(&stopwatch{id: uid, got: got, watch: i == benchUsers-1})
		if err != nil {
			b.Fatal(err)
		}
		if err := one.Login(uid); err != nil {
			b.Fatal(err)
		}
		m.enlist(b, server, uid)
	}
	audience := func(n int) hub.Audience {
		if all {
			return hub.Audience{All: true}
		}
		return hub.Audience{Users: []string{fmt.Sprint("u", n%benchUsers)}}
	}
	// The last user is on the last server, and the first one pushes.
	var delays []time.Duration
	for range 500 {
		began := time.Now()
		if _, err := members[0].Push(context.Background(), hub.Push{To: audience(benchUsers - 1), Message: hundred("probe")}); err != nil {
			b.Fatal(err)
		}
		delays = append(delays, (<-got).Sub(began))
	}
	slices.Sort(delays)
	before := cpuOf(b, server)
	b.ResetTimer()
	began := time.Now()
	var sent sync.WaitGroup
	slots := make(chan struct{}, benchAhead)
	for n := range b.N {
		slots <- struct{}{}
		sent.Add(1)
		p := hub.Push{To: audience(n), Message: hundred("e")}
		err := members[n%nodes].Send(context.Background(), p, func(r hub.Result) {
			if r.Partial || r.Connections == 0 {
				b.Errorf("%+v", r)
			}
			<-slots
			sent.Done()
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	sent.Wait()
	took := time.Since(began)
	b.StopTimer()
	b.ReportMetric(float64(b.N)/took.Seconds(), "pushes/s")
	b.ReportMetric(float64(b.N)/(cpuOf(b, server)-before), "pushes/redis-cpu-s")
	b.ReportMetric(float64(delays[len(delays)/2].Microseconds()), "p50-µs")
	b.ReportMetric(0, "ns/op")
}

// hundred is a message of 100 bytes.
func hundred(event string) *hub.Message {
	m := message(event)
	m.Args[0] = []byte(`"` + strings.Repeat("x", 98) + `"`)
	return m
}

// stopwatch is a connection that tells when a probe has come.
type stopwatch struct {
	id    string
	got   chan time.Time
	watch bool
}

func (s *stopwatch) ID() string { return s.id }
func (s *stopwatch) Kick()      {}
func (s *stopwatch) Deliver(m *hub.Message) error {
	if s.watch && m.Event == "probe" {
		s.got <- time.Now()
	}
	return nil
}

// cpuOf is how many seconds of the processor a redis-server has taken.
func cpuOf(b *testing.B, server *redisServer) float64 {
	c, err := redis.Dial("tcp", server.Addr())
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			b.Error(err)
		}
	}()
	text, err := redis.String(c.Do("INFO", "cpu"))
	if err != nil {
		b.Fatal(err)
	}
	var sum float64
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "used_cpu_sys" || name == "used_cpu_user" {
			seconds, err := strconv.ParseFloat(value, 64)
			if err != nil {
				b.Fatal(err)
			}
			sum += seconds
		}
	}
	return sum
}
