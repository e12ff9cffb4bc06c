package e2e

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

// echoed are the arguments sent to the echo server, one way and the other: text, structure, bytes.
func echoed() []any {
	every := make([]byte, 256)
	for n := range every {
		every[n] = byte(n)
	}
	return []any{
		hard,
		"\u2028\"\\\x00 é",
		map[string]any{"list": []any{1.0, nil, true, "中"}, "empty": map[string]any{}},
		binary(every),
		binary([]byte(hard)),
		binary(nil),
		-1.5e300,
	}
}

// binary is bytes as clients/driver.mjs reads and prints them.
func binary(data []byte) map[string]any {
	return map[string]any{"$binary": base64.StdEncoding.EncodeToString(data)}
}

// sameArgs fails the test unless the happening has these arguments.
func sameArgs(t *testing.T, h happening, want []any) {
	t.Helper()
	if len(h.Args) != len(want) {
		t.Fatalf("%s has %d arguments, want %d", h.kind(), len(h.Args), len(want))
	}
	for n, arg := range want {
		var got any
		if err := json.Unmarshal(h.Args[n], &got); err != nil {
			t.Fatalf("argument %d of %s is %s: %v", n, h.kind(), h.Args[n], err)
		}
		given, err := json.Marshal(got)
		if err != nil {
			t.Fatalf("encoding what came: %v", err)
		}
		wanted, err := json.Marshal(arg)
		if err != nil {
			t.Fatalf("encoding what is wanted: %v", err)
		}
		if string(given) != string(wanted) {
			t.Fatalf("argument %d of %s is %.100s, want %.100s", n, h.kind(), given, wanted)
		}
	}
}

// tryEcho sends and gets binary arguments and acknowledgements, in two namespaces of a server that uses
// crier/io/socketio as a library.
func tryEcho(t *testing.T, d *driver, c client, r route) {
	server := d.startEcho(t)
	for _, namespace := range []string{"/", "/custom"} {
		s := d.open(t, namespace, opening{
			client: c, route: r, url: server.publicURL(namespace),
			watch: []string{"back", "question", "answer"},
		})
		first := s.connected(t)
		// The library does not forward bytes inside an object, but takes no harm from them.
		s.emit(t, "nested", "echo", "x", map[string]any{"bytes": binary([]byte(hard))}, binary(nil))
		for range 2 { // on the first transport and on the last
			s.exchange(t, echoed())
			if r.upgrades() && s.count("upgrade") == 0 && first.Transport != r.final {
				s.await(t, happening{On: "upgrade"})
			}
		}
		large := strings.Repeat("x", maxPayload-1000)
		s.emit(t, "large", "echo", large)
		sameArgs(t, s.await(t, happening{On: "ack", Ack: "large"}), []any{large})
	}
	d.undisturbed(t)
}

// exchange has a socket of the echo server send arguments and get them back in every way there is.
func (s *socket) exchange(t *testing.T, args []any) {
	t.Helper()
	s.emit(t, "echo", "echo", args...)
	sameArgs(t, s.await(t, happening{On: "ack", Ack: "echo"}), args)
	s.emit(t, "nothing", "echo")
	sameArgs(t, s.await(t, happening{On: "ack", Ack: "nothing"}), nil)
	s.emit(t, "", "emit-back", args...)
	sameArgs(t, s.await(t, happening{On: "event", Event: "back"}), args)
	s.emit(t, "", "ask", args...)
	sameArgs(t, s.await(t, happening{On: "event", Event: "question"}), args)
	sameArgs(t, s.await(t, happening{On: "event", Event: "answer"}), args)
}
