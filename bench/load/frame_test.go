package load

import (
	"errors"
	"strings"
	"testing"
	"time"
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

func TestContent(t *testing.T) {
	content := AppendContent(nil, 1234567890123*time.Nanosecond, 42, 100)
	sent, seq, err := parseContent(content)
	if len(content) != 100 || sent != 1234567890123 || seq != 42 || err != nil {
		t.Errorf("%q: %v, %d, error %v", content, sent, seq, err)
	}
	for _, bad := range []string{"", "123", strings.Repeat("x", 100)} {
		if _, _, err := parseContent([]byte(bad)); err == nil {
			t.Errorf("%q was taken for a content", bad)
		}
	}
}

func TestShareGivesEachUserToOneSender(t *testing.T) {
	seen := map[int]int{}
	for _, u := range Share(10, 3, 28, func() time.Duration { return 0 }) {
		for i := range u.seq {
			seen[u.first+i*u.step]++
		}
	}
	for i := range 10 {
		if seen[i] != 1 {
			t.Errorf("user %d has %d senders", i, seen[i])
		}
	}
	if len(seen) != 10 {
		t.Errorf("%d users, want 10", len(seen))
	}
}
