package socketio_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"crier/io/socketio"
)

// vectors is what the official parsers make; testdata/generate.mjs says how it came about.
type vectors struct {
	Encoded []struct {
		Encoder     string
		Text        string
		Attachments [][]byte
		Packet      vectorPacket
		Canonical   bool
	}
	Decided []struct {
		Text     string
		Accepted bool
	}
}

type vectorPacket struct {
	Type        socketio.PacketType
	Nsp         string
	ID          *uint64
	Attachments int
	Data        *string
}

func (v vectorPacket) packet() socketio.Packet {
	p := socketio.Packet{Type: v.Type, Namespace: v.Nsp, Attachments: v.Attachments}
	if v.ID != nil {
		p.ID, p.HasID = *v.ID, true
	}
	if v.Data != nil {
		p.Data = json.RawMessage(*v.Data)
	}
	return p
}

func readVectors(t testing.TB) vectors {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Encoded) < 60 || len(v.Decided) < 90 {
		t.Fatalf("%d encoded and %d decided vectors, want at least 60 and 90", len(v.Encoded), len(v.Decided))
	}
	return v
}

func TestPacketVectors(t *testing.T) {
	for _, v := range readVectors(t).Encoded {
		t.Run(v.Encoder+" "+v.Text, func(t *testing.T) {
			want := v.Packet.packet()
			got, err := socketio.ParsePacket([]byte(v.Text), len(v.Attachments))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("parsing = %+v, %v, want %+v", got, err, want)
			}
			if out := string(socketio.AppendPacket([]byte("4"), want)); v.Canonical && out != "4"+v.Text {
				t.Errorf("encoding = %s, want 4%s", out, v.Text)
			}
		})
	}
}

// TestPacketDecisions compares what is accepted with the official decoder.
func TestPacketDecisions(t *testing.T) {
	// What the official decoder takes by the accidents of JavaScript's numbers ("", blanks, 0x1 and 1e0 are
	// numbers there), or passes on as an event that has no name.
	stricter := map[string]bool{
		"": true, " ": true, "5-": true, `5-["a"]`: true, `5 1-["a"]`: true, `50x1-["a"]`: true, `51e0-["a"]`: true,
		"2": true, `2/a["a"]`: true,
	}
	for _, v := range readVectors(t).Decided {
		t.Run(v.Text, func(t *testing.T) {
			want := v.Accepted && !stricter[v.Text]
			p, err := socketio.ParsePacket([]byte(v.Text), 10)
			if (err == nil) != want {
				t.Errorf("got %+v, %v, want accepted: %v", p, err, want)
			}
			if err != nil && !errors.Is(err, socketio.ErrParse) {
				t.Errorf("error does not wrap ErrParse: %v", err)
			}
		})
	}
}

