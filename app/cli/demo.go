package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"crier/app/demo"
)

// demoTimeout bounds how long a demonstration takes to end.
const demoTimeout = 15 * time.Second

// demoCommand describes crier demo.
func demoCommand() *cli.Command {
	return &cli.Command{
		Name: "demo", Usage: "show what it is for: a chat room, a ticker, a board of devices", HideHelpCommand: true, Action: demonstrate, OnUsageError: usage,
		Description: "Starts a server that keeps nothing, and beside it a web site that uses it as yours would: by pushes, callbacks and events of\n" +
			"browsers. It prints the address to open. Ctrl-C ends it. No setting is read.\n\n" +
			"Examples:\n" +
			"  crier demo\n" +
			"  crier demo --listen :8080            for others in your network, too: everybody there may use it",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "listen", Usage: "`HOST:PORT` of the web site; port 0 is a free one", Value: "127.0.0.1:0"},
			&cli.BoolFlag{Name: "log", DisableDefaultText: true, Usage: "print what the server logs"},
			jsonFlag(),
		},
	}
}

func demonstrate(c *cli.Context) error {
	if c.Args().Present() {
		return usageError{"demo takes no argument"}
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	o := demo.Options{Listen: c.String("listen")}
	if c.Bool("log") {
		o.Logger = slog.New(slog.NewTextHandler(c.App.ErrWriter, nil))
	}
	d, err := demo.Start(o)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		err = printJSON(c.App.Writer, map[string]string{"site": d.URL(), "public": d.CrierURL(), "push": d.PushURL()})
	} else {
		_, err = fmt.Fprintf(c.App.Writer, "open          %s\nbe a device   crier listen --url %s --uid device-7\nwho is there  crier users --url %s\nCtrl-C ends it.\n",
			d.URL(), d.CrierURL(), d.PushURL())
	}
	if err == nil {
		select {
		case err = <-d.Err():
		case <-signals:
		}
	}
	return errors.Join(err, stop(d.Close, signals, demoTimeout))
}
