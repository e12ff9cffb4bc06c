package socketio

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

var errIllegal = errors.New("illegal attachments")

// attachment is what stands for one in a resolved value.
type attachment string

// resolve puts attachments into a decoded value, step by step as the official
// decoder does, but that it refuses numbers that are not whole.
func resolve(v any, attachments [][]byte) (any, error) {
	var err error
	switch v := v.(type) {
	case map[string]any:
		if v["_placeholder"] == true {
			num, ok := v["num"].(float64)
			if !ok || num < 0 || num >= float64(len(attachments)) || num != float64(int(num)) {
				return nil, errIllegal
			}
			return attachment(attachments[int(num)]), nil
		}
		for k := range v {
			if v[k], err = resolve(v[k], attachments); err != nil {
				return nil, err
			}
		}
	case []any:
		for i := range v {
			if v[i], err = resolve(v[i], attachments); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// FuzzPlaceholders compares the scanner with the slow way, and checks that what
// is sent on means what it meant.
func FuzzPlaceholders(f *testing.F) {
	for _, seed := range []string{
		`[{"_placeholder":true,"num":0}]`,
		`[{"a":[{"_placeholder":true,"num":1},{"\u005fplaceholder":true,"n\u0075m":0}]},{"_placeholder":true,"num":1}]`,
		`[{"_placeholder":true,"num":0,"x":{"_placeholder":true,"num":9}}]`,
		`[{"_placeholder":true,"_placeholder":false,"num":3}, "\"_placeholder\"", [ ], { }, -1.5e3, null ]`,
		`[ { "num" : 1.0 , "_placeholder" : true } ]`,
		`[{"_placeholder":true,"num":2}]`,
		`[{"_placeholder":true,"num":0.5}]`,
		`null`,
	} {
		f.Add([]byte(seed))
	}
	attachments := [][]byte{[]byte("first"), {}}
	f.Fuzz(func(t *testing.T, data []byte) {
		data = trimJSON(data)
		var v []any
		if json.Unmarshal(data, &v) != nil || v == nil { // null, which encoding/json takes for no array, is none here
			return
		}
		want, wantErr := resolve(v, attachments)
		err := checkPlaceholders(data, len(attachments))
		if (err == nil) != (wantErr == nil) || err != nil && !errors.Is(err, ErrParse) {
			t.Fatalf("checkPlaceholders(%s): %v, want %v", data, err, wantErr)
		}
		if err != nil {
			return
		}
		list, err := SplitArray(data)
		if err != nil {
			t.Fatal(err)
		}
		args := Args{list, attachments}
		for i := range list {
			var into any
			if err := args.Decode(i, &into); err != nil && !errors.Is(err, ErrRepeated) {
				t.Fatalf("Decode(%s): %v", list[i], err)
			}
			b, ok := args.Binary(i)
			if a, isBytes := v[i].(attachment); ok != isBytes || ok && string(b) != string(a) {
				t.Fatalf("Binary(%s): %q, %v", list[i], b, ok)
			}
		}
		// With bytes before, so that all numbers change.
		joined, all, err := join(nil, append([]Arg{Binary([]byte("new"))}, args.ForwardAll()...))
		if err != nil {
			t.Fatal(err)
		}
		if len(all) > 1+len(attachments) {
			t.Fatalf("%d attachments of %d", len(all), len(attachments))
		}
		var again []any
		if err := json.Unmarshal(appendArray(nil, joined), &again); err != nil {
			t.Fatalf("%s: %v", joined, err)
		}
		got, err := resolve(again[1:], all)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("sent on: %v and %v, want %v", got, err, want)
		}
	})
}

// Work grows with the length of the text alone.
func TestPlaceholdersAreLinear(t *testing.T) {
	const depth = 9000
	deep := strings.Repeat(`{"_placeholder":true,"num":0,"in":`, depth) + "1" + strings.Repeat("}", depth)
	if !json.Valid([]byte(deep)) {
		t.Fatal("not JSON")
	}
	found := findPlaceholders([]byte(deep))
	if len(found) != 1 || found[0].end != len(deep) {
		t.Errorf("%d placeholders, want the outermost", len(found))
	}
	if n := testing.AllocsPerRun(10, func() { findPlaceholders([]byte(deep)) }); n > depth/2 {
		t.Errorf("%v allocations for one placeholder", n)
	}
	wide := "[" + strings.Repeat(`{"_placeholder":true,"num":0},`, 10_000) + "1]"
	if n := len(findPlaceholders([]byte(wide))); n != 10_000 {
		t.Errorf("%d placeholders, want 10000", n)
	}
}

// Text without placeholders is left alone, and costs nothing.
func TestNoPlaceholders(t *testing.T) {
	text := bytes.Repeat([]byte(`{"a":[1,2,3]},`), 1000)
	text = append(append([]byte("["), text...), "1]"...)
	args := Args{list: []json.RawMessage{text}, attachments: [][]byte{{1}}}
	if n := testing.AllocsPerRun(10, func() {
		if _, _, err := join(nil, []Arg{args.Forward(0)}); err != nil {
			t.Fatal(err)
		}
	}); n > 1 {
		t.Errorf("%v allocations to send text on, want at most 1", n)
	}
}
