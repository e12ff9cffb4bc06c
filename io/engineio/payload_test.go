package engineio_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"crier/io/engineio"
)

func parsePayload(rev engineio.Revision, body []byte, binary bool) ([]engineio.Packet, error) {
	var packets []engineio.Packet
	err := engineio.ParsePayload(rev, body, binary, func(p engineio.Packet) error {
		packets = append(packets, p)
		return nil
	})
	return packets, err
}

func appendPayload(rev engineio.Revision, binary bool, packets []engineio.Packet) []byte {
	framing := engineio.FramingV4
	switch {
	case rev == engineio.Revision3 && binary:
		framing = engineio.FramingV3Binary
	case rev == engineio.Revision3:
		framing = engineio.FramingV3Text
	}
	var body []byte
	for _, p := range packets {
		body = engineio.AppendPayload(body, framing, p)
	}
	return body
}

func TestPayloadVectors(t *testing.T) {
	for _, v := range readVectors(t, "payload", 200) {
		t.Run(v.Encoder, func(t *testing.T) {
			want := v.packets(t)
			got, err := parsePayload(v.Revision, v.wire(), v.Binary)
			if err != nil || !slices.EqualFunc(got, want, equalPacket) {
				t.Errorf("parsing %q = %+v, %v, want %+v", v.wire(), got, err, want)
			}
			if out := appendPayload(v.Revision, v.Binary, want); v.Canonical && !bytes.Equal(out, v.wire()) {
				t.Errorf("encoding %+v = %q, want %q", want, out, v.wire())
			}
		})
	}
}

func TestParsePayloadErrors(t *testing.T) {
	const rev3, rev4 = engineio.Revision3, engineio.Revision4
	tests := []struct {
		name   string
		rev    engineio.Revision
		binary bool
		body   string
		before int // packets seen before the mistake
	}{
		{name: "revision 4: empty", rev: rev4},
		{name: "revision 4: empty packet first", rev: rev4, body: "\x1e4a"},
		{name: "revision 4: empty packet between", rev: rev4, body: "4a\x1e\x1e4b", before: 1},
		{name: "revision 4: empty packet last", rev: rev4, body: "4a\x1e", before: 1},
		{name: "revision 4: bad type", rev: rev4, body: "4a\x1e9b", before: 1},
		{name: "revision 4: not UTF-8", rev: rev4, body: "4a\x1e4\xff"},
		{name: "revision 4: binary", rev: rev4, binary: true, body: "4a"},
		{name: "revision 4: revision 3 text", rev: rev4, body: "x2:4a"},

		{name: "text: empty", rev: rev3},
		{name: "text: no length", rev: rev3, body: ":4a"},
		{name: "text: no colon", rev: rev3, body: "2"},
		{name: "text: digits behind the last packet", rev: rev3, body: "2:4a1", before: 1},
		{name: "text: letters", rev: rev3, body: "2a:4a"},
		{name: "text: negative", rev: rev3, body: "-1:4a"},
		{name: "text: plus", rev: rev3, body: "+2:4a"},
		{name: "text: blank", rev: rev3, body: " 2:4a"},
		{name: "text: fraction", rev: rev3, body: "2.0:4a"},
		{name: "text: exponent", rev: rev3, body: "2e0:4a"},
		{name: "text: hexadecimal", rev: rev3, body: "0x2:4a"},
		{name: "text: other digits", rev: rev3, body: "２:4a"},
		{name: "text: longer than the body", rev: rev3, body: "3:4a"},
		{name: "text: shorter than the packet", rev: rev3, body: "1:4a", before: 1},
		{name: "text: length in bytes", rev: rev3, body: "4:4中"},
		{name: "text: within a surrogate pair", rev: rev3, body: "2:4😀"},
		{name: "text: in code points", rev: rev3, body: "3:4😀a", before: 1},
		{name: "text: 2^64+2", rev: rev3, body: "18446744073709551618:4a"},
		{name: "text: a million nines", rev: rev3, body: strings.Repeat("9", 1e6) + ":4a"},
		{name: "text: a million zeros", rev: rev3, body: strings.Repeat("0", 1e6) + "2:4a"},
		{name: "text: bad type", rev: rev3, body: "2:4a2:7b", before: 1},
		{name: "text: not UTF-8", rev: rev3, body: "2:4\xff"},
		{name: "text: surrogate", rev: rev3, body: "2:4\xed\xa0\x80"},
		{name: "text: bad base64", rev: rev3, body: "5:b4A A"},

		{name: "binary: empty", rev: rev3, binary: true},
		{name: "binary: as text", rev: rev3, binary: true, body: "2:4a"},
		{name: "binary: kind 2", rev: rev3, binary: true, body: "\x02\x02\xff\x04a"},
		{name: "binary: no length", rev: rev3, binary: true, body: "\x00\xff4a"},
		{name: "binary: no end of length", rev: rev3, binary: true, body: "\x00\x02"},
		{name: "binary: kind alone", rev: rev3, binary: true, body: "\x01"},
		{name: "binary: ASCII digits", rev: rev3, binary: true, body: "\x00\x32\xff4a"},
		{name: "binary: digit ten", rev: rev3, binary: true, body: "\x00\x0a\xff4a23456789"},
		{name: "binary: longer than the body", rev: rev3, binary: true, body: "\x00\x03\xff4a"},
		{name: "binary: much longer", rev: rev3, binary: true, body: "\x01\x09\x09\x09\x09\x09\x09\x09\x09\x09\xff\x04a"},
		{name: "binary: a million nines", rev: rev3, binary: true, body: "\x01" + strings.Repeat("\x09", 1e6) + "\xff\x04a"},
		{name: "binary: empty packet", rev: rev3, binary: true, body: "\x00\x02\xff4a\x01\x00\xff", before: 1},
		{name: "binary: bad binary type", rev: rev3, binary: true, body: "\x01\x02\xff4a"},
		{name: "binary: bad text type", rev: rev3, binary: true, body: "\x00\x02\xff\x04a"},
		{name: "binary: text is not UTF-8", rev: rev3, binary: true, body: "\x00\x02\xff4\xe9"},
		{name: "binary: no surrogate's bytes", rev: rev3, binary: true, body: "\x00\x04\xff4\xed\x41\x80"},
		{name: "binary: half a surrogate's bytes", rev: rev3, binary: true, body: "\x00\x03\xff4\xed\xa0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parsePayload(tt.rev, []byte(tt.body), tt.binary)
			if !errors.Is(err, engineio.ErrParse) || len(got) != tt.before {
				t.Fatalf("got %+v, %v, want %d packets and ErrParse", got, err, tt.before)
			}
		})
	}
}

