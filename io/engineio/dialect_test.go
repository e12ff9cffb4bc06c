package engineio_test

import (
	"testing"

	"crier/io/engineio"
)

// Every client gets the answers to its polls in a framing that it takes. The queries are what the clients
// send when they open a session.
func TestFraming(t *testing.T) {
	const small, large = 100, 40_000
	const text, octets, latest = engineio.FramingV3Text, engineio.FramingV3Binary, engineio.FramingV4
	o, _ := withFakes(engineio.Options{})
	r := newRig(t, false, o)
	for _, c := range []struct {
		client, query          string
		small, large, attached engineio.Framing
	}{
		{"1.0 in a page", "EIO=2&transport=polling&t=1416848461132-0", octets, octets, octets},
		{"1.0 in a page, without a timestamp", "EIO=2&transport=polling", octets, octets, octets},
		{"1.0 by JSONP", "EIO=2&transport=polling&j=0&t=1416848461132-0&b64=1", text, text, text},
		{"1.3 in a page", "EIO=3&transport=polling&t=1416848461132-17", octets, octets, octets},
		{"1.3 by JSONP", "EIO=3&transport=polling&t=1416848461132-17&b64=1", text, text, text},
		{"1.4 in a page", "EIO=3&transport=polling&t=PKcWtUA", text, octets, octets},
		{"2.5 in a page", "EIO=3&transport=polling&t=PKcWtUA.0", text, octets, octets},
		{"a timestamp with a dash", "EIO=3&transport=polling&t=PK-1", text, octets, octets},
		{"a dash alone", "EIO=3&transport=polling&t=-", text, octets, octets},
		{"2.5 in Node", "EIO=3&transport=polling&t=PKcWtUA&b64=1", text, text, text},
		{"b64 without a value", "EIO=3&transport=polling&b64=", text, octets, octets},
		{"4.8", "EIO=4&transport=polling&t=abcd1234", latest, latest, latest},
		{"4.8 with an old timestamp", "EIO=4&transport=polling&t=1416848461132-0&b64=1", latest, latest, latest},
	} {
		t.Run(c.client, func(t *testing.T) {
			request(r.srv, "GET", c.query)
			s := next(t, r.handler.accepted).session
			got := [3]engineio.Framing{s.Framing(false, small), s.Framing(false, large), s.Framing(true, small)}
			if want := [3]engineio.Framing{c.small, c.large, c.attached}; got != want {
				t.Errorf("small, large and with attachments: %v, want %v", got, want)
			}
		})
	}
}
