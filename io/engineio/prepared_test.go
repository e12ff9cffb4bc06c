package engineio

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"crier/io/wsconn"
)

var formNames = [formCount]string{"frames 4", "frames 3", "frames 3 b64", "frames 2", "frames 2 b64", "payload 4", "payload 3 text", "payload 3 binary"}

func TestPreparedForms(t *testing.T) {
	json := `2["é😀"]` // the JSON begins behind the 2
	long := strings.Repeat("x", 70000)
	for _, c := range []struct {
		name string
		p    *Prepared
		want [formCount]string
	}{
		{
			"text", Prepare([]byte("hello"), 0),
			[formCount]string{
				"\x81\x064hello", "\x81\x064hello", "\x81\x064hello", "\x81\x064hello", "\x81\x064hello",
				"4hello", "6:4hello", "\x00\x06\xff4hello",
			},
		},
		{
			"empty", Prepare(nil, 0),
			[formCount]string{"\x81\x014", "\x81\x014", "\x81\x014", "\x81\x014", "\x81\x014", "4", "1:4", "\x00\x01\xff4"},
		},
		{
			"text beyond ASCII", Prepare([]byte(json), 1),
			[formCount]string{
				"\x81\x0c4" + json, "\x81\x0c4" + json, "\x81\x0c4" + json,
				"\x81\x184" + `2["\u00e9\ud83d\ude00"]`, "\x81\x184" + `2["\u00e9\ud83d\ude00"]`,
				"4" + json, `24:42["\u00e9\ud83d\ude00"]`, "\x00\x02\x04\xff" + `42["\u00e9\ud83d\ude00"]`,
			},
		},
		{
			"only what is JSON is escaped", Prepare([]byte("é,\"é\""), len("é,")),
			[formCount]string{
				"\x81\x084é,\"é\"", "\x81\x084é,\"é\"", "\x81\x084é,\"é\"",
				"\x81\x0c4é,\"\\u00e9\"", "\x81\x0c4é,\"\\u00e9\"",
				"4é,\"é\"", `11:4é,"\u00e9"`, "\x00\x01\x02\xff" + `4é,"\u00e9"`,
			},
		},
		{
			"attachments", Prepare([]byte("51-"), 3, []byte{1, 2, 3, 4}, nil),
			[formCount]string{
				"\x81\x04451-" + "\x82\x04\x01\x02\x03\x04" + "\x82\x00",
				"\x81\x04451-" + "\x82\x05\x04\x01\x02\x03\x04" + "\x82\x01\x04",
				"\x81\x04451-" + "\x81\x0ab4AQIDBA==" + "\x81\x02b4",
				"\x81\x04451-" + "\x82\x05\x04\x01\x02\x03\x04" + "\x82\x01\x04",
				"\x81\x04451-" + "\x81\x0ab4AQIDBA==" + "\x81\x02b4",
				"451-\x1ebAQIDBA==\x1eb",
				"4:451-" + "10:b4AQIDBA==" + "2:b4",
				"\x00\x04\xff451-" + "\x01\x05\xff\x04\x01\x02\x03\x04" + "\x01\x01\xff\x04",
			},
		},
		{
			"binary alone", PrepareBinary([]byte{1, 2, 3, 4}),
			[formCount]string{
				"\x82\x04\x01\x02\x03\x04", "\x82\x05\x04\x01\x02\x03\x04", "\x81\x0ab4AQIDBA==",
				"\x82\x05\x04\x01\x02\x03\x04", "\x81\x0ab4AQIDBA==",
				"bAQIDBA==", "10:b4AQIDBA==", "\x01\x05\xff\x04\x01\x02\x03\x04",
			},
		},
		{
			"control", control(Pong, "probe"),
			[formCount]string{
				"\x81\x063probe", "\x81\x063probe", "\x81\x063probe", "\x81\x063probe", "\x81\x063probe",
				"3probe", "6:3probe", "\x00\x06\xff3probe",
			},
		},
		{
			"long", Prepare([]byte(long), len(long)),
			[formCount]string{
				"\x81\x7f\x00\x00\x00\x00\x00\x01\x11\x714" + long, "\x81\x7f\x00\x00\x00\x00\x00\x01\x11\x714" + long,
				"\x81\x7f\x00\x00\x00\x00\x00\x01\x11\x714" + long, "\x81\x7f\x00\x00\x00\x00\x00\x01\x11\x714" + long,
				"\x81\x7f\x00\x00\x00\x00\x00\x01\x11\x714" + long,
				"4" + long, "70001:4" + long, "\x00\x07\x00\x00\x00\x01\xff4" + long,
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			for f := range formCount {
				got := c.p.form(f)
				if string(got) != c.want[f] {
					t.Errorf("%s: %.80q, want %.80q", formNames[f], got, c.want[f])
				}
				if again := c.p.form(f); unsafe.SliceData(again) != unsafe.SliceData(got) {
					t.Errorf("%s: encoded twice", formNames[f])
				}
			}
		})
	}
}