func TestParsePayloadStops(t *testing.T) {
	stop := errors.New("enough")
	for framing, body := range map[engineio.Framing]string{
		engineio.FramingV4:       "4a\x1e4b\x1e9",
		engineio.FramingV3Text:   "2:4a2:4b1:9",
		engineio.FramingV3Binary: "\x00\x02\xff4a\x00\x02\xff4b\x00\x01\xff9",
	} {
		rev := engineio.Revision3
		if framing == engineio.FramingV4 {
			rev = engineio.Revision4
		}
		seen := 0
		err := engineio.ParsePayload(rev, []byte(body), framing == engineio.FramingV3Binary, func(engineio.Packet) error {
			if seen++; seen == 2 {
				return stop
			}
			return nil
		})
		if !errors.Is(err, stop) || errors.Is(err, engineio.ErrParse) || seen != 2 {
			t.Errorf("framing %d: error %v after %d packets, want %v after 2", framing, err, seen, stop)
		}
	}
}

// TestParsePayloadCapacity appends to the data of each packet, which must leave the next one alone.
func TestParsePayloadCapacity(t *testing.T) {
	for _, v := range readVectors(t, "payload", 1) {
		var got []engineio.Packet
		err := engineio.ParsePayload(v.Revision, v.wire(), v.Binary, func(p engineio.Packet) error {
			grown := append(p.Data, "overwritten"...)
			p.Data = bytes.Clone(grown[:len(p.Data)])
			got = append(got, p)
			return nil
		})
		if want := v.packets(t); err != nil || !slices.EqualFunc(got, want, equalPacket) {
			t.Errorf("%s: got %+v, %v, want %+v", v.Encoder, got, err, want)
		}
	}
}

