package wsconn

import (
	"bytes"
	"compress/flate"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// inflating returns a decoder of messages of up to so many bytes, which may be compressed.
func inflating(limit int64) *decoder { return &decoder{max: limit, inflates: true} }

// pressed is p as a client compresses it, by the standard library.
func pressed(t testing.TB, p []byte, level int) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := flate.NewWriter(&out, level)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(p); err != nil {
		t.Fatal(err)
	}
	if err := z.Flush(); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\x00\x00\xff\xff"))
}

// deflatedFrame is a frame of a client with the bit of a compressed message.
func deflatedFrame(op ws.OpCode, fin bool, payload []byte) []byte {
	f := clientFrame(op, fin, payload)
	f[0] |= rsvDeflated << 4
	return f
}

// codes has only the code of an error.
func codes(got []string) []string {
	for i, g := range got {
		if rest, is := strings.CutPrefix(g, "error websocket closed: "); is {
			code, _, _ := strings.Cut(rest, " ")
			got[i] = "error " + code
		}
	}
	return got
}

func TestGoldenDeflated(t *testing.T) {
	d := inflating(2000)
	for _, g := range goldens(t, "deflated.txt") {
		t.Run(g.name, func(t *testing.T) {
			if got := codes(decode(d, g.frame)); !slices.Equal(got, g.want) {
				t.Errorf("whole: got %q, want %q", got, g.want)
			}
			for cut := 1; cut < len(g.frame); cut++ {
				if got := codes(decode(d, g.frame, cut)); !slices.Equal(got, g.want) {
					t.Errorf("cut at %d: got %q, want %q", cut, got, g.want)
				}
			}
			if got := codes(decode(d, g.frame, slices.Repeat([]int{1}, len(g.frame))...)); !slices.Equal(got, g.want) {
				t.Errorf("byte by byte: got %q, want %q", got, g.want)
			}
		})
	}
}

func TestInflatesEverySize(t *testing.T) {
	const limit = 100_000
	d := inflating(limit)
	noise := make([]byte, limit)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, limit)
	for _, n := range []int{0, 1, 4095, 4096, 4097, 65536, limit - 1, limit} {
		for name, p := range map[string][]byte{"noise": noise[:n], "zeros": zeros[:n]} {
			for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, flate.BestSpeed, flate.BestCompression} {
				for _, pieces := range [][]int{nil, {5000, 1, 70_000}} {
					got := decode(d, deflatedFrame(ws.OpBinary, true, pressed(t, p, level)), pieces...)
					want := strings.TrimSpace(fmt.Sprintf("binary %x", p))
					if len(got) != 1 || got[0] != want {
						t.Errorf("%d bytes of %s, level %d, pieces %d: got %d messages, %.60q", n, name, level, pieces, len(got), got)
					}
				}
			}
		}
	}
}

// What is too much is not inflated any further, whether it is one frame or fragments, and not even taken if the compressed bytes are too many already.
func TestInflateLimit(t *testing.T) {
	const limit = 10_000
	fragments := func(p []byte) []byte {
		frames := deflatedFrame(ws.OpText, false, p[:1])
		for _, b := range p[1:] {
			frames = append(frames, clientFrame(ws.OpContinuation, false, []byte{b})...)
		}
		return append(frames, clientFrame(ws.OpContinuation, true, nil)...)
	}
	over := pressed(t, make([]byte, limit+1), 9)
	bomb := pressed(t, make([]byte, 1000*limit), 9)
	if n := len(bomb); n > limit {
		t.Fatalf("the bomb has %d bytes", n)
	}
	tests := []struct {
		name string
		in   []byte
		want string
	}{
		{"the limit", deflatedFrame(ws.OpText, true, pressed(t, make([]byte, limit), 9)), "text " + strings.Repeat("00", limit)},
		{"one byte over", deflatedFrame(ws.OpText, true, over), "error 1009"},
		{"one byte over, in fragments", fragments(over), "error 1009"},
		{"a thousand times over", deflatedFrame(ws.OpText, true, bomb), "error 1009"},
		{"a thousand times over, in fragments", fragments(bomb), "error 1009"},
		{"one byte over in a block of its own", deflatedFrame(ws.OpText, true, append(pressed(t, make([]byte, limit), 9), "\x00\x00\xff\xff\x00\x01\x00\xfe\xffx\x00"...)), "error 1009"},
		{"one byte over behind a last block", deflatedFrame(ws.OpText, true, append(slices.Repeat([]byte("\x01\x10\x27\xef\xd8"+strings.Repeat("x", limit)), 1), "\x01\x01\x00\xfe\xffx"...)), "error 1009"},
		{"a header that says more than could be", deflatedFrame(ws.OpText, true, make([]byte, limit+limit/32+65)), "error 1009"},
		{"blocks of nothing, more than could be", append(deflatedFrame(ws.OpText, false, make([]byte, limit)), clientFrame(ws.OpContinuation, true, make([]byte, 1000))...), "error 1009"},
		{"an uncompressed message over the limit", clientFrame(ws.OpText, true, make([]byte, limit+1)), "error 1009"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := inflating(limit)
			if got := codes(decode(d, tt.in)); len(got) != 1 || got[0] != tt.want {
				t.Errorf("got %.60q, want %.60q", got, tt.want)
			}
			if room, ok := d.inflated.Get().(*[]byte); ok && cap(*room) > 2*limit {
				t.Errorf("a buffer of %d bytes was made", cap(*room))
			}
		})
	}
}

