package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"crier/api/outbound"
	"crier/app"
	"crier/configs"
	"crier/io/cluster"
)

// servers tells what is to be said of the servers that share a Redis, if there is to be one and it is there.
func servers(ctx context.Context, cfg *configs.Config) []Finding {
	if cfg.Cluster.Redis == "" {
		return nil
	}
	looking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	found, err := app.InspectRedis(looking, cfg.Cluster)
	if err != nil {
		return nil // redis has told why
	}
	all := []Finding{{Fine, "cluster", fmt.Sprintf("Redis %s at %s has %d servers", found.Version, found.Address, len(found.Servers))}}
	apart := offset{known: true, ahead: found.Behind, from: "Redis"}
	all = append(all, apart.finding())
	all = append(all, reachable(cfg, net.ParseIP(found.From))...)
	return append(all, others(ctx, found.Servers)...)
}

// reachable tells whether other servers can be expected to reach the public port of this one. here is the address by
// which it reaches Redis.
func reachable(cfg *configs.Config, here net.IP) []Finding {
	const about = "cluster.advertise"
	address := cfg.Cluster.Advertise
	if address == "" {
		if !public(cfg.Listen) && !here.IsLoopback() {
			return []Finding{{Warning, about, "not set, and listen is " + cfg.Listen + ", which servers on other machines do not reach: clients that poll do not get through; set it, or listen"}}
		}
		return nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return []Finding{{Wrong, about, "is no address"}} // never: the settings are valid
	}
	if host := u.Hostname(); host != "" && !public(net.JoinHostPort(host, "80")) && !here.IsLoopback() {
		return []Finding{{Warning, about, address + " is this machine for whoever asks: servers on others do not reach it, and clients that poll do not get through"}}
	}
	return nil
}

// others tells whether the servers that say that they are there can be reached from here, as they have to be for each other.
func others(ctx context.Context, list []cluster.Server) []Finding {
	var all []Finding
	for _, s := range list {
		about := "server " + s.Name
		if s.Advertise == "" {
			all = append(all, Finding{Warning, about, "has not said where it can be reached: clients of it that poll do not get through other servers; set its cluster.advertise"})
			continue
		}
		if err := answers(ctx, s.Advertise); err != nil {
			all = append(all, Finding{Wrong, about, s.Advertise + " cannot be reached from here, so clients that poll do not get through: " + err.Error() + "; let the servers reach each other's public ports, or set its cluster.advertise"})
			continue
		}
		all = append(all, Finding{Fine, about, s.Advertise + " answers"})
	}
	return all
}

// answers asks for /healthz.
func answers(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, patience/2)
	defer cancel()
	// Servers prove to each other who they are by other means than a certificate for this address.
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	e, err := outbound.New(strings.TrimSuffix(address, "/")+"/healthz", 1, transport)
	if err != nil {
		return err
	}
	defer e.CloseIdle()
	request, err := e.Request(ctx, http.MethodGet, nil)
	if err != nil {
		return err
	}
	answer, err := e.Do(request, 1<<10)
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK || !strings.HasPrefix(string(answer.Body), "ok") {
		return fmt.Errorf("it answers %d, as no Crier does", answer.Status)
	}
	return nil
}
