package cluster

import (
	"bytes"
	"testing"
)

// TestEntryForm fixes what servers of different versions say to one another.
func TestEntryForm(t *testing.T) {
	tests := []struct {
		name  string
		entry Entry
		form  string
	}{
		{"push", Entry{Kind: KindPush, Origin: "web-1", Number: 1, Body: []byte("b")}, "01 01 05 7765622d31 01 62"},
		{"no body", Entry{Kind: KindHere, Origin: "a"}, "01 09 01 61 00"},
		{"large number", Entry{Kind: KindReply, Origin: "a", Number: 300, Body: []byte{0}}, "01 06 01 61 ac02 00"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := test.entry
			form := appendEntry(nil, e.Kind, e.Origin, e.Number, e.Body)
			if !bytes.Equal(form, unhex(t, test.form)) {
				t.Errorf("got %x, want %s", form, test.form)
			}
			got, err := parseEntry(form)
			if err != nil || got.Kind != e.Kind || got.Origin != e.Origin || got.Number != e.Number || !bytes.Equal(got.Body, e.Body) {
				t.Errorf("read %+v, %v", got, err)
			}
		})
	}
}

func TestNoEntries(t *testing.T) {
	for name, form := range map[string]string{
		"nothing":         "",
		"another version": "02 01 01 61 00",
		"no origin":       "01 01 00 00",
		"a short origin":  "01 01 05 7765",
		"no number":       "01 01 01 61",
		"half a number":   "01 01 01 61 80",
		"a long number":   "01 01 01 61 8000",
	} {
		t.Run(name, func(t *testing.T) {
			if e, err := parseEntry(unhex(t, form)); err == nil {
				t.Errorf("read %+v", e)
			}
		})
	}
}

func FuzzEntry(f *testing.F) {
	f.Add(appendEntry(nil, KindPush, "web-1", 1<<40, []byte("body")))
	f.Add(appendEntry(nil, KindHere, "a", 0, nil))
	f.Fuzz(func(t *testing.T, form []byte) {
		e, err := parseEntry(form)
		if err != nil {
			return
		}
		if again := appendEntry(nil, e.Kind, e.Origin, e.Number, e.Body); !bytes.Equal(again, form) {
			t.Errorf("%x is read as what is written as %x", form, again)
		}
	})
}
