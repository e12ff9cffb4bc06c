package hub

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"
)

// crowd connects n connections, two to a user, all in one room.
func crowd(b *testing.B, h *Hub, n int) []*Member {
	b.Helper()
	members := make([]*Member, n)
	for i := range members {
		members[i] = connect(b, h, &countConn{id: fmt.Sprintf("conn-%d", i)})
		if err := members[i].Login(fmt.Sprintf("user-%d", i/2)); err != nil {
			b.Fatal(err)
		}
		if err := members[i].Join("room"); err != nil {
			b.Fatal(err)
		}
	}
	return members
}

func BenchmarkPush(b *testing.B) {
	const n = 10_000
	for _, bc := range []struct {
		what string
		to   Audience
		want int
	}{
		{"to a user", Audience{Users: []string{"user-77"}}, 2},
		{"to nobody", Audience{Users: []string{"nobody"}}, 0},
		{"to 100 connections", Audience{Connections: ids100()}, 100},
		{"to a room of 10000", Audience{Rooms: []string{"room"}}, n},
		{"to all 10000", Audience{All: true}, n},
		{"to all 10000 but one", Audience{All: true, Except: &Audience{Connections: []string{"conn-7"}}}, n - 1},
		{"to a user and a room of 10000", Audience{Users: []string{"user-77"}, Rooms: []string{"room"}}, n},
	} {
		b.Run(bc.what, func(b *testing.B) {
			h := newHub(b, Options{})
			crowd(b, h, n)
			p := Push{To: bc.to, Message: message("m")}
			b.ReportAllocs()
			for b.Loop() {
				if r, err := h.Push(context.Background(), p); err != nil || r.Delivered != bc.want {
					b.Fatalf("Push = %+v, %v, want %d", r, err, bc.want)
				}
			}
			if bc.want > 0 {
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(bc.want), "ns/delivery")
			}
		})
	}
}

func ids100() []string {
	return ids(10_000)[1000:1100]
}

func BenchmarkPushToUsersInParallel(b *testing.B) {
	h := newHub(b, Options{})
	crowd(b, h, 10_000)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		p := Push{To: Audience{Users: []string{""}}, Message: message("m")}
		uids := make([]string, 5000)
		for i := range uids {
			uids[i] = fmt.Sprintf("user-%d", i)
		}
		for i := 0; pb.Next(); i++ {
			p.To.Users[0] = uids[i*7919%len(uids)]
			if r, err := h.Push(context.Background(), p); err != nil || r.Delivered != 2 {
				b.Errorf("Push = %+v, %v", r, err)
			}
		}
	})
}

// BenchmarkConnectLogin measures what one connection of a user of its own costs beside its Conn: time and allocations of
// coming, and the bytes held while it is idle.
func BenchmarkConnectLogin(b *testing.B) {
	for _, bc := range []struct {
		what     string
		presence func([]PresenceChange) error
		rooms    int
	}{
		{"plain", nil, 0},
		{"with presence", deaf, 0},
		{"with presence and 2 rooms", deaf, 2},
	} {
		b.Run(bc.what, func(b *testing.B) {
			const n = 100_000
			conns := make([]*countConn, n)
			uids := make([]string, n)
			for i := range conns {
				conns[i] = &countConn{id: fmt.Sprintf("conn-%d", i)}
				uids[i] = fmt.Sprintf("user-%d", i)
			}
			rooms := []string{"one", "two"}[:bc.rooms]
			b.ReportAllocs()
			var held uint64
			rounds := 0
			for b.Loop() {
				b.StopTimer()
				h := newHub(b, Options{OfflineDelay: time.Second, Presence: bc.presence})
				before := heap()
				b.StartTimer()
				members := make([]*Member, n)
				for i, c := range conns {
					members[i] = comeIn(b, h, c, uids[i], rooms)
				}
				b.StopTimer()
				held += heap() - before - 8*n // without the slice of members
				rounds++
				runtime.KeepAlive(members)
				if err := h.Close(context.Background()); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(held)/float64(rounds)/n, "bytes-held/conn")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rounds)/n, "ns/conn")
		})
	}
}

func comeIn(b *testing.B, h *Hub, c Conn, uid string, rooms []string) *Member {
	m := connect(b, h, c)
	if err := m.Login(uid); err != nil {
		b.Fatal(err)
	}
	for _, room := range rooms {
		if err := m.Join(room); err != nil {
			b.Fatal(err)
		}
	}
	return m
}

// heap returns the bytes in use after a collection.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// BenchmarkComeAndGo is the life of a short connection in a hub that has many.
func BenchmarkComeAndGo(b *testing.B) {
	h := newHub(b, Options{OfflineDelay: time.Second, Presence: deaf})
	crowd(b, h, 10_000)
	c := &countConn{id: "short"}
	b.ReportAllocs()
	for b.Loop() {
		comeIn(b, h, c, "somebody", nil).Gone()
	}
}

func BenchmarkEncoded(b *testing.B) {
	type key byte
	m := message("m")
	encode := func(*Message) any { return "frame" }
	for k := range key(3) {
		m.Encoded(k, encode)
	}
	b.ReportAllocs()
	for b.Loop() {
		m.Encoded(key(2), encode)
	}
}

// deaf is an observer to whom all is the same.
func deaf([]PresenceChange) error { return nil }

// BenchmarkPushWhileRecoverable is what it costs to push while there are connections that can be recovered: one among 10,000, or
// all of them.
func BenchmarkPushWhileRecoverable(b *testing.B) {
	const n = 10_000
	for _, bc := range []struct {
		what    string
		tracked int
		to      Audience
	}{
		{"to a user who cannot, one can", 1, Audience{Users: []string{"user-77"}}},
		{"to a user, all can", n, Audience{Users: []string{"user-77"}}},
		{"to all, one can", 1, Audience{All: true}},
		{"to all, all can", n, Audience{All: true}},
	} {
		b.Run(bc.what, func(b *testing.B) {
			h := newHub(b, Options{Recovery: &Recovery{Window: time.Minute, MaxMessages: 100_000, MaxBytes: 64 << 20}})
			for _, m := range crowd(b, h, n)[:bc.tracked] {
				if err := m.Track(func(Beginning) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
			p := Push{To: bc.to, Message: message("m")}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := h.Push(context.Background(), p); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// BenchmarkRecover has a client come back that has missed ten messages among 100,000.
func BenchmarkRecover(b *testing.B) {
	h := newHub(b, Options{Recovery: &Recovery{Window: time.Hour, MaxMessages: 100_000, MaxBytes: 1 << 30}})
	for i := range 100 {
		m, _, _ := track(b, h, fmt.Sprint("other", i), fmt.Sprint("other", i))
		m.Away(nil)
	}
	m, _, begun := track(b, h, "c", "42")
	m.Away(nil)
	for i := range 100_000 {
		to := fmt.Sprint("other", i%100)
		if i%10_000 == 0 {
			to = "42"
		}
		if _, err := h.Push(context.Background(), Push{To: Audience{Users: []string{to}}, Message: message("m")}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		p := h.Claim(begun.PID, begun.Offset)
		m := connect(b, h, &lineConn{id: "c"})
		err := m.Recover(p, func(b Beginning) error {
			if len(b.Missed) != 10 {
				return ErrLost
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		m.Away(nil)
	}
}
