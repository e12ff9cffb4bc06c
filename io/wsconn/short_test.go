package wsconn

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// What is read in one piece, without looking at all of a header, comes out as what is read byte by byte.
func TestShortFrames(t *testing.T) {
	const most = 100
	texts := []string{"é", "sieben€", "neun €uro und mehr", "achtfach\xff", "a\xc3", "\xed\xa0\x80 surrogate", strings.Repeat("x", 7) + "ß"}
	for n := range 130 {
		texts = append(texts, strings.Repeat("a\x7f\"z", 40)[:n])
	}
	d := &decoder{max: most}
	for _, text := range texts {
		t.Run(fmt.Sprintf("%d bytes, %.8q", len(text), text), func(t *testing.T) {
			frame := clientFrame(ws.OpText, true, []byte(text))
			if n, want := short(frame, most), shortHeader+len(text); (n == want) != (len(text) <= most) || n != 0 && n != want {
				t.Errorf("short: %d of %d", n, len(frame))
			}
			two := slices.Concat(frame, frame)
			if whole, split := decode(d, two), decode(d, two, slices.Repeat([]int{1}, len(two))...); !slices.Equal(whole, split) {
				t.Errorf("whole %q, byte by byte %q", whole, split)
			}
		})
	}
}

func TestNotShort(t *testing.T) {
	text := clientFrame(ws.OpText, true, []byte("text"))
	changed := func(i int, b byte) []byte {
		p := bytes.Clone(text)
		p[i] = b
		return p
	}
	for _, c := range []struct {
		name  string
		frame []byte
	}{
		{"nothing", nil},
		{"header cut", text[:shortHeader-1]},
		{"payload cut", text[:len(text)-1]},
		{"not the last fragment", changed(0, byte(ws.OpText))},
		{"a reserved bit", changed(0, finText|0x40)},
		{"binary", changed(0, finBinary)},
		{"pong", changed(0, finPong)},
		{"not masked", changed(1, 4)},
		{"a longer length", changed(1, 0x80|126)},
		{"the longest", changed(1, 0x80|127)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if n := short(c.frame, 1000); n != 0 {
				t.Error(n)
			}
		})
	}
}
