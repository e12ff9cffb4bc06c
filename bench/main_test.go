//go:build linux

package bench_test

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"crier/app"
	"crier/bench"
	"crier/configs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// startCrier starts a server, and returns the options of a short run against it.
func startCrier(t *testing.T, mode bench.Mode) bench.Options {
	t.Helper()
	cfg := configs.Default()
	cfg.Listen, cfg.API.Listen, cfg.Store.Path = "127.0.0.1:0", "127.0.0.1:0", ""
	a, err := app.New(cfg, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err == nil {
		err = a.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := a.Stop(ctx); err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
	o := options(mode)
	o.URL, o.PushURL = "http://"+a.Addr(), "http://"+a.PushAddr()
	return o
}

// options are those of a short run.
func options(mode bench.Mode) bench.Options {
	return bench.Options{
		Mode: mode, Server: bench.Servers()["crier"], Clients: 20, Concurrency: 4, Duration: 200 * time.Millisecond, Patience: patience,
		Burst: 1, AtOnce: 3, Batch: 5,
	}
}
