package cli

import (
	_ "embed" // for the scripts
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

var (
	//go:embed completion/crier.bash
	bashCompletion string
	//go:embed completion/crier.zsh
	zshCompletion string
	//go:embed completion/crier.ps1
	powershellCompletion string
)

// completionCommand describes crier completion.
func completionCommand() *cli.Command {
	return &cli.Command{
		Name: "completion", Usage: "print a script that completes commands and flags in a shell", ArgsUsage: "bash|zsh|fish|powershell",
		HideHelpCommand: true, Action: completion,
		OnUsageError: func(c *cli.Context, err error, _ bool) error { return flagMistake(c, err, nil) },
		Description: "Examples:\n" +
			"  source <(crier completion bash)        in ~/.bashrc\n" +
			"  source <(crier completion zsh)         in ~/.zshrc, behind compinit\n" +
			"  crier completion fish >~/.config/fish/completions/crier.fish\n" +
			"  crier completion powershell | Out-String | Invoke-Expression      in $PROFILE",
		BashComplete: func(c *cli.Context) { fmt.Fprintln(c.App.Writer, "bash\nzsh\nfish\npowershell") },
	}
}

func completion(c *cli.Context) error {
	script := ""
	switch shell := c.Args().First(); {
	case c.NArg() != 1:
		return usageError{"completion takes a shell: bash, zsh, fish or powershell"}
	case shell == "bash":
		script = bashCompletion
	case shell == "zsh":
		script = zshCompletion
	case shell == "powershell":
		script = powershellCompletion
	case shell == "fish":
		var err error
		if script, err = c.App.ToFishCompletion(); err != nil {
			return fmt.Errorf("writing the completions: %w", err)
		}
		script = strings.ReplaceAll(script, "`", "") // which mark the names of values in the help
	default:
		return usageError{fmt.Sprintf("there is no completion for %q: bash, zsh, fish and powershell have one", shell)}
	}
	_, err := fmt.Fprint(c.App.Writer, script)
	return err
}
