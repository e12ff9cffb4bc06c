package engineio_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"crier/io/engineio"
)

// vector is what an official encoder made of packets; testdata/generate.mjs says how it came about.
type vector struct {
	Encoder   string
	Kind      string
	Revision  engineio.Revision
	Binary    bool
	B64       bool
	Text      string
	Base64    []byte
	Packets   []vectorPacket
	Canonical bool
}

type vectorPacket struct {
	Type   string
	Text   string
	Base64 *[]byte
}

func (v vector) wire() []byte {
	if v.Binary {
		return v.Base64
	}
	return []byte(v.Text)
}

func (v vector) packets(t *testing.T) []engineio.Packet {
	t.Helper()
	types := map[string]engineio.PacketType{
		"open": engineio.Open, "close": engineio.Close, "ping": engineio.Ping, "pong": engineio.Pong,
		"message": engineio.Message, "upgrade": engineio.Upgrade, "noop": engineio.Noop,
	}
	packets := make([]engineio.Packet, 0, len(v.Packets))
	for _, vp := range v.Packets {
		typ, ok := types[vp.Type]
		if !ok {
			t.Fatalf("unknown packet type %q", vp.Type)
		}
		p := engineio.Packet{Type: typ, Data: []byte(vp.Text)}
		if vp.Base64 != nil {
			p.Binary, p.Data = true, *vp.Base64
		}
		packets = append(packets, p)
	}
	return packets
}

// readVectors returns the vectors of one kind, of which there must be at least the given number.
func readVectors(t testing.TB, kind string, atLeast int) []vector {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all, vectors []vector
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		if v.Kind == kind {
			vectors = append(vectors, v)
		}
	}
	if len(vectors) < atLeast {
		t.Fatalf("%d vectors of kind %s, want at least %d", len(vectors), kind, atLeast)
	}
	return vectors
}

func parseFrame(rev engineio.Revision, frame []byte, binary bool) (engineio.Packet, error) {
	if binary {
		return engineio.ParseBinary(rev, frame)
	}
	return engineio.ParseText(rev, frame)
}

func equalPacket(a, b engineio.Packet) bool {
	return a.Type == b.Type && a.Binary == b.Binary && bytes.Equal(a.Data, b.Data)
}

func TestFrameVectors(t *testing.T) {
	for _, v := range readVectors(t, "frame", 100) {
		t.Run(v.Encoder, func(t *testing.T) {
			want := v.packets(t)[0]
			got, err := parseFrame(v.Revision, v.wire(), v.Binary)
			if err != nil || !equalPacket(got, want) {
				t.Errorf("parsing %q = %+v, %v, want %+v", v.wire(), got, err, want)
			}
			out, binary := engineio.AppendFrame([]byte("before"), v.Revision, v.B64, want)
			if string(out) != "before"+string(v.wire()) || binary != v.Binary {
				t.Errorf("AppendFrame = %q, %v, want %q, %v", out, binary, v.wire(), v.Binary)
			}
		})
	}
}

