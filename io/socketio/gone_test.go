package socketio

import (
	"runtime"
	"testing"
	"weak"

	"crier/io/engineio"
	"crier/io/hub"
)

// remains are what a client that has gone must not leave behind.
type remains struct {
	session weak.Pointer[engineio.Session]
	client  weak.Pointer[client]
	socket  weak.Pointer[Socket]
	member  weak.Pointer[hub.Member]
}

// gone reports whether nobody keeps any of them.
func (r remains) gone() bool {
	return r.session.Value() == nil && r.client.Value() == nil && r.socket.Value() == nil && r.member.Value() == nil
}

// Nobody keeps anything of a client that has gone: its memory is back with the next collections.
func TestNothingIsKeptOfWhoHasGone(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		came, left := make(chan remains, 8), departures(h.Main())
		h.Main().OnConnect(func(s *Socket) {
			if err := s.Member().Login("u"); err != nil {
				t.Error(err)
			}
			if err := s.Join("room"); err != nil {
				t.Error(err)
			}
			came <- remains{weak.Make(s.client.session), weak.Make(s.client), weak.Make(s), weak.Make(s.Member())}
		})
		var all []remains
		for range cap(came) {
			c := h.join(t, k)
			r := take(t, "socket", came)
			if r.gone() {
				t.Fatal("a client is collected that is there")
			}
			all = append(all, r)
			if err := c.leave(); err != nil {
				t.Fatal(err)
			}
			take(t, "departure", left)
		}
		await(t, "collection of all", func() bool {
			runtime.GC()
			for _, r := range all {
				if !r.gone() {
					return false
				}
			}
			return true
		})
	})
}
