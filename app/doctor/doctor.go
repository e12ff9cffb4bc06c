// Package doctor looks at the settings and at the machine for what keeps a server from starting, or hurts it later, and
// says what to change.
package doctor

import (
	"context"
	"slices"
	"time"

	"crier/configs"
)

// Grade says how bad a finding is.
type Grade string

// The grades.
const (
	Fine    Grade = "ok"
	Warning Grade = "warn"  // it works, but hurts somebody sooner or later
	Wrong   Grade = "wrong" // it does not work
)

// Finding is what one look came to.
type Finding struct {
	Grade Grade  `json:"grade"`
	About string `json:"about"` // the setting, or what of the machine: "open files"
	Text  string `json:"text"`  // what there is and, unless it is fine, what to change. One line, without secrets
}

// The time that one outside call may take.
const patience = 10 * time.Second

// Examine looks at everything that cfg, which is valid, has to do with, within a minute and until ctx ends. It opens
// the ports for a moment, writes a file beside the store and removes it, sends HEAD to the addresses of the
// settings, and asks Redis and the servers that share it. It should run as the user that the server runs as.
func Examine(ctx context.Context, cfg *configs.Config) []Finding {
	return slices.Concat(
		ports(ctx, cfg), exposed(cfg), certificate(cfg.TLS, time.Now()), limits(), place(cfg), keys(cfg), addresses(ctx, cfg), redis(ctx, cfg), servers(ctx, cfg),
	)
}

// Running asks the server that runs with cfg, on this machine, whether it is ready.
func Running(ctx context.Context, cfg *configs.Config) []Finding {
	var all []Finding
	for _, p := range portsOf(cfg) {
		switch err := p.ready(ctx); {
		case err != nil:
			all = append(all, Finding{Wrong, p.setting, p.addr + " does not answer as a server that is ready: " + err.Error()})
		default:
			all = append(all, Finding{Fine, p.setting, p.addr + " answers, and is ready"})
		}
	}
	return all
}
