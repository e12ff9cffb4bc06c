package hub

import (
	"unicode"
	"unicode/utf8"
)

// maxName is the greatest length of a uid, a room or a connection id, in bytes.
const maxName = 255

// CheckUID returns nil if uid can be a user's, else [ErrBadUID].
func CheckUID(uid string) error {
	if !validName(uid) {
		return ErrBadUID
	}
	return nil
}

// validName tells whether s is 1 to 255 bytes of valid UTF-8 without control characters.
func validName(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= 0x7f {
			return validWide(s[i:])
		}
	}
	return true
}

// validWide is the slow path of validName: from the first byte that is not printable ASCII on.
func validWide(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}
