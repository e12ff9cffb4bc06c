package app

import (
	"bytes"
	"encoding/json"
	"testing"
)

// A reply is what encoding/json makes of it, but for the escapes that are meant for HTML.
func TestReplyJSON(t *testing.T) {
	for _, r := range []reply{
		{},
		{OK: true},
		{OK: true, UID: "user-7"},
		{OK: true, UID: `a"b\c`, Room: "房间"},
		{OK: true, Room: "<b>&\u2028\x7f"},
		{Error: "the room must be a string", Code: "bad_room"},
		{Error: "broken \xff\t", Code: "x"},
	} {
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		err := enc.Encode(struct {
			OK    bool   `json:"ok"`
			UID   string `json:"uid,omitempty"`
			Room  string `json:"room,omitempty"`
			Error string `json:"error,omitempty"`
			Code  string `json:"code,omitempty"`
		}(r))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(r.json()); got+"\n" != want.String() {
			t.Errorf("%+v: %s, want %s", r, got, want.String())
		}
	}
}
