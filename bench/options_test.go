package bench

import (
	"net/netip"
	"slices"
	"testing"
)

// More clients than one address has ports come from several, if the server is on this machine.
func TestSources(t *testing.T) {
	addr := netip.MustParseAddr
	for _, c := range []struct {
		clients int
		from    []netip.Addr
		to      string
		want    []netip.Addr
	}{
		{clients: 10_000, to: "127.0.0.1"},
		{clients: 60_000, to: "127.0.0.1", want: []netip.Addr{addr("127.0.0.1"), addr("127.0.0.2"), addr("127.0.0.3")}},
		{clients: 60_000, to: "10.0.0.1"},
		{clients: 60_000, to: "::1"},
		{clients: 60_000, to: "127.0.0.1", from: []netip.Addr{addr("127.0.0.9")}, want: []netip.Addr{addr("127.0.0.9")}},
		{clients: 10, to: "10.0.0.1", from: []netip.Addr{addr("10.0.0.2")}, want: []netip.Addr{addr("10.0.0.2")}},
	} {
		o := Options{Clients: c.clients, From: c.from}
		if got := o.sources(addr(c.to)); !slices.Equal(got, c.want) {
			t.Errorf("%d clients to %s: from %v, want %v", c.clients, c.to, got, c.want)
		}
	}
}

func TestFind(t *testing.T) {
	for text, want := range map[string]place{
		"http://127.0.0.1:2120":     {addr: netip.MustParseAddrPort("127.0.0.1:2120"), host: "127.0.0.1:2120"},
		"ws://127.0.0.1":            {addr: netip.MustParseAddrPort("127.0.0.1:80"), host: "127.0.0.1"},
		"http://[::1]:3000/rt/?a=b": {addr: netip.MustParseAddrPort("[::1]:3000"), host: "[::1]:3000", path: "/rt/?a=b"},
	} {
		if got, err := find("URL", text); got != want || err != nil {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}
