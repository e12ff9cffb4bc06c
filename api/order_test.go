package api

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"crier/io/hub"
)

// saidIn are the members of a JSON object that are not null, or are called data, as the standard library reads them. No two have a name.
func saidIn(t *testing.T, object []byte) map[string]json.RawMessage {
	t.Helper()
	said := make(map[string]json.RawMessage)
	names := make(map[string]bool)
	decoder := json.NewDecoder(bytes.NewReader(object))
	_, err := decoder.Token()
	for err == nil && decoder.More() {
		var token json.Token
		var value json.RawMessage
		if token, err = decoder.Token(); err != nil {
			break
		}
		if err = decoder.Decode(&value); err != nil {
			break
		}
		name := token.(string)
		if names[name] {
			t.Fatalf("%q is taken, with %q twice", object, name)
		}
		if names[name] = true; string(value) != "null" || name == "data" {
			said[name] = value
		}
	}
	if err != nil {
		t.Fatalf("%q is taken: %v", object, err)
	}
	return said
}

// take takes a member out, which is nil if it is not there.
func take[T any](t *testing.T, said map[string]json.RawMessage, name string) (value T) {
	t.Helper()
	if text, is := said[name]; is {
		if err := json.Unmarshal(text, &value); err != nil {
			t.Fatalf("%q is taken for %s: %v", text, name, err)
		}
		delete(said, name)
	}
	return value
}

// saidNames are the names of an array: numbers as they are written.
func saidNames(t *testing.T, said map[string]json.RawMessage, list string) (names []string) {
	t.Helper()
	for _, element := range take[[]json.RawMessage](t, said, list) {
		var name string
		if err := json.Unmarshal(element, &name); err != nil || string(element) == "null" {
			if name = string(element); list != "users" || strings.Trim(strings.TrimPrefix(name, "-"), "0123456789") != "" {
				t.Fatalf("%s is taken for one of %s", element, list)
			}
		}
		names = append(names, name)
	}
	return names
}

// checkAudience compares an audience with what was said.
func checkAudience(t *testing.T, a *hub.Audience, text json.RawMessage) {
	t.Helper()
	said := saidIn(t, text)
	users, rooms, connections := saidNames(t, said, "users"), saidNames(t, said, "rooms"), saidNames(t, said, "connections")
	if !slices.Equal(a.Users, users) || !slices.Equal(a.Rooms, rooms) || !slices.Equal(a.Connections, connections) || a.All != take[bool](t, said, "all") {
		t.Fatalf("%s is read as %+v", text, a)
	}
	except, is := said["except"]
	if delete(said, "except"); is != (a.Except != nil) || len(said) > 0 {
		t.Fatalf("%s is read as %+v", text, a)
	}
	if is {
		checkAudience(t, a.Except, except)
	}
}

// keepsNothing is a Keeper for those who only read what is to be kept.
type keepsNothing struct{ Keeper }

// FuzzOrder: a push that is taken means what the standard library reads in it, and none is refused as no JSON that is.
func FuzzOrder(f *testing.F) {
	for _, line := range []string{
		`{"to":{"users":["a",7,-1,"\u0061"],"rooms":["r"],"connections":[],"all":false,"except":{"users":[7],"except":{"all":true}}},"event":"e","args":[1, "two",{"x":[ ]}]}`,
		`{"id":"i","to":{"users":["a"]},"data":null,"volatile":true,"dry_run":false,"ack":"2s","receipt":null}`,
		`{"to":{"users":["a"]},"data":"x","ttl":"1h","store":true}`,
		`{"to":{"users":["a"]},"data":{"$binary":"AAEC"},"event":null,"args":null}`,
		" {\"\\u0074o\" : {\"us\\u0065rs\":[\"\\ud800\"]}, \n\"event\":\"\\u4e2d\\\"\",\"data\":\"\\/\"}\r\n",
		`{"to":{"all":true},"to":{"all":true},"data":1}`, `{"to":{"all":true,"\u0061ll":true},"data":1}`, `{"To":{"all":true},"data":1}`, `{"to":{"users":[1.0,1e2,null,true]},"data":1}`,
		`{"to":{"all":true},"data":1}x`, `{"to":{"all":true},"data":01}`, "{\"to\":{\"all\":true},\"data\":\"\xff\"}", `[]`, `null`, ``, `{`, `{"to":null,"data":1}`, `{"to":{"users":[-]},"data":1}`,
		`{"to":{"all":true},"event":"","data":1}`, `{"to":{"all":true},"ack":"\u0032s","data":1}`, `{"to":{"all":true},"ack":"1e3s","data":1}`,
	} {
		f.Add([]byte(line))
	}
	s := newServer(f, Options{Keeper: keepsNothing{}})
	f.Fuzz(func(t *testing.T, line []byte) {
		var o order
		bad := s.parse(slices.Clone(line), &o)
		if broken := !json.Valid(line) || !utf8.Valid(line); broken != (bad != nil && bad.code == codeBadJSON) {
			t.Fatalf("%q: %+v", line, bad)
		}
		if bad != nil {
			return
		}
		said, m := saidIn(t, line), &o.parcel.message
		checkAudience(t, &o.to, said["to"])
		delete(said, "to")
		event := legacyEvent
		if _, is := said["event"]; is {
			event = take[string](t, said, "event")
		}
		if id := take[string](t, said, "id"); o.id != id || m.Event != event || m.Volatile != take[bool](t, said, "volatile") ||
			o.dryRun != take[bool](t, said, "dry_run") || o.receipt != take[bool](t, said, "receipt") {
			t.Fatalf("%q is read as %+v, %+v", line, o, m)
		}
		ack, ttl, store := take[string](t, said, "ack"), take[string](t, said, "ttl"), take[bool](t, said, "store")
		if wait, err := time.ParseDuration(ack); ack != "" && (err != nil || o.ack != wait) || ack == "" && o.ack != 0 {
			t.Fatalf("%q is read as %+v", line, o)
		}
		if limit, err := time.ParseDuration(ttl); ttl != "" && (err != nil || o.ttl != limit) || o.store != (store || ttl != "") || o.store != (o.ttl > 0) {
			t.Fatalf("%q is read as %+v", line, o)
		}
		args := take[[]json.RawMessage](t, said, "args")
		if data, is := said["data"]; is {
			args = append(args, data)
			delete(said, "data")
		}
		if len(said) > 0 || len(args) != len(m.Args) {
			t.Fatalf("%q is read as %+v, %+v; left is %q", line, o, m, said)
		}
		for i, arg := range args {
			if len(m.Attachments) == 0 && !bytes.Equal(arg, m.Args[i]) || !json.Valid(m.Args[i]) {
				t.Fatalf("%q becomes %q", arg, m.Args[i])
			}
		}
	})
}
