package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/urfave/cli/v2"

	"crier/app"
	"crier/configs"
)

// reloadTimeout bounds how long a reload waits for others.
const reloadTimeout = 10 * time.Second

// errStoppedTwice ends a stop that was not waited for.
var errStoppedTwice = errors.New("stopped at once by a second signal: what was pending is lost")

// serve runs the server until a signal or a listener that died ends it.
func serve(c *cli.Context) error {
	loaded, err := load(c)
	if err != nil {
		return err
	}
	level := new(slog.LevelVar)
	log := newLogger(c.App.ErrWriter, loaded.Config, level)
	signals := make(chan os.Signal, 4) // from here on none is missed, and none kills
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)

	timeout := app.StopTimeout(loaded.Config)
	server, err := app.New(loaded.Config, log)
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return errors.Join(err, stop(server.Stop, signals, timeout))
	}
	notify(log, daemon.SdNotifyReady)
	for {
		select {
		case err := <-server.Err():
			return errors.Join(err, stop(server.Stop, signals, timeout))
		case got := <-signals:
			if got == syscall.SIGHUP {
				reload(c, server, level, log)
				continue
			}
			log.Info("stopping", "signal", got.String(), "timeout", timeout)
			notify(log, stoppingFor(timeout))
			return stop(server.Stop, signals, timeout)
		}
	}
}

// notify tells systemd, if it wants to know (Type=notify), how far this program is (sd_notify(3)).
func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("systemd could not be told", "state", state, "error", err)
	}
}

// stoppingFor is what systemd is told of a stop: its TimeoutStopSec= need not know drain.spread.
func stoppingFor(timeout time.Duration) string {
	return fmt.Sprintf("%s\nEXTEND_TIMEOUT_USEC=%d", daemon.SdNotifyStopping, timeout.Microseconds())
}

// stop lets end drain and stop the server, within timeout; a second signal ends that at once.
func stop(end func(context.Context) error, signals <-chan os.Signal, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- end(ctx) }()
	for {
		select {
		case err := <-stopped:
			return err
		case got := <-signals:
			if got != syscall.SIGHUP {
				return errStoppedTwice // the program ends with this, and its goroutines
			}
		}
	}
}

// reload reads the settings again and takes over the log level and what the server can change while it runs. Mistakes
// change nothing.
func reload(c *cli.Context, server *app.App, level *slog.LevelVar, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), reloadTimeout)
	defer cancel()
	loaded, err := load(c)
	if err == nil {
		err = server.Reload(ctx, loaded.Config)
	}
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			log.Error("settings were not reloaded", "error", line)
		}
		return
	}
	level.Set(loaded.Config.Log.Level)
	log.Info("reloaded the TLS files, the API keys and allow lists, the keys of tokens, and the log level", "level", loaded.Config.Log.Level)
	if changed := server.NeedRestart(loaded.Config); len(changed) > 0 {
		log.Warn("some changed settings need a restart", "settings", strings.Join(changed, ", "))
	}
}

// newLogger returns the program's log. Its level can be changed while it is in use.
func newLogger(w io.Writer, cfg *configs.Config, level *slog.LevelVar) *slog.Logger {
	level.Set(cfg.Log.Level)
	options := &slog.HandlerOptions{Level: level}
	if cfg.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
