package load

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

func TestStamp(t *testing.T) {
	s := NewStamp()
	content := s.Append(nil, 1234567890123*time.Nanosecond, 42, 100)
	if len(content) != 100 {
		t.Errorf("%d bytes", len(content))
	}
	packet := append(append([]byte(`42["new_msg","`), content...), `"]`...)
	packet = append(packet, packet...)
	for range 2 {
		sent, seq, rest, ok, err := s.Next(packet)
		if sent != 1234567890123 || seq != 42 || !ok || err != nil {
			t.Errorf("%q: %v, %d, %v, error %v", packet, sent, seq, ok, err)
		}
		packet = rest
	}
	if _, _, _, ok, err := s.Next(packet); ok || err != nil {
		t.Errorf("a third one: %v, %v", ok, err)
	}
	if _, _, _, ok, err := NewStamp().Next(content); ok || err != nil {
		t.Errorf("that of another run: %v, %v", ok, err)
	}
	broken := bytes.Replace(content, []byte("1234"), []byte("12.4"), 1)
	for _, bad := range [][]byte{content[:StampSize-1], broken} {
		if _, _, _, ok, err := s.Next(bad); ok || !errors.Is(err, errStamp) {
			t.Errorf("%q: %v, %v", bad, ok, err)
		}
	}
}
