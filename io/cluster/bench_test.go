package cluster

import "testing"

// BenchmarkPush is what a message of an emitter costs beside its deliveries: to a room that nobody is in.
func BenchmarkPush(b *testing.B) {
	s := newStation(b, nowhere(b))
	s.sockets = map[string]Sockets{"/": s.main.hub}
	body := unhex(b, "93a7656d697474657283a47479706502a46461746193a46e657773ace4b8ade69687c3a9f09f988082a1619501cb4004000000000000fdc0c3a3626967cf001fffffffffffffa36e7370a12f83a5726f6f6d7391a6726f6f6d2d61a5666c61677380a665786365707490")
	b.ReportAllocs()
	for b.Loop() {
		s.receive(b.Context(), "socket.io#/#room-a#", body)
	}
	if got := s.Stats(); got.Pushes == 0 || got.Dropped != 0 {
		b.Fatalf("%+v", got)
	}
}
