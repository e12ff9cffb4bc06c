package load

import (
	"errors"
	"strings"
	"testing"
)

func TestFrames(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 0xffff, 0x10000} {
		payload := strings.Repeat("x", n)
		frame := AppendServerFrame(nil, payload)
		for cut := range min(len(frame), 20) {
			if _, _, rest, ok, err := CutFrame(frame[:cut]); ok || err != nil || len(rest) != cut {
				t.Fatalf("%d of %d bytes: ok %v, rest %d, error %v", cut, len(frame), ok, len(rest), err)
			}
		}
		opcode, got, rest, ok, err := CutFrame(append(frame, "next"...))
		if opcode != opText || string(got) != payload || string(rest) != "next" || !ok || err != nil {
			t.Errorf("a payload of %d bytes: opcode %d, %d bytes, rest %q, ok %v, error %v", n, opcode, len(got), rest, ok, err)
		}
	}
}

func TestCutFrameRefuses(t *testing.T) {
	if _, _, _, _, err := CutFrame(AppendClientFrame(nil, "masked")); !errors.Is(err, errMasked) {
		t.Errorf("a masked frame: %v", err)
	}
	if _, _, _, _, err := CutFrame([]byte("\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff")); !errors.Is(err, errTooLarge) {
		t.Errorf("an endless frame: %v", err)
	}
}
