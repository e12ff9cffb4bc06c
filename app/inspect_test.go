package app

import "testing"

// TestInspectRedis looks at a Redis that two servers share.
func TestInspectRedis(t *testing.T) {
	redis := startRedis(t)
	a, b := redis.node("a", nil), redis.node("b", nil)
	found, err := InspectRedis(t.Context(), a.cfg.Cluster)
	if err != nil {
		t.Fatal(err)
	}
	if found.Address != redis.Addr() || found.From != "127.0.0.1" || found.Version == "" || found.Behind != 0 {
		t.Errorf("found %+v", found)
	}
	want := []string{"a", "http://" + a.Addr(), "b", "http://" + b.Addr()}
	var got []string
	for _, s := range found.Servers {
		got = append(got, s.Name, s.Advertise)
	}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] || got[3] != want[3] {
		t.Errorf("the servers are %q, want %q", got, want)
	}
}
