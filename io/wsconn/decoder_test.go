package wsconn

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// list is a sink that keeps what it gets.
type list struct{ got []string }

func (l *list) complete(op ws.OpCode, payload []byte) error {
	l.got = append(l.got, strings.TrimSpace(fmt.Sprintf("%s %x", opName(op), payload)))
	clear(payload) // the handler may change it
	return nil
}

// decode feeds p in the given pieces (the last takes the rest) and returns
// what came out, an error last.
func decode(d *decoder, p []byte, pieces ...int) []string {
	var st *partial
	l := new(list)
	p = bytes.Clone(p)
	for _, n := range append(pieces, len(p)) {
		n = min(n, len(p))
		if err := d.feed(&st, bytes.Clone(p[:n]), l); err != nil {
			return append(l.got, "error "+err.Error())
		}
		if st != nil && st.inFrame && cap(st.msg) > 2*max(len(st.msg), 64) {
			return append(l.got, fmt.Sprintf("buffer of %d for %d bytes", cap(st.msg), len(st.msg)))
		}
		p = p[n:]
	}
	if st != nil {
		l.got = append(l.got, "incomplete")
	}
	return l.got
}

type golden struct {
	name  string
	frame []byte
	want  []string
}

// goldens reads a file of testdata.
func goldens(t testing.TB, name string) []golden {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var gs []golden
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if sc.Text() == "" || sc.Text()[0] == '#' {
			continue
		}
		part := strings.Split(sc.Text(), "|")
		if len(part) != 3 {
			t.Fatalf("bad line %q", sc.Text())
		}
		frame, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(part[1]), " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		g := golden{name: strings.TrimSpace(part[0]), frame: frame}
		for w := range strings.SplitSeq(part[2], ",") {
			g.want = append(g.want, strings.TrimSpace(w))
		}
		gs = append(gs, g)
	}
	if len(gs) == 0 {
		t.Fatal("no golden frames")
	}
	return gs
}

func TestGoldenFrames(t *testing.T) {
	d := &decoder{max: 100}
	for _, g := range goldens(t, "frames.txt") {
		t.Run(g.name, func(t *testing.T) {
			if got := decode(d, g.frame); !slices.Equal(got, g.want) {
				t.Errorf("whole: got %q, want %q", got, g.want)
			}
			for cut := 1; cut < len(g.frame); cut++ {
				if got := decode(d, g.frame, cut); !slices.Equal(got, g.want) {
					t.Errorf("cut at %d: got %q, want %q", cut, got, g.want)
				}
			}
			if got := decode(d, g.frame, slices.Repeat([]int{1}, len(g.frame))...); !slices.Equal(got, g.want) {
				t.Errorf("byte by byte: got %q, want %q", got, g.want)
			}
		})
	}
}

func TestViolations(t *testing.T) {
	text := func(s string) []byte { return clientFrame(ws.OpText, true, []byte(s)) }
	start := clientFrame(ws.OpText, false, []byte("ab"))
	first := func(b byte) []byte { // an empty masked frame with that first byte
		return []byte{b, 0x80, 0, 0, 0, 0}
	}
	tests := []struct {
		name string
		in   []byte
		code ws.StatusCode
	}{
		{"unmasked text", AppendText(nil, []byte("x")), 1002},
		{"unmasked ping", AppendPing(nil, nil), 1002},
		{"RSV1", first(0xc1), 1002},
		{"RSV2", first(0xa1), 1002},
		{"RSV3", first(0x91), 1002},
		{"RSV1 on a continuation", append(bytes.Clone(start), first(0xc0)...), 1002},
		{"opcode 3", first(0x83), 1002},
		{"opcode 7", first(0x87), 1002},
		{"opcode 11", first(0x8b), 1002},
		{"opcode 15", first(0x8f), 1002},
		{"fragmented ping", first(0x09), 1002},
		{"fragmented close", first(0x08), 1002},
		{"ping of 126 bytes", clientFrame(ws.OpPing, true, make([]byte, 126)), 1002},
		{"continuation of nothing", clientFrame(ws.OpContinuation, true, []byte("x")), 1002},
		{"continuation after a complete message", append(text("x"), first(0x80)...), 1002},
		{"text inside a fragmented message", append(bytes.Clone(start), text("x")...), 1002},
		{"length with the highest bit", []byte{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 1002},
		{"huge length", []byte{0x82, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0}, 1009},
		{"one byte too many", text(strings.Repeat("x", 101)), 1009},
		{"one byte too many in fragments", append(bytes.Clone(start), clientFrame(ws.OpContinuation, false, make([]byte, 99))...), 1009},
		{"huge continuation", append(bytes.Clone(start), 0x80, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0), 1009},
		{"text not UTF-8", text("a\xff"), 1007},
		{"text cut within a character", text("a\xc3"), 1007},
		{"text with a surrogate", text("\xed\xa0\x80"), 1007},
		{"text over-long", text("\xc0\xaf"), 1007},
		{"fragmented text not UTF-8", append(bytes.Clone(start), clientFrame(ws.OpContinuation, true, []byte{0x80})...), 1007},
	}
	d := &decoder{max: 100}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var st *partial
			err := d.feed(&st, bytes.Clone(tt.in), new(list))
			var ce *CloseError
			if !errors.As(err, &ce) || ce.Code != tt.code || ce.Remote || ce.Reason == "" {
				t.Errorf("feed = %v, want code %d", err, tt.code)
			}
			if st != nil && cap(st.msg) > 200 {
				t.Errorf("a buffer of %d bytes was made", cap(st.msg))
			}
		})
	}
	if got, want := decode(d, text(strings.Repeat("x", 100))), "text "+strings.Repeat("78", 100); !slices.Equal(got, []string{want}) {
		t.Errorf("a message of exactly the limit: %q", got)
	}
}

