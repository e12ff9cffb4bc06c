package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"crier/api/client"
	"crier/bench"
)

// benchMode is what one command of crier bench measures, and the flags that it takes besides the common ones.
type benchMode struct {
	mode        bench.Mode
	usage, more string
	flags       []cli.Flag
}

// benchCommand describes crier bench.
func benchCommand() *cli.Command {
	command := &cli.Command{
		Name: "bench", Usage: "measure a server under a load", HideHelpCommand: true, OnUsageError: benchUsage,
		Description: "Connects many clients to a server, Crier or another one (--server), and measures one thing. Every message carries a number and\n" +
			"the time: each is counted once, and what is lost, comes twice or out of order is found. With --pid the processor time and memory\n" +
			"of a server on this machine are measured as well. Ctrl-C ends a run and prints what there is, marked as cut short.\n" +
			"Not for a server with users: messages to everybody reach them, too.\n" +
			"Exit code 1: it was cut short, or not every message came once and in order. Clients log in as user-0, user-1 and so on.\n\n" +
			"Examples:\n" +
			"  crier bench idle --clients 10000 --pid $(pgrep -x crier)\n" +
			"  crier bench broadcast --clients 10000 --rate 5 --duration 30s --pid $(pgrep -x crier)\n" +
			"  crier bench push --clients 10000 --json | jq .work.latency\n" +
			"  crier bench churn --server node --url http://127.0.0.1:3000",
		Action: func(c *cli.Context) error {
			if word := c.Args().First(); word != "" {
				return usageError{fmt.Sprintf("%q is nothing that is measured: idle, broadcast, push, polling, sse, events, churn and storm are", word)}
			}
			return usageError{"bench needs what is to be measured: idle, broadcast, push, polling, sse, events, churn or storm"}
		},
	}
	for _, m := range benchModes() {
		command.Subcommands = append(command.Subcommands, m.command())
	}
	return command
}

func benchModes() []benchMode {
	all := []cli.Flag{
		&cli.IntFlag{Name: "size", Value: 100, Usage: "a message has `N` bytes"},
		&cli.Float64Flag{Name: "rate", Usage: "`N` messages a second", DefaultText: "as many as the server takes"},
		&cli.StringFlag{Name: "push-url", Usage: "the push port's `URL`", Value: client.DefaultURL, EnvVars: []string{envURL}},
		&cli.StringFlag{Name: "key-file", Usage: "`FILE` with one of the server's api.keys; or the key itself in $" + envKey, EnvVars: []string{envKeyFile}, TakesFile: true},
		&cli.StringFlag{Name: "push-ok", Usage: "`TEXT` in the answer to a push that was delivered", DefaultText: "as --server has it"},
		&cli.StringFlag{Name: "push-type", Usage: "the media `TYPE` of a push", DefaultText: "as --server has it"},
	}
	toAll := append(all[:len(all):len(all)],
		&cli.StringFlag{Name: "push-all", Usage: "`BODY` of a push to everybody, with {content}", DefaultText: "as --server has it"},
		&cli.IntFlag{Name: "burst", Value: 1, Usage: "`N` messages are sent at once, in one piece"},
	)
	return []benchMode{
		{bench.Idle, "clients that only stay connected: memory, heartbeats", "", nil},
		{bench.Broadcast, "messages to everybody", "", append(
			toAll[:len(toAll):len(toAll)],
			&cli.IntFlag{Name: "sleepers", Usage: "`N` more clients, which never read", DefaultText: "none"},
		)},
		{bench.Push, "messages to users at random", "", append(
			all[:len(all):len(all)],
			&cli.StringFlag{Name: "push-one", Usage: "`BODY` of a push to a user, with {uid} and {content}", DefaultText: "as --server has it"},
			&cli.StringFlag{Name: "via", Value: string(bench.KeepAlive), Usage: "`WAY` of pushing: keep-alive or new connections; batch; Crier's lasting links lines or stream"},
			&cli.IntFlag{Name: "batch", Value: 100, Usage: "`N` pushes in a request, with --via batch"},
		)},
		{bench.Polling, "messages to everybody, by XHR polling", "", toAll},
		{bench.SSE, "messages to everybody, by Server-Sent Events", "", toAll},
		{bench.Events, "events of clients, acknowledged by the server", "The event is the login, said again: the server has little to do for it but to answer.\n\n", []cli.Flag{
			&cli.IntFlag{Name: "at-once", Value: 4, Usage: "a client sends `N` events in one piece, and waits for all their acknowledgements"},
		}},
		{bench.Churn, "clients that come, log in and go, beside those that stay", "There are as many at a time as --concurrency says.\n\n", nil},
		{bench.Storm, "all connections break, and all clients come back at once", "", nil},
	}
}

func (m benchMode) command() *cli.Command {
	return &cli.Command{
		Name: string(m.mode), Usage: m.usage, HideHelpCommand: true, OnUsageError: benchUsage,
		Description: m.more + "Examples:\n  crier bench " + string(m.mode) + " --clients 10000\n  crier bench " + string(m.mode) + " --clients 10000 --pid $(pgrep -x crier) --json",
		Flags:       append(benchFlags(), m.flags...),
		Action:      func(c *cli.Context) error { return runBench(c, m.mode) },
	}
}

