package socketio_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"crier/io/socketio"
)

// captured is what clients sent; e2e/parsers/capture.mjs says how it was recorded.
type captured struct {
	Clients  []string // name, version, where it ran, route
	Messages []struct {
		Text        string
		Attachments [][]byte
		Packet      vectorPacket
	}
}

// readCaptured returns the recorded packets, of which there must be some of every client on every route.
func readCaptured(t testing.TB) []captured {
	t.Helper()
	data, err := os.ReadFile("testdata/captured.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []captured
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range all {
		for _, name := range c.Clients {
			seen[name] = len(c.Messages) > 0
		}
	}
	for _, version := range []string{"1.4.8", "2.0.3", "2.5.0", "3.1.3", "4.8.4"} {
		for _, where := range []string{"Node", "Chromium"} {
			for _, route := range []string{"websocket", "polling", "upgrade"} {
				if name := fmt.Sprintf("socket.io-client %s in %s, %s", version, where, route); !seen[name] {
					t.Errorf("nothing is recorded of %s", name)
				}
			}
		}
	}
	if t.Failed() {
		t.FailNow()
	}
	return all
}

// TestCaptured decodes what every client sent: the packets must be those that the official parser of the client's
// time found, and those that the clients were told to send.
func TestCaptured(t *testing.T) {
	const file = `["file",{"name":"é.bin","data":{"_placeholder":true,"num":0}},{"_placeholder":true,"num":1}]`
	admin := map[string]socketio.Packet{ // by major version
		"1": {Namespace: "/admin"},
		"2": {Namespace: "/admin?token=%C3%A9"},
		"3": {Namespace: "/admin", Data: []byte(`{"token":"é"}`)},
		"4": {Namespace: "/admin", Data: []byte(`{"token":"é"}`)},
	}
	attachments := [][]byte{{0, 1, 254, 255}, {0xde, 0xad, 0xbe, 0xef}, []byte("中")}
	for _, c := range readCaptured(t) {
		t.Run(c.Clients[0], func(t *testing.T) {
			major := strings.TrimPrefix(c.Clients[0], "socket.io-client ")[:1]
			want := []socketio.Packet{
				{Type: socketio.PacketEvent, Namespace: "/", HasID: true, Data: []byte(`["login","中文é😀"]`)},
				admin[major],
				{Type: socketio.PacketEvent, Namespace: "/admin", Data: []byte("[\"hello\",1.5,null,{\"naïve\":[\"\u2028\",\"\\\"\\\\\"]}]")},
				{Type: socketio.PacketBinaryEvent, Namespace: "/", Attachments: 2, Data: []byte(file)},
				{Type: socketio.PacketAck, Namespace: "/", HasID: true, Data: []byte(`["答é😀",7]`)},
				{Type: socketio.PacketBinaryAck, Namespace: "/", ID: 1, HasID: true, Attachments: 1, Data: []byte(`[{"_placeholder":true,"num":0}]`)},
				{Type: socketio.PacketDisconnect, Namespace: "/"},
			}
			if major >= "3" {
				want = slices.Insert(want, 0, socketio.Packet{Namespace: "/"})
			}
			var got []socketio.Packet
			var bodies [][]byte
			for _, m := range c.Messages {
				p, err := socketio.ParsePacket([]byte(m.Text), 10)
				if official := m.Packet.packet(); err != nil || !reflect.DeepEqual(p, official) {
					t.Fatalf("parsing %s = %+v, %v, want %+v", m.Text, p, err, official)
				}
				got, bodies = append(got, p), append(bodies, m.Attachments...)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("packets are %+v, want %+v", got, want)
			}
			if !slices.EqualFunc(bodies, attachments, bytes.Equal) {
				t.Errorf("attachments are %x, want %x", bodies, attachments)
			}
		})
	}
}
