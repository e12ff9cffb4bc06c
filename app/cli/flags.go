package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"crier/configs"
)

// flags returns the flags of a command that reads the settings.
func flags() []cli.Flag {
	list := []cli.Flag{&cli.StringFlag{Name: "config", Usage: "YAML `FILE` with settings (default " + configs.DefaultFile + ", if there is one)"}}
	for _, f := range configs.Flags() {
		usage := f.Usage + " (`" + f.Kind + "`"
		if f.Default != "" {
			usage += ", default " + f.Default
		}
		usage += ")"
		category, _, nested := strings.Cut(f.Name, ".")
		if !nested {
			category = ""
		}
		if f.List {
			list = append(list, &cli.StringSliceFlag{Name: f.Name, Usage: usage, Category: category})
		} else {
			list = append(list, &cli.StringFlag{Name: f.Name, Usage: usage, Category: category})
		}
	}
	return list
}

// usage turns an error of the flag parser into one that says what to do. What was typed as a value is not
// repeated.
func usage(_ *cli.Context, err error, _ bool) error {
	message := err.Error()
	if name, ok := strings.CutPrefix(message, "flag provided but not defined: -"); ok {
		name = strings.TrimPrefix(name, "-")
		return usageError{"--" + name + ": " + configs.FlagProblem(name, "config", "help")}
	}
	if strings.HasPrefix(message, "bad flag syntax") {
		message = "bad flag syntax: a flag is --name=value or --name value"
	}
	return usageError{message}
}

// noArguments refuses what is left on the command line: nothing but a command stands there.
func noArguments(c *cli.Context) error {
	if !c.Args().Present() {
		return nil
	}
	for _, f := range configs.Flags() {
		if !f.List && strings.HasPrefix(c.String(f.Name), "--") { // so its value stands where a command would
			return usageError{"--" + f.Name + ": needs a value, " + f.Kind + ", but another flag follows"}
		}
	}
	word := c.Args().First()
	text := fmt.Sprintf("%q is not a command of %s", word, c.Command.HelpName)
	var names []string
	for _, command := range c.Command.Subcommands {
		names = append(names, command.Name)
	}
	if near := configs.Nearest(word, names); near != "" {
		text += "; did you mean " + near + "?"
	}
	return usageError{text}
}

// load reads the settings that the command line, wherever its flags stand, asks for.
func load(c *cli.Context) (*configs.Loaded, error) {
	if err := noArguments(c); err != nil {
		return nil, err
	}
	src := configs.Sources{Environ: os.Environ(), Others: clientVariables(), Flags: make(map[string][]string)}
	for _, level := range slices.Backward(c.Lineage()) { // crier before serve: the inner one wins
		set := level.LocalFlagNames()
		if slices.Contains(set, "config") {
			src.File = level.String("config")
		}
		for _, f := range configs.Flags() {
			switch {
			case !slices.Contains(set, f.Name):
			case f.List:
				src.Flags[f.Name] = level.StringSlice(f.Name)
			default:
				src.Flags[f.Name] = []string{level.String(f.Name)}
			}
		}
	}
	return configs.Load(src)
}
