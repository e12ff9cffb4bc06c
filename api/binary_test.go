package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"testing"

	"crier/io/rawjson"
)

// lifted is the naive model of lift, over decoded JSON. ok is false for what has to be refused.
func lifted(v any, attachments *[][]byte) (out any, ok bool) {
	ok = true
	switch v := v.(type) {
	case []any:
		for i := range v {
			var fine bool
			v[i], fine = lifted(v[i], attachments)
			ok = ok && fine
		}
	case map[string]any:
		if encoded, is := v["$binary"].(string); is && len(v) == 1 {
			b, err := base64.StdEncoding.Strict().DecodeString(encoded)
			*attachments = append(*attachments, b)
			return map[string]any{"_placeholder": true, "num": json.Number("0")}, err == nil
		}
		for k := range v {
			var fine bool
			v[k], fine = lifted(v[k], attachments)
			ok = ok && fine
		}
	}
	return v, ok
}

// hasName says whether an object in v has a member of that name.
func hasName(v any, name string) bool {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if hasName(e, name) {
				return true
			}
		}
	case map[string]any:
		for k, e := range v {
			if k == name || hasName(e, name) {
				return true
			}
		}
	}
	return false
}

// decoded returns the value of valid JSON, with every placeholder's number made 0: maps forget their order.
func decoded(t *testing.T, data []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %q", err, data)
	}
	return v
}

func sameNumbers(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			sameNumbers(e)
		}
	case map[string]any:
		if v["_placeholder"] == true {
			v["num"] = json.Number("0")
		}
		for _, e := range v {
			sameNumbers(e)
		}
	}
}

// twice says whether an object in valid JSON has two members of one name, which the model cannot tell.
func twice(value []byte) bool {
	switch value[0] {
	case '[':
		for e := range elements(value) {
			if twice(e) {
				return true
			}
		}
	case '{':
		seen := map[string]bool{}
		for name, e := range members(value) {
			if seen[string(unquoted(name))] || twice(e) {
				return true
			}
			seen[string(unquoted(name))] = true
		}
	}
	return false
}

func FuzzLift(f *testing.F) {
	for _, s := range []string{
		`{"$binary":"AAEC"}`, `[1,{"x":{"$binary":""}},"\u0024binary"]`, `{"\u0024binary":"\u0041A=="}`, `{"$binary":"A"}`,
		`{"$binary":"YQ==","b":{"$binary":"\/\/\/\/"}}`, `{"_placeholder":true,"num":0,"x":{"$binary":""}}`, ` [ { "$binary" : {"$binary":"YQ=="} } ] `,
		`"{\"$binary\":\"YQ==\"}"`, `{"":{"$binary":"YQ==\n"}}`, `{}`, `[]`, `[{},[],"\\"]`, `{"a":"_placeholder","b":[{"$binary":"YQ=="}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		in = trimSpace(in)
		if !rawjson.Valid(in) || twice(in) {
			return
		}
		before := bytes.Clone(in)
		var l lifter
		out, bad := l.lift(nil, in, "data")
		if bad == nil {
			bad = l.check()
		}
		if !bytes.Equal(in, before) {
			t.Fatalf("%q became %q", before, in)
		}
		var attachments [][]byte
		original := decoded(t, in)
		named := hasName(original, "_placeholder")
		want, ok := lifted(original, &attachments)
		if len(attachments) > maxAttachments {
			return
		}
		if ok = ok && (!named || len(attachments) == 0); ok != (bad == nil) {
			t.Fatalf("%q: %v", in, bad)
		}
		if !ok {
			return
		}
		got := decoded(t, out)
		if len(attachments) == 0 {
			if !bytes.Equal(in, out) {
				t.Fatalf("%q became %q", in, out)
			}
			return
		}
		sameNumbers(got)
		if !reflect.DeepEqual(got, want) || len(l.attachments) != len(attachments) {
			t.Fatalf("%q became %q with %q, want %v with %q", in, out, l.attachments, want, attachments)
		}
		total := func(list [][]byte) (n int) {
			for _, a := range list {
				n += len(a)
			}
			return n
		}
		if total(l.attachments) != total(attachments) {
			t.Fatalf("%q has the attachments %q, want %q", in, l.attachments, attachments)
		}
	})
}
