package engineio_test

import (
	"strings"
	"testing"

	"crier/io/engineio"
)

// What is sent once arrives as what is prepared for many does, and its memory can be used again at once.
func TestSendText(t *testing.T) {
	texts := []string{`2["ä"]`, `2["` + strings.Repeat("é", 100) + `"]`, `2["` + strings.Repeat("x", 70_000) + `"]`}
	for _, query := range []string{ws4, ws3, "EIO=2&transport=websocket", "EIO=4&transport=polling", "EIO=3&transport=polling"} {
		t.Run(query, func(t *testing.T) {
			r := newFakeRig(t, engineio.Options{})
			var session *engineio.Session
			var received func() string
			if strings.Contains(query, "polling") {
				rc, f := r.open(query)
				session = rc.session
				received = func() string { return strings.Join(f.take(), " ") }
			} else {
				rc, s := r.connect(query)
				session = rc.session
				received = func() string { return next(t, s.got) }
			}
			for _, text := range texts {
				buf := append(make([]byte, engineio.Headroom), text...)
				if err := session.Send(engineio.PrepareText([]byte(string(buf)), 1)); err != nil {
					t.Fatal(err)
				}
				want := received()
				if err := session.SendText(buf, 1); err != nil {
					t.Fatal(err)
				}
				clear(buf)
				if got := received(); got != want || got == "" {
					t.Errorf("got %.60q, want %.60q", got, want)
				}
			}
		})
	}
}