func TestParseClose(t *testing.T) {
	tests := []struct {
		payload string
		want    CloseError
	}{
		{"", CloseError{Code: 1005, Remote: true}},
		{"\x03\xe8", CloseError{Code: 1000, Remote: true}},
		{"\x03\xe9bye é", CloseError{Code: 1001, Reason: "bye é", Remote: true}},
		{"\x03\xf6", CloseError{Code: 1014, Remote: true}},
		{"\x0b\xb8", CloseError{Code: 3000, Remote: true}},
		{"\x13\x87", CloseError{Code: 4999, Remote: true}},
		{"\x03", CloseError{Code: 1002, Reason: "close payload of one byte"}},
		{"\x00\x00", CloseError{Code: 1002, Reason: "bad close code"}},
		{"\x03\xe7", CloseError{Code: 1002, Reason: "bad close code"}}, // 999
		{"\x03\xec", CloseError{Code: 1002, Reason: "bad close code"}}, // 1004
		{"\x03\xed", CloseError{Code: 1002, Reason: "bad close code"}}, // 1005
		{"\x03\xee", CloseError{Code: 1002, Reason: "bad close code"}}, // 1006
		{"\x03\xf7", CloseError{Code: 1002, Reason: "bad close code"}}, // 1015
		{"\x03\xf8", CloseError{Code: 1002, Reason: "bad close code"}}, // 1016
		{"\x0b\xb7", CloseError{Code: 1002, Reason: "bad close code"}}, // 2999
		{"\x13\x88", CloseError{Code: 1002, Reason: "bad close code"}}, // 5000
		{"\x03\xe8\xff", CloseError{Code: 1007, Reason: "close reason is not UTF-8"}},
	}
	for _, tt := range tests {
		if got := parseClose([]byte(tt.payload)); *got != tt.want {
			t.Errorf("parseClose(%q) = %+v, want %+v", tt.payload, *got, tt.want)
		}
	}
}

// inPlace is a sink that checks that payloads lie within buf.
type inPlace struct {
	t   *testing.T
	buf []byte
	n   int
}

func (s *inPlace) complete(_ ws.OpCode, p []byte) error {
	s.n++
	if &p[0] != &s.buf[len(s.buf)-len(p)] {
		s.t.Error("the payload was copied")
	}
	return nil
}

