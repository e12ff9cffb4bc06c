package cli

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"crier/app/doctor"
)

// doctorCommand describes crier doctor.
func doctorCommand() *cli.Command {
	return &cli.Command{
		Name: "doctor", Usage: "look for what keeps the server from starting, or will hurt it", HideHelpCommand: true, Action: examine, OnUsageError: usage,
		Description: "It reads the same settings as crier serve, and looks at the ports, the TLS files, the limits of the machine, the store\n" +
			"and its disk, the addresses that Crier calls, Redis and the servers that share it, the clock, and settings that let in too much. A line each: ok, warn or\n" +
			"wrong, what about, and what to change. It changes nothing itself. The exit code is 1 if anything is wrong.\n\n" +
			"Examples:\n" +
			"  crier doctor\n" +
			"  sudo -u crier crier doctor --config /etc/crier/crier.yaml\n" +
			"  crier doctor --running          only asks the running server whether it is ready, for health checks",
		Flags: append(flags(),
			&cli.BoolFlag{Name: "running", DisableDefaultText: true, Usage: "only ask the server that runs with these settings whether it is ready"},
			jsonFlag()),
	}
}

func examine(c *cli.Context) error {
	loaded, err := load(c)
	if err != nil {
		return err
	}
	look := doctor.Examine
	if c.Bool("running") {
		look = doctor.Running
	}
	wrong := 0
	for _, f := range look(c.Context, loaded.Config) {
		if f.Grade == doctor.Wrong {
			wrong++
		}
		if err := printFinding(c, f); err != nil {
			return err
		}
	}
	switch wrong {
	case 0:
		return nil
	case 1:
		return errors.New("one thing is wrong")
	}
	return fmt.Errorf("%d things are wrong", wrong)
}

// printFinding prints a line.
func printFinding(c *cli.Context, f doctor.Finding) error {
	if c.Bool("json") {
		return printJSON(c.App.Writer, f)
	}
	looks := map[doctor.Grade]style{doctor.Fine: green, doctor.Warning: yellow, doctor.Wrong: red}
	to := terminalOf(c.App.Writer)
	if _, err := fmt.Fprintf(to.out, "%s  %-17s  %s\n", to.paint(looks[f.Grade], fmt.Sprintf("%-5s", f.Grade)), f.About, f.Text); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return nil
}