// Every peer gets the form it understands.
func TestPreparedChoosesTheForm(t *testing.T) {
	text, binary := Prepare([]byte("hello"), 0), Prepare([]byte("51-"), 3, []byte{1})
	if text.Binary() || !binary.Binary() || text.Packets() != 1 || binary.Packets() != 2 || text.Size() != 5 || binary.Size() != 4 {
		t.Error("binary, packets or size")
	}
	for _, c := range []struct {
		got  []byte
		p    *Prepared
		want form
	}{
		{text.frames(Revision4, dialect{}), text, formFrames4},
		{text.frames(Revision4, dialect{b64: true}), text, formFrames4},
		{text.frames(Revision3, dialect{}), text, formFrames4}, // the same bytes, shared
		{text.frames(Revision3, dialect{b64: true}), text, formFrames4},
		{text.frames(Revision3, dialect{twice: true}), text, formFrames2},
		{binary.frames(Revision4, dialect{}), binary, formFrames4},
		{binary.frames(Revision4, dialect{b64: true}), binary, formFrames4},
		{binary.frames(Revision3, dialect{}), binary, formFrames3},
		{binary.frames(Revision3, dialect{b64: true}), binary, formFrames3b64},
		{binary.frames(Revision3, dialect{twice: true}), binary, formFrames2},
		{binary.frames(Revision3, dialect{twice: true, b64: true}), binary, formFrames2b64},
		{binary.Payload(FramingV4), binary, formPayload4},
		{binary.Payload(FramingV3Text), binary, formPayload3Text},
		{binary.Payload(FramingV3Binary), binary, formPayload3Binary},
	} {
		if want := c.p.form(c.want); unsafe.SliceData(c.got) != unsafe.SliceData(want) {
			t.Errorf("got %q, want the bytes of %s", c.got, formNames[c.want])
		}
	}
}

// A large message is compressed once for each form, and a bundle is made of what its parts have been compressed to.
func TestPreparedDeflates(t *testing.T) {
	var z wsconn.Deflater
	noise := make([]byte, 2000)
	rand.Read(noise) // never fails
	long := strings.Repeat(`"中文",`, 500)
	large := PrepareText(append(make([]byte, Headroom), "2["+long+"1]"...), 1)
	attached := Prepare([]byte(`51-["e",{"_placeholder":true,"num":0}]`), 3, bytes.Repeat([]byte("x"), 5000))
	least := Prepare([]byte("2"+strings.Repeat("x", wsconn.DeflateFrom-2)), 1)
	for f := range formPayload4 {
		for name, p := range map[string]*Prepared{"text": large, "attachment": attached, "least": least} {
			got := p.deflate(f, &z)
			if again := p.deflate(f, &z); unsafe.SliceData(again) != unsafe.SliceData(got) {
				t.Errorf("%s, %s: compressed again", name, formNames[f])
			}
			if 2*len(got) > len(p.form(f)) || !bytes.Equal(got, z.Append(nil, p.form(f))) {
				t.Errorf("%s, %s: %d bytes of %d", name, formNames[f], len(got), len(p.form(f)))
			}
		}
		for name, p := range map[string]*Prepared{
			"small":                        Prepare([]byte("2"+strings.Repeat("x", wsconn.DeflateFrom-3)), 1),
			"large in all, and each small": Prepare([]byte(`2[]`), 1, noise[:1000], noise[1000:2000]),
		} {
			if got := p.deflate(f, &z); unsafe.SliceData(got) != unsafe.SliceData(p.form(f)) && f != formFrames3b64 && f != formFrames2b64 { // base64 makes it larger
				t.Errorf("%s, %s: is not what it was", name, formNames[f])
			}
		}
		small := Prepare([]byte(`2["small"]`), 1)
		bundle := Bundle(small, large, attached)
		want := slices.Concat(small.form(f), large.deflate(f, &z), attached.deflate(f, &z))
		if got := bundle.deflate(f, &z); !bytes.Equal(got, want) {
			t.Errorf("%s of a bundle: %d bytes, want %d", formNames[f], len(got), len(want))
		}
	}
}

