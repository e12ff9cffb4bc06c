package cluster

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"crier/io/hub"
)

// BenchmarkInboxPut is messages of 100 bytes a second that Redis has kept when their callers are told, by callers at once. Each is for one
// of 100,000 users, under an id that its caller made up. B/stored is the memory that each takes in Redis.
func BenchmarkInboxPut(b *testing.B) {
	for _, disk := range []string{"no", "everysec", "always"} {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("fsync %s, %d callers", disk, callers), func(b *testing.B) {
				var settings []string
				if disk != "no" {
					settings = []string{"--appendonly", "yes", "--appendfsync", disk}
				}
				server := startRedis(b, settings...)
				o := newDepot(b, server, "n", nil)
				before, began := memoryOf(b, server), time.Now()
				var all sync.WaitGroup
				for c := range callers {
					all.Go(func() {
						done := make(chan hub.Deposited, 1)
						for range (b.N + callers - 1 - c) / callers {
							o.inbox.Put(letterFor(rand.IntN(100_000)), func(d hub.Deposited) { done <- d })
							if d := <-done; d.Err != nil {
								b.Error(d.Err)
							}
						}
					})
				}
				all.Wait()
				b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "messages/s")
				b.ReportMetric(float64(memoryOf(b, server)-before)/float64(b.N), "B/stored")
			})
		}
	}
}

func letterFor(user int) hub.Deposit {
	return hub.Deposit{
		Message: &hub.Message{
			ID: strconv.FormatUint(rand.Uint64(), 36), Event: "new_msg", Args: []json.RawMessage{json.RawMessage(`"` + strings.Repeat("x", 98) + `"`)},
		},
		Users: []string{fmt.Sprint("user-", user)}, Expires: time.Now().Add(24 * time.Hour),
	}
}

// memoryOf returns how much memory Redis uses for its data.
func memoryOf(b *testing.B, s *redisServer) int {
	b.Helper()
	c, err := redis.Dial("tcp", s.Addr())
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			b.Error(err)
		}
	}()
	text, err := redis.String(c.Do("INFO", "memory"))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(text, "used_memory_dataset:")
	n := 0
	if _, err := fmt.Sscan(rest, &n); err != nil {
		b.Fatal(err)
	}
	return n
}
