package engineio_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"

	"crier/io/engineio"
)

// captured is what clients sent; e2e/parsers/capture.mjs says how it was recorded.
type captured struct {
	Clients  []string // name, version, where it ran, route
	Messages []vector
}

// readCaptured returns the recorded traffic, of which there must be some of every client on every route.
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

func (v vector) parse() ([]engineio.Packet, error) {
	if v.Kind == "payload" {
		return parsePayload(v.Revision, v.wire(), v.Binary)
	}
	p, err := parseFrame(v.Revision, v.wire(), v.Binary)
	return []engineio.Packet{p}, err
}

// TestCaptured decodes what every client sent: the packets must be those that the official parser of the client's
// time found, and among them what the clients were told to send.
func TestCaptured(t *testing.T) {
	sent := []string{
		`20["login","中文é😀"]`,
		"2/admin,[\"hello\",1.5,null,{\"naïve\":[\"\u2028\",\"\\\"\\\\\"]}]",
		`52-["file",{"name":"é.bin","data":{"_placeholder":true,"num":0}},{"_placeholder":true,"num":1}]`,
		"\x00\x01\xfe\xff",
		"\xde\xad\xbe\xef",
		`30["答é😀",7]`,
		`61-1[{"_placeholder":true,"num":0}]`,
		"中",
		"1",
	}
	for _, c := range readCaptured(t) {
		t.Run(c.Clients[0], func(t *testing.T) {
			var messages []string
			var heartbeats, upgrades int
			for _, v := range c.Messages {
				got, err := v.parse()
				if want := v.packets(t); err != nil || !slices.EqualFunc(got, want, equalPacket) {
					t.Fatalf("parsing %q = %+v, %v, want %+v", v.wire(), got, err, want)
				}
				for _, p := range got {
					switch text := string(p.Data); {
					case p.Type == engineio.Message && (p.Binary || slices.Contains(sent, text)):
						messages = append(messages, text)
					case p.Type == engineio.Ping && text == "probe", p.Type == engineio.Upgrade:
						upgrades++
					case p.Type == engineio.Ping && v.Revision == engineio.Revision3, p.Type == engineio.Pong && v.Revision == engineio.Revision4:
						heartbeats++
					}
				}
			}
			if !slices.Equal(messages, sent) {
				t.Errorf("messages are %q, want %q", messages, sent)
			}
			if heartbeats == 0 || upgrades != 0 && upgrades != 2 {
				t.Errorf("%d heartbeats, %d packets of an upgrade", heartbeats, upgrades)
			}
		})
	}
}