func TestParsePayloadTextTwiceEncoded(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"ASCII", "6:4hello", "hello"},
		{"once", "8:4中文é😀ab", "中文é😀ab"},
		{"twice", "7:4\u00e4\u00b8\u00adabc", "中abc"},
		{"twice, two bytes", "3:4\u00c3\u00a9", "é"},
		{"twice, astral", "5:4\u00f0\u009f\u0098\u0080", "😀"},
		{"twice, and once more is left", "5:4\u00c3\u0083\u00c2\u00a9", "\u00c3\u00a9"},
		{"Latin-1", "6:4caf\u00e9!", "caf\u00e9!"},
		{"Latin-1 with a lead byte alone", "3:4\u00c3a", "\u00c3a"},
		{"Latin-1 with overlong bytes", "3:4\u00c0\u0080", "\u00c0\u0080"},
		{"partly beyond Latin-1", "4:4\u00c3\u00a9中", "\u00c3\u00a9中"},
		{"just beyond Latin-1", "3:4\u01c3\u00a9", "\u01c3\u00a9"},
		{"surrogate of its own", "4:4\u00ed\u00a0\u0080", "\ufffd"},
		{"ping", "3:2\u00c3\u00a9", "é"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parsePayload(engineio.Revision3, []byte(tt.body), false)
			if err != nil || len(got) != 1 || string(got[0].Data) != tt.want {
				t.Fatalf("got %+v, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestAppendASCII(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"empty", "", ""},
		{"ASCII", `["a\u00e9\n",1]`, `["a\u00e9\n",1]`},
		{"mixed", `["中文é😀",{"ÿ":1}]`, `["\u4e2d\u6587\u00e9\ud83d\ude00",{"\u00ff":1}]`},
		{"ends of the ranges", "\"\u0080\u07ff\u0800\uffff\U00010000\U0010ffff\"", `"\u0080\u07ff\u0800\uffff\ud800\udc00\udbff\udfff"`},
		{"line separators", "\"\u2028\u2029\"", `"\u2028\u2029"`},
		{"not UTF-8", "\"a\xffb\xe4\xb8\"", `"a\ufffdb\ufffd\ufffd"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(engineio.AppendASCII([]byte("2"), []byte(tt.in))); got != "2"+tt.want {
				t.Fatalf("got %s, want 2%s", got, tt.want)
			}
		})
	}
}

func TestParsePayloadAllocations(t *testing.T) {
	bodies := map[string]struct {
		rev    engineio.Revision
		binary bool
		body   string
	}{
		"revision 4": {engineio.Revision4, false, strings.TrimSuffix(strings.Repeat("4中文\x1e", 1000), "\x1e")},
		"text":       {engineio.Revision3, false, strings.Repeat("3:4中文", 1000)},
		"binary":     {engineio.Revision3, true, strings.Repeat("\x00\x07\xff4中文\x01\x02\xff\x04\xfe", 1000)},
	}
	for name, b := range bodies {
		t.Run(name, func(t *testing.T) {
			body := []byte(b.body)
			packets := 0
			allocs := testing.AllocsPerRun(10, func() {
				packets = 0
				if err := engineio.ParsePayload(b.rev, body, b.binary, func(engineio.Packet) error {
					packets++
					return nil
				}); err != nil {
					t.Error(err)
				}
			})
			if packets < 1000 || allocs > 2 {
				t.Errorf("%v allocations for %d packets", allocs, packets)
			}
		})
	}
}

func FuzzParsePayload(f *testing.F) {
	for _, v := range readVectors(f, "payload", 1) {
		f.Add(v.Revision == engineio.Revision3, v.Binary, v.wire())
	}
	for _, c := range readCaptured(f) {
		for _, v := range c.Messages {
			if v.Kind == "payload" {
				f.Add(v.Revision == engineio.Revision3, v.Binary, v.wire())
			}
		}
	}
	f.Fuzz(func(t *testing.T, three, binary bool, body []byte) {
		rev := engineio.Revision4
		if three {
			rev = engineio.Revision3
		}
		packets, err := parsePayload(rev, body, binary)
		for _, p := range packets {
			if !p.Binary && !utf8.Valid(p.Data) {
				t.Fatalf("text %q is not UTF-8", p.Data)
			}
		}
		if err != nil {
			if !errors.Is(err, engineio.ErrParse) {
				t.Fatalf("error does not wrap ErrParse: %v", err)
			}
			return
		}
		// The canonical form: no superfluous zeros or empty packets, padded base64, U+FFFD for surrogates. Text of
		// a revision 3 text payload is encoded twice, as the 1.x clients do, for that alone is unambiguous.
		canonical := slices.Clone(packets)
		for i, p := range canonical {
			if three && !binary && !p.Binary {
				canonical[i].Data = encodeTwice(p.Data)
			}
		}
		out := appendPayload(rev, binary, canonical)
		if len(packets) == 0 {
			return
		}
		again, err := parsePayload(rev, out, binary)
		if err != nil || !slices.EqualFunc(again, packets, equalPacket) {
			t.Fatalf("%q parsed as %+v, then %q as %+v, %v", body, packets, out, again, err)
		}
		if rev == engineio.Revision4 && !bytes.Contains(body, []byte("b")) && !bytes.Equal(out, body) {
			t.Fatalf("%q came out as %q", body, out)
		}
	})
}

// encodeTwice encodes each byte of UTF-8 text as the character of that number.
func encodeTwice(text []byte) []byte {
	out := make([]byte, 0, 2*len(text))
	for _, c := range text {
		out = utf8.AppendRune(out, rune(c))
	}
	return out
}

func FuzzAppendASCII(f *testing.F) {
	f.Add([]byte(`["中文é😀",{"ÿ":1}]`))
	f.Fuzz(func(t *testing.T, in []byte) {
		out := engineio.AppendASCII(nil, in)
		for _, c := range out {
			if c >= utf8.RuneSelf {
				t.Fatalf("%q is not ASCII", out)
			}
		}
		if !json.Valid(in) {
			return
		}
		var want, got any
		if err := json.Unmarshal(in, &want); err != nil {
			return // a number out of range
		}
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("%q became %q: %v", in, out, err)
		}
		a, errA := json.Marshal(want)
		b, errB := json.Marshal(got)
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Fatalf("%q became %q", in, out)
		}
	})
}