// A code of no symbols has no table: not that of the block before, nor that of another client's message, by which klauspost's inflater reads on.
func TestEmptyCodes(t *testing.T) {
	const (
		valid       = "\x0c\xc0\x01\x09\x00\x00\x00\x80\xa0\xad\xfe\x3f\x51\x5a" // a, and three bytes from one before, by a code of one distance
		noDistances = "\x0c\xc0\x01\x09\x00\x00\x00\x80\xa0\xad\xfe\x3f\x51\x58" // the same, with a code of none
		noLiterals  = "$\x00\x80$\xc9\r\x80$\xc9"
	)
	f := newInflater()
	for _, tt := range []struct{ name, in, want string }{
		{"a valid message", valid + "\x00", "aaaa"},
		{"without distances", noDistances + "\x00", ""},
		{"without literals", noLiterals, ""},
		{"a valid block, one without distances", valid + "\x00\x00\x00\xff\xff" + noDistances + "\x00", ""},
		{"a valid block, one without literals", valid + "\x00\x00\x00\xff\xff" + noLiterals, ""},
	} {
		for _, limit := range []int64{46, 1000} {
			got, err := f.inflate(nil, []byte(tt.in), limit)
			ce, closes := errors.AsType[*CloseError](err)
			switch {
			case tt.want != "" && (string(got) != tt.want || err != nil):
				t.Errorf("%s, limit %d: got %q, %v; want %q", tt.name, limit, got, err, tt.want)
			case tt.want == "" && (!closes || ce.Code != ws.StatusInvalidFramePayloadData):
				t.Errorf("%s, limit %d: got %q, %v; want code 1007", tt.name, limit, got, err)
			}
		}
	}
}

// A connection whose compressed message comes in fragments holds its bytes, and nothing to inflate them with.
func TestNoInflaterWaits(t *testing.T) {
	d := inflating(1 << 20)
	made := 0
	d.inflaters.New = func() any { made++; return nil }
	var st *partial
	p := pressed(t, make([]byte, 100_000), 9)
	for _, in := range [][]byte{deflatedFrame(ws.OpText, false, p[:50]), clientFrame(ws.OpContinuation, false, p[50:])} {
		if err := d.feed(&st, in, discard{}); err != nil {
			t.Fatal(err)
		}
	}
	if st == nil || len(st.msg) != len(p) || cap(st.msg) > 4*len(p) || made != 0 {
		t.Fatalf("%d inflaters were asked for; what waits is %+v", made, st)
	}
	if err := d.feed(&st, clientFrame(ws.OpContinuation, true, nil), discard{}); err != nil || st != nil || made != 1 {
		t.Fatalf("%d inflaters for the message, %v, %v", made, err, st)
	}
}

func TestInflateDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector a pool forgets at random")
	}
	d := inflating(1 << 20)
	frame := deflatedFrame(ws.OpText, true, pressed(t, bytes.Repeat([]byte("a message "), 400), 6))
	p := make([]byte, len(frame))
	var st *partial
	if n := testing.AllocsPerRun(100, func() {
		copy(p, frame)
		if err := d.feed(&st, p, discard{}); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations for a message", n)
	}
}

// byTheBook inflates with a new reader for each stream, one stream behind the other, up to limit bytes and one more.
func byTheBook(p []byte, limit int64) ([]byte, error) {
	if len(p) == 0 {
		return nil, nil
	}
	in := bytes.NewReader(append(bytes.Clone(p), deflateTail...))
	var out []byte
	for in.Len() > len(deflateTail) {
		more, err := io.ReadAll(io.LimitReader(flate.NewReader(in), limit+1-int64(len(out))))
		if out = append(out, more...); err != nil || int64(len(out)) > limit {
			return out, err
		}
	}
	return out, nil
}

// FuzzInflate: what comes out is what a new reader makes of it, and never more than the limit.
func FuzzInflate(f *testing.F) {
	for _, g := range goldens(f, "deflated.txt") {
		if len(g.frame) < 100 { // the captured ones are masked, and more of the same
			f.Add(g.frame[6:], uint16(100))
		}
	}
	f.Add(pressed(f, bytes.Repeat([]byte("abc"), 1000), 9), uint16(3000))
	f.Add(pressed(f, []byte("some text, and some text"), 1), uint16(24))
	f.Add(pressed(f, []byte("some text, and some text"), flate.HuffmanOnly), uint16(23))
	f.Add([]byte("$\x00\x80$\xc9\r\x80$\xc9"), uint16(46))
	shared := newInflater() // as it is of a pool: what one message leaves must not be seen by the next
	f.Fuzz(func(t *testing.T, p []byte, limit uint16) {
		want, wantErr := byTheBook(p, int64(limit))
		tooBig := int64(len(want)) > int64(limit)
		got, err := shared.inflate(nil, p, int64(limit))
		if int64(cap(got)) > 2*int64(limit)+2*firstInflated {
			t.Fatalf("a buffer of %d bytes for a limit of %d", cap(got), limit)
		}
		code := ws.StatusCode(0)
		if ce, ok := errors.AsType[*CloseError](err); ok {
			code = ce.Code
		}
		switch {
		case tooBig && code != ws.StatusMessageTooBig,
			!tooBig && wantErr != nil && code != ws.StatusInvalidFramePayloadData,
			!tooBig && wantErr == nil && (err != nil || !bytes.Equal(got, want)):
			t.Fatalf("got %d bytes, %v; want %d bytes, %v", len(got), err, len(want), wantErr)
		}
	})
}
