package hub

import (
	"errors"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	for _, tc := range []struct {
		what, name string
		ok         bool
	}{
		{"one byte", "1", true},
		{"digits", "1234567890", true},
		{"punctuation", "a,b:c/d e~", true},
		{"wide", "中文é😀", true},
		{"255 bytes", strings.Repeat("x", 255), true},
		{"255 wide bytes", strings.Repeat("中", 85), true},
		{"no-break space", "a\u00a0b", true},
		{"zero-width joiner is no control character", "a\u200db", true},
		{"empty", "", false},
		{"256 bytes", strings.Repeat("x", 256), false},
		{"258 wide bytes", strings.Repeat("中", 86), false},
		{"NUL", "a\x00", false},
		{"line feed", "a\n", false},
		{"delete", "a\x7f", false},
		{"C1 control", "a\u0085", false},
		{"control after wide", "中\n", false},
		{"bad UTF-8", "a\xff", false},
		{"half a character", "中"[:2], false},
		{"surrogate", "\xed\xa0\x80", false},
	} {
		t.Run(tc.what, func(t *testing.T) {
			h := newHub(t, Options{})
			check := func(what string, err, want error) {
				t.Helper()
				if tc.ok {
					want = nil
				}
				if !errors.Is(err, want) {
					t.Errorf("%s: %v, want %v", what, err, want)
				}
			}
			check("CheckUID", CheckUID(tc.name), ErrBadUID)
			m, _ := join(t, h, "c", "")
			check("Login", m.Login(tc.name), ErrBadUID)
			check("Join", m.Join(tc.name), ErrBadRoom)
			_, err := h.Push(t.Context(), Push{To: Audience{Users: []string{tc.name}}, Message: message("m")})
			check("Push to a user", err, ErrBadUID)
			_, err = h.Push(t.Context(), Push{To: Audience{All: true, Except: &Audience{Rooms: []string{tc.name}}}, Message: message("m")})
			check("Push except a room", err, ErrBadRoom)
			_, err = h.Disconnect(t.Context(), Audience{Users: []string{"u", tc.name}})
			check("Disconnect", err, ErrBadUID)
			_, err = h.Connect(&fakeConn{id: tc.name})
			check("Connect", err, ErrBadConnectionID)
			checkIndexes(t, h)
		})
	}
}
