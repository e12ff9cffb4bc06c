package cluster

import (
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/tinylib/msgp/msgp"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestValue(t *testing.T) {
	tests := []struct {
		name, in string // hexadecimal
		want     string
		attached string // hexadecimal, with a space between
	}{
		{"nil", "c0", "null", ""},
		{"bools", "92 c2 c3", "[false,true]", ""},
		{"fixints", "93 00 7f e0", "[0,127,-32]", ""},
		{"uints", "94 cc ff cd ffff ce ffffffff cf ffffffffffffffff", "[255,65535,4294967295,18446744073709551615]", ""},
		{"ints", "94 d0 80 d1 8000 d2 80000000 d3 8000000000000000", "[-128,-32768,-2147483648,-9223372036854775808]", ""},
		{"above 2^53", "cf 0020000000000001", "9007199254740993", ""},
		{"floats", "94 ca 3dcccccd cb 3fb999999999999a cb 444b1ae4d6e2ef50 cb 3e7ad7f29abcaf48", "[0.10000000149011612,0.1,1e+21,1e-07]", ""},
		{"negative zero", "cb 8000000000000000", "-0", ""},
		{"no numbers", "93 cb 7ff8000000000000 cb 7ff0000000000000 ca ff800000", "[null,null,null]", ""},
		{"texts", "94 a0 a3e4b8ad d902c3a9 da0004f09f9880", `["","中","é","😀"]`, ""},
		{"text that JSON escapes", "a7 225c080a001f7f", "\"\\\"\\\\\\u0008\\u000a\\u0000\\u001f\x7f\"", ""},
		{"text that is not UTF-8", "a3 00ff01", `{"_placeholder":true,"num":0}`, "00ff01"},
		{"bytes", "92 c4 02 0102 c5 0000", `[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "0102 "},
		{"32-bit lengths", "93 c6 00000001 09 db 00000001 61 dd 00000001 df 00000000", `[{"_placeholder":true,"num":0},"a",[{}]]`, "09"},
		{"16-bit lengths", "dc 0001 de 0001 a1 61 c0", `[{"a":null}]`, ""},
		{"nested", "81 a1 61 91 81 a1 62 c4 01 ff", `{"a":[{"b":{"_placeholder":true,"num":0}}]}`, "ff"},
		{"keys that are numbers", "83 01 c3 ff c3 cd 0100 c3", `{"1":true,"-1":true,"256":true}`, ""},
		{"a key of bytes", "81 c4 01 61 01", `{"a":1}`, ""},
		{"a key that is not UTF-8", "81 a1 ff 01", `{"` + "\ufffd" + `":1}`, ""},
		{"a class of PHP", "82 c0 a3 466f6f a1 61 01", `{"a":1}`, ""},
		{"a class of PHP behind", "82 a1 61 01 c0 a3 466f6f", `{"a":1}`, ""},
		{"undefined", "92 d4 00 00 83 a1 61 d4 00 00 a1 62 01 a1 63 d4 00 00", `[null,{"b":1}]`, ""},
		{"a time, 32 bits", "d6 ff 00000001", `"1970-01-01T00:00:01.000Z"`, ""},
		{"a time, 64 bits", "d7 ff 1d535300 6553f100", `"2023-11-14T22:13:20.123Z"`, ""},
		{"a time, 96 bits", "c7 0c ff 3b9ac9ff ffffffffffffffff", `"1969-12-31T23:59:59.999Z"`, ""},
		{"a time of notepack 2", "d7 00 0000018bcfe5687b", `"2023-11-14T22:13:20.123Z"`, ""},
		{"no time of JSON", "d7 00 7fffffffffffffff", "null", ""},
		{"an ArrayBuffer", "c7 03 00 010203", `{"_placeholder":true,"num":0}`, "010203"},
		{"long ArrayBuffers", "92 c8 0001 00 05 c9 00000001 00 06", `[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "05 06"},
		{"other extensions", "92 d5 05 0102 c7 01 80 09", `[[5,{"_placeholder":true,"num":0}],[-128,{"_placeholder":true,"num":1}]]`, "0102 09"},
		{"types that the library keeps", "93 d7 03 0102030405060708 d8 04 01020304050607080102030405060708 d6 05 01020304", `[[3,{"_placeholder":true,"num":0}],[4,{"_placeholder":true,"num":1}],[5,{"_placeholder":true,"num":2}]]`, "0102030405060708 01020304050607080102030405060708 01020304"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := transcoder{limit: 1000}
			rest, err := c.value(append(unhex(t, test.in), 0xc1), 0)
			if err != nil || len(rest) != 1 {
				t.Fatalf("%v, %d bytes are left", err, len(rest))
			}
			var attached []string
			for _, a := range c.attachments {
				attached = append(attached, hex.EncodeToString(a))
			}
			if got := string(c.out); got != test.want || strings.Join(attached, " ") != test.attached {
				t.Errorf("got  %s %q\nwant %s %q", got, attached, test.want, test.attached)
			}
		})
	}
}

func TestValueRefused(t *testing.T) {
	tests := []struct {
		name, in string
		want     error // nil: any
	}{
		{"nothing", "", msgp.ErrShortBytes},
		{"a byte that means nothing", "c1", nil},
		{"a text that ends early", "a5 6161", msgp.ErrShortBytes},
		{"an array that ends early", "dd ffffffff c0", msgp.ErrShortBytes},
		{"a map that ends early", "df ffffffff a1 61 c0", msgp.ErrShortBytes},
		{"a map without a value", "81 a1 61", msgp.ErrShortBytes},
		{"an extension that ends early", "c9 ffffffff 00 00", msgp.ErrShortBytes},
		{"an extension without a type", "d4", msgp.ErrShortBytes},
		{"a key that is a list", "81 90 c0", errBadKey},
		{"a key that is a number with a fraction", "81 cb 3fb999999999999a c0", errBadKey},
		{"too deep", strings.Repeat("91", maxDepth+1) + "c0", errTooDeep},
		{"too deep, in maps", strings.Repeat("81a161", maxDepth+1) + "c0", errTooDeep},
		{"100,000 deep", strings.Repeat("91", 100_000), errTooDeep},
		{"too large", "da 0fa1" + strings.Repeat("61", 4001), errTooLarge},
		{"too large once escaped", "da 0320" + strings.Repeat("00", 800), errTooLarge},
		{"too many bytes", "c5 0fa1" + strings.Repeat("61", 4001), errTooLarge},
		{"too many attachments", "dc 03e9" + strings.Repeat("c400", 1001), errTooLarge},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := transcoder{limit: 4000}
			if _, err := c.value(unhex(t, test.in), 0); err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
	c := transcoder{limit: math.MaxInt64}
	if _, err := c.value(unhex(t, "dc 03e9"+strings.Repeat("c400", 1001)), 0); !errors.Is(err, errManyAttachments) {
		t.Errorf("1001 attachments: %v", err)
	}
}
