package socketio

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"crier/io/engineio"
)

// TestPrepareEvent compares with the encoding of the same packet from a list.
func TestPrepareEvent(t *testing.T) {
	long := json.RawMessage(`"` + strings.Repeat("中", 500) + `"`)
	for _, c := range []struct {
		name, namespace, event string
		args                   []json.RawMessage
		attachments            [][]byte
	}{
		{name: "no arguments", event: "tick"},
		{name: "one", event: "new_msg", args: []json.RawMessage{json.RawMessage(`"hello"`)}},
		{name: "several", event: "e", args: []json.RawMessage{json.RawMessage("1"), long, json.RawMessage(`{"a":[]}`)}},
		{name: "name to escape", event: "a\"\\\n中", args: []json.RawMessage{long}},
		{name: "namespace", namespace: "/chat", event: "e", args: []json.RawMessage{json.RawMessage("null")}},
		{name: "attachment", event: "e", args: []json.RawMessage{json.RawMessage(`{"_placeholder":true,"num":0}`)}, attachments: [][]byte{{1, 2}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, p := range []Packet{
				{Type: PacketEvent, Namespace: c.namespace},
				{Type: PacketEvent, Namespace: c.namespace, ID: 17, HasID: true},
			} {
				got, want := prepareEvent(p, c.event, c.args, c.attachments), prepare(p, eventList(c.event, c.args), c.attachments)
				for _, f := range []engineio.Framing{engineio.FramingV4, engineio.FramingV3Text, engineio.FramingV3Binary} {
					if g, w := got.Payload(f), want.Payload(f); !bytes.Equal(g, w) {
						t.Errorf("%q, want %q", g, w)
					}
				}
			}
		})
	}
}

// TestPrepareEventAllocations counts what most messages allocate on their way to the wire.
func TestPrepareEventAllocations(t *testing.T) {
	args := []json.RawMessage{json.RawMessage(`"` + strings.Repeat("x", 100) + `"`)}
	n := testing.AllocsPerRun(100, func() {
		prepareEvent(Packet{Type: PacketEvent, Namespace: "/"}, "new_msg", args, nil)
	})
	if n > 2 {
		t.Errorf("%v allocations, want 2: the message and its text", n)
	}
}