func TestParsePacket(t *testing.T) {
	tests := []struct {
		name string
		text string
		want socketio.Packet
		bad  bool
	}{
		{name: "query in the namespace", text: "0/admin?token=1,", want: socketio.Packet{Namespace: "/admin?token=1"}},
		{name: "explicit main namespace", text: `2/,7["a"]`, want: socketio.Packet{Type: socketio.PacketEvent, Namespace: "/", ID: 7, HasID: true, Data: []byte(`["a"]`)}},
		{name: "zeros before an id", text: `3007[]`, want: socketio.Packet{Type: socketio.PacketAck, Namespace: "/", ID: 7, HasID: true, Data: []byte(`[]`)}},
		{name: "white space around the payload", text: "2 \t[ 1 ]\r\n", want: socketio.Packet{Type: socketio.PacketEvent, Namespace: "/", Data: []byte(`[ 1 ]`)}},
		{name: "ack without payload", text: "312", want: socketio.Packet{Type: socketio.PacketAck, Namespace: "/", ID: 12, HasID: true}},
		{name: "largest id", text: "39007199254740992", want: socketio.Packet{Type: socketio.PacketAck, Namespace: "/", ID: 1 << 53, HasID: true}},
		{name: "largest number of attachments", text: `53-["a"]`, want: socketio.Packet{Type: socketio.PacketBinaryEvent, Namespace: "/", Attachments: 3, Data: []byte(`["a"]`)}},
		{name: "id beyond 2^53", text: "39007199254740993", bad: true},
		{name: "id beyond 2^64", text: "318446744073709551617", bad: true},
		{name: "id of a million digits", text: "3" + strings.Repeat("9", 1e6), bad: true},
		{name: "too many attachments", text: `54-["a"]`, bad: true},
		{name: "attachments of a million digits", text: "5" + strings.Repeat("9", 1e6) + `-["a"]`, bad: true},
		{name: "attachments of an event without", text: `21-["a"]`, bad: true},
		{name: "deep payload", text: `2["a",` + strings.Repeat("[", 1e6), bad: true},
		{name: "deep closed payload", text: `2["a",` + strings.Repeat("[", 1e6) + strings.Repeat("]", 1e6) + "]", bad: true},
		{name: "reserved name with escapes", text: `2["\u0063\u006fnnect"]`, bad: true},
		{name: "name with escapes", text: `2["a\"\\\u4e2d"]`, want: socketio.Packet{Type: socketio.PacketEvent, Namespace: "/", Data: []byte(`["a\"\\\u4e2d"]`)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := socketio.ParsePacket([]byte(tt.text), 3)
			if tt.bad {
				if !errors.Is(err, socketio.ErrParse) {
					t.Fatalf("got %+v, %v, want ErrParse", got, err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

func TestParsePacketNegativeLimit(t *testing.T) {
	if p, err := socketio.ParsePacket([]byte(`51-["a"]`), -1); !errors.Is(err, socketio.ErrParse) {
		t.Fatalf("got %+v, %v, want ErrParse", p, err)
	}
}

func TestParsePacketSharesMemory(t *testing.T) {
	text := []byte(`2["a",1]`)
	p, err := socketio.ParsePacket(text, 0)
	if err != nil {
		t.Fatal(err)
	}
	if &p.Data[0] != &text[1] {
		t.Error("Data is a copy")
	}
	if cap(p.Data) != len(p.Data) {
		t.Error("appending to Data would write behind it")
	}
}

func FuzzParsePacket(f *testing.F) {
	v := readVectors(f)
	for _, e := range v.Encoded {
		f.Add([]byte(e.Text))
	}
	for _, d := range v.Decided {
		f.Add([]byte(d.Text))
	}
	for _, c := range readCaptured(f) {
		for _, m := range c.Messages {
			f.Add([]byte(m.Text))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := socketio.ParsePacket(text, 10)
		if err != nil {
			if !errors.Is(err, socketio.ErrParse) {
				t.Fatalf("error does not wrap ErrParse: %v", err)
			}
			return
		}
		// The canonical form: no superfluous zeros, no white space around the payload, "/" left out and a comma
		// behind any other namespace.
		out := socketio.AppendPacket(nil, p)
		again, err := socketio.ParsePacket(out, 10)
		if err != nil || !reflect.DeepEqual(again, p) {
			t.Fatalf("%q parsed as %+v, then %q as %+v, %v", text, p, out, again, err)
		}
		if !bytes.Equal(socketio.AppendPacket(nil, again), out) {
			t.Fatalf("%q has no stable form", text)
		}
		if p.Type != socketio.PacketConnect && p.Type != socketio.PacketDisconnect && p.Type != socketio.PacketConnectError {
			if _, err := socketio.SplitArray(p.Data); err != nil {
				t.Fatalf("%q has arguments that do not split: %v", text, err)
			}
		}
	})
}

func BenchmarkParsePacket(b *testing.B) {
	text := []byte(`2/admin,17["new_msg",{"text":"` + strings.Repeat("x", 100) + `"}]`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := socketio.ParsePacket(text, 10); err != nil {
			b.Fatal(err)
		}
	}
}

// What is JSON but for its encoding is taken, as ever: a polling client's text may be that.
func TestPacketNotUTF8(t *testing.T) {
	for text, want := range map[string]bool{"2[\"e\",\"\xff\"]": true, "2[\"e\",\"\xff]": false, "2[\"e\",\xff]": false} {
		if _, err := socketio.ParsePacket([]byte(text), 0); (err == nil) != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}
