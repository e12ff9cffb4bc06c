package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"crier/api/client"
	"crier/configs"
)

// The environment of the commands that call a server. None of these variables is a setting.
const (
	envURL       = "CRIER_URL"
	envKey       = "CRIER_KEY"
	envKeyFile   = "CRIER_KEY_FILE"
	envToken     = "CRIER_TOKEN"
	envTokenFile = "CRIER_TOKEN_FILE"
)

// clientVariables are all of them.
func clientVariables() []string { return []string{envURL, envKey, envKeyFile, envToken, envTokenFile} }

// callTimeout bounds one call of the push port.
const callTimeout = 30 * time.Second

// maxSecret is how large a file with a key or a token may be, in bytes.
const maxSecret = 64 << 10

// portFlags are the flags of every command that calls the push port.
func portFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "url", Usage: "the push port's `URL`", Value: client.DefaultURL, EnvVars: []string{envURL}},
		&cli.StringFlag{Name: "key-file", Usage: "`FILE` with one of the server's api.keys; or the key itself in $" + envKey, EnvVars: []string{envKeyFile}, TakesFile: true},
		jsonFlag(),
	}
}

// jsonFlag makes a command print for programs.
func jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", DisableDefaultText: true, Usage: "print JSON, one value a line"}
}

// portUsage is the OnUsageError of those commands.
func portUsage(c *cli.Context, err error, _ bool) error {
	return flagMistake(c, err, map[string]string{"key": "--key-file, $" + envKeyFile + " or $" + envKey})
}

// flagMistake turns an error of the flag parser into one that says what to do. secrets are names that people
// may take for flags, and what there is instead.
func flagMistake(c *cli.Context, err error, secrets map[string]string) error {
	name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !unknown {
		return usage(c, err, false)
	}
	name = strings.TrimPrefix(name, "-")
	if instead, is := secrets[name]; is {
		return usageError{"--" + name + ": is not a flag, since every user of the machine can read a command line: use " + instead}
	}
	text := "--" + name + ": is not a flag of " + c.Command.HelpName
	var names []string
	for _, f := range c.Command.VisibleFlags() {
		names = append(names, f.Names()[0])
	}
	if near := configs.Nearest(name, names); near != "" {
		text += "; did you mean --" + near + "?"
	}
	return usageError{text}
}

// port returns the client of the push port that the flags name.
func port(c *cli.Context) (*client.Client, error) {
	key, err := secret(c.String("key-file"), envKey)
	if err != nil {
		return nil, err
	}
	p, err := client.New(client.Options{URL: c.String("url"), Key: key})
	if err != nil {
		return nil, usageError{err.Error()}
	}
	return p, nil
}

// secret returns what stands in file, or in the variable if there is no file; "" for neither.
func secret(file, variable string) (string, error) {
	if file == "" {
		return strings.TrimSpace(os.Getenv(variable)), nil
	}
	text, err := readSecret(file)
	if err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err // the path might be the secret itself, put in the wrong place
		}
		return "", usageError{"the file for $" + variable + " cannot be used: " + err.Error()}
	}
	return text, nil
}

// readSecret returns the first line of a file that is not blank.
func readSecret(name string) (_ string, err error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	text, err := io.ReadAll(io.LimitReader(f, maxSecret))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" {
			return line, nil
		}
	}
	return "", errors.New("it is empty")
}

// call makes one call of the push port, which may take longer than usual by extra.
func call[T any](c *cli.Context, extra time.Duration, fn func(context.Context, *client.Client) (T, error)) (T, error) {
	p, err := port(c)
	if err != nil {
		var none T
		return none, err
	}
	ctx, cancel := context.WithTimeout(c.Context, callTimeout+extra)
	defer cancel()
	v, err := fn(ctx, p)
	return v, explained(c, err)
}

// explained says what to do about a server that cannot be reached.
func explained(c *cli.Context, err error) error {
	if !errors.Is(err, client.ErrUnreachable) {
		return err
	}
	return fmt.Errorf("%w: is the server running, and its push port at %s? (--url, $%s)", err, c.String("url"), envURL)
}

// printJSON prints v as a line of JSON.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return nil
}