func TestWholeMessageIsNotCopied(t *testing.T) {
	d := &decoder{max: 1000}
	frame := clientFrame(ws.OpBinary, true, bytes.Repeat([]byte{'x'}, 500))
	s := &inPlace{t: t, buf: bytes.Clone(frame)}
	var st *partial
	allocs := testing.AllocsPerRun(100, func() {
		copy(s.buf, frame)
		if err := d.feed(&st, s.buf, s); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 || s.n == 0 || st != nil {
		t.Errorf("%v allocations, %d messages, state %v", allocs, s.n, st)
	}
}

func TestManyTinyFragmentsCostLittle(t *testing.T) {
	const n = 100_000
	frames := clientFrame(ws.OpText, false, []byte("x"))
	for range n {
		frames = append(frames, clientFrame(ws.OpContinuation, false, []byte("x"))...)
	}
	frames = append(frames, clientFrame(ws.OpContinuation, true, nil)...)
	d := &decoder{max: n + 1}
	p := make([]byte, len(frames))
	allocs := testing.AllocsPerRun(1, func() {
		var st *partial
		copy(p, frames)
		if err := d.feed(&st, p, discard{}); err != nil {
			t.Fatal(err)
		}
		if st != nil {
			t.Fatal("not complete")
		}
	})
	if allocs > 20 {
		t.Errorf("%v allocations", allocs)
	}
}

type discard struct{}

func (discard) complete(ws.OpCode, []byte) error { return nil }

func TestFrameHeaders(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 1 << 20} {
		payload := bytes.Repeat([]byte{'p'}, n)
		for op, frame := range map[ws.OpCode][]byte{
			ws.OpText:   AppendText([]byte("dst"), payload),
			ws.OpBinary: AppendBinary([]byte("dst"), payload),
		} {
			want, err := ws.CompileFrame(ws.NewFrame(op, true, payload))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(frame, append([]byte("dst"), want...)) {
				t.Errorf("%s frame of %d bytes starts with %x, want %x", opName(op), n, frame[3:min(len(frame), 13)], want[:min(len(want), 10)])
			}
		}
	}
}

func TestCloseFrames(t *testing.T) {
	long := strings.Repeat("é", 62) // 124 bytes; 123 would cut the last in two
	tests := []struct {
		code   ws.StatusCode
		reason string
		want   string
	}{
		{0, "ignored", "\x88\x00"},
		{1005, "", "\x88\x00"},
		{1006, "", "\x88\x00"},
		{1000, "", "\x88\x02\x03\xe8"},
		{1001, "bye", "\x88\x05\x03\xe9bye"},
		{4000, long, "\x88\x7c\x0f\xa0" + long[:122]},
	}
	for _, tt := range tests {
		if got := appendClose(nil, tt.code, tt.reason); string(got) != tt.want {
			t.Errorf("appendClose(%d, %q) = %x, want %x", tt.code, tt.reason, got, tt.want)
		}
	}
}

// The buffer of a message that comes in two pieces is kept for the next one, if it is not too large for that.
func TestDecoderKeeps(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector a pool forgets at random")
	}
	frame := clientFrame(ws.OpText, true, make([]byte, 10_000))
	p := make([]byte, len(frame))
	for _, tt := range []struct {
		keep  int
		fresh bool
	}{{4 << 10, true}, {16 << 10, false}} {
		d := &decoder{max: 1 << 20, keep: tt.keep}
		var st *partial
		n := testing.AllocsPerRun(100, func() {
			copy(p, frame)
			for _, piece := range [][]byte{p[:6000], p[6000:]} {
				if err := d.feed(&st, piece, discard{}); err != nil {
					t.Fatal(err)
				}
			}
		})
		if n > 0 != tt.fresh {
			t.Errorf("keeping %d bytes: %v allocations for a message", tt.keep, n)
		}
	}
}

// FuzzDecoder: the messages do not depend on how the bytes are split, and
// encoded again as one frame each they are the same messages.
func FuzzDecoder(f *testing.F) {
	for _, g := range goldens(f, "frames.txt") {
		f.Add(g.frame, uint64(1))
	}
	f.Add(clientFrame(ws.OpText, false, make([]byte, 200)), uint64(2))
	f.Add([]byte{0x81}, uint64(3))
	d := &decoder{max: 300}
	f.Fuzz(func(t *testing.T, p []byte, seed uint64) {
		whole := decode(d, p)
		rnd := rand.New(rand.NewPCG(seed, 0))
		pieces := make([]int, 0, len(p))
		for range p {
			pieces = append(pieces, rnd.IntN(12))
		}
		if split := decode(d, p, pieces...); !slices.Equal(whole, split) {
			t.Fatalf("whole %q, split %v %q", whole, pieces, split)
		}
		var again []byte
		var want []string
		for _, m := range whole {
			op, payload, _ := strings.Cut(m, " ")
			i := slices.Index([]string{"text", "binary", "close", "ping", "pong"}, op)
			if i < 0 {
				continue
			}
			b, err := hex.DecodeString(payload)
			if err != nil {
				t.Fatal(err)
			}
			ops := []ws.OpCode{ws.OpText, ws.OpBinary, ws.OpClose, ws.OpPing, ws.OpPong}
			again = append(again, clientFrame(ops[i], true, b)...)
			want = append(want, m)
		}
		if got := decode(d, again); !slices.Equal(got, want) {
			t.Fatalf("encoded again: %q, want %q", got, want)
		}
	})
}