func TestParseFrame(t *testing.T) {
	const rev3, rev4 = engineio.Revision3, engineio.Revision4
	tests := []struct {
		name   string
		rev    engineio.Revision
		binary bool
		frame  string
		want   engineio.Packet
		bad    bool
	}{
		{name: "empty text", rev: rev4, bad: true},
		{name: "empty text of revision 3", rev: rev3, bad: true},
		{name: "type 7", rev: rev4, frame: "7", bad: true},
		{name: "type before 0", rev: rev4, frame: "/", bad: true},
		{name: "type is a letter", rev: rev4, frame: "a4", bad: true},
		{name: "type is a byte", rev: rev3, frame: "\x04a", bad: true},
		{name: "upper case base64 mark", rev: rev4, frame: "BAQ==", bad: true},

		{name: "empty binary", rev: rev4, binary: true, want: message("")},
		{name: "binary of revision 4 has no type", rev: rev4, binary: true, frame: "\x07a", want: message("\x07a")},
		{name: "empty binary of revision 3", rev: rev3, binary: true, bad: true},
		{name: "binary type", rev: rev3, binary: true, frame: "\x02a", want: engineio.Packet{Type: engineio.Ping, Binary: true, Data: []byte("a")}},
		{name: "binary type 7", rev: rev3, binary: true, frame: "\x07a", bad: true},
		{name: "binary type is a digit", rev: rev3, binary: true, frame: "4a", bad: true},

		{name: "base64 without data", rev: rev4, frame: "b", want: message("")},
		{name: "base64 without data of revision 3", rev: rev3, frame: "b4", want: message("")},
		{name: "base64 without type", rev: rev3, frame: "b", bad: true},
		{name: "base64 with bad type", rev: rev3, frame: "b7AQ==", bad: true},
		{name: "base64 with other type", rev: rev3, frame: "b3AQ==", want: engineio.Packet{Type: engineio.Pong, Binary: true, Data: []byte{1}}},
		{name: "base64 unpadded", rev: rev4, frame: "bAQ", want: message("\x01")},
		{name: "base64 half padded", rev: rev4, frame: "bAQ=", want: message("\x01")},
		{name: "base64 URL alphabet", rev: rev4, frame: "bA_-_", want: message("\x03\xff\xbf")},
		{name: "base64 with line breaks", rev: rev4, frame: "bAQID\r\nBA==\n", want: message("\x01\x02\x03\x04")},
		{name: "base64 unpadded with line breaks", rev: rev4, frame: "bAQID\nBA\n", want: message("\x01\x02\x03\x04")},
		{name: "base64 of one character", rev: rev4, frame: "bA", bad: true},
		{name: "base64 with text behind padding", rev: rev4, frame: "bAQ==AQ==", bad: true},
		{name: "base64 with blank", rev: rev4, frame: "bAQ ID", bad: true},
		{name: "base64 with other characters", rev: rev4, frame: "b中文", bad: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseFrame(tt.rev, []byte(tt.frame), tt.binary)
			if tt.bad {
				if !errors.Is(err, engineio.ErrParse) {
					t.Fatalf("got %+v, %v, want ErrParse", got, err)
				}
				return
			}
			if err != nil || !equalPacket(got, tt.want) {
				t.Fatalf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

// message returns a Message packet with binary data.
func message(data string) engineio.Packet {
	return engineio.Packet{Type: engineio.Message, Binary: true, Data: []byte(data)}
}

func FuzzParseText(f *testing.F) {
	for _, v := range readVectors(f, "frame", 1) {
		f.Add(byte(v.Revision), v.Binary, v.wire())
	}
	for _, c := range readCaptured(f) {
		for _, v := range c.Messages {
			if v.Kind == "frame" {
				f.Add(byte(v.Revision), v.Binary, v.wire())
			}
		}
	}
	f.Fuzz(func(t *testing.T, rev byte, binary bool, frame []byte) {
		r := engineio.Revision(rev)
		p, err := parseFrame(r, frame, binary)
		if err != nil {
			if !errors.Is(err, engineio.ErrParse) {
				t.Fatalf("error does not wrap ErrParse: %v", err)
			}
			return
		}
		// The canonical form of a packet that was base64 is padded base64; all others come out as they went in.
		b64 := p.Binary && !binary
		out, outBinary := engineio.AppendFrame(nil, r, b64, p)
		if outBinary != binary {
			t.Fatalf("%q became binary: %v, was %v", frame, outBinary, binary)
		}
		if !b64 && !bytes.Equal(out, frame) {
			t.Fatalf("%q came out as %q", frame, out)
		}
		again, err := parseFrame(r, out, outBinary)
		if err != nil || !equalPacket(again, p) {
			t.Fatalf("%q parsed as %+v, then %q as %+v, %v", frame, p, out, again, err)
		}
	})
}
