// Package cli is the command line of Crier: its commands, their flags and exit
// codes.
package cli

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"crier/app"
	"crier/configs"
)

// Exit codes.
const (
	exitFine  = 0
	exitRun   = 1 // failed at run time
	exitUsage = 2 // wrong usage or settings
)

// usageError is a mistake on the command line.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

// Run is the whole program: it runs the command that args name, program name first, and returns its exit code: 0
// fine, 1 failed at run time, 2 wrong usage or settings.
func Run(args []string, stdout, stderr io.Writer) int {
	err := commands(stdout, stderr).Run(args)
	if err == nil {
		return exitFine
	}
	for line := range strings.Lines(err.Error() + "\n") {
		fmt.Fprint(stderr, "crier: ", line)
	}
	var usage usageError
	var mistakes configs.Mistakes
	var exit cli.ExitCoder // help on a command there is none of
	switch {
	case errors.As(err, &usage), errors.As(err, &exit):
		fmt.Fprintln(stderr, "crier: run crier -h for help")
		return exitUsage
	case errors.As(err, &mistakes), errors.Is(err, app.ErrNoSecret):
		return exitUsage
	}
	return exitRun
}

// commands describes the command line.
func commands(stdout, stderr io.Writer) *cli.App {
	return &cli.App{
		Name:    "crier",
		Usage:   "push messages from your servers to your users' browsers",
		Version: version(),
		Description: "Settings come from defaults < YAML file < environment < flags. The environment variable of a.b_c is\n" +
			"CRIER_A_B_C; lists are comma-separated; a secret can come from a file: a.b_file, CRIER_A_B_FILE.",
		Writer: stdout, ErrWriter: stderr,
		EnableBashCompletion:      true,
		DisableSliceFlagSeparator: true, // configs takes lists apart
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError:              usage,
		Flags:                     append(flags(), cli.HelpFlag),
		Action:                    serve,
		Commands: []*cli.Command{
			{
				Name: "help", Usage: "show the help of a command, as its -h does", ArgsUsage: "[command]", HideHelpCommand: true, OnUsageError: usage,
				Action: func(c *cli.Context) error { // the built-in one stops half-way at commands that have commands
					return c.App.Run(slices.Concat([]string{c.App.Name}, c.Args().Slice(), []string{"-h"}))
				},
			},
			{Name: "serve", Usage: "run the server (also without any command)", Flags: flags(), Action: serve, OnUsageError: usage, HideHelpCommand: true},
			{
				Name: "config", Usage: "check or print the settings", Flags: flags(), OnUsageError: usage,
				Action: func(c *cli.Context) error {
					if err := noArguments(c); err != nil {
						return err
					}
					return usageError{"config needs a command: check or print"}
				},
				Subcommands: []*cli.Command{
					{Name: "check", Usage: "print ok, or every mistake there is", Flags: append(flags(), jsonFlag()), Action: check, OnUsageError: usage, HideHelpCommand: true},
					{Name: "print", Usage: "print the effective settings, secrets masked", Flags: append(flags(), jsonFlag()), Action: printSettings, OnUsageError: usage, HideHelpCommand: true},
				},
			},
			demoCommand(), doctorCommand(), pushCommand(), receiptCommand(), usersCommand(), roomsCommand(), statsCommand(), scheduleCommand(), listenCommand(), tokenCommand(), benchCommand(), completionCommand(),
		},
	}
}

// version is the version this program was built as.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

func check(c *cli.Context) error {
	_, err := load(c)
	var mistakes configs.Mistakes
	if c.Bool("json") && (err == nil || errors.As(err, &mistakes)) {
		for _, one := range mistakes {
			if err := printJSON(c.App.Writer, one); err != nil {
				return err
			}
		}
		return err
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.App.Writer, "ok")
	return err
}

func printSettings(c *cli.Context) error {
	loaded, err := load(c)
	if err != nil {
		return err
	}
	if !c.Bool("json") {
		return loaded.Print(c.App.Writer)
	}
	all, err := loaded.Effective()
	if err != nil {
		return err
	}
	for _, one := range all {
		if err := printJSON(c.App.Writer, one); err != nil {
			return err
		}
	}
	return nil
}