// What a message costs that nobody wants compressed: no more than the runtime takes for it without that.
func TestPreparedSize(t *testing.T) {
	if n := unsafe.Sizeof(Prepared{}); n > 208 { // the size that is allocated for anything above 192
		t.Errorf("a Prepared has %d bytes", n)
	}
	p := Prepare([]byte(`2["small"]`), 1)
	p.deflate(formFrames4, new(wsconn.Deflater))
	if p.deflated.Load() != nil {
		t.Error("a small message has room for compressed forms")
	}
}

func TestPreparedConcurrently(t *testing.T) {
	attachment := bytes.Repeat([]byte{0, 0xff}, 1000)
	text := `51-["中文",{"_placeholder":true,"num":0}]`
	p, same := Prepare([]byte(text), 3, attachment), Prepare([]byte(text), 3, attachment)
	var wg sync.WaitGroup
	for i := range 4 * int(formCount) {
		f := form(i) % formCount
		want := same.encode(f)
		wg.Go(func() {
			for range 100 {
				if got := p.form(f); !bytes.Equal(got, want) {
					panic(fmt.Sprintf("%s: %q", formNames[f], got))
				}
			}
		})
	}
	wg.Wait()
}

// What a session costs while nothing happens, besides its connection.
func TestSessionSize(t *testing.T) {
	if n := unsafe.Sizeof(Session{}); n > 160 { // with its webSocket
		t.Errorf("a Session has %d bytes", n)
	}
	if n := unsafe.Sizeof(webSocket{}); n > 16 {
		t.Errorf("a webSocket has %d bytes", n)
	}
}

// TestJoin compares with what the parts are on the wire, one behind the other.
func TestJoin(t *testing.T) {
	parts := []*Prepared{
		Prepare([]byte(`0{"sid":"x"}`), 1),
		Prepare([]byte(`2["中"]`), 1),
		Prepare([]byte(`51-["e",{"_placeholder":true,"num":0}]`), 3, []byte{1, 2}),
	}
	joined := Join(parts...)
	if joined.Packets() != 1 || !joined.Binary() || joined.Size() != parts[0].Size()+parts[1].Size()+parts[2].Size() {
		t.Errorf("%d packets, %d bytes, binary %v", joined.Packets(), joined.Size(), joined.Binary())
	}
	bundle := Bundle(parts...)
	if bundle.Packets() != 4 || bundle.Size() != joined.Size() {
		t.Errorf("a bundle has %d packets and %d bytes", bundle.Packets(), bundle.Size())
	}
	for f := range formCount {
		var pieces [][]byte
		for _, p := range parts {
			pieces = append(pieces, p.form(f))
		}
		var between []byte
		if f == formPayload4 {
			between = []byte{Separator}
		}
		if got, want := joined.form(f), bytes.Join(pieces, between); !bytes.Equal(got, want) {
			t.Errorf("form %d: %q, want %q", f, got, want)
		}
		if got, want := bundle.form(f), joined.form(f); !bytes.Equal(got, want) {
			t.Errorf("form %d of a bundle: %q, want %q", f, got, want)
		}
	}
}

// TestPrepareText compares with Prepare, around the lengths at which a frame's header grows.
func TestPrepareText(t *testing.T) {
	for _, n := range []int{2, 124, 125, 65534, 65535, 70000} {
		text := "2" + strings.Repeat("é", n/2)[:n-1-(n-1)%2]
		text += strings.Repeat("x", n-len(text))
		want := Prepare([]byte(text), 1)
		got := PrepareText(append(make([]byte, Headroom), text...), 1)
		if got.Size() != want.Size() || got.Packets() != 1 || got.Binary() {
			t.Errorf("%d bytes: size %d, %d packets", n, got.Size(), got.Packets())
		}
		for f := range formCount {
			if g, w := got.form(f), want.form(f); !bytes.Equal(g, w) {
				t.Errorf("%d bytes, %s: %.40q, want %.40q", n, formNames[f], g, w)
			}
		}
	}
}
