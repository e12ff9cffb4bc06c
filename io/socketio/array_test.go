package socketio_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"crier/io/socketio"
)

func TestSplitArray(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want []string
		bad  bool
	}{
		{name: "nothing", in: ""},
		{name: "empty", in: "[]"},
		{name: "empty with space", in: " [ \n] "},
		{name: "one", in: `["a"]`, want: []string{`"a"`}},
		{name: "kinds", in: `[1,-2.5e3,true,null,"",{},[]]`, want: []string{"1", "-2.5e3", "true", "null", `""`, "{}", "[]"}},
		{name: "space", in: "[ 1 ,\t\"a b\"\r\n, { \"a\" : [ 1 , 2 ] } ]", want: []string{"1", `"a b"`, `{ "a" : [ 1 , 2 ] }`}},
		{name: "nested", in: `[[1,[2,{"a":[3,4]}]],{"b":{"c":[5]}}]`, want: []string{`[1,[2,{"a":[3,4]}]]`, `{"b":{"c":[5]}}`}},
		{name: "punctuation in strings", in: `["a,]}\"[{","\\",["]\\\""]]`, want: []string{`"a,]}\"[{"`, `"\\"`, `["]\\\""]`}},
		{name: "not ASCII", in: `["中文é😀",{"中":1}]`, want: []string{`"中文é😀"`, `{"中":1}`}},
		{name: "object", in: `{"a":1}`, bad: true},
		{name: "string", in: `"[]"`, bad: true},
		{name: "number", in: `1`, bad: true},
		{name: "unfinished", in: `[1,2`, bad: true},
		{name: "unfinished string", in: `["a]`, bad: true},
		{name: "unfinished element", in: `[[1]`, bad: true},
		{name: "bracket alone", in: `[`, bad: true},
		{name: "missing element", in: `[1,,2]`, bad: true},
		{name: "missing last element", in: `[1,]`, bad: true},
		{name: "more behind it", in: `[1],[2]`, bad: true},
		{name: "deep", in: "[" + strings.Repeat("[", 1e6) + strings.Repeat("]", 1e6) + "]", want: []string{strings.Repeat("[", 1e6) + strings.Repeat("]", 1e6)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			elements, err := socketio.SplitArray([]byte(tt.in))
			if tt.bad {
				if !errors.Is(err, socketio.ErrParse) {
					t.Fatalf("got %q, %v, want ErrParse", elements, err)
				}
				return
			}
			if got := asStrings(elements); err != nil || !slices.Equal(got, tt.want) {
				t.Fatalf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func asStrings(elements []json.RawMessage) []string {
	var s []string
	for _, e := range elements {
		s = append(s, string(e))
	}
	return s
}

func FuzzSplitArray(f *testing.F) {
	for _, v := range readVectors(f).Encoded {
		if v.Packet.Data != nil {
			f.Add([]byte(*v.Packet.Data))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := socketio.SplitArray(data)
		if err != nil && !errors.Is(err, socketio.ErrParse) {
			t.Fatalf("error does not wrap ErrParse: %v", err)
		}
		if !json.Valid(data) {
			return // no promise, but no panic
		}
		var want []json.RawMessage
		wantErr := json.Unmarshal(data, &want)
		if strings.TrimSpace(string(data)) == "null" {
			wantErr = socketio.ErrParse // encoding/json takes null for an empty slice
		}
		if (err == nil) != (wantErr == nil) || !slices.Equal(asStrings(got), asStrings(want)) {
			t.Fatalf("%q split into %q, %v, want %q, %v", data, got, err, want, wantErr)
		}
	})
}

func BenchmarkSplitArray(b *testing.B) {
	data := []byte(`["new_msg",{"text":"` + strings.Repeat("x", 100) + `","n":[1,2,3]},17]`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := socketio.SplitArray(data); err != nil {
			b.Fatal(err)
		}
	}
}
