package engineio_test

import (
	"io"
	"net"
	"testing"

	"crier/io/engineio"
)

// idlePeer opens a WebSocket session whose client reads and does nothing.
func idlePeer(b *testing.B, r *rig) *engineio.Session {
	b.Helper()
	conn, br, _ := r.handshake(ws4)
	rc := next(b, r.handler.accepted)
	want(b, rc.events, "opened")
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := io.Copy(io.Discard, br); err != nil {
			return // the end of the benchmark
		}
	}()
	b.Cleanup(func() {
		if err := conn.(*net.TCPConn).Close(); err != nil {
			b.Error(err)
		}
		<-done
	})
	return rc.session
}

var payload = []byte(`2["new_msg","0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"]`)

// BenchmarkSend sends a prepared message of 100 bytes to one client.
func BenchmarkSend(b *testing.B) {
	r := newRig(b, true, engineio.Options{QueueBytes: 1 << 30, QueueMessages: 1 << 30})
	s := idlePeer(b, r)
	p := engineio.Prepare(payload, 1)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Send(p); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBroadcast100 prepares a message and sends it to 100 clients.
func BenchmarkBroadcast100(b *testing.B) {
	r := newRig(b, true, engineio.Options{QueueBytes: 1 << 30, QueueMessages: 1 << 30})
	sessions := make([]*engineio.Session, 100)
	for i := range sessions {
		sessions[i] = idlePeer(b, r)
	}
	b.ReportAllocs()
	for b.Loop() {
		p := engineio.Prepare(payload, 1)
		for _, s := range sessions {
			if err := s.Send(p); err != nil {
				b.Fatal(err)
			}
		}
	}
}
