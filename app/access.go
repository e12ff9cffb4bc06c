package app

import (
	"fmt"

	"crier/api"
	"crier/configs"
)

// newAccess says who may call the push port.
func newAccess(cfg *configs.Config) (api.Access, error) {
	access := api.Access{
		Keys:           cfg.API.Keys,
		Allow:          cfg.API.Allow,
		Hosts:          cfg.API.Hosts,
		TrustedProxies: cfg.TrustedProxies,
	}
	for _, k := range cfg.API.Limited {
		rights, err := rightsOf(k.Rights)
		if err != nil {
			return api.Access{}, err
		}
		access.Limited = append(access.Limited, api.Key{Key: k.Key, Rights: rights, Audience: k.Audience, Rate: k.Rate})
	}
	return access, nil
}

// rightsOf joins rights by their names; none stay none, which the push port takes for all.
func rightsOf(names []string) (api.Right, error) {
	var rights api.Right
	for _, name := range names {
		found := false
		for _, right := range []api.Right{api.RightPush, api.RightRead, api.RightAdmin} {
			if right.String() == name {
				rights |= right
				found = true
			}
		}
		if !found {
			return 0, fmt.Errorf("api.keys: there is no right %q", name)
		}
	}
	return rights, nil
}
