package doctor

import (
	"net"
	"testing"

	"crier/configs"
	"crier/io/cluster"
)

func TestReachable(t *testing.T) {
	here, elsewhere := net.ParseIP("127.0.0.1"), net.ParseIP("10.0.0.7")
	for _, c := range []struct {
		name, listen, advertise string
		from                    net.IP
		want                    []Finding
	}{
		{"all on this machine", "127.0.0.1:2120", "", here, nil},
		{"found out", ":2120", "", elsewhere, nil},
		{"loopback", "127.0.0.1:2120", "", elsewhere, []Finding{{Warning, "cluster.advertise", "listen is 127.0.0.1:2120"}}},
		{"said", "127.0.0.1:2120", "http://10.0.0.7:2120", elsewhere, nil},
		{"said wrong", ":2120", "http://localhost:2120", elsewhere, []Finding{{Warning, "cluster.advertise", "http://localhost:2120 is this machine"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := configs.Default()
			cfg.Listen, cfg.Cluster.Advertise = c.listen, c.advertise
			only(t, reachable(cfg, c.from), c.want...)
		})
	}
}

func TestOthers(t *testing.T) {
	fine, foreign := answering(t, says(t, 200, "ok\n")), answering(t, says(t, 404, "no"))
	gone := answering(t, says(t, 200, "ok"))
	gone.Close()
	only(t, others(t.Context(), []cluster.Server{{Name: "a", Advertise: fine.URL}, {Name: "b"}, {Name: "c", Advertise: foreign.URL}, {Name: "d", Advertise: gone.URL}}),
		Finding{Fine, "server a", fine.URL + " answers"},
		Finding{Warning, "server b", "cluster.advertise"},
		Finding{Wrong, "server c", "answers 404"},
		Finding{Wrong, "server d", "cannot be reached from here"},
	)
}

// TestNoRedis: without it there is nothing to say, nor of one that is away.
func TestNoRedis(t *testing.T) {
	cfg := configs.Default()
	only(t, servers(t.Context(), cfg))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.Cluster.Redis = "redis://" + l.Addr().String()
	only(t, servers(t.Context(), cfg))
}