// benchFlags are those of every mode.
func benchFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "url", Usage: "where the clients connect (`URL`), with the path if that is not the server's usual one", Value: "http://127.0.0.1:2120"},
		&cli.StringFlag{Name: "server", Value: "crier", Usage: "the `KIND` of server: " + strings.Join(bench.ServerNames(), ", ")},
		&cli.IntFlag{Name: "clients", Value: 1000, Usage: "`N` clients are connected"},
		&cli.IntFlag{Name: "concurrency", Value: 64, Usage: "`N` connections are made, or push, or have an event under way, at a time"},
		&cli.DurationFlag{Name: "duration", Value: 10 * time.Second, Usage: "measure for `D`"},
		&cli.DurationFlag{Name: "warm-up", DefaultText: "none", Usage: "do the same for `D` before, without counting: for servers whose code is compiled as it runs"},
		&cli.DurationFlag{Name: "leave", DefaultText: "nobody leaves", Usage: "then let all clients go, and measure the memory of --pid once more `D` later"},
		&cli.DurationFlag{Name: "patience", Value: 20 * time.Second, Usage: "give up when nothing has come for `D`"},
		&cli.IntFlag{Name: "eio", Usage: "Engine.IO revision `N`, 3 or 4", DefaultText: "as --server has it"},
		&cli.StringFlag{Name: "login", Usage: "the `EVENT` that logs in; none: there is no login", DefaultText: "as --server has it"},
		&cli.StringFlag{Name: "logged-in", Usage: "`WHEN` a client has logged in: ack, sent, or the name of the event that it then gets", DefaultText: "as --server has it"},
		&cli.StringSliceFlag{Name: "from", Usage: "connect from `ADDRESS` of this machine; may be repeated. One has about 28,000 ports (default for more: 127.0.0.1, 127.0.0.2 …)"},
		&cli.IntFlag{Name: "pid", Usage: "measure processor time and memory of the server's process `PID`", DefaultText: "none"},
		&cli.BoolFlag{Name: "json", DisableDefaultText: true, Usage: "print JSON"},
	}
}

func benchUsage(c *cli.Context, err error, _ bool) error {
	return flagMistake(c, err, map[string]string{"key": "--key-file, $" + envKeyFile + " or $" + envKey})
}

func runBench(c *cli.Context, mode bench.Mode) error {
	o, err := benchOptions(c, mode)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(c.Context, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal ends the program
	screen := newScreen(c.App.ErrWriter)
	result, err := bench.Run(ctx, o, screen.show)
	screen.clear()
	var wrong *bench.Mistake
	if errors.As(err, &wrong) {
		return usageError{wrong.Text}
	}
	if result != nil {
		show := result.Print
		if c.Bool("json") {
			show = func(w io.Writer) error { return printJSON(w, result) }
		}
		err = errors.Join(err, show(c.App.Writer))
	}
	return err
}

// benchOptions reads the flags.
func benchOptions(c *cli.Context, mode bench.Mode) (bench.Options, error) {
	if c.Args().Present() {
		return bench.Options{}, usageError{"bench " + string(mode) + " takes no argument"}
	}
	server, known := bench.Servers()[c.String("server")]
	if !known {
		return bench.Options{}, usageError{fmt.Sprintf("--server %q is not known: %s are; others may do with the flags of one of these", c.String("server"), strings.Join(bench.ServerNames(), ", "))}
	}
	adaptServer(c, &server)
	o := bench.Options{
		Mode: mode, URL: c.String("url"), PushURL: c.String("push-url"), Server: server,
		Clients: c.Int("clients"), Concurrency: c.Int("concurrency"), Duration: c.Duration("duration"), WarmUp: c.Duration("warm-up"), Patience: c.Duration("patience"),
		Leave: c.Duration("leave"), Size: c.Int("size"), Rate: c.Float64("rate"), Burst: c.Int("burst"), Sleepers: c.Int("sleepers"), AtOnce: c.Int("at-once"),
		Via: bench.Via(c.String("via")), Batch: c.Int("batch"), PID: c.Int("pid"),
	}
	for _, text := range c.StringSlice("from") {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return o, usageError{fmt.Sprintf("--from %q is no address", text)}
		}
		o.From = append(o.From, addr)
	}
	var err error
	o.Key, err = secret(c.String("key-file"), envKey)
	return o, err
}

// adaptServer applies the flags that say how a server is different from those of its kind.
func adaptServer(c *cli.Context, s *bench.Server) {
	for name, value := range map[string]*string{
		"login": &s.Login, "logged-in": &s.LoggedIn,
		"push-one": &s.Form.One, "push-all": &s.Form.All, "push-ok": &s.Form.OK, "push-type": &s.Form.Type,
	} {
		if text := c.String(name); text != "" {
			*value = text
		}
	}
	if s.Login == "none" {
		s.Login = ""
	}
	if eio := c.Int("eio"); eio != 0 {
		s.EIO = eio
	}
}

// screen shows how far a run is, on one line of a terminal.
type screen struct {
	out io.Writer // nil: there is no terminal

	mu    sync.Mutex
	width int // of what is shown
}

func newScreen(w io.Writer) *screen {
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return &screen{out: w}
		}
	}
	return &screen{}
}

func (s *screen) show(text string) {
	if s.out == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, "\r%-*s", s.width, text)
	s.width = len(text)
}

// clear removes the line.
func (s *screen) clear() {
	if s.width > 0 {
		s.show("")
		fmt.Fprint(s.out, "\r")
	}
}
